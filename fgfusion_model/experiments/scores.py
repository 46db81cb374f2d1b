"""The scores of an experiment's cells, by task and method."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fgfusion_model.downstream.results import TaskResult, read_result
from fgfusion_model.experiments.cells import CellRecord, cell_folder, read_record
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan
from vircraft.errors import VircraftError


@dataclass(frozen=True)
class MethodScores:
    """What one method came to in one task.

    Attributes:
        name: of the method.
        paper: its row in the paper's tables.
        results: seed -> what judging gave; the cells that are done.
        missing: seed -> why there is none.
        records: seed -> of the cells that are done.
    """

    name: str
    paper: str
    results: Mapping[int, TaskResult]
    missing: Mapping[int, str]
    records: Mapping[int, CellRecord]

    def values(self, score: str) -> dict[int, float]:
        """Return seed -> score, where it is defined."""
        found = {seed: result.scores.get(score) for seed, result in self.results.items()}
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def mean(self, score: str) -> float:
        """Return a score's mean over the seeds; it is defined for one at least."""
        return float(np.mean(list(self.values(score).values())))

    def of_seeds(self, seeds: Collection[int]) -> MethodScores:
        """Return the method with the results of these seeds only."""
        return replace(self, results={k: result for k, result in self.results.items() if k in seeds})

    def by_picture(self, name: str) -> dict[str, float]:
        """Return picture -> mean over the seeds that have a value for it."""
        found: dict[str, list[float]] = {}
        for result in self.results.values():
            for stem, value in result.per_picture.get(name, {}).items():
                found.setdefault(stem, []).append(float(value))
        return {stem: float(np.mean(values)) for stem, values in sorted(found.items())}


def collect(plan: Plan, output: Path, task: TaskPlan, methods: tuple[MethodPlan, ...]) -> list[MethodScores]:
    """Read the results of a task's cells, in the plan's order of methods."""
    return [
        _of_method(plan, output, task, method)
        for method in methods
        if any(other.name == task.name for other in plan.tasks_of(method))
    ]


def _of_method(plan: Plan, output: Path, task: TaskPlan, method: MethodPlan) -> MethodScores:
    results: dict[int, TaskResult] = {}
    missing: dict[int, str] = {}
    records: dict[int, CellRecord] = {}
    for seed in plan.seeds_of(method):
        folder = cell_folder(output, task.name, method.name, seed)
        record = read_record(folder)
        if record is None or record.state != "done":
            missing[seed] = _why(record)
            continue
        try:
            results[seed] = read_result(folder / "result.json")
            records[seed] = record
        except VircraftError as error:
            missing[seed] = str(error)
    return MethodScores(method.name, method.paper or method.name, results, missing, records)


def _why(record: CellRecord | None) -> str:
    if record is None:
        return "not begun"
    return f"{record.state}: {record.message}" if record.message else "not finished"
