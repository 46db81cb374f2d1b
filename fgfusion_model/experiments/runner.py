"""Run an experiment: fuse what must be fused, check everything, make the cells, write the tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fgfusion_model.downstream.results import read_result
from fgfusion_model.experiments.cells import (
    Action,
    Cell,
    CellRecord,
    digest,
    plan_cells,
    read_record,
    set_aside,
    what_to_do,
    write_record,
)
from fgfusion_model.experiments.events import (
    Ended,
    Kept,
    OnExperimentEvent,
    Planned,
    SetAside,
)
from fgfusion_model.experiments.kinds import KINDS, Kinds
from fgfusion_model.experiments.plan import PLAN_NAME, Plan, save_plan
from fgfusion_model.experiments.preparation import Preparation, StoppedError
from fgfusion_model.experiments.processes import Devices, Work, run_cells
from fgfusion_model.experiments.tables import write_tables
from fgfusion_model.experiments.work import CellJob, cell_settings, ended_record
from vircraft.errors import DatasetError, VircraftError
from vircraft.files import disk_error
from vircraft.locks import FileLock
from vircraft.settings import plain, setting_changes

NAMED = 3  # changed inputs that are told


@dataclass(frozen=True)
class RunOptions:
    """How an experiment runs; nothing here decides its results beyond the device's last bits."""

    device: str = "auto"  # auto, cpu or cuda
    jobs: int = 0  # cells at once; 0: one a core (of the plan's threads), or one a GPU
    only: tuple[str, ...] = ()  # each TASK, TASK/METHOD or TASK/METHOD/seed-K; (): all cells
    retry_failed: bool = False  # try again what failed on the same inputs
    keep_going: bool = False  # a method with missing pictures fails, the others go on; else nothing begins
    dry_run: bool = False  # say what would be done; write nothing


@dataclass
class ExperimentSummary:
    """What an experiment came to.

    Attributes:
        cells: name -> state: `done`, `failed`, `crashed`, or `running` where it was stopped.
        kept: cells that were done before.
        failures: name -> why.
        stopped: it was asked to stop before its end.
        files: tables and charts.
    """

    cells: dict[str, str] = field(default_factory=dict)
    kept: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    files: list[Path] = field(default_factory=list)


