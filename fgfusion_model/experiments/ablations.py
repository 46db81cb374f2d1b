"""Tab. 5: what becomes of every task's main score when a part of the method is taken away."""

from __future__ import annotations

from pathlib import Path

from fgfusion_model.experiments.fairness import Gone, doubt_of, judged
from fgfusion_model.experiments.kinds import Kinds, TaskKind
from fgfusion_model.experiments.paper_figures import ABLATION_TABLE, published
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan
from fgfusion_model.experiments.scores import MethodScores, collect
from fgfusion_model.experiments.statistics import compare
from fgfusion_model.experiments.tables import (
    HOW_SHOWN,
    Entry,
    Table,
    TableComparison,
    entry,
    make_rows,
    published_in,
    rank,
)


def ablation_table(plan: Plan, output: Path, kinds: Kinds, gone: Gone) -> Table:
    """Return Tab. 5: a row an ablation, the reference last; a column a task, with its main score.

    Its cells are those of the plan: the reference's are shared with Tab. 2 to 4.
    """
    chosen = (*plan.ablation, *(method for method in plan.method if method.name == plan.reference))
    columns: list[str] = []
    entries: list[list[Entry]] = []
    comparisons: list[TableComparison] = []
    notes = [HOW_SHOWN]
    missing: list[list[str]] = [[] for _ in chosen]
    for number, task in enumerate(plan.task):
        kind = kinds[task.kind]
        main = task.main or kind.main
        scores = {found.name: found for found in collect(plan, output, task, chosen)}
        columns.append(f"{task.name} {main}")
        doubt = doubt_of(task, kind, list(scores.values()), gone)
        column = [_entry(plan, task, kind, method, scores) for method in chosen]
        entries.append(column if doubt else rank(column))
        about = judged(task, list(scores.values()), kind.by_picture, alike=not doubt)
        notes.append(f"{task.name}: {' '.join(filter(None, [about, doubt]))}")
        for reasons, method in zip(missing, chosen, strict=True):
            if method.name in scores:
                lacking = scores[method.name].missing
                reasons += [f"{task.name}, seed {seed}: {why}" for seed, why in lacking.items()]
        first = scores.get(plan.reference)
        if first and not doubt:
            others = [other for other in scores.values() if other is not first]
            found = compare(first, others, kind.by_picture, main, plan.resamples)
            comparisons += [TableComparison(f"{task.name} {kind.by_picture}", number, one) for one in found]
    return Table(
        f"table_{ABLATION_TABLE}_ablations",
        ABLATION_TABLE,
        "Ablations",
        tuple(columns),
        make_rows([method.name for method in chosen], entries, missing, ranked=False),
        0 if len(columns) == 1 else -1,
        tuple(comparisons),
        tuple(notes),
    )


def _entry(
    plan: Plan, task: TaskPlan, kind: TaskKind, method: MethodPlan, scores: dict[str, MethodScores]
) -> Entry:
    column = str(published_in(task, kind))
    paper = published(ABLATION_TABLE, method.paper or method.name, column) if plan.paper else None
    if method.name not in scores:  # it does not take part in this task
        return Entry((), published=paper)
    return entry(scores[method.name], task.main or kind.main, paper)
