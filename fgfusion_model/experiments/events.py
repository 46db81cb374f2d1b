"""What an experiment tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fgfusion_model.experiments.cells import Action, Cell, State


@dataclass(frozen=True)
class Fusing:
    """Pictures of a method are being fused."""

    method: str
    done: int
    total: int


@dataclass(frozen=True)
class Checking:
    """Pictures of a method are being checked."""

    method: str
    task: str
    done: int
    total: int


@dataclass(frozen=True)
class Planned:
    """What every cell needs is known; `jobs` of them are made at once."""

    actions: dict[str, Action]
    jobs: int


@dataclass(frozen=True)
class SetAside:
    """A cell's inputs have changed: what was made of the old ones lies elsewhere now.

    Attributes:
        cell: which one.
        folder: where the old one lies.
        changes: names of the inputs that changed.
    """

    cell: Cell
    folder: Path
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """A cell was done before, on the same inputs; `score` as in `Ended`."""

    cell: Cell
    score: float | None


@dataclass(frozen=True)
class Moved:
    """A cell has come further; `share` of its training is done, in 0..1."""

    cell: Cell
    phase: str
    share: float


@dataclass(frozen=True)
class Ended:
    """A cell came to its end.

    Attributes:
        cell: which one.
        state: `done`, `failed` or `crashed`; `running` when it was stopped and can go on.
        message: why it failed.
        score: the task's main score, in 0..1; None without.
        seconds: that it took.
    """

    cell: Cell
    state: State
    message: str
    score: float | None
    seconds: float


ExperimentEvent = Fusing | Checking | Planned | SetAside | Kept | Moved | Ended
OnExperimentEvent = Callable[[ExperimentEvent], None]
