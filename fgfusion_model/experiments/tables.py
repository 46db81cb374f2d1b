"""The tables of an experiment, from the cells that are done: Tab. 2 to 4, one a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fgfusion_model.experiments.claims import claim
from fgfusion_model.experiments.fairness import Gone, doubt_of, judged
from fgfusion_model.experiments.kinds import KINDS, Kinds, TaskKind
from fgfusion_model.experiments.paper_figures import REMARKS, published
from fgfusion_model.experiments.plan import Plan, TaskPlan, folder_name
from fgfusion_model.experiments.scores import MethodScores, collect
from fgfusion_model.experiments.statistics import Comparison, compare, spread

HOW_SHOWN = "Per cent, mean ± standard deviation over seeds; best bold, second best underlined."


@dataclass(frozen=True)
class Entry:
    """A score of a method.

    Attributes:
        values: of each seed, shares in 0..1.
        place: 1 for the best mean of its column, 2 for the second; equal ones share; 0 without a value.
        published: the paper's figure; None where there is none or none is wanted.
    """

    values: tuple[float, ...]
    place: int = 0
    published: float | None = None

    @property
    def mean(self) -> float:
        """Mean over the seeds; nan without one."""
        return float(np.mean(self.values)) if self.values else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation over the seeds; nan below two."""
        return spread(self.values)


