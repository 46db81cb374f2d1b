"""The plan of an experiment: which methods, which tasks, which seeds; read from TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fgfusion_model.experiments.kinds import KINDS, Kinds, TaskKind
from vircraft.errors import DatasetError, SettingsError
from vircraft.files import write_json
from vircraft.settings import build, plain, read_toml

PLAN_NAME = "plan.json"  # in an experiment's folder
MODALITIES = ("visible", "infrared")
BASELINES = ("Average", "Max", "Laplacian")
TABLES = (None, 0, 2, 3, 4)  # of the paper that a task can have
PLACEHOLDER = "{task}"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class MethodPlan:
    """A row of the tables; its pictures come from exactly one of `pictures`, `baseline` and `weights`."""

    name: str = ""  # as the tables show it
    pictures: Any = ""  # visible, infrared, a folder ({task}: the task's name), or a table task -> one
    baseline: str = ""  # Average, Max or Laplacian: fused without a network
    weights: str = ""  # fused by FGFusion: bundled ones such as `lite`, or a file
    seeds: tuple[int, ...] | None = None  # instead of the plan's
    tasks: tuple[str, ...] | None = None  # only these
    paper: str = ""  # row of the paper's tables; "": that of the same name

    def __post_init__(self) -> None:
        given = [bool(self.pictures), bool(self.baseline), bool(self.weights)]
        if sum(given) != 1:
            raise SettingsError(
                f"method {self.name!r} has {sum(given)} of pictures, baseline and weights; it needs one"
            )
        choices = self.pictures.values() if isinstance(self.pictures, Mapping) else [self.pictures]
        if not all(isinstance(choice, str) for choice in choices):
            raise SettingsError(
                f"pictures of method {self.name!r} are {self.pictures!r}; they are visible, infrared, a "
                "folder, or a table of a task's name and one of those"
            )
        _check_known(f"baseline of method {self.name!r}", [self.baseline] if self.baseline else [], BASELINES)
        _check_seeds(self.seeds, f"method {self.name!r}")
        _check_some(f"tasks of method {self.name!r}", self.tasks)

    def pictures_of(self, task: str) -> str:
        """Return `visible`, `infrared` or a folder for a task.

        Raises:
            SettingsError: the method's table does not name the task.
        """
        if not isinstance(self.pictures, Mapping):
            return str(self.pictures).replace(PLACEHOLDER, task)
        if task not in self.pictures:
            raise SettingsError(
                f"method {self.name!r} has no pictures for task {task!r}; add them, or give the method "
                f"tasks = {list(self.pictures)}"
            )
        return str(self.pictures[task])


@dataclass(frozen=True)
class TaskPlan:
    """A task: the same recipe for every method."""

    name: str = ""  # as folders and tables show it
    kind: str = ""  # keypoints, segmentation or detection
    data: Path = Path()  # the dataset with the labels
    preset: str = "paper"  # of the task's settings
    settings: Any = field(default_factory=dict)  # what differs from the preset, as nested tables
    split: str = "train"  # to train on
    val: str = "val"  # to look at while training; "": none
    test: str = "test"  # to judge on
    table: int | None = None  # the paper's table of it; None: the kind's; 0: none of its figures are shown
    methods: tuple[str, ...] | None = None  # only these
    scores: tuple[str, ...] = ()  # columns; (): the kind's
    main: str = ""  # the score to rank by; "": the kind's

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise SettingsError(f"settings of task {self.name!r} are {self.settings!r}; they are a table")
        if in_pixels := [score for score in (*self.scores, self.main) if score.endswith(" px")]:
            raise SettingsError(
                f"task {self.name!r} wants a table of {in_pixels[0]!r}; tables rank shares, of which more is "
                "better, and pixels stand in each cell's result.json"
            )
        if self.split == self.test:
            raise SettingsError(f"task {self.name!r} is trained and judged on {self.test!r}; name two splits")
        if self.table not in TABLES:
            raise SettingsError(f"table of task {self.name!r} is {self.table}; it is 2, 3, 4, or 0 for none")
        _check_some(f"methods of task {self.name!r}", self.methods)
        if self.data == Path():
            raise SettingsError(f"task {self.name!r} has no data; it is the folder of the labelled dataset")

    @property
    def category(self) -> str:
        """The category that the task's settings name; "" for none."""
        return str(self.settings.get("category", ""))


