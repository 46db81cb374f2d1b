"""`vircraft probe` as a user runs it."""

from __future__ import annotations

from pathlib import Path

from command_line import json_lines, vircraft
from media import counted, counted_grey, truncate, write_sound, write_video


def make_folder(folder: Path) -> None:
    write_video(folder / "good_infrared.mp4", counted_grey(20))
    write_video(folder / "good_visible.mp4", counted(20))


def test_good_clips_are_listed_with_exit_code_0(tmp_path: Path) -> None:
    make_folder(tmp_path)
    done = vircraft("probe", tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    head, infrared, visible, count = done.stdout.splitlines()
    assert head.split() == [
        "clip",
        "stream",
        "size",
        "frames",
        "rate",
        "duration",
        "start",
        "codec",
        "pixels",
    ]
    assert infrared.split()[:5] == ["good", "infrared", "160x120", "20", "25"]
    assert visible.split()[:4] == ["visible", "160x120", "20", "25"]
    assert count == "1 clip, 0 with remarks, 0 failures"


def test_failures_are_named_and_the_rest_is_still_listed(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "empty_ir.mp4").write_bytes(b"")
    write_video(tmp_path / "empty_vis.mp4", counted(3))
    write_sound(tmp_path / "sound_ir.mp4")
    write_video(tmp_path / "sound_vis.mp4", counted(3))
    write_video(tmp_path / "alone_ir.mp4", counted(3))
    done = vircraft("probe", tmp_path)
    assert done.returncode == 3
    assert "good" in done.stdout
    assert "1 clip, 0 with remarks, 3 failures" in done.stdout
    for name, reason in (("empty_ir", "zero-bytes"), ("sound_ir", "audio-only"), ("alone_ir", "no-partner")):
        assert any(name in line and f"[{reason}]" in line for line in done.stderr.splitlines())


def test_what_is_odd_stands_below_the_clip(tmp_path: Path) -> None:
    write_video(tmp_path / "a_ir.mkv", counted_grey(60))
    truncate(tmp_path / "a_ir.mkv", 0.6)
    write_video(tmp_path / "a_vis.mp4", counted(60), rate=50)
    done = vircraft("probe", tmp_path)
    assert done.returncode == 0
    assert "infrared: cut off: " in done.stdout
    assert "[truncated]" in done.stdout
    assert "[different-rates]" in done.stdout


def test_json_has_a_line_for_each_clip_and_failure(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "alone_visible.mp4").write_bytes(b"")
    done = vircraft("probe", tmp_path, "--json")
    assert done.returncode == 3
    clip, failure = json_lines(done.stdout)
    assert clip["clip"] == "good"
    assert clip["infrared"]["size_wh"] == [160, 120]
    assert clip["visible"]["frame_count"] == 20
    assert failure["failure"] == "no-partner"


def test_a_folder_that_holds_nothing_is_an_error(tmp_path: Path) -> None:
    done = vircraft("probe", tmp_path)
    assert done.returncode == 1
    assert "NAME_infrared.mp4" in done.stderr
    assert vircraft("probe", tmp_path / "nowhere").returncode == 1


def test_help_has_an_example() -> None:
    done = vircraft("probe", "--help")
    assert done.returncode == 0
    assert "vircraft probe clips" in done.stdout
