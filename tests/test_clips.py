"""Which files make a clip, and what probing says about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media import counted, counted_grey, damage, rotate_mp4, truncate, write_sound, write_video
from vircraft.clips import ClipSource, Stream, find_clips, modality_of, probe_clip
from vircraft.errors import ClipError
from vircraft.palettes import palette_table
from vircraft.streams import probe_stream
from vircraft.timing import frame_timing


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("a_infrared", ("infrared", "a")),
        ("Landing-07-IR", ("infrared", "Landing-07")),
        ("thermal.run2", ("infrared", "run2")),
        ("run2.RGB", ("visible", "run2")),
        ("07 vis 2", ("visible", "07 2")),
        ("clip3ir", ("infrared", "clip3")),
        ("LandingVis", ("visible", "Landing")),
        ("infrared", ("infrared", "")),
        ("visible_light_ir", ("infrared", "visible_light")),
        ("noir", None),
        ("elvis", None),
        ("air_2", None),
    ],
)
def test_the_modality_is_read_from_the_last_word_for_it(stem: str, expected: tuple[str, str] | None) -> None:
    assert modality_of(stem) == expected


def test_clips_pair_up_by_name_by_folder_and_in_subfolders(tmp_path: Path) -> None:
    touch(tmp_path, "a_infrared.mp4", "a_visible.mkv", "infrared/b.mp4", "visible/b.mov")
    touch(tmp_path, "day1/c_IR.avi", "day1/c_RGB.avi", "day2/c_ir.avi", "day2/c_rgb.avi")
    touch(tmp_path, "run9/thermal.mp4", "run9/visible.mp4", "notes.txt", ".hidden_ir.mp4", "a.truth.json")
    sources, errors = find_clips(tmp_path)
    assert errors == []
    assert [s.name for s in sources] == ["a", "b", "day1_c", "day2_c", "run9"]
    assert sources[1].infrared == tmp_path / "infrared" / "b.mp4"


def test_videos_without_a_partner_or_with_two_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a_ir.mp4", "b_ir.mp4", "b_thermal.mp4", "b_vis.mp4", "what.mp4", "c_ir.mp4", "c_vis.mp4")
    sources, errors = find_clips(tmp_path)
    assert [s.name for s in sources] == ["c"]
    assert {(e.reason, e.path.name if e.path else "") for e in errors} == {
        ("no-partner", "a_ir.mp4"),
        ("ambiguous", "b_ir.mp4"),
        ("unknown-modality", "what.mp4"),
    }


def test_names_that_cannot_be_file_names_are_made_safe(tmp_path: Path) -> None:
    touch(tmp_path, "run #3; day_ir.mp4", "run #3; day_vis.mp4")
    assert [s.name for s in find_clips(tmp_path)[0]] == ["run_3_day"]


def test_names_of_any_script_are_kept_whole(tmp_path: Path) -> None:
    touch(tmp_path, "着陸_ir.mp4", "着陸_vis.mp4", "Flughafen_Köln_ir.mp4", "Flughafen_Köln_vis.mp4")
    assert [s.name for s in find_clips(tmp_path)[0]] == ["Flughafen_Köln", "着陸"]


def test_a_name_with_a_colon_is_a_file_and_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "12:30_ir.mp4", counted(3))
    monkeypatch.chdir(tmp_path)
    assert probe_stream(Path("12:30_ir.mp4"), "infrared").frame_count == 3


def test_a_link_that_leads_nowhere_is_named_as_such(tmp_path: Path) -> None:
    touch(tmp_path, "a_vis.mp4")
    (tmp_path / "a_ir.mp4").symlink_to(tmp_path / "gone.mp4")
    (source,), errors = find_clips(tmp_path)
    assert not errors
    with pytest.raises(ClipError, match=r"a_ir\.mp4") as caught:
        probe_clip(source)
    assert caught.value.reason == "missing"


def test_a_clip_list_decides_alone(tmp_path: Path) -> None:
    touch(tmp_path, "x_ir.mp4", "x_vis.mp4")
    (tmp_path / "clips.csv").write_text(
        "name,infrared,visible,offset\none,sub/1.mp4,2.mp4,-3.5\ntwo,3.mp4,,\nthree,3.mp4,4.mp4,soon\nfour,3.mp4,4.mp4,nan\n"
    )
    sources, errors = find_clips(tmp_path)
    assert sources == [ClipSource("one", tmp_path / "sub/1.mp4", tmp_path / "2.mp4", -3.5)]
    assert [e.reason for e in errors] == ["bad-csv"] * 3
    assert "line 3" in str(errors[0])
    assert "'soon'" in str(errors[1])


@pytest.mark.parametrize("text", ["", "name,infrared\na,b\n", "\xff\xfe"])
def test_a_broken_clip_list_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "clips.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(ClipError, match=r"clips\.csv"):
        find_clips(tmp_path)


def test_probing_reads_size_rate_times_and_depth(tmp_path: Path) -> None:
    pictures = counted(40)
    path = write_video(tmp_path / "a.mp4", pictures, rate=50, times_s=[1.5 + i / 50 for i in range(40)])
    stream = probe_stream(path, "visible")
    assert stream.size_wh == (160, 120)
    assert stream.frame_count == 40
    assert stream.rate_fps == pytest.approx(50)
    assert stream.start_time_s == pytest.approx(1.5, abs=1e-3)
    assert stream.duration_s == pytest.approx(0.8)
    assert (stream.codec, stream.bit_depth, stream.remarks) == ("h264", 8, ())
    np.testing.assert_allclose(stream.times_s, 1.5 + np.arange(40) / 50, atol=1e-3)


def test_b_frames_come_in_presentation_order(tmp_path: Path) -> None:
    options = {"bf": "3", "g": "12", "preset": "medium"}
    stream = probe_stream(write_video(tmp_path / "a.mkv", counted(30), options=options), "visible")
    np.testing.assert_allclose(np.diff(stream.times_s), 0.04, atol=1.1e-3)


def test_lost_frames_are_counted_and_change_no_rate(tmp_path: Path) -> None:
    kept = [i for i in range(60) if i not in (7, 30, 31)]
    path = write_video(tmp_path / "a.mp4", [counted(60)[i] for i in kept], times_s=[i / 25 for i in kept])
    stream = probe_stream(path, "infrared")
    assert (stream.lost_count, stream.frame_count, stream.variable_rate) == (3, 57, False)
    assert stream.rate_fps == pytest.approx(25)
    assert [r.code for r in stream.remarks] == ["lost-frames"]


@pytest.mark.parametrize("rate", [9.0, 24000 / 1001, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001])
@pytest.mark.parametrize("grain_s", [1e-3, 1e-6])
def test_the_rate_is_found_behind_rounded_stamps_lost_and_late_frames(rate: float, grain_s: float) -> None:
    rng = np.random.default_rng(3)
    slots = np.sort(rng.choice(1200, 1150, replace=False))
    times_s = np.round(slots / rate / grain_s) * grain_s
    times_s[100] += 0.3 / rate  # one late frame
    timing = frame_timing(times_s)
    assert timing.rate_fps == pytest.approx(rate, rel=2e-5)
    assert not timing.variable
    assert timing.lost_count == pytest.approx(slots[-1] - slots[0] + 1 - 1150)
    assert timing.late_count <= 2


def test_doubled_frames_are_counted() -> None:
    times_s = np.sort(np.r_[np.arange(100) / 25, [0.4004, 2.0]])
    timing = frame_timing(times_s)
    assert (timing.doubled_count, timing.lost_count, timing.variable) == (2, 0, False)


def test_a_variable_rate_is_told_from_lost_frames() -> None:
    rng = np.random.default_rng(1)
    assert frame_timing(np.cumsum(rng.uniform(0.02, 0.06, 200))).variable
    steps = np.where(np.arange(200) < 100, 1 / 30, 1 / 24)
    assert frame_timing(np.cumsum(steps)).variable


def test_a_turned_video_has_its_displayed_size(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", counted(5))
    rotate_mp4(path, 90)
    stream = probe_stream(path, "visible")
    assert (stream.size_wh, stream.rotation_deg) == ((120, 160), 270)
    assert "rotated" in [r.code for r in stream.remarks]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "bits"),
    [
        ("ffv1", "gray16le", ".mkv", 16),
        ("png", "gray16be", ".mov", 16),
        ("ffv1", "gray12le", ".mkv", 12),
        ("rawvideo", "bgr24", ".avi", 8),
        ("mjpeg", "yuvj420p", ".avi", 8),
    ],
)
def test_depth_is_read_for_many_formats(
    tmp_path: Path, codec: str, pix_fmt: str, suffix: str, bits: int
) -> None:
    grey = [p.mean(2).astype(np.uint16) * 257 for p in counted(6)]
    pictures = grey if bits > 8 else counted(6)
    path = write_video(tmp_path / f"a{suffix}", pictures, codec=codec, pix_fmt=pix_fmt)
    stream = probe_stream(path, "infrared")
    assert (stream.bit_depth, stream.pixel_format, stream.frame_count) == (bits, pix_fmt, 6)


def test_a_truncated_matroska_is_noticed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", counted(100))
    assert not probe_stream(path, "visible").truncated
    truncate(path, 0.5)
    stream = probe_stream(path, "visible")
    assert stream.truncated
    assert 30 < stream.frame_count < 70
    assert "says 4.00 s" in stream.remarks[0].message


def test_a_truncated_mp4_with_its_index_in_front_is_noticed(tmp_path: Path) -> None:
    import av

    path, fast = write_video(tmp_path / "a.mp4", counted(100)), tmp_path / "b.mp4"
    with av.open(str(path)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    assert not probe_stream(fast, "visible").truncated
    truncate(fast, 0.6)
    probed = probe_stream(fast, "visible")
    assert probed.truncated
    assert "truncated" in [r.code for r in probed.remarks]


def spoil_nothing(path: Path) -> None:
    path.write_bytes(b"")


def spoil_text(path: Path) -> None:
    path.write_text("this is no video " * 100)


def spoil_cut(path: Path) -> None:
    write_video(path, counted(30))
    truncate(path, 0.5)


def spoil_sound(path: Path) -> None:
    write_sound(path)


def spoil_missing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_nothing, "zero-bytes"),
        (spoil_text, "not-a-video"),
        (spoil_cut, "truncated"),
        (spoil_sound, "audio-only"),
        (spoil_missing, "missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_a_reason(tmp_path: Path, spoil, reason: str) -> None:  # type: ignore[no-untyped-def]
    spoil(tmp_path / "a_infrared.mp4")
    write_video(tmp_path / "a_visible.mp4", counted(5))
    with pytest.raises(ClipError, match=r"a_infrared\.mp4: ") as caught:
        probe_clip(ClipSource("a", tmp_path / "a_infrared.mp4", tmp_path / "a_visible.mp4"))
    assert caught.value.reason == reason
    assert caught.value.path == tmp_path / "a_infrared.mp4"


def test_a_file_whose_first_frames_are_damaged_is_still_probed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", counted(80), options={"g": "10", "crf": "12"})
    data = path.read_bytes()
    at = data.index(b"mdat") + 60
    path.write_bytes(data[:at] + bytes(2000) + data[at + 2000 :])
    assert probe_stream(path, "visible").frame_count == 80


def test_one_frame_is_remarked(tmp_path: Path) -> None:
    stream = probe_stream(write_video(tmp_path / "a.mp4", counted(1)), "visible")
    assert [r.code for r in stream.remarks] == ["one-frame"]
    assert stream.frame_count == 1


def test_what_is_odd_about_the_pair_is_remarked(tmp_path: Path) -> None:
    write_video(tmp_path / "a_ir.mp4", counted_grey(20), rate=25)
    write_video(tmp_path / "a_vis.mp4", counted(40), rate=50, times_s=[0.5 + i / 50 for i in range(40)])
    (tmp_path / "a.sync.toml").write_text("offset_frames = 1\n")
    (tmp_path / "a.truth.json").write_text("{}")
    clip = probe_clip(find_clips(tmp_path)[0][0])
    assert {r.code for r in clip.remarks} == {"different-rates", "different-starts"}
    assert clip.sync_sidecar == tmp_path / "a.sync.toml"
    assert clip.truth == tmp_path / "a.truth.json"


def test_a_painted_infrared_stream_is_recognised(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    import cv2

    grey = cv2.resize(rng.integers(0, 256, (6, 8), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    write_video(tmp_path / "a_ir.mp4", [palette_table("inferno")[grey]] * 8)
    write_video(tmp_path / "a_vis.mp4", counted(8))
    clip = probe_clip(find_clips(tmp_path)[0][0])
    assert clip.infrared.palette == "inferno"
    assert clip.visible.palette is None
    assert [r.code for r in clip.remarks] == ["false-colour"]


def test_damage_in_the_middle_leaves_the_count(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", counted(60))
    damage(path, 0.5, 300)
    assert probe_stream(path, "visible").frame_count == 60


def test_a_stream_must_fit_together() -> None:
    with pytest.raises(ValueError, match="3 frames but 2 times"):
        Stream(Path("a"), "visible", (8, 8), 3, np.array([0.0, 1.0]), 25.0, 1.0, "h264", "gray", 8)
    with pytest.raises(ValueError, match="ascending"):
        Stream(Path("a"), "visible", (8, 8), 2, np.array([1.0, 0.0]), 25.0, 1.0, "h264", "gray", 8)
