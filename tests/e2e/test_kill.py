"""A job that is killed at any instant and run again gives the dataset of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from command_line import INSTALLED, SCRIPT
from dataset_bytes import assert_same
from rig import make_clip


@dataclass(frozen=True)
class Job:
    """A command on a folder of clips, the dataset that it makes undisturbed, and how long it holds it."""

    command: tuple[str, ...]
    clips: Path
    reference: Path
    seconds: float = 0.0

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Start it, and wait until it has taken the dataset."""
        command = [*self.command, "register", str(self.clips), "-o", str(out), "--every", "2", "--jobs", "2"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while not (out / "dataset.lock").exists() and process.poll() is None:
            time.sleep(0.005)
        return process

    def kill_and_run_again(self, out: Path, share: float, whole_group: bool) -> bool:
        """Kill it some share of its time after the start; return whether it was still at work then."""
        process = self.start(out)
        time.sleep(share * self.seconds)
        alive = process.poll() is None
        if alive and whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        elif alive:
            process.kill()  # its workers outlive it for a moment: the next job starts right now all the same
        process.wait()
        assert self.start(out).wait() == 3
        return alive


def undisturbed(command: tuple[str, ...], clips: Path, reference: Path) -> Job:
    """Return a job after it has made its reference once."""
    job = Job(command, clips, reference)
    process = job.start(reference)
    started = time.monotonic()
    assert process.wait() == 3
    return replace(job, seconds=time.monotonic() - started)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder, "one", frames=60, seed=1)
    make_clip(folder, "two", frames=40, offset=0, seed=2)
    make_clip(folder, "blank", frames=20, blank=True)
    (folder / "lonely_ir.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def quick_job(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    reference = tmp_path_factory.mktemp("quick") / "dataset"
    return undisturbed((sys.executable, str(SCRIPT)), clips, reference)


@pytest.fixture(scope="module")
def real_job(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return undisturbed((str(INSTALLED),), clips, tmp_path_factory.mktemp("real") / "dataset")


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_killed_and_run_again_gives_the_same_bytes(share: float, quick_job: Job, tmp_path: Path) -> None:
    quick_job.kill_and_run_again(tmp_path / "dataset", share, whole_group=share > 0.6)
    assert_same(quick_job.reference, tmp_path / "dataset")


@pytest.mark.slow
def test_killed_at_twenty_random_instants_gives_the_same_bytes(real_job: Job, tmp_path: Path) -> None:
    instants = random.Random(20)
    hits = 0
    for number in range(20):
        out = tmp_path / f"dataset{number}"
        hits += real_job.kill_and_run_again(out, instants.uniform(0, 1), whole_group=number % 2 == 0)
        assert_same(real_job.reference, out)
    assert hits >= 10, "most kills must have met a job at work"


@pytest.mark.slow
def test_one_dataset_killed_again_and_again_still_gets_whole(real_job: Job, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    for share in (0.3, 0.5, 0.6, 0.7, 0.8):
        process = real_job.start(out)
        time.sleep(share * real_job.seconds)
        process.kill()
        process.wait()
    assert real_job.start(out).wait() == 3
    assert_same(real_job.reference, out)
