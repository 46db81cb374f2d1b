"""What a cell's process does: train, judge, and write down what became of it."""

from __future__ import annotations

import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fgfusion_model.experiments.cells import CellRecord, State, write_record
from fgfusion_model.experiments.kinds import TaskKind
from fgfusion_model.experiments.plan import TaskPlan
from fgfusion_model.training.run_folder import RunFolder
from vircraft import __version__
from vircraft.errors import SettingsError, VircraftError
from vircraft.executors import die_with_parent
from vircraft.files import write_atomically
from vircraft.locks import FileLock
from vircraft.settings import plain

LOCK_WAIT_S = 10.0  # for the process of an experiment that was killed a moment ago
TRAINING = "training"  # the phase that stops by itself when asked to
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class CellJob:
    """Everything that a cell's process needs; it is sent there.

    Attributes:
        task, kind: what to train.
        settings: the task's, with the seed.
        pictures: `visible`, `infrared` or a folder.
        val: the split to look at; "" when the dataset has none.
        folder: of the cell.
        record: as it is written while the cell runs.
        device: `cpu` or `cuda`.
        threads: of the CPU.
    """

    task: TaskPlan
    kind: TaskKind
    settings: Any
    pictures: str
    val: str
    folder: Path
    record: CellRecord
    device: str
    threads: int


def cell_settings(task: TaskPlan, module: Any, seed: int) -> Any:
    """Return a task's settings: its preset, over it the plan's, over it the seed.

    Raises:
        SettingsError: no such preset, an unknown key or a wrong value.
    """
    from fgfusion_model.downstream.settings import overlaid

    if task.preset not in module.PRESETS:
        known = ", ".join(module.PRESETS)
        raise SettingsError(f"preset of task {task.name!r} is {task.preset!r}; known are {known}")
    try:
        settings = overlaid(module.preset(task.preset), dict(task.settings))
    except SettingsError as error:
        raise SettingsError(f"settings of task {task.name!r}: {error}") from error
    return replace(settings, fit=replace(settings.fit, seed=seed))


def work(job: CellJob, channel: Connection, stop: Any) -> None:
    """Make a cell; the entry point of its process.

    Args:
        job: what to do.
        channel: takes (phase, share of the training).
        stop: an event of `multiprocessing`: stop after the step.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
    threading.Thread(target=die_with_parent, daemon=True).start()

    def tell(phase: str, share: float) -> None:
        with suppress(OSError, ValueError):
            channel.send((phase, share))

    started = time.monotonic()
    record = job.record
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(job.folder / "cell.lock", f"cell {job.folder}", wait_s=LOCK_WAIT_S):
            write_record(job.folder, record)
            made = _train_and_judge(job, tell, stop.is_set)
            made |= _surroundings(job)
            made["seconds"] = round(time.monotonic() - started, 1)
            state: State = "running" if made.pop("stopped") else "done"
            write_record(job.folder, replace(record, state=state, made=made))
            if state == "done":
                _drop_checkpoint(job)
    except BaseException as error:  # whatever it is, the others go on and the table tells
        _write_failure(job, error)
    channel.close()


def _train_and_judge(job: CellJob, tell: Tell, stop: Callable[[], bool]) -> dict[str, Any]:
    tell("starting", 0.0)
    module = job.kind.load()
    runtime = _runtime(job)
    summary = module.train(
        job.task.data,
        job.pictures,
        job.settings,
        job.folder / "run",
        runtime,
        split=job.task.split,
        val=job.val,
        resume=True,
        on_event=_Follower(tell),
        stop=stop,
    )
    if summary.stopped:
        return {"stopped": True, "step": summary.step}
    tell("judging", 1.0)
    module.evaluate(
        summary.weights, job.task.data, job.pictures, split=job.task.test, output=job.folder, runtime=runtime
    )
    return {"stopped": False, "steps": summary.steps, "loss": plain(summary.loss)}


def _drop_checkpoint(job: CellJob) -> None:
    """Delete the training's state, three times as large as its weights: nothing goes on from there."""
    with suppress(OSError):
        RunFolder(job.folder / "run").last.unlink(missing_ok=True)


class _Follower:
    """Tells how far a training is."""

    def __init__(self, tell: Tell) -> None:
        self.tell, self.steps = tell, 1

    def __call__(self, event: Any) -> None:
        self.steps = getattr(event, "steps", self.steps)
        step = getattr(event, "step", None)
        if step is not None:
            self.tell(TRAINING, step / max(1, self.steps))


def _runtime(job: CellJob) -> Any:
    """Return where a task trains, and keep to the plan's number of threads; None for one without torch.

    With one number of threads the last bits do not depend on how many cells run at once.
    """
    import cv2

    cv2.setNumThreads(1)
    if "torch" not in sys.modules:
        return None
    import torch

    from fgfusion_model.training.runtime import Runtime

    torch.set_num_threads(job.threads)
    device: Any = job.device
    return Runtime(device=device, threads=job.threads, tensorboard=False)


def _surroundings(job: CellJob) -> dict[str, Any]:
    versions = {"vircraft": __version__, "python": platform.python_version()}
    device = f"CPU, {platform.machine()}"
    torch = sys.modules.get("torch")
    if torch is not None:
        versions["torch"] = str(torch.__version__)
        if job.device == "cuda" and torch.cuda.is_available():
            device = torch.cuda.get_device_name()
    return {"device": device, "threads": job.threads, "versions": versions}


def _write_failure(job: CellJob, error: BaseException) -> None:
    """Write down why a cell failed; the trace of what nobody foresaw goes beside it."""
    foreseen = isinstance(error, VircraftError)
    name = type(error).__name__
    message = str(error) if foreseen else f"{name}: {error}; see {_below_output(job.folder)}/error.txt"
    reason = str(getattr(error, "reason", name) or name)
    with suppress(VircraftError, OSError):
        if not foreseen:
            write_atomically(job.folder / "error.txt", traceback.format_exc().encode())
        write_record(job.folder, ended_record(job.record, "failed", reason, message))


def _below_output(folder: Path) -> str:
    """Return a cell's folder as it lies in the experiment's: cells/TASK/METHOD/seed-K."""
    return Path(*folder.parts[-4:]).as_posix()


def ended_record(record: CellRecord, state: State, reason: str, message: str) -> CellRecord:
    """Return a record of a cell that could not be made."""
    return replace(record, state=state, reason=reason, message=message)
