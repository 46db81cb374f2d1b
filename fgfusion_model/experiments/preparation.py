"""Before anything is trained: fuse what the experiment fuses itself, check every input, hash it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgfusion_model.experiments.cells import Cell, pictures_of
from fgfusion_model.experiments.events import Checking, Fusing, OnExperimentEvent
from fgfusion_model.experiments.inputs import (
    HashFile,
    TaskInputs,
    check_method,
    hash_named_files,
    read_task_inputs,
)
from fgfusion_model.experiments.kinds import Kinds
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan
from vircraft.errors import DatasetError, InputFileError, VircraftError

if TYPE_CHECKING:
    from fgfusion_model.experiments.fusing import FusingPlan


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
        self.files: dict[str, dict[str, str]] = {}  # task -> file that its settings name -> hash
        self.pictures: dict[tuple[str, str], str] = {}  # (task, method) -> hash
        self.unfused: dict[str, str] = {}  # folder -> what was wrong with the first pair
        self.unusable: dict[str, str] = {}  # folder -> why nothing can be fused into it
        self.wrong: dict[tuple[str, str], str] = {}  # (task, method; "": all) -> what is wrong

    def fuse(self, device: str) -> None:
        """Fuse the pictures of baselines and of our weights, each dataset once; what is wrong is kept.

        Raises:
            StoppedError: it was asked to stop.
            SettingsError: no such device.
        """
        from fgfusion_model.experiments.fusing import fuse, release_gpu

        self.pictures = {(t, m): h for (t, m), h in self.pictures.items() if m not in self._own_methods()}
        for folder, (method, task) in self._own_folders().items():

            def on_picture(done: int, total: int, name: str = method.name) -> None:
                self._check_stop()
                self.tell(Fusing(name, done, total))

            try:
                if unfused := fuse(self._fusing_plan(folder, method, task), device, on_picture):
                    self.unfused[str(folder)] = unfused[0]
            except (DatasetError, InputFileError) as error:
                self.unusable[str(folder)] = str(error)
        release_gpu()  # for the cells, which are other processes

    def stale(self, device: str) -> set[str]:
        """Return the folders in which `fuse` would make pictures anew: of other weights, or of older inputs.

        Raises:
            SettingsError: no such device.
        """
        from fgfusion_model.experiments.fusing import is_stale

        return {
            str(folder)
            for folder, (method, task) in self._own_folders().items()
            if folder.is_dir()
            and not _lacking(method)
            and is_stale(self._fusing_plan(folder, method, task), device)
        }

    def _fusing_plan(self, folder: Path, method: MethodPlan, task: TaskPlan) -> FusingPlan:
        from fgfusion_model.experiments.fusing import FusingPlan

        names = [s for t in self.tasks if t.data == task.data for s in (t.split, t.val, t.test) if s]
        return FusingPlan(method, task.data, list(dict.fromkeys(names)), folder)

    def check(self, *, fused: bool, keep: bool) -> None:
        """Check and hash what every cell reads; what is wrong is kept.

        Args:
            fused: what is fused here has been; else it may be missing.
            keep: keep the files' hashes in the experiment's folder.

        Raises:
            StoppedError: it was asked to stop.
        """
        hashes = HashFile.open(self.output / "hashes.json")
        for task in self.tasks:
            if task.name in self.inputs or (task.name, "") in self.wrong:
                continue
            try:
                self.files[task.name] = hash_named_files(task, hashes)
                self.inputs[task.name] = read_task_inputs(task, self.kinds[task.kind], hashes)
            except VircraftError as error:
                self.wrong[task.name, ""] = str(error)
        for cell in self.cells:
            key = (cell.task.name, cell.method.name)
            if key not in self.pictures and key not in self.wrong and cell.task.name in self.inputs:
                self._check_method(cell, hashes, fused)
        if keep:
            hashes.save()

    def refuse_wrong(self) -> None:
        """Raise where an input cannot be used.

        Raises:
            DatasetError: naming everything that is missing or does not fit.
        """
        if self.wrong:
            where: dict[str, list[str]] = {}  # message -> whose
            for key, text in self.wrong.items():
                where.setdefault(text, []).append("/".join(filter(None, key)))
            listed = "".join(f"\n  {', '.join(names)}: {text}" for text, names in where.items())
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
        return pictures_of(self.plan, self.output, cell.method, cell.task)

    def val(self, task: TaskPlan) -> str:
        """Return the validation split; "" when the dataset has none."""
        inputs = self.inputs.get(task.name)
        return task.val if inputs is not None and task.val in inputs.sizes_wh else ""

    def record(self, cell: Cell) -> dict[str, Any]:
        """Return what a cell's result depends on besides the recipe."""
        task = cell.task
        inputs = self.inputs.get(task.name)
        return {
            "splits": {"train": task.split, "val": self.val(task), "test": task.test},
            "labels": inputs.labels if inputs else "",
            "pictures": self.pictures.get((task.name, cell.method.name), ""),
            **({"files": files} if (files := self.files.get(task.name)) else {}),
        }

    def _check_method(self, cell: Cell, hashes: HashFile, fused: bool) -> None:
        task, method = cell.task.name, cell.method.name
        if why := self.unusable.get(self.pictures_of(cell)) or _lacking(cell.method):
            self.wrong[task, method] = why
            return

        def on_file(done: int, total: int) -> None:
            self._check_stop()
            self.tell(Checking(method, task, done, total))

        try:
            self.pictures[task, method] = check_method(
                cell.task.data, self.pictures_of(cell), self.inputs[task], hashes, on_file
            )
        except VircraftError as error:
            if cell.method.pictures or fused:
                why = self.unfused.get(self.pictures_of(cell), "")
                self.wrong[task, method] = f"{error}{f'; not fused: {why}' if why else ''}"

    def _own_folders(self) -> dict[Path, tuple[MethodPlan, TaskPlan]]:
        """Return each folder that is fused here, with its method and the first task of its dataset."""
        found: dict[Path, tuple[MethodPlan, TaskPlan]] = {}
        for cell in self.cells:
            if not cell.method.pictures:
                found.setdefault(Path(self.pictures_of(cell)), (cell.method, cell.task))
        return found

    def _own_methods(self) -> set[str]:
        return {cell.method.name for cell in self.cells if not cell.method.pictures}

    def _check_stop(self) -> None:
        if self.stop():
            raise StoppedError


def _lacking(method: MethodPlan) -> str:
    """Return why a method's weights cannot be used; "" when they are there, or none are needed."""
    from fgfusion_model.checkpoints import bundled_weights

    try:
        if method.weights:
            bundled_weights(method.weights)
    except InputFileError as error:
        return str(error)
    return ""
