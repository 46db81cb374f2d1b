"""The register job: what it keeps, what it makes again, and what it never loses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import stand_in
import vircraft.registration
from dataset_bytes import assert_same, content
from rig import H_IR_FROM_VIS, INFRARED_WH, make_clip
from vircraft.build import BuildSummary, build_dataset, plan_build
from vircraft.dataset import Dataset, lock_dataset
from vircraft.errors import ClipError, DatasetBusyError, DatasetError, SettingsError
from vircraft.executors import Emit, Outcome, ProcessExecutor, SerialExecutor
from vircraft.registration.warp import warp_visible
from vircraft.sampling import SamplingSettings
from vircraft.settings import BuildSettings

SETTINGS = BuildSettings(offset_frames=2.0, sampling=SamplingSettings(every=5))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_clip(tmp_path_factory.mktemp("clips"), "one", frames=30)
    return make_clip(folder, "two", frames=20, offset=0, seed=2)


@pytest.fixture
def own_clips(clips: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may damage."""
    return Path(shutil.copytree(clips, tmp_path / "clips"))


@pytest.fixture(autouse=True)
def count_registrations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def counted(pairs: Any, settings: Any) -> Any:
        calls.append(1)
        return stand_in.register_clip(pairs, settings)

    monkeypatch.setattr(vircraft.registration, "register_clip", counted, raising=False)
    return calls


def register(clips: Path, out: Path, settings: BuildSettings = SETTINGS, **options: Any) -> BuildSummary:
    options = {"executor": SerialExecutor(), "report": False, **options}
    return build_dataset(clips, out, settings, **options)


def states(summary: BuildSummary) -> dict[str, str]:
    return {clip.clip: clip.state for clip in summary.clips}


def test_clips_become_pairs_with_pictures(clips: Path, tmp_path: Path) -> None:
    summary = register(clips, tmp_path / "d")
    assert states(summary) == {"one": "made", "two": "made"}
    assert not summary.failures
    pairs = list(Dataset.open(tmp_path / "d").pairs())
    assert [p.id for p in pairs if p.clip == "one"] == [f"one_{tick:06d}" for tick in range(0, 30, 5)]
    assert all(p.visible_index == p.infrared_index + 2 for p in pairs if p.clip == "one")
    assert {p.verdict for p in pairs} == {"accepted", "coarse_only"}
    infrared = cv2.imread(str(tmp_path / "d/infrared/one_000005.png"), cv2.IMREAD_UNCHANGED)
    visible = cv2.imread(str(tmp_path / "d/visible/one_000005.png"), cv2.IMREAD_UNCHANGED)
    assert infrared.shape == INFRARED_WH[::-1]
    assert visible.shape == (*INFRARED_WH[::-1], 3)


def test_the_visible_picture_lies_on_the_infrared_one(clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "d")
    infrared = cv2.imread(str(tmp_path / "d/infrared/one_000000.png"), cv2.IMREAD_UNCHANGED).astype(float)
    visible = cv2.imread(str(tmp_path / "d/visible/one_000000.png")).astype(float)
    expected = 0.7 * visible[..., 2] - 0.4 * visible[..., 0] + 100  # as `rig` makes the infrared picture
    assert np.corrcoef(infrared.ravel(), expected.ravel())[0, 1] > 0.95
    assert warp_visible(visible.astype(np.uint8), H_IR_FROM_VIS, INFRARED_WH).shape == visible.shape


def test_run_again_it_keeps_everything(clips: Path, tmp_path: Path, count_registrations: list[int]) -> None:
    register(clips, tmp_path / "d")
    before = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "d").rglob("*") if p.name != "run.json" and p.is_file()
    }
    assert states(register(clips, tmp_path / "d")) == {"one": "kept", "two": "kept"}
    assert len(count_registrations) == 2
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_two_runs_and_any_number_of_processes_give_the_same_bytes(clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "a")
    register(clips, tmp_path / "b")
    assert_same(tmp_path / "a", tmp_path / "b")


def test_a_moved_dataset_and_moved_clips_are_still_done(own_clips: Path, tmp_path: Path) -> None:
    register(own_clips, tmp_path / "d")
    moved = (tmp_path / "d").rename(tmp_path / "elsewhere")
    clips = own_clips.rename(tmp_path / "archive")
    before = content(moved)
    assert set(states(register(clips, moved)).values()) == {"kept"}
    assert content(moved) == before
    assert not any(str(tmp_path).encode() in data for data in before.values()), (
        "no path of this machine inside"
    )


@pytest.mark.parametrize("name", ["infrared/one_000010.png", "visible/one_000000.png"])
@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"half")])
def test_a_lost_or_damaged_picture_is_made_again(
    name: str, damage: Callable[[Path], Any], clips: Path, tmp_path: Path, count_registrations: list[int]
) -> None:
    register(clips, tmp_path / "d")
    before = content(tmp_path / "d")
    damage(tmp_path / "d" / name)
    assert states(register(clips, tmp_path / "d")) == {"one": "made", "two": "kept"}
    assert content(tmp_path / "d") == before
    assert len(count_registrations) == 2, "the journal knows the pose; nothing is registered again"


