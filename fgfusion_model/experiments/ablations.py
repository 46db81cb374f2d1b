"""Tab. 5: what becomes of every task's main score when a part of the method is taken away."""

from __future__ import annotations

from pathlib import Path

from fgfusion_model.experiments.kinds import Kinds, TaskKind
from fgfusion_model.experiments.paper_figures import ABLATION_TABLE, published
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan
from fgfusion_model.experiments.scores import MethodScores, collect
from fgfusion_model.experiments.statistics import Comparison, compare
from fgfusion_model.experiments.tables import HOW_SHOWN, Entry, Table, entry, make_rows, published_in


def ablation_table(plan: Plan, output: Path, kinds: Kinds) -> Table:
    """Return Tab. 5: a row an ablation, the reference last; a column a task, with its main score.

    Its cells are those of the plan: the reference's are shared with Tab. 2 to 4.
    """
    chosen = (*plan.ablation, *(method for method in plan.method if method.name == plan.reference))
    columns: list[str] = []
    entries: list[list[Entry]] = []
    comparisons: list[tuple[str, Comparison]] = []
    missing: list[list[str]] = [[] for _ in chosen]
    for task in plan.task:
        kind = kinds[task.kind]
        main = task.main or kind.main
        scores = {found.name: found for found in collect(plan, output, task, chosen)}
        columns.append(f"{task.name} {main}")
        entries.append([_entry(plan, task, kind, method, scores) for method in chosen])
        for reasons, method in zip(missing, chosen, strict=True):
            if method.name in scores:
                lacking = scores[method.name].missing
                reasons += [f"{task.name}, seed {seed}: {why}" for seed, why in lacking.items()]
        if first := scores.get(plan.reference):
            others = [other for other in scores.values() if other is not first]
            found = compare(first, others, kind.by_picture, main, plan.resamples)
            comparisons += [(f"{task.name} {kind.by_picture}", comparison) for comparison in found]
    return Table(
        f"table_{ABLATION_TABLE}_ablations",
        ABLATION_TABLE,
        "Ablations",
        tuple(columns),
        make_rows([method.name for method in chosen], entries, missing),
        0 if len(columns) == 1 else -1,
        tuple(comparisons),
        (HOW_SHOWN,),
    )


def _entry(
    plan: Plan, task: TaskPlan, kind: TaskKind, method: MethodPlan, scores: dict[str, MethodScores]
) -> Entry:
    column = str(published_in(task, kind))
    paper = published(ABLATION_TABLE, method.paper or method.name, column) if plan.paper else None
    if method.name not in scores:  # it does not take part in this task
        return Entry((), published=paper)
    return entry(scores[method.name], task.main or kind.main, paper)
