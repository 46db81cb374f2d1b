"""Tasks that raise or kill their worker take nothing else with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import worker_tasks
from vircraft.errors import SettingsError
from vircraft.executors import ClusterExecutor, Executor, ProcessExecutor, SerialExecutor


def ignore(event: Any) -> None:
    pass


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessExecutor(2)], ids=["serial", "processes"])
def test_an_error_comes_back_and_the_others_go_on(executor: Executor) -> None:
    events: list[Any] = []
    outcomes = {o.task: o for o in executor.run(worker_tasks.square, [1, 2, 3, 4], events.append)}
    assert {task: o.result for task, o in outcomes.items()} == {1: 1, 2: 4, 3: None, 4: 16}
    assert isinstance(outcomes[3].error, ValueError)
    assert not outcomes[3].crashed
    assert set(events) <= {1, 2, 3, 4}, "events only show progress; the last ones may be lost"


def test_a_task_that_kills_its_worker_is_the_only_one_lost() -> None:
    tasks = [1, 2, 5, 4, 6, 8, 9, 10]
    outcomes = {o.task: o for o in ProcessExecutor(2).run(worker_tasks.square, tasks, ignore)}
    assert outcomes.keys() == set(tasks)
    assert [task for task, o in outcomes.items() if o.crashed] == [5]
    assert all(o.result == task * task for task, o in outcomes.items() if task != 5)


def test_a_task_that_was_only_unlucky_succeeds_when_tried_alone(tmp_path: Path) -> None:
    [outcome] = ProcessExecutor(1).run(worker_tasks.die_once, [tmp_path / "mark"], ignore)
    assert outcome.result == "survived"


def test_a_worker_runs_on_one_thread_and_ours_keeps_its_own() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    [outcome] = ProcessExecutor(1).run(worker_tasks.threads, [0], ignore)
    assert outcome.result == (1, "1")
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_closing_the_iterator_stops_what_runs() -> None:
    started = time.monotonic()
    outcomes = ProcessExecutor(2).run(worker_tasks.slow, [0, *range(1, 100)], ignore)
    assert next(outcomes).task == 0
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 10


def test_workers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import worker_tasks\nfrom vircraft.executors import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    list(ProcessExecutor(1).run(worker_tasks.note_and_wait, [Path(sys.argv[1])], print))\n"
    )
    note = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, str(script), str(note)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (note.exists() and note.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    worker = int(note.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_jobs_must_be_positive() -> None:
    with pytest.raises(SettingsError, match="jobs is 0"):
        ProcessExecutor(0)


@pytest.mark.slow
def test_a_dask_cluster_runs_the_same_tasks() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        executor = ClusterExecutor(cluster.scheduler_address)
        outcomes = {o.task: o for o in executor.run(worker_tasks.square, [1, 2, 3, 4], ignore)}
    assert {task: o.result for task, o in outcomes.items()} == {1: 1, 2: 4, 3: None, 4: 16}
    assert isinstance(outcomes[3].error, ValueError)


@pytest.mark.slow
def test_an_address_without_a_scheduler_is_named() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(SettingsError, match=r"tcp://127\.0\.0\.1:1"):
        list(ClusterExecutor("tcp://127.0.0.1:1").run(worker_tasks.square, [1], ignore))