def run_experiment(
    plan: Plan,
    output: Path,
    options: RunOptions | None = None,
    *,
    kinds: Kinds = KINDS,
    on_event: OnExperimentEvent = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> ExperimentSummary:
    """Run an experiment, or go on with it: what is done on the same inputs is kept.

    Args:
        plan: methods, tasks, seeds.
        output: its folder.
        options: where and how much of it.
        kinds: the tasks that there are.
        on_event: is told what happens.
        stop: is asked now and then whether to stop; what was begun goes on the next time.

    Raises:
        SettingsError: a task's settings are wrong, or the device is not there.
        DatasetError: pictures or labels are missing or do not fit (all of them are named; with `keep_going`
            those cells fail instead), the folder cannot be written, or another run uses it.
    """
    return _Run(plan, output, options or RunOptions(), kinds, on_event, stop).run()


class _Run:
    def __init__(
        self,
        plan: Plan,
        output: Path,
        options: RunOptions,
        kinds: Kinds,
        on_event: OnExperimentEvent,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.output, self.options, self.kinds = plan, output, options, kinds
        self.tell, self.stop = on_event, stop
        self.cells = plan_cells(plan, output, options.only)
        self.prepared = Preparation(plan, output, self.cells, kinds, on_event, stop)
        self.summary = ExperimentSummary()
        self.gone: dict[tuple[str, str], str] = {}  # (task, method) of done cells -> what is wrong now

    def run(self) -> ExperimentSummary:
        self.load()
        devices = choose_devices(self.options, self.plan.threads)
        if self.options.dry_run:
            self.prepare(fused=False)
            stale = self.prepared.stale(self.options.device)
            self.tell(Planned(self.actions(self.records(), stale), devices.jobs))
            return self.summary
        self.open()
        with FileLock(self.output / "experiment.lock", f"experiment {self.output}"):
            save_plan(self.plan, self.output)
            try:
                self.prepare(fused=False)  # fusing may take hours: what is wrong is told before
                self.prepared.fuse(self.options.device)
                self.prepare(fused=True)
                self.make(self.records(), devices)
            except StoppedError:
                self.summary.stopped = True
            if any(cell.result.is_file() for cell in plan_cells(self.plan, self.output)):
                self.summary.files = write_tables(self.plan, self.output, self.kinds, self.gone)
        return self.summary

    def load(self) -> None:
        """Import the tasks and make the cells' settings: what is wrong there is told first of all."""
        kinds = {cell.task.name: self.kinds[cell.task.kind] for cell in self.cells}
        self.modules = {task: kind.load() for task, kind in kinds.items()}
        self.settings = {
            cell.name: cell_settings(cell.task, self.modules[cell.task.name], cell.seed)
            for cell in self.cells
        }

    def prepare(self, *, fused: bool) -> None:
        self.prepared.check(fused=fused, keep=not self.options.dry_run)
        if not self.options.keep_going:
            self.prepared.refuse_wrong()

    def open(self) -> None:
        """Make the folder, or accept one of an experiment."""
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            strange = [p.name for p in self.output.iterdir() if not p.name.endswith((".lock", ".tmp"))]
        except OSError as error:
            raise disk_error(self.output, error) from error
        if strange and not (self.output / PLAN_NAME).is_file():
            raise DatasetError(
                f"{self.output}: is not empty ({strange[0]}, ...) and holds no experiment; choose a new or "
                "empty folder"
            )

    def records(self) -> dict[Cell, CellRecord]:
        """Return what is written into each cell when it is begun: above all, the digest of its inputs."""
        return {cell: self.record(cell) for cell in self.cells}

    def record(self, cell: Cell) -> CellRecord:
        inputs = {
            "kind": cell.task.kind,
            "recipe": getattr(self.modules[cell.task.name], "RECIPE", 1),  # counts up when results change
            "settings": plain(self.settings[cell.name]),
            **self.prepared.record(cell),
        }
        return CellRecord(cell.task.name, cell.method.name, cell.seed, "running", digest(inputs), inputs)

    def actions(self, records: Mapping[Cell, CellRecord], stale: Collection[str] = ()) -> dict[str, Action]:
        """Return what each cell needs; pictures in the folders `stale` have yet to be fused anew."""
        return {cell.name: self.action(cell, record, stale) for cell, record in records.items()}

    def action(self, cell: Cell, record: CellRecord, stale: Collection[str]) -> Action:
        if self.prepared.problem(cell):
            return "failed"
        action = what_to_do(cell, record.digest, self.options.retry_failed)
        waits = action in ("keep", "resume", "failed") and self.prepared.pictures_of(cell) in stale
        return "fuse" if waits else action

    def make(self, records: Mapping[Cell, CellRecord], devices: Devices) -> None:
        """Make the cells that are not done."""
        actions = self.actions(records)
        self.tell(Planned(actions, devices.jobs))
        works: list[Work] = []
        for cell, record in records.items():
            action = actions[cell.name]
            if action == "keep":
                self.summary.kept += 1
                self.summary.cells[cell.name] = "done"
                self.tell(Kept(cell, self.score(cell)))
            elif action == "failed":
                self.fail(cell, record)
            else:
                if action == "again" and (cell.run.exists() or cell.result.exists()):
                    self.set_aside(cell, record)
                works.append((cell, self.job(cell, record, devices)))
        for event in run_cells(works, devices, self.stop):
            if isinstance(event, Ended):
                self.end(replace(event, score=self.score(event.cell) if event.state == "done" else None))
            else:
                self.tell(event)
        states = list(self.summary.cells.values())
        self.summary.stopped = len(states) < len(records) or "running" in states

    def end(self, event: Ended) -> None:
        self.summary.cells[event.cell.name] = event.state
        if event.state in ("failed", "crashed"):
            self.summary.failures[event.cell.name] = event.message
        self.tell(event)

    def fail(self, cell: Cell, record: CellRecord) -> None:
        """Tell of a cell that has failed before, or whose inputs cannot be used."""
        problem = self.prepared.problem(cell)
        if problem:
            old = read_record(cell.folder)
            if old is not None and old.state == "done":  # a score is kept although its pictures are gone
                self.gone[cell.task.name, cell.method.name] = problem
            elif old is None or old.state != "running":  # it goes on when its pictures are back
                write_record(cell.folder, ended_record(record, "failed", "inputs", problem))
            self.end(Ended(cell, "failed", problem, None, 0.0))
            return
        before = read_record(cell.folder)
        assert before is not None  # that is why it counts as failed
        message = f"{before.message} (before; --retry-failed tries again)"
        self.end(Ended(cell, before.state, message, None, 0.0))

    def set_aside(self, cell: Cell, record: CellRecord) -> None:
        before = read_record(cell.folder)
        old = before.inputs if before is not None and isinstance(before.inputs, Mapping) else {}
        changes = tuple(name for name, *_ in setting_changes(old, record.inputs))[:NAMED]
        self.tell(SetAside(cell, set_aside(cell, self.output), changes))

    def job(self, cell: Cell, record: CellRecord, devices: Devices) -> CellJob:
        return CellJob(
            cell.task,
            self.kinds[cell.task.kind],
            self.settings[cell.name],
            self.prepared.pictures_of(cell),
            self.prepared.val(cell.task),
            cell.folder,
            record,
            devices.kind,
            self.plan.threads,
        )

    def score(self, cell: Cell) -> float | None:
        main = cell.task.main or self.kinds[cell.task.kind].main
        try:
            return read_result(cell.result).scores.get(main)
        except VircraftError:
            return None


def choose_devices(options: RunOptions, threads: int) -> Devices:
    """Return where cells run.

    Raises:
        SettingsError: no such device.
    """
    import torch

    from fgfusion_model.inference.devices import choose_device

    kind = choose_device(options.device).type
    if kind == "cpu":
        return Devices(kind, options.jobs or max(1, _cores() // threads), (), threads)
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    gpus = tuple(visible or map(str, range(torch.cuda.device_count())))
    return Devices(kind, options.jobs or len(gpus), gpus, threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