@dataclass(frozen=True)
class Plan:
    """An experiment."""

    name: str = "Experiment"  # title of the tables' page
    method: tuple[MethodPlan, ...] = ()  # rows of Tab. 2 to 4
    task: tuple[TaskPlan, ...] = ()
    ablation: tuple[MethodPlan, ...] = ()  # rows of Tab. 5, above the reference
    reference: str = ""  # the method whose lead is tested; "": the best one of each task
    seeds: tuple[int, ...] = (0, 1, 2)  # a training each
    threads: int = 1  # of a training on the CPU; with other numbers the last digits may differ
    paper: bool = False  # show the paper's figures beside the measured ones
    resamples: int = 9999  # of the tests and intervals

    def __post_init__(self) -> None:
        _check_seeds(self.seeds, "the plan")
        if not self.method or not self.task:
            raise SettingsError("the plan needs at least one [[method]] and one [[task]]")
        if self.threads < 1 or self.resamples < 99:
            raise SettingsError(
                f"threads is {self.threads}, resamples {self.resamples}; they are at least 1 and 99"
            )
        methods, tasks = [m.name for m in self.methods], [t.name for t in self.task]
        _check_names("method", methods)
        _check_names("task", tasks)
        _check_known("reference", [self.reference] if self.reference else [], [m.name for m in self.method])
        for task in self.task:
            _check_known(f"methods of task {task.name!r}", task.methods or (), methods)
        for method in self.methods:
            _check_known(f"tasks of method {method.name!r}", method.tasks or (), tasks)
            if isinstance(method.pictures, Mapping):
                _check_known(f"pictures of method {method.name!r}", method.pictures, tasks)
            for task in self.tasks_of(method):
                method.pictures_of(task.name)

    @property
    def methods(self) -> tuple[MethodPlan, ...]:
        """All methods, those of the ablations last."""
        return (*self.method, *self.ablation)

    def tasks_of(self, method: MethodPlan) -> list[TaskPlan]:
        """Return the tasks that a method takes part in."""
        return [
            task
            for task in self.task
            if (method.tasks is None or task.name in method.tasks)
            and (task.methods is None or method.name in task.methods)
        ]

    def seeds_of(self, method: MethodPlan) -> tuple[int, ...]:
        """Return the seeds of a method's trainings."""
        return self.seeds if method.seeds is None else method.seeds


def load_plan(path: Path, kinds: Kinds = KINDS) -> Plan:
    """Read a plan; folders in it are taken from the plan's own.

    Raises:
        SettingsError: the file cannot be read, is no TOML, has an unknown key or a wrong value, a name that
            stands twice, or one that is not defined.
    """
    table = read_toml(path)
    try:
        plan = build(Plan, table)
        for task in plan.task:
            _check_known(f"kind of task {task.name!r}", [task.kind], list(kinds))
            _check_scores(task, kinds[task.kind])
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    folder = path.resolve().parent
    return replace(
        plan,
        method=tuple(_placed(method, folder) for method in plan.method),
        ablation=tuple(_placed(method, folder) for method in plan.ablation),
        task=tuple(_placed_task(task, folder) for task in plan.task),
    )


def save_plan(plan: Plan, output: Path) -> Path:
    """Write a plan into an experiment's folder, with its folders as they are now; return the file.

    Raises:
        DatasetError: the folder cannot be written.
    """
    path = output / PLAN_NAME
    write_json(path, plain(plan))
    return path


