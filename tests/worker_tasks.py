"""Tasks for worker processes; they must be importable there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import cv2

from vircraft.executors import Emit


def square(number: int, emit: Emit) -> int:
    """Square a number; 3 raises, 5 kills its worker, 7 kills it the first time only."""
    emit(number)
    if number == 3:
        raise ValueError("three")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die_once(path: Path, emit: Emit) -> str:
    """Kill the worker at the first call for a path."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def slow(number: int, emit: Emit) -> int:
    """Take a while."""
    time.sleep(0.3 if number else 0.0)
    return number


def threads(number: int, emit: Emit) -> tuple[int, str | None]:
    """Return how many threads OpenCV and the linear algebra may use."""
    return cv2.getNumThreads(), os.environ.get("OMP_NUM_THREADS")


def note_and_wait(path: Path, emit: Emit) -> None:
    """Write this process's id and wait to be stopped."""
    path.write_text(str(os.getpid()))
    time.sleep(60)
