"""What decides how a task's network is trained; each task's own settings hold one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from fgfusion_model.training.settings import ScheduleSettings, check_range, merged
from vircraft.errors import SettingsError
from vircraft.settings import build, plain, read_toml

S = TypeVar("S")
CONSTANT = ScheduleSettings(warmup=0.0, decay="constant")  # the paper names none


@dataclass(frozen=True)
class FitSettings:
    """How the weights of a task's network are found (Sec. 3.3)."""

    epochs: int = 200  # an epoch shows each picture or object once
    steps: int | None = None  # number of steps, instead of epochs
    batch: int = 6  # samples of a step
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"  # how a step is taken; sgd with momentum 0.9
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 5e-4  # as the optimiser defines it
    clip_norm: float = 0.0  # gradients longer than this are shortened to it; 0: never
    ema: float = 0.0  # decay of the mean over the weights' past that is kept as the result; 0: none
    precision: Literal["32", "bf16"] = "32"  # of the network; weights are always 32-bit
    seed: int = 0  # of everything random: first weights, order of the samples, augmentation
    validate_every: float = 10.0  # epochs between two looks at the validation split; 0: none
    schedule: ScheduleSettings = field(default_factory=lambda: CONSTANT)

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, 1, 1_000_000)
        check_range("batch", self.batch, 1, 65536)
        check_range("learning_rate", self.learning_rate, 1e-9, 10)
        check_range("weight_decay", self.weight_decay, 0, 1)
        check_range("clip_norm", self.clip_norm, 0, 1e6)
        check_range("ema", self.ema, 0, 0.99999)
        check_range("seed", self.seed, 0, 2**63 - 1)
        check_range("validate_every", self.validate_every, 0, 1e6)
        if self.steps is not None:
            check_range("steps", self.steps, 1, 10**9)

    def steps_of(self, samples: int) -> int:
        """Return the number of steps for so many samples an epoch."""
        return self.steps or max(1, round(self.epochs * samples / self.batch))


def chosen_preset(recipes: Mapping[str, Callable[[], S]], name: str) -> S:
    """Return the settings of a recipe.

    Raises:
        SettingsError: an unknown name; those that there are, are named.
    """
    if name not in recipes:
        raise SettingsError(f"preset is {name!r}; it is one of {', '.join(recipes)}")
    return recipes[name]()


def load_task_settings(path: Path, base: S) -> S:
    """Read a task's settings from a TOML file; what it leaves out stays as in `base`.

    A run's own `settings.toml` is read, too: its settings stand in a table of that name.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has an unknown key or a wrong value.
    """
    try:
        table = read_toml(path)
        return overlaid(base, table.get("settings", {}) if "task" in table else table)
    except SettingsError as error:
        text = str(error)
        raise SettingsError(text if text.startswith(f"{path}:") else f"{path}: {text}") from error


def overlaid(base: S, table: dict[str, Any]) -> S:
    """Return settings with some values replaced, given as nested plain values.

    Raises:
        SettingsError: an unknown key or a wrong value.
    """
    return build(type(base), merged(plain(base), table))
