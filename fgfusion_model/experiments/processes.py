"""Run cells in processes of their own, several at once, each on a device of its own.

One process a cell: one that crashes takes no other with it, and its memory goes back. `vircraft.executors`
keeps its processes and kills them when interrupted; a training wants to write a checkpoint first, and a GPU
of its own.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fgfusion_model.experiments.cells import Cell, read_record, write_record
from fgfusion_model.experiments.events import Ended, ExperimentEvent, Moved
from fgfusion_model.experiments.work import TRAINING, CellJob, ended_record, work
from vircraft.executors import THREAD_VARIABLES, environment

LOOK_S = 0.2  # between two looks at whether to stop
Work = tuple[Cell, CellJob]


@dataclass(frozen=True)
class Devices:
    """Where cells run.

    Attributes:
        kind: `cpu` or `cuda`.
        jobs: cells at once.
        gpus: what CUDA_VISIBLE_DEVICES is set to, one after the other; () on a CPU.
        threads: of each cell.
    """

    kind: str
    jobs: int
    gpus: tuple[str, ...] = ()
    threads: int = 1


@dataclass
class _Running:
    cell: Cell
    job: CellJob
    process: Any
    channel: Any
    gpu: str
    started_s: float
    phase: str = ""
    silent: bool = False  # it has told all that it will


def run_cells(works: Sequence[Work], devices: Devices, stop: Callable[[], bool]) -> Iterator[ExperimentEvent]:
    """Make cells; yield how far they are and what became of them.

    A cell whose process was killed is tried once more when all others are done, alone: what killed it may
    have been too little memory for several.

    Args:
        works: the cells and their jobs, in order.
        devices: where.
        stop: is asked several times a second; then trainings write a checkpoint and stop, and what else runs
            is given up.
    """
    crashed: list[Ended] = []
    for event in _run(deque(works), devices, stop):
        if isinstance(event, Ended) and event.state == "crashed":
            crashed.append(event)
            yield replace(event, state="running", message=f"{event.message}; tried once more at the end")
        else:
            yield event
    for ended in crashed:
        if stop():  # it counts as begun, and is tried again the next time
            break
        again = next(work for work in works if work[0] == ended.cell)
        for event in _run(deque([again]), replace(devices, jobs=1), stop):
            if isinstance(event, Ended) and event.state == "crashed":
                write_record(
                    event.cell.folder, ended_record(again[1].record, "crashed", "crashed", event.message)
                )
            yield event


def _run(waiting: deque[Work], devices: Devices, stop: Callable[[], bool]) -> Iterator[ExperimentEvent]:
    context = multiprocessing.get_context("spawn")
    stopping = context.Event()
    running: list[_Running] = []
    try:
        while running or (waiting and not stopping.is_set()):
            while waiting and len(running) < devices.jobs and not stopping.is_set():
                running.append(_start(context, *waiting.popleft(), devices, running, stopping))
            channels = [one.channel for one in running if not one.silent]
            sentinels = [one.process.sentinel for one in running]
            multiprocessing.connection.wait([*channels, *sentinels], LOOK_S)
            if stop() and not stopping.is_set():
                stopping.set()
                _give_up(running)
            for one in list(running):
                yield from _news(one)
                if not one.process.is_alive():
                    running.remove(one)
                    yield from _news(one)
                    yield _end(one, stopping.is_set())
    finally:
        for one in running:
            one.process.kill()
            one.process.join()


def _start(
    context: Any, cell: Cell, job: CellJob, devices: Devices, running: Sequence[_Running], stopping: Any
) -> _Running:
    taken = [one.gpu for one in running]
    gpu = min(devices.gpus, key=taken.count) if devices.gpus else ""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(job, theirs, stopping), name=cell.name, daemon=True)
    with environment(_variables(gpu, devices.threads)):
        process.start()
    theirs.close()
    return _Running(cell, job, process, ours, gpu, time.monotonic())


def _variables(gpu: str, threads: int) -> dict[str, str]:
    """Return what a cell's process reads before it loads torch."""
    values = dict.fromkeys(THREAD_VARIABLES, str(threads))
    values["THP_MEM_ALLOC_ENABLE"] = "1"  # large pages spare the kernel work on large activations
    return {**values, "CUDA_VISIBLE_DEVICES": gpu} if gpu else values


def _news(one: _Running) -> Iterator[Moved]:
    """Yield the latest that a process has told."""
    share = None
    try:
        while one.channel.poll():
            one.phase, share = one.channel.recv()
    except (EOFError, OSError):
        one.silent = True
    if share is not None:
        yield Moved(one.cell, one.phase, share)


def _give_up(running: Sequence[_Running]) -> None:
    """Kill what would not stop by itself; what it has written is whole."""
    for one in running:
        if one.phase != TRAINING:
            one.process.kill()


def _end(one: _Running, stopping: bool) -> Ended:
    one.process.join()
    one.channel.close()
    seconds = time.monotonic() - one.started_s
    record = read_record(one.cell.folder)
    known = record is not None and record.digest == one.job.record.digest
    state, message = (record.state, record.message) if record and known else ("running", "")
    if state == "running" and not stopping:
        state, message = "crashed", _death(one.process.exitcode)
    return Ended(one.cell, state, message, None, seconds)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"its process was killed ({name}); if memory was short, lower --jobs or the batch"
    return f"its process ended with code {code} and said nothing"