@pytest.mark.parametrize("cut", [0, 1, 200, 3000, 5000])
def test_a_journal_with_a_torn_tail_is_completed(cut: int, clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "d")
    before = content(tmp_path / "d")
    path = tmp_path / "d/journal/one.jsonl"
    os.truncate(path, path.stat().st_size - cut if cut < 5000 else 100)
    register(clips, tmp_path / "d")
    assert content(tmp_path / "d") == before


def test_a_journal_damaged_in_the_middle_fails_its_clip_only(clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "d")
    path = tmp_path / "d/journal/one.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"oops\n", *lines[2:]]))
    damaged = path.read_bytes()
    summary = register(clips, tmp_path / "d")
    assert states(summary) == {"one": "failed", "two": "kept"}
    [failure] = summary.failures
    assert failure.reason == "damaged-journal"
    assert "journal/one.jsonl: line 2 is damaged" in failure.message
    assert path.read_bytes() == damaged, "it is left for a person to look at"
    assert states(register(clips, tmp_path / "d", force=["all"])) == {"one": "made", "two": "made"}


def test_other_settings_make_the_clips_anew_and_leave_no_picture_behind(clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "d")
    coarser = replace(SETTINGS, sampling=SamplingSettings(every=10))
    assert set(states(register(clips, tmp_path / "d", coarser)).values()) == {"made"}
    register(clips, tmp_path / "fresh", coarser)
    assert_same(tmp_path / "d", tmp_path / "fresh")


def test_a_changed_video_makes_its_clip_anew(own_clips: Path, tmp_path: Path) -> None:
    register(own_clips, tmp_path / "d")
    make_clip(own_clips, "two", frames=20, offset=0, seed=9)
    assert states(register(own_clips, tmp_path / "d")) == {"one": "kept", "two": "made"}
    register(own_clips, tmp_path / "fresh")
    assert_same(tmp_path / "d", tmp_path / "fresh")


def test_a_new_clip_joins_and_the_old_ones_are_kept(own_clips: Path, tmp_path: Path) -> None:
    register(own_clips, tmp_path / "d")
    make_clip(own_clips, "three", frames=10, seed=3)
    assert states(register(own_clips, tmp_path / "d")) == {"one": "kept", "three": "made", "two": "kept"}


def test_the_pairs_of_a_clip_whose_video_got_lost_stay(own_clips: Path, tmp_path: Path) -> None:
    register(own_clips, tmp_path / "d")
    (own_clips / "one_visible.mp4").write_bytes(b"")
    summary = register(own_clips, tmp_path / "d")
    assert states(summary) == {"one": "failed", "two": "kept"}
    assert [f.reason for f in summary.failures] == ["zero-bytes"]
    assert any(p.clip == "one" for p in Dataset.open(tmp_path / "d").pairs())


def test_a_file_that_belongs_to_no_clip_has_a_record_until_its_partner_comes(
    own_clips: Path, tmp_path: Path
) -> None:
    shutil.copy(own_clips / "one_infrared.mp4", own_clips / "late_infrared.mp4")
    summary = register(own_clips, tmp_path / "d")
    [failure] = summary.failures
    assert (failure.reason, failure.file) == ("no-partner", "late_infrared.mp4")
    [journal] = [j for j in Dataset.open(tmp_path / "d").journals() if j.failures]
    assert journal.failures == (failure,)
    shutil.copy(own_clips / "one_visible.mp4", own_clips / "late_visible.mp4")
    assert not register(own_clips, tmp_path / "d").failures
    register(own_clips, tmp_path / "fresh")
    assert_same(tmp_path / "d", tmp_path / "fresh")


def test_a_clip_without_a_usable_pair_is_a_failure(own_clips: Path, tmp_path: Path) -> None:
    make_clip(own_clips, "blank", frames=10, blank=True)
    summary = register(own_clips, tmp_path / "d")
    [failure] = summary.failures
    assert failure.reason == "nothing-registered"
    assert "constant-frame 2" in failure.message
    assert (failure.file, failure.frame) == ("blank_infrared.mp4", 0)
    assert not list((tmp_path / "d/infrared").glob("blank*")), "a rejected pair has no pictures"


def test_streams_without_a_common_instant_are_a_failure(clips: Path, tmp_path: Path) -> None:
    summary = register(clips, tmp_path / "d", replace(SETTINGS, offset_frames=500.0))
    assert {f.reason for f in summary.failures} == {"no-overlap"}
    assert all("--offset" in f.message for f in summary.failures)
    assert set(states(summary).values()) == {"failed"}


