"""The one seam to where tasks run: in this process, in processes of this machine, or on a Dask cluster.

A task that raises gives its error back; a task that kills its worker is tried again alone and then given back
as crashed. Nothing else is lost: with a bare process pool one such task takes every other one with it.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures import Executor as FutureExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from vircraft.errors import SettingsError

T = TypeVar("T")
R = TypeVar("R")
Emit = Callable[[Any], None]
"""Takes an event from a running task; events must be picklable and may be lost, they only show progress."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of one task: a result, an error that it raised, or neither when it killed its worker."""

    task: T
    result: R | None = None
    error: BaseException | None = None

    @property
    def crashed(self) -> bool:
        """Say whether the task killed its worker twice."""
        return self.result is None and self.error is None


class Executor(Protocol):
    """Where tasks run."""

    def run(
        self, function: Callable[[T, Emit], R], tasks: Sequence[T], emit: Emit
    ) -> Iterator[Outcome[T, R]]:
        """Run `function(task, emit)` for each task; yield outcomes as they come, in any order.

        Closing the iterator gives up what has not started and stops what has.
        """
        ...  # pragma: no cover


class SerialExecutor:
    """Runs tasks one after the other in this process: for debugging, and for callers with own threads."""

    def run(
        self, function: Callable[[T, Emit], R], tasks: Sequence[T], emit: Emit
    ) -> Iterator[Outcome[T, R]]:
        """Run the tasks in order."""
        for task in tasks:
            try:
                yield Outcome(task, result=function(task, emit))
            except Exception as error:
                yield Outcome(task, error=error)


class ProcessExecutor:
    """Runs tasks in spawned processes of this machine, each with OpenCV and the decoder on one thread.

    Args:
        jobs: how many processes; at least 1. Even one process keeps a decoder's crash out of ours.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise SettingsError(f"jobs is {jobs}; it is at least 1")
        self.jobs = jobs

    def run(
        self, function: Callable[[T, Emit], R], tasks: Sequence[T], emit: Emit
    ) -> Iterator[Outcome[T, R]]:
        """Run the tasks, never more at once than there are processes, so that a crash has few suspects."""
        waiting = deque(tasks)
        suspects: list[T] = []
        while waiting:
            with _pool(min(self.jobs, len(waiting)), emit) as pool:
                for outcome in _run_until_broken(pool, self.jobs, function, waiting):
                    if outcome.crashed:
                        suspects.append(outcome.task)
                    else:
                        yield outcome
        for task in suspects:
            with _pool(1, emit) as pool:
                future = pool.submit(_call, function, task)
                wait([future])
                yield _outcome(task, future)


def _run_until_broken(
    pool: ProcessPoolExecutor, jobs: int, function: Callable[[T, Emit], R], waiting: deque[T]
) -> Iterator[Outcome[T, R]]:
    """Take tasks off the queue and yield their outcomes, until it is empty or a worker has died.

    When one dies, everything in flight comes back as crashed: one of them did it.
    """
    running: dict[Future[R], T] = {}
    broken = False
    while running or (waiting and not broken):
        while waiting and not broken and len(running) < jobs:
            try:
                running[pool.submit(_call, function, waiting[0])] = waiting[0]
                waiting.popleft()
            except BrokenProcessPool:
                broken = True
        if running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = _outcome(running.pop(future), future)
                broken = broken or outcome.crashed
                yield outcome


class ClusterExecutor:
    """Runs tasks on a Dask cluster whose workers see the same folders under the same paths.

    Args:
        address: of the scheduler, such as `tcp://host:8786`.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def run(
        self, function: Callable[[T, Emit], R], tasks: Sequence[T], emit: Emit
    ) -> Iterator[Outcome[T, R]]:
        """Run the tasks on the cluster; events do not travel, outcomes do.

        Raises:
            SettingsError: Dask is not installed, or nothing answers at the address.
        """
        try:
            from distributed import Client
        except ImportError as error:
            raise SettingsError("--cluster needs Dask: pip install 'vircraft[cluster]'") from error
        try:
            client = Client(self.address, timeout="20s")
        except (OSError, ValueError, TimeoutError) as error:
            raise SettingsError(f"no Dask scheduler answers at {self.address!r}: {error}") from error
        with client:
            executor: FutureExecutor = client.get_executor(pure=False, retries=0)
            suspects: list[T] = []
            for one_by_one in (False, True):
                batch = [[task] for task in suspects] if one_by_one else [list(tasks)]
                for group in batch:
                    running = {executor.submit(_call_quietly, function, task): task for task in group}
                    try:
                        while running:
                            done, _ = wait(running, return_when=FIRST_COMPLETED)
                            for future in done:
                                task = running.pop(future)
                                outcome = _outcome(task, future)
                                if outcome.crashed and not one_by_one:
                                    suspects.append(task)
                                else:
                                    yield outcome
                    finally:
                        for future in running:
                            future.cancel()


def _outcome(task: T, future: Future[R]) -> Outcome[T, R]:
    try:
        return Outcome(task, result=future.result())
    except (BrokenProcessPool, CancelledError):
        return Outcome(task)
    except Exception as error:
        return Outcome(task) if type(error).__name__ == "KilledWorker" else Outcome(task, error=error)


@contextmanager
def _pool(jobs: int, emit: Emit) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    stop = threading.Event()
    listener = threading.Thread(target=_listen, args=(events, emit, stop), daemon=True)
    # Spawned processes read these when they load NumPy; ours has it loaded already.
    with environment(dict.fromkeys(THREAD_VARIABLES, "1")):
        pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(events,))
        listener.start()
        finished = False
        try:
            yield pool
            finished = True
        finally:
            if not finished:  # interrupted: what a worker has written is whole, so it can be stopped anywhere
                for process in multiprocessing.active_children():
                    if process in _processes(pool):
                        process.kill()
            pool.shutdown(wait=True, cancel_futures=True)
            stop.set()
            listener.join(timeout=2)
            events.close()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables that a process started meanwhile reads, and put back what they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _processes(pool: ProcessPoolExecutor) -> list[Any]:
    return list((getattr(pool, "_processes", None) or {}).values())


def _listen(events: Any, emit: Emit, stop: threading.Event) -> None:
    while True:
        try:
            emit(events.get(timeout=0.1))
        except queue.Empty:
            if stop.is_set():
                return
        except (EOFError, OSError):
            return


_events: Any = None


def _start_worker(events: Any) -> None:
    """Prepare a worker process: one thread each, quiet on Ctrl-C, gone when its parent is gone."""
    global _events  # noqa: PLW0603
    _events = events
    events.cancel_join_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=die_with_parent, daemon=True).start()
    _one_thread()


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def die_with_parent() -> None:
    """End this process when its parent is gone; to be run in a thread."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _send(event: Any) -> None:
    with suppress(queue.Full, ValueError, OSError):
        _events.put_nowait(event)


def _call(function: Callable[[T, Emit], R], task: T) -> R:
    return function(task, _send)


def _call_quietly(function: Callable[[T, Emit], R], task: T) -> R:
    _one_thread()
    return function(task, lambda event: None)
