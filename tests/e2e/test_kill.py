"""A job that is killed at any instant and run again gives the dataset of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import SCRIPT
from dataset_bytes import assert_same
from rig import make_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder, "one", frames=100, seed=1)
    make_clip(folder, "two", frames=80, offset=0, seed=2)
    make_clip(folder, "blank", frames=20, blank=True)
    (folder / "lonely_ir.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Return the dataset of a job that nobody kills, and how long it holds the dataset."""
    out = tmp_path_factory.mktemp("undisturbed") / "dataset"
    process = start(clips, out)
    wait_for_lock(process, out)
    started = time.monotonic()
    assert process.wait() == 3
    return out, time.monotonic() - started


def wait_for_lock(process: subprocess.Popen[bytes], out: Path) -> None:
    while not (out / "dataset.lock").exists() and process.poll() is None:
        time.sleep(0.005)


def start(clips: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        str(SCRIPT),
        "register",
        str(clips),
        "-o",
        str(out),
        "--every",
        "2",
        "--offset",
        "2",
    ]
    return subprocess.Popen([*command, "--jobs", "2"], stdout=subprocess.DEVNULL, start_new_session=True)


def kill_and_run_again(clips: Path, out: Path, delay_s: float, whole_group: bool) -> bool:
    """Kill a job some time after it has taken the dataset; return whether it was still at work then."""
    process = start(clips, out)
    wait_for_lock(process, out)
    time.sleep(delay_s)
    alive = process.poll() is None
    if alive and whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    elif alive:
        process.kill()  # its workers outlive it for a moment: the next job starts right now all the same
    process.wait()
    assert start(clips, out).wait() == 3
    return alive


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_killed_and_run_again_gives_the_same_bytes(
    share: float, clips: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    reference, seconds = undisturbed
    kill_and_run_again(clips, tmp_path / "dataset", share * seconds, whole_group=share > 0.6)
    assert_same(reference, tmp_path / "dataset")


@pytest.mark.slow
def test_killed_at_twenty_random_instants_gives_the_same_bytes(
    clips: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    reference, seconds = undisturbed
    instants = random.Random(20)
    hits = 0
    for number in range(20):
        out = tmp_path / f"dataset{number}"
        hits += kill_and_run_again(clips, out, instants.uniform(0, 1) * seconds, number % 2 == 0)
        assert_same(reference, out)
    assert hits >= 10, "most kills must have met a job at work"


@pytest.mark.slow
def test_one_dataset_killed_again_and_again_still_gets_whole(
    clips: Path, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    reference, seconds = undisturbed
    out = tmp_path / "dataset"
    for share in (0.3, 0.5, 0.6, 0.7, 0.8):
        process = start(clips, out)
        wait_for_lock(process, out)
        time.sleep(share * seconds)
        process.kill()
        process.wait()
    assert start(clips, out).wait() == 3
    assert_same(reference, out)
