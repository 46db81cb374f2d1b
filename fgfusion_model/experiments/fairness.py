"""May the cells of a table be compared? Only of one recipe, the plan's, and of inputs that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fgfusion_model.data.folders import group_of
from fgfusion_model.experiments.kinds import TaskKind
from fgfusion_model.experiments.plan import TaskPlan
from fgfusion_model.experiments.scores import MethodScores
from fgfusion_model.experiments.work import cell_settings
from vircraft.errors import VircraftError
from vircraft.settings import plain, setting_changes

Gone = Mapping[tuple[str, str], str]  # (task, method) -> why the inputs of its done cells cannot be used now


def doubt_of(task: TaskPlan, kind: TaskKind, methods: Sequence[MethodScores], gone: Gone) -> str:
    """Return why the cells of a task allow no ranking and no claim, in sentences; "" when they do."""
    lost = {m.name: gone[task.name, m.name] for m in methods if m.results and (task.name, m.name) in gone}
    return " ".join(
        [
            *filter(None, [_unlike(methods) or _unplanned(task, kind, methods)]),
            *(
                f"{name} is shown from before, its inputs cannot be used now ({why}): no claim."
                for name, why in lost.items()
            ),
        ]
    )


def judged(task: TaskPlan, methods: Sequence[MethodScores], by_picture: str, *, alike: bool) -> str:
    """Say how a task's cells were made: splits, pictures, clips, seeds.

    Args:
        task: of the plan.
        methods: with their results.
        by_picture: values by picture; those pictures are counted.
        alike: all cells have one recipe, the plan's.
    """
    stems = {stem for m in methods for r in m.results.values() for stem in r.per_picture.get(by_picture, ())}
    clips = {group_of(stem) for stem in stems}
    number = f" (pictures: {len(stems)}, clips: {len(clips)})" if stems else ""
    recipe = f", preset '{task.preset}', the same recipe for all" if alike else ""
    return f"Trained on '{task.split}', judged on '{task.test}'{number}{recipe}. {_seeds(methods)}".strip()


def _seeds(methods: Sequence[MethodScores]) -> str:
    """Say how many seeds the methods have; which has how many, where they differ."""
    counts = {method.name: len(method.results) for method in methods if method.results}
    if len(set(counts.values())) < 2:
        return f"Seeds: {next(iter(counts.values()))} each." if counts else ""
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"Seeds: {listed}. Means over few seeds are less certain."


def _unlike(methods: Sequence[MethodScores]) -> str:
    """Say where cells of one table have other recipes or labels, after a change and `--only`."""
    recipes: list[dict[str, Any]] = []
    for record in (record for method in methods for record in method.records.values()):
        recipe = {name: value for name, value in record.inputs.items() if name != "pictures"}
        recipe["settings"] = _without_seed(recipe.get("settings", {}))
        if recipe not in recipes:
            recipes.append(recipe)
    changes = [name for other in recipes[1:] for name, *_ in setting_changes(recipes[0], other)]
    if not changes:
        return ""
    return (
        f"The cells have no common recipe and labels ({', '.join(dict.fromkeys(changes))} differ): no claim. "
        "Run the experiment again without --only."
    )


def _unplanned(task: TaskPlan, kind: TaskKind, methods: Sequence[MethodScores]) -> str:
    """Say what of the plan the cells, which are alike, were not made with: it has changed since."""
    records = [record for method in methods for record in method.records.values()]
    made = dict(records[0].inputs) if records else {}
    wanted: dict[str, Any] = {"splits": {"train": task.split, "test": task.test}, **_planned(task, kind)}
    known = {name for name, *_ in setting_changes({}, made)}
    changes = [n for n, *_ in setting_changes(made, wanted) if n in known & _names(wanted)]
    if not changes:
        return ""
    return (
        f"The cells were made of another plan ({', '.join(changes)} differ): no claim. "
        "Run the experiment again without --only."
    )


def _names(table: Mapping[str, Any]) -> set[str]:
    return {name for name, *_ in setting_changes({}, table)}


def _planned(task: TaskPlan, kind: TaskKind) -> dict[str, Any]:
    """Return the plan's settings, without the seed; nothing where the task's code cannot be had."""
    try:
        settings = plain(cell_settings(task, kind.load(), 0))
    except (VircraftError, ImportError):
        return {}
    return {"settings": _without_seed(settings)}


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    fit = {name: value for name, value in settings.get("fit", {}).items() if name != "seed"}
    return {**settings, "fit": fit}
