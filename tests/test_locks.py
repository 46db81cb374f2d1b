"""One process holds a lock; who dies lets go."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vircraft.errors import DatasetBusyError, DatasetError
from vircraft.locks import FileLock

HOLD = """
import sys, time
from pathlib import Path
from vircraft.locks import FileLock
with FileLock(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_holds_it_and_a_kill_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "dataset.lock"
    process = hold(path)
    try:
        with pytest.raises(DatasetBusyError) as error, FileLock(path, "dataset x"):
            pass
        assert f"dataset x is in use by process {process.pid} on {socket.gethostname()}" in str(error.value)
        assert "since 20" in str(error.value)
        assert error.value.exit_code == 1
    finally:
        process.kill()
        process.communicate()
    assert path.exists(), "a SIGKILL leaves the file behind"
    with FileLock(path, "dataset x") as lock:
        assert lock.holder()["pid"] == str(os.getpid())
    assert not path.exists()


def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path, "a"):
        started = time.monotonic()
        with pytest.raises(DatasetBusyError), FileLock(path, "a", wait_s=0.3):
            pass
        assert 0.25 < time.monotonic() - started < 5


def test_it_can_be_taken_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        with FileLock(tmp_path / "a.lock", "a"):
            assert (tmp_path / "a.lock").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be written"), FileLock(tmp_path / "none" / "a.lock", "a"):
        pass


def test_a_link_in_its_place_is_not_written_through(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "dataset.lock"
    victim.write_text("mine")
    path.symlink_to(victim)
    with pytest.raises(DatasetError, match=r"dataset\.lock: cannot be written"), FileLock(path, "it"):
        pass
    assert victim.read_text() == "mine"