def test_an_unexpected_error_fails_one_clip(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_on_two(pairs: Any, settings: Any) -> Any:
        for pair, registration in stand_in.register_clip(pairs, settings):
            if pair.id == "two_000010":
                raise ZeroDivisionError("surprise")
            yield pair, registration

    monkeypatch.setattr(vircraft.registration, "register_clip", break_on_two)
    summary = register(clips, tmp_path / "d")
    assert states(summary) == {"one": "made", "two": "failed"}
    assert [(f.reason, f.message) for f in summary.failures] == [
        ("internal-error", "ZeroDivisionError: surprise")
    ]
    assert "break_on_two" in summary.clips[1].trace
    assert [p.id for p in Dataset.open(tmp_path / "d").pairs() if p.clip == "two"] == [
        "two_000000",
        "two_000005",
    ]
    monkeypatch.setattr(vircraft.registration, "register_clip", stand_in.register_clip)
    assert not register(clips, tmp_path / "d").failures
    register(clips, tmp_path / "fresh")
    assert_same(tmp_path / "d", tmp_path / "fresh")


class Crashing:
    """Loses one clip as a worker that died twice does, after it had written some of its pairs."""

    def run(self, function: Any, tasks: Any, emit: Emit) -> Any:
        for task in tasks:
            if task.source.name == "two":
                yield Outcome(task)
            else:
                yield Outcome(task, result=function(task, emit))


def test_a_clip_that_kills_its_worker_is_recorded_as_crashed(clips: Path, tmp_path: Path) -> None:
    summary = register(clips, tmp_path / "d", executor=Crashing())
    assert states(summary) == {"one": "made", "two": "failed"}
    assert [f.reason for f in summary.failures] == ["crashed"]
    assert not register(clips, tmp_path / "d").failures
    register(clips, tmp_path / "fresh")
    assert_same(tmp_path / "d", tmp_path / "fresh")


@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_disk_that_fills_stops_the_job_and_leaves_everything_whole(
    after: int, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace
    count = iter(range(10**6))

    def fail(self: Path, target: Any) -> Any:
        if self.name.endswith(".png.tmp") and next(count) >= after:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DatasetError, match=r"\.png: cannot be written: No space left on device"):
        register(clips, tmp_path / "d")
    assert not list((tmp_path / "d").rglob("*.tmp"))
    for journal in Dataset.open(tmp_path / "d").journals():
        assert journal.torn_bytes == 0
    monkeypatch.setattr(Path, "replace", real)
    register(clips, tmp_path / "d")
    register(clips, tmp_path / "fresh")
    assert_same(tmp_path / "d", tmp_path / "fresh")


def test_a_second_job_is_told_who_is_at_work(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with lock_dataset(tmp_path / "d"), pytest.raises(DatasetBusyError, match=f"process {os.getpid()} on"):
        register(clips, tmp_path / "d")


def test_forcing_the_registration_keeps_the_sync_and_forcing_the_sync_does_not(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count_registrations: list[int]
) -> None:
    import vircraft.clip_job as job

    syncs: list[int] = []
    real = job.synchronise
    monkeypatch.setattr(job, "synchronise", lambda *a, **k: (syncs.append(1), real(*a, **k))[1])
    register(clips, tmp_path / "d")
    assert (len(syncs), len(count_registrations)) == (2, 2)
    register(clips, tmp_path / "d", force=["register"])
    assert (len(syncs), len(count_registrations)) == (2, 4)
    register(clips, tmp_path / "d", force=["sync"])
    assert (len(syncs), len(count_registrations)) == (4, 6)
    with pytest.raises(SettingsError, match="unknown stage 'synk'"):
        register(clips, tmp_path / "d", force=["synk"])


def test_a_plan_tells_what_would_be_made_and_writes_nothing(clips: Path, tmp_path: Path) -> None:
    plans, errors = plan_build(clips, tmp_path / "d", SETTINGS, executor=SerialExecutor())
    assert [(p.clip, p.action, p.pairs, p.offset_source) for p in plans] == [
        ("one", "make", 6, "option"),
        ("two", "make", 4, "option"),
    ]
    assert not errors
    assert not (tmp_path / "d").exists()
    register(clips, tmp_path / "d")
    plans, _ = plan_build(clips, tmp_path / "d", SETTINGS, executor=SerialExecutor())
    assert {p.action for p in plans} == {"keep"}


def test_run_json_tells_settings_versions_inputs_and_times(clips: Path, tmp_path: Path) -> None:
    register(clips, tmp_path / "d")
    run = json.loads((tmp_path / "d/run.json").read_text())
    assert run["settings"] == SETTINGS.record()
    assert {"vircraft", "numpy", "av"} <= run["software"].keys()
    assert run["clips"]["one"]["inputs"]["visible"]["bytes"] == (clips / "one_visible.mp4").stat().st_size
    assert {"probe", "decode", "register", "warp", "write"} <= run["cpu_s_by_stage"].keys()


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClipError, match="holds no video"):
        register(tmp_path / "empty", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_worker_processes_give_what_this_process_gives(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both must use the real registration: a stand-in does not reach worker processes from here.
    pytest.importorskip("vircraft.registration.clip")
    monkeypatch.undo()
    register(clips, tmp_path / "serial")
    register(clips, tmp_path / "processes", executor=ProcessExecutor(2))
    assert_same(tmp_path / "serial", tmp_path / "processes")
