"""One folder with every kind of bad clip: each is named, has a record, and takes nothing else with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from command_line import json_lines, stand_in_vircraft
from rig import infrared_view, make_clip, scene, view, write_video
from vircraft.dataset import Dataset

# clip or file -> the reasons of which one must be given, and the file that must be named
FATAL = {
    "text": ({"not-a-video"}, "text_infrared.mp4"),
    "zero": ({"zero-bytes"}, "zero_visible.mp4"),
    "cut": ({"truncated"}, "cut_visible.mp4"),
    "audio": ({"audio-only"}, "audio_visible.mp4"),
    "apart": ({"no-overlap"}, "apart_infrared.mp4"),
    "blank": ({"nothing-registered"}, "blank_infrared.mp4"),
    "lonely_infrared.mp4": ({"no-partner"}, "lonely_infrared.mp4"),
}
PARTIAL = {
    "short": ({"truncated"}, "short_visible.mkv"),
    "holed": ({"damaged-frame", "damaged"}, "holed_visible.mp4"),
    "pricked": ({"damaged-frame", "damaged"}, "pricked_visible.mp4"),
    "single": ({"one-frame"}, "single_infrared.mp4"),
}
Job = tuple[Path, int, list[Any], str]  # dataset, exit code, JSON lines, standard error
GOOD = ("good", "rates")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("good", "text", "zero", "cut", "audio", "holed", "pricked"):
        make_clip(folder, name, frames=30)
    (folder / "text_infrared.mp4").write_text("this is no video\n" * 100)
    (folder / "zero_visible.mp4").write_bytes(b"")
    cut = folder / "cut_visible.mp4"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_sound(folder / "audio_visible.mp4")
    holed = folder / "holed_visible.mp4"
    content = bytearray(holed.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 150_000] = np.random.default_rng(0).bytes(150_000)  # several frames
    holed.write_bytes(content)
    pricked = folder / "pricked_visible.mp4"
    content = bytearray(pricked.read_bytes())
    middle = int(0.55 * len(content))
    content[middle : middle + 8] = b"\x5a" * 8
    pricked.write_bytes(content)
    make_clip(folder, "blank", frames=20, blank=True)
    shutil.copy(folder / "good_infrared.mp4", folder / "lonely_infrared.mp4")

    world = scene(4)
    views = [view(world, float(i)) for i in range(60)]
    write_video(folder / "short_visible.mkv", views)
    write_video(folder / "short_infrared.mkv", [infrared_view(v) for v in views])
    short = folder / "short_visible.mkv"
    short.write_bytes(short.read_bytes()[: short.stat().st_size // 2])
    write_video(folder / "apart_visible.mp4", views[:30])
    write_video(folder / "apart_infrared.mp4", [infrared_view(v) for v in views[:30]], start_s=30.0)
    write_video(folder / "rates_visible.mp4", views, fps=50)
    write_video(folder / "rates_infrared.mp4", [infrared_view(v) for v in views[::2]], fps=25)
    write_video(folder / "single_visible.mp4", views[:20])
    write_video(folder / "single_infrared.mp4", [infrared_view(views[0])])
    return folder


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def job(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    out = tmp_path_factory.mktemp("out") / "dataset"
    done = stand_in_vircraft("register", clips, "-o", out, "--every", "5", "--json")
    return out, done.returncode, json_lines(done.stdout), done.stderr


def failures(job: Job, clip: str) -> list[dict[str, Any]]:
    return [failure for failure in job[2][-1]["failures"] if failure["clip"] == clip]


def test_it_finishes_with_failures_and_a_report(job: Job) -> None:
    out, code, lines, errors = job
    assert code == 3
    assert lines[-1]["exit_code"] == 3
    assert (out / "report/index.html").is_file()
    assert "Traceback" not in errors


@pytest.mark.parametrize("clip", GOOD)
def test_a_good_clip_is_not_touched_by_its_neighbours(clip: str, job: Job) -> None:
    assert not failures(job, clip)
    pairs = [p for p in Dataset.open(job[0]).pairs() if p.clip == clip]
    assert len(pairs) >= 5
    assert all((job[0] / f"infrared/{p.id}.png").is_file() for p in pairs)


@pytest.mark.parametrize("clip", [*FATAL, *PARTIAL])
def test_a_bad_clip_is_named_with_its_file_and_has_a_record(clip: str, job: Job) -> None:
    reasons, file = {**FATAL, **PARTIAL}[clip]
    found = failures(job, clip)
    assert found
    assert {f["reason"] for f in found} <= reasons
    assert all(f["file"] == file and file in f["message"] for f in found)
    recorded = [f for j in Dataset.open(job[0]).journals() for f in j.failures if f.clip == clip]
    assert [f.message for f in recorded] == [f["message"] for f in found]


@pytest.mark.parametrize("clip", PARTIAL)
def test_what_a_partly_bad_clip_still_holds_is_used(clip: str, job: Job) -> None:
    pairs = [p for p in Dataset.open(job[0]).pairs() if p.clip == clip]
    assert any(p.verdict != "rejected" for p in pairs)


def test_a_damaged_frame_is_named_by_its_index(job: Job) -> None:
    frames = [f["frame"] for f in failures(job, "holed") if f["reason"] == "damaged-frame"]
    assert frames
    assert all(0 <= frame < 32 for frame in frames)


def test_run_again_the_good_ones_are_kept_and_the_bytes_are_the_same(clips: Path, job: Job) -> None:
    from dataset_bytes import content

    before = content(job[0])
    done = stand_in_vircraft("register", clips, "-o", job[0], "--every", "5", "--json")
    assert done.returncode == 3
    states = {line["clip"]: line["state"] for line in json_lines(done.stdout) if line["event"] == "clip"}
    assert {states[clip] for clip in GOOD} == {"kept"}
    assert content(job[0]) == before