@dataclass(frozen=True)
class Row:
    """A method: its name, an entry a column, and the seeds that are missing with the reason."""

    name: str
    entries: tuple[Entry, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableComparison:
    """A comparison in a table.

    Attributes:
        of: what was compared, picture by picture.
        column: of the score that it belongs to; -1: it is not shown.
        comparison: the numbers.
    """

    of: str
    column: int
    comparison: Comparison


@dataclass(frozen=True)
class Table:
    """A table, ready to be written.

    Attributes:
        file: name of its files, without suffix.
        number: of the paper's table.
        title: what it shows.
        columns: names of the scores.
        rows: the methods.
        main: column that a chart shows; -1: no chart.
        comparisons: of the reference with the others.
        notes: below the table.
        task: that it is about; "": several.
        examples: file of example pictures beside it; "": none.
    """

    file: str
    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    main: int
    comparisons: tuple[TableComparison, ...] = ()
    notes: tuple[str, ...] = field(default=())
    task: str = ""
    examples: str = ""


def write_tables(plan: Plan, output: Path, kinds: Kinds = KINDS, gone: Gone | None = None) -> list[Path]:
    """Write all tables and charts of an experiment into OUTPUT/tables; return the files, the summary first.

    Args:
        plan: the experiment.
        output: its folder.
        kinds: the tasks that there are.
        gone: done cells whose inputs cannot be used now: they are shown, and nothing is claimed of them.

    Raises:
        DatasetError: the folder cannot be written.
    """
    from fgfusion_model.experiments.example_pictures import write_example_pictures
    from fgfusion_model.experiments.table_files import write_all

    examples = write_example_pictures(plan, output, kinds)
    tables = [
        replace(table, examples=examples[table.task].name) if table.task in examples else table
        for table in make_tables(plan, output, kinds, gone)
    ]
    return [*write_all(plan.name, tables, output / "tables"), *examples.values()]


def make_tables(plan: Plan, output: Path, kinds: Kinds = KINDS, gone: Gone | None = None) -> list[Table]:
    """Return the tables of an experiment; cells that are not done are missing in them, and named."""
    from fgfusion_model.experiments.ablations import ablation_table

    tables = [_task_table(plan, output, task, kinds[task.kind], gone or {}) for task in plan.task]
    return [*tables, ablation_table(plan, output, kinds, gone or {})] if plan.ablation else tables


def _task_table(plan: Plan, output: Path, task: TaskPlan, kind: TaskKind, gone: Gone) -> Table:
    methods = collect(plan, output, task, plan.method)
    main = task.main or kind.main
    number = task.table or kind.table
    columns = _columns(task.scores or kind.scores, methods)
    paper = published_in(task, kind) if plan.paper else 0
    entries = [[entry(m, score, published(paper, m.paper, score)) for m in methods] for score in columns]
    missing = [tuple(f"seed {seed}: {why}" for seed, why in m.missing.items()) for m in methods]
    first = _reference(plan.reference, methods, main)
    doubt = doubt_of(task, kind, methods, gone)
    compared: list[Comparison] = []
    if first and not doubt:
        compared = _compared_with(first, methods, kind.by_picture, main, plan.resamples)
    shown = columns.index(main) if main in columns else -1
    return Table(
        f"table_{number}_{folder_name(task.name)}",
        number,
        f"{kind.title} ({task.name})",
        tuple(columns),
        make_rows([m.name for m in methods], entries, missing, ranked=not doubt),
        shown,
        tuple(TableComparison(kind.by_picture, shown, comparison) for comparison in compared),
        _notes(plan, task, kind, methods, doubt),
        task.name,
    )


def published_in(task: TaskPlan, kind: TaskKind) -> int:
    """Return the paper's table whose figures a task is compared with; 0: none, it has other data."""
    return kind.table if task.table is None else task.table


def entry(method: MethodScores, score: str, paper: float | None) -> Entry:
    """Return a method's entry, without its place."""
    return Entry(tuple(method.values(score).values()), published=paper)


def make_rows(
    names: Sequence[str],
    columns: Sequence[Sequence[Entry]],
    missing: Sequence[Sequence[str]],
    *,
    ranked: bool = True,
) -> tuple[Row, ...]:
    """Return rows of entries that are given by column, with their places among the column's if wanted."""
    placed = [rank(entries) for entries in columns] if ranked else columns
    return tuple(
        Row(name, tuple(column[m] for column in placed), tuple(missing[m])) for m, name in enumerate(names)
    )


def rank(entries: Sequence[Entry]) -> list[Entry]:
    """Return a column's entries with their places."""
    means = sorted({entry.mean for entry in entries if entry.values}, reverse=True)
    if len(means) < 2:  # nobody is best where all are equal
        return list(entries)
    return [replace(e, place=means.index(e.mean) + 1 if e.values else 0) for e in entries]


def _compared_with(
    first: MethodScores, methods: Sequence[MethodScores], by_picture: str, main: str, resamples: int
) -> list[Comparison]:
    return compare(first, [m for m in methods if m is not first], by_picture, main, resamples)


def _columns(wanted: Sequence[str], methods: Sequence[MethodScores]) -> list[str]:
    """Return the columns; one that ends in `*` is replaced by all scores that begin so, in their order."""
    there = list(dict.fromkeys(s for m in methods for r in m.results.values() for s in r.scores))
    columns: list[str] = []
    for name in wanted:
        if name.endswith("*"):
            columns += [score for score in there if score.startswith(name[:-1])]
        else:
            columns.append(name)
    return list(dict.fromkeys(columns))


def _reference(name: str, methods: Sequence[MethodScores], main: str) -> MethodScores | None:
    """Return the method whose lead is tested: the plan's, or the best one."""
    there = [method for method in methods if method.values(main)]
    if name:
        return next((method for method in there if method.name == name), None)
    return max(there, key=lambda method: method.mean(main), default=None)


def _notes(
    plan: Plan, task: TaskPlan, kind: TaskKind, methods: Sequence[MethodScores], doubt: str
) -> tuple[str, ...]:
    main = task.main or kind.main
    notes = [
        f"{HOW_SHOWN} {judged(task, methods, kind.by_picture, alike=not doubt)}",
        doubt or claim(methods, main, kind.by_picture, plan.resamples),
        *_unknown_scores((*task.scores, *([task.main] if task.main else [])), methods),
        *_surroundings(methods),
        *_remarks(methods),
        REMARKS.get(published_in(task, kind), "") if plan.paper else "",
    ]
    return tuple(filter(None, notes))


def _unknown_scores(wanted: Sequence[str], methods: Sequence[MethodScores]) -> list[str]:
    """Say which scores that the plan names there are not."""
    there = list(dict.fromkeys(s for m in methods for r in m.results.values() for s in r.scores))
    unknown = [name for name in dict.fromkeys(wanted) if name not in there and not name.endswith("*")]
    if not unknown or not there:
        return []
    return [f"No cell has the score {', '.join(unknown)}; there are {', '.join(there)}."]


def _surroundings(methods: Sequence[MethodScores]) -> list[str]:
    """Say where cells of one table were made in different surroundings."""
    found: dict[str, set[str]] = {}
    for record in (record for method in methods for record in method.records.values()):
        for name in ("device", "threads"):
            found.setdefault(name, set()).add(str(record.made.get(name, "")))
    return [
        f"Made with different {name}: {', '.join(sorted(values))}; the last digits may differ by that."
        for name, values in found.items()
        if len(values) > 1
    ]


def _remarks(methods: Sequence[MethodScores]) -> list[str]:
    remarks = (remark for m in methods for result in m.results.values() for remark in result.remarks)
    listed = "; ".join(dict.fromkeys(remarks))
    return [f"Remarks: {listed}."] if listed else []