def saved_plan(output: Path) -> Plan:
    """Read the plan of an experiment's folder.

    Raises:
        DatasetError: it holds no experiment.
    """
    try:
        return build(Plan, json.loads((output / PLAN_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, SettingsError) as error:
        raise DatasetError(
            f"{output}: holds no experiment ({error}); make one with `vircraft experiment run`"
        ) from error


def folder_name(name: str) -> str:
    """Return a name as a folder can have it."""
    return _UNSAFE.sub("_", name).strip("._") or "_"


def named_files(task: TaskPlan) -> dict[str, Path]:
    """Return setting -> file of a task's settings that name one: first weights."""
    init, yolo = task.settings.get("init", ""), task.settings.get("yolo", {})
    model = yolo.get("model", "") if isinstance(yolo, Mapping) else ""
    found = {"init": Path(init)} if isinstance(init, str) and Path(init).suffix else {}
    if isinstance(model, str) and Path(model).is_absolute():  # else a name that the program knows
        found["yolo.model"] = Path(model)
    return found


def _placed_task(task: TaskPlan, folder: Path) -> TaskPlan:
    settings = dict(task.settings)
    if "init" in named_files(task):
        settings["init"] = str(folder / settings["init"])
    yolo = settings.get("yolo")
    yolo = yolo if isinstance(yolo, Mapping) else {}
    model = yolo.get("model")
    if isinstance(model, str) and model and (folder / model).is_file():  # else a name that the program knows
        settings["yolo"] = {**yolo, "model": str(folder / model)}
    return replace(task, data=(folder / task.data).resolve(), settings=settings)


def _placed(method: MethodPlan, folder: Path) -> MethodPlan:
    pictures = method.pictures
    if isinstance(pictures, Mapping):
        pictures = {task: _place(choice, folder) for task, choice in pictures.items()}
    weights = method.weights
    if Path(weights).suffix:  # a file; bundled ones have plain names
        weights = str(folder / weights)
    return replace(method, pictures=pictures and _place(pictures, folder), weights=weights)


def _place(choice: Any, folder: Path) -> Any:
    if isinstance(choice, Mapping) or choice in MODALITIES:
        return choice
    return str(folder / choice)


def _check_seeds(seeds: tuple[int, ...] | None, whose: str) -> None:
    if seeds is not None and (not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds)):
        raise SettingsError(f"seeds of {whose} are {list(seeds)}; they are different numbers from 0 up")


def _check_names(what: str, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        folder = folder_name(name).lower()
        if not name.strip():
            raise SettingsError(f"a {what} has no name")
        if folder in seen:
            other = f" as {seen[folder]!r}" if seen[folder] != name else ""
            raise SettingsError(f"{what} {name!r} stands twice{other}; names and their folders must differ")
        seen[folder] = name


def _check_some(what: str, names: tuple[str, ...] | None) -> None:
    if names == ():
        raise SettingsError(f"{what} are none; name some, or leave the key out for all")


def _check_scores(task: TaskPlan, kind: TaskKind) -> None:
    """Refuse scores that a kind of task cannot give; kinds that do not say which they give may give any."""
    for key, names in (("scores", task.scores), ("main", (task.main,) if task.main else ())):
        for name in names:
            if kind.gives and not any(_gives(given, name, key == "scores") for given in kind.gives):
                raise SettingsError(
                    f"{key} of task {task.name!r}: no {task.kind} task has the score {name!r}; there are "
                    f"{', '.join(kind.gives)} (*: any ending)"
                )


def _gives(given: str, name: str, several: bool) -> bool:
    if several and name.endswith("*"):
        return given.removesuffix("*").startswith(name[:-1]) or (
            given.endswith("*") and name[:-1].startswith(given[:-1])
        )
    return name.startswith(given[:-1]) if given.endswith("*") else name == given


def _check_known(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise SettingsError(f"{where}: {name!r} is not known; known are {', '.join(known)}")
