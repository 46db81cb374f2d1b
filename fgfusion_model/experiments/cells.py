"""A cell of an experiment: one task's network, trained on one method's pictures from one seed.

OUTPUT/plan.json                       the plan, with its folders written out
       fused/METHOD/TASK/              pictures of baselines and of our weights
       cells/TASK/METHOD/seed-K/run/   the training (see `training.run_folder`)
                         cell.json     what became of it, and of which inputs
                         result.json   scores
       replaced/                       cells that were made of other inputs
       tables/                         Markdown, CSV, LaTeX, charts
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fgfusion_model.downstream.results import RESULT_NAME
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan, folder_name
from vircraft.errors import SettingsError
from vircraft.files import write_json
from vircraft.settings import build, fingerprint, plain

FORMAT = 1
RECORD_NAME = "cell.json"
State = Literal["running", "done", "failed", "crashed"]
Action = Literal["keep", "resume", "again", "make", "fuse", "failed"]


@dataclass(frozen=True, eq=False)
class Cell:
    """One training and its judgement.

    Attributes:
        task, method: of the plan.
        seed: of the training.
        folder: where everything of it lies.
    """

    task: TaskPlan
    method: MethodPlan
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """Return TASK/METHOD/seed-K."""
        return f"{self.task.name}/{self.method.name}/seed-{self.seed}"

    @property
    def run(self) -> Path:
        """The training's folder."""
        return self.folder / "run"

    @property
    def result(self) -> Path:
        """The scores."""
        return self.folder / RESULT_NAME


@dataclass(frozen=True)
class CellRecord:
    """What became of a cell; `cell.json`.

    Attributes:
        task, method, seed: which one.
        state: `running` also when its process was killed together with the experiment.
        digest: of the inputs.
        inputs: recipe, labels and pictures; a cell of others is not this one.
        reason, message: why it failed; "" otherwise.
        made: where and with what: device, threads, versions, seconds. Decides nothing.
    """

    task: str
    method: str
    seed: int
    state: State
    digest: str
    inputs: Any = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    made: Any = field(default_factory=dict)
    format: int = FORMAT


def plan_cells(plan: Plan, output: Path, only: Sequence[str] = ()) -> list[Cell]:
    """Return the cells in the order in which they are made: seed by seed, so that early tables are whole.

    Args:
        plan: the experiment.
        output: its folder.
        only: each TASK, TASK/METHOD or TASK/METHOD/seed-K; `*` stands for any task or method. (): all.

    Raises:
        SettingsError: no cell is one of them.
    """
    cells = [
        Cell(task, method, seed, cell_folder(output, task.name, method.name, seed))
        for method in plan.methods
        for task in plan.tasks_of(method)
        for seed in plan.seeds_of(method)
    ]
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    order = [task.name for task in plan.task]
    cells.sort(key=lambda cell: (seeds.index(cell.seed), order.index(cell.task.name)))
    for wanted in only:
        if not any(_matches(cell, wanted) for cell in cells):
            example = cells[0].name if cells else "none"
            raise SettingsError(f"no cell is {wanted!r}; cells are TASK/METHOD/seed-K, such as {example!r}")
    return [cell for cell in cells if not only or any(_matches(cell, wanted) for wanted in only)]


def cell_folder(output: Path, task: str, method: str, seed: int) -> Path:
    """Return the folder of a cell."""
    return output / "cells" / folder_name(task) / folder_name(method) / f"seed-{seed}"


def pictures_of(plan: Plan, output: Path, method: MethodPlan, task: TaskPlan) -> str:
    """Return what a method's network sees in a task: `visible`, `infrared` or a folder.

    Pictures that the experiment fuses itself lie in a folder that tasks on the same dataset share; it has the
    name of the plan's first such task.
    """
    if method.pictures:
        return method.pictures_of(task.name)
    first = next(other for other in plan.task if other.data == task.data)
    return str(output / "fused" / folder_name(method.name) / folder_name(first.name))


def digest(inputs: Mapping[str, Any]) -> str:
    """Return a hash that changes when any input of a cell changes."""
    return fingerprint(plain(inputs))


def read_record(folder: Path) -> CellRecord | None:
    """Return what became of a cell; None when nothing can be read, which is as if it had not been begun."""
    try:
        return build(CellRecord, json.loads((folder / RECORD_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, SettingsError):
        return None


def write_record(folder: Path, record: CellRecord) -> None:
    """Write what became of a cell, whole or not at all.

    Raises:
        DatasetError: the folder cannot be written.
    """
    write_json(folder / RECORD_NAME, plain(record))


def what_to_do(cell: Cell, wanted: str, retry_failed: bool) -> Action:
    """Say what a cell needs.

    Args:
        cell: the cell.
        wanted: digest of its inputs as they are now.
        retry_failed: try again what failed on the same inputs.
    """
    record = read_record(cell.folder)
    if record is None:
        return "again" if cell.run.exists() or cell.result.exists() else "make"
    if record.digest != wanted:
        return "again"
    if record.state == "done" and cell.result.is_file():
        return "keep"
    if record.state in ("failed", "crashed") and not retry_failed:
        return "failed"
    return "resume"


def set_aside(cell: Cell, output: Path) -> Path:
    """Move a cell of other inputs out of the way; return where it lies now."""
    place = output / "replaced" / cell.folder.relative_to(output / "cells")
    number = 1
    while (free := place.with_name(f"{place.name}.{number}")).exists():
        number += 1
    free.parent.mkdir(parents=True, exist_ok=True)
    return cell.folder.rename(free)


def _matches(cell: Cell, wanted: str) -> bool:
    pairs = zip(cell.name.split("/"), wanted.split("/"), strict=False)
    return all(want in ("*", part) for part, want in pairs)
