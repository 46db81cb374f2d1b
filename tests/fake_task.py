"""A task that trains in milliseconds: its scores are sums of its inputs, so that tables can be told by hand.

Score of a cell: mean grey level of the method's test pictures / 255 + seed / 1000. Every call is noted in a
file beside the dataset. Settings choose what goes wrong.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2

from fgfusion_model.downstream.results import TaskResult, write_result
from vircraft.errors import VircraftError
from vircraft.files import write_atomically

PRESETS = ("paper", "small")


@dataclass(frozen=True)
class Fit:
    """As little of it as an experiment needs."""

    seed: int = 0
    steps: int = 2


@dataclass(frozen=True)
class Settings:
    """What the fake does."""

    fit: Fit = field(default_factory=Fit)
    fail: str = ""  # this method's pictures raise
    die: str = ""  # these kill the process
    pause_s: float = 0.0  # of a step


def preset(name: str) -> Settings:
    return Settings(Fit(steps=4 if name == "paper" else 2))


def train(
    root: Path,
    pictures: str,
    settings: Settings,
    output: Path,
    runtime: Any = None,
    *,
    split: str = "train",
    val: str = "val",
    resume: bool = False,
    on_event: Any = lambda event: None,
    stop: Any = lambda: False,
) -> Any:
    _note(root, f"train {Path(pictures).name} {settings.fit.seed}")
    if settings.fail and settings.fail == Path(pictures).name:
        raise VircraftError(f"{pictures}: cannot be learnt")
    if settings.die and settings.die == Path(pictures).name:
        os.kill(os.getpid(), signal.SIGKILL)
    checkpoint = output / "step"
    step = int(checkpoint.read_text()) if resume and checkpoint.exists() else 0
    stopped = False
    while step < settings.fit.steps and not stopped:
        time.sleep(settings.pause_s)
        step += 1
        _note(root, f"step {Path(pictures).name} {settings.fit.seed} {step}")
        on_event(SimpleNamespace(step=step, steps=settings.fit.steps))
        write_atomically(checkpoint, str(step).encode())
        stopped = stop()
    return SimpleNamespace(
        stopped=stopped and step < settings.fit.steps, step=step, steps=settings.fit.steps,
        weights=checkpoint, loss=0.5,
    )  # fmt: skip


def evaluate(
    weights: Path, root: Path, pictures: str, *, split: str = "test", output: Path, runtime: Any = None
) -> TaskResult:
    _note(root, f"evaluate {Path(pictures).name}")
    folder = root / pictures if pictures in ("visible", "infrared") else Path(pictures)
    seed = int(output.name.removeprefix("seed-"))
    values = {p.stem: cv2.imread(str(p)).mean() / 255 + seed / 1000 for p in sorted(folder.rglob("test_*"))}
    score = sum(values.values()) / len(values)
    result = TaskResult("fake", split, pictures, {"score": score, "half": score / 2}, {"value": values})
    write_result(result, output)
    return result


def _note(root: Path, text: str) -> None:
    with (root.parent / "calls.log").open("a") as file:
        file.write(text + "\n")
