"""Before anything is trained: fuse what the experiment fuses itself, check every input, hash it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fgfusion_model.experiments.cells import Cell
from fgfusion_model.experiments.events import Checking, Fusing, OnExperimentEvent
from fgfusion_model.experiments.inputs import HashFile, TaskInputs, check_method, read_task_inputs
from fgfusion_model.experiments.kinds import Kinds
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan, folder_name
from vircraft.errors import DatasetError, InputFileError, VircraftError


class StoppedError(Exception):
    """The experiment was asked to stop while it prepared."""


class Preparation:
    """What the cells of an experiment read.

    Args:
        plan: the experiment.
        output: its folder.
        cells: those that are wanted.
        kinds: the tasks that there are.
        on_event: is told how far it is.
        stop: is asked after every picture whether to stop.
    """

    def __init__(
        self,
        plan: Plan,
        output: Path,
        cells: Sequence[Cell],
        kinds: Kinds,
        on_event: OnExperimentEvent,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.output, self.cells, self.kinds = plan, output, cells, kinds
        self.tell, self.stop = on_event, stop
        self.tasks = list({cell.task.name: cell.task for cell in cells}.values())
        self.inputs: dict[str, TaskInputs] = {}
        self.pictures: dict[tuple[str, str], str] = {}  # (task, method) -> hash
        self.unfused: dict[str, str] = {}  # folder -> what was wrong with the first pair
        self.wrong: dict[tuple[str, str], str] = {}  # (task, method; "": all) -> what is wrong

    def fuse(self, device: str) -> None:
        """Fuse the pictures of baselines and of our weights, each dataset once.

        Raises:
            StoppedError: it was asked to stop.
            SettingsError: no such device.
        """
        from fgfusion_model.experiments.fusing import FusingPlan, fuse

        for folder, (method, task) in self._own_folders().items():
            names = [s for t in self.tasks if t.data == task.data for s in (t.split, t.val, t.test) if s]

            def on_picture(done: int, total: int, name: str = method.name) -> None:
                self._check_stop()
                self.tell(Fusing(name, done, total))

            plan = FusingPlan(method, task.data, list(dict.fromkeys(names)), folder)
            try:
                if unfused := fuse(plan, device, on_picture):
                    self.unfused[str(folder)] = unfused[0]
            except (DatasetError, InputFileError) as error:
                self.wrong[task.name, method.name] = str(error)

    def check(self, dry_run: bool) -> None:
        """Check and hash what every cell reads; what is wrong is kept.

        Args:
            dry_run: write nothing, and let pictures be missing that would be fused here.

        Raises:
            StoppedError: it was asked to stop.
        """
        hashes = HashFile.open(self.output / "hashes.json")
        for task in self.tasks:
            try:
                self.inputs[task.name] = read_task_inputs(task, self.kinds[task.kind], hashes)
            except VircraftError as error:
                self.wrong[task.name, ""] = str(error)
        for cell in self.cells:
            key = (cell.task.name, cell.method.name)
            if key not in self.pictures and key not in self.wrong and cell.task.name in self.inputs:
                self._check_method(cell, hashes, dry_run)
        if not dry_run:
            hashes.save()

    def refuse_wrong(self) -> None:
        """Raise where an input cannot be used.

        Raises:
            DatasetError: naming everything that is missing or does not fit.
        """
        if self.wrong:
            listed = "".join(f"\n  {'/'.join(filter(None, key))}: {text}" for key, text in self.wrong.items())
            count = f"{len(self.wrong)} input{'' if len(self.wrong) == 1 else 's'}"
            raise DatasetError(
                f"{count} of the experiment cannot be used; nothing was trained (--keep-going trains the "
                f"others):{listed}"
            )

    def problem(self, cell: Cell) -> str:
        """Return what is wrong with a cell's inputs; "" when nothing is."""
        task = cell.task.name
        return self.wrong.get((task, "")) or self.wrong.get((task, cell.method.name), "")

    def pictures_of(self, cell: Cell) -> str:
        """Return what the cell's network sees: `visible`, `infrared` or a folder."""
        if cell.method.pictures:
            return cell.method.pictures_of(cell.task.name)
        return str(self._fused_folder(cell.method, cell.task))

    def val(self, task: TaskPlan) -> str:
        """Return the validation split; "" when the dataset has none."""
        inputs = self.inputs.get(task.name)
        return task.val if inputs is None or task.val in inputs.sizes_wh else ""

    def record(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's result depends on besides the recipe."""
        task = cell.task
        inputs = self.inputs.get(task.name)
        return {
            "splits": {"train": task.split, "val": self.val(task), "test": task.test},
            "labels": inputs.labels if inputs else "",
            "pictures": self.pictures.get((task.name, cell.method.name), ""),
        }

    def _check_method(self, cell: Cell, hashes: HashFile, dry_run: bool) -> None:
        task, method = cell.task.name, cell.method.name

        def on_file(done: int, total: int) -> None:
            self._check_stop()
            self.tell(Checking(method, task, done, total))

        try:
            self.pictures[task, method] = check_method(
                cell.task.data, self.pictures_of(cell), self.inputs[task], hashes, on_file
            )
        except VircraftError as error:
            if cell.method.pictures or not dry_run:  # ours may not be fused yet
                why = self.unfused.get(self.pictures_of(cell), "")
                self.wrong[task, method] = f"{error}{f'; not fused: {why}' if why else ''}"

    def _own_folders(self) -> dict[Path, tuple[MethodPlan, TaskPlan]]:
        """Return each folder that is fused here, with its method and the first task of its dataset."""
        found: dict[Path, tuple[MethodPlan, TaskPlan]] = {}
        for cell in self.cells:
            if not cell.method.pictures:
                task = self._first_task(cell.task)
                found.setdefault(self._fused_folder(cell.method, task), (cell.method, task))
        return found

    def _first_task(self, task: TaskPlan) -> TaskPlan:
        """Return the plan's first task on the same dataset; the fused pictures' folder has its name."""
        return next(other for other in self.plan.task if other.data == task.data)

    def _fused_folder(self, method: MethodPlan, task: TaskPlan) -> Path:
        name = folder_name(self._first_task(task).name)
        return self.output / "fused" / folder_name(method.name) / name

    def _check_stop(self) -> None:
        if self.stop():
            raise StoppedError
