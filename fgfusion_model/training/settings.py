"""What decides the result of a training: frozen, checked where it is built, with the presets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fgfusion_model.data.sources import Source
from fgfusion_model.settings import PRESETS, LossSettings, NetworkSettings
from fgfusion_model.settings import preset as network_preset
from fgfusion_model.training.augment import AugmentSettings
from vircraft.errors import SettingsError
from vircraft.settings import build, plain, read_toml

RecipeName = Literal["paper", "fast", "bundled"]
RECIPES: tuple[RecipeName, ...] = ("paper", "fast", "bundled")


@dataclass(frozen=True)
class OptimiserSettings:
    """How a step is taken."""

    name: Literal["sgd", "adamw"] = "sgd"  # of the optimiser
    learning_rate: float = 1e-3  # the highest
    momentum: float = 0.9  # of sgd; the first beta of adamw
    beta2: float = 0.999  # of adamw
    weight_decay: float = 5e-4  # of sgd as in the paper; decoupled for adamw
    clip_norm: float = 0.0  # gradients longer than this are shortened to it; 0: never
    ema: float = 0.999  # decay of the mean over the weights' past that is kept as the result; 0: none

    def __post_init__(self) -> None:
        for name, low, high in (
            ("learning_rate", 1e-9, 10.0),
            ("momentum", 0.0, 0.9999),
            ("beta2", 0.0, 0.99999),
            ("weight_decay", 0.0, 1.0),
            ("clip_norm", 0.0, 1e6),
            ("ema", 0.0, 0.99999),
        ):
            check_range(f"optimiser.{name}", getattr(self, name), low, high)


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate goes."""

    warmup: float = 0.01  # share of all steps over which it rises from 0
    hold: float = 0.0  # share of all steps for which it then stays
    decay: Literal["polynomial", "cosine", "constant"] = "polynomial"  # how it falls afterwards
    power: float = 0.9  # of the polynomial
    final: float = 0.0  # share of the highest rate that is left at the end

    def __post_init__(self) -> None:
        check_range("schedule.warmup", self.warmup, 0, 1)
        check_range("schedule.hold", self.hold, 0, 1)
        check_range("schedule.power", self.power, 0.1, 10)
        check_range("schedule.final", self.final, 0, 1)


@dataclass(frozen=True)
class DataSettings:
    """What is trained on."""

    sources: tuple[Source, ...] = ()  # folders; those on the command line stand for them
    crop: int = 256  # pixels, side of a random crop
    val_ratio: float = 0.1  # share of the clips that is kept aside to judge by; 0: none
    unlabelled: Literal["saliency", "off"] = "saliency"  # what stands in for masks where there are none

    def __post_init__(self) -> None:
        check_range("data.crop", self.crop, 32, 2048)
        check_range("data.val_ratio", self.val_ratio, 0, 0.9)


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides the weights; stored in the run, its checkpoints and its weights."""

    epochs: int = 500  # an epoch shows each pair once (times the weight of its source)
    steps: int | None = None  # number of steps, instead of epochs
    batch: int = 24  # crops of a step, over all devices and parts
    accumulate: int = 1  # into how many parts a step is divided to save memory
    precision: Literal["32", "bf16"] = "32"  # of the network; weights and losses are always 32-bit
    seed: int = 0  # of everything random
    validate_every: float = 10.0  # epochs between two validations
    validate_most: int = 32  # of the pairs kept aside, how many are judged each time
    data: DataSettings = field(default_factory=DataSettings)
    augment: AugmentSettings = field(default_factory=lambda: AugmentSettings(flips=False))
    network: NetworkSettings = field(default_factory=lambda: network_preset("paper"))
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, 1, 1_000_000)
        check_range("batch", self.batch, 1, 65536)
        check_range("accumulate", self.accumulate, 1, self.batch)
        check_range("seed", self.seed, 0, 2**63 - 1)
        check_range("validate_every", self.validate_every, 1e-3, 1e6)
        check_range("validate_most", self.validate_most, 1, 1_000_000)
        if self.steps is not None:
            check_range("steps", self.steps, 1, 10**9)
        self.part_size(1)

    def part_size(self, devices: int) -> int:
        """Return how many crops a device sees at once.

        Raises:
            SettingsError: the batch cannot be divided evenly.
        """
        size, rest = divmod(self.batch, devices * self.accumulate)
        if rest or not size:
            raise SettingsError(
                f"batch is {self.batch}, which {devices} devices x {self.accumulate} parts do not divide "
                "evenly; choose a multiple"
            )
        return size

    def record(self) -> dict[str, Any]:
        """Return the settings as nested plain values, ready for JSON or TOML."""
        values: dict[str, Any] = plain(self)
        return values

    def deciding(self) -> dict[str, Any]:
        """Return what decides the result: where the sources lie does not, their pictures are hashed."""
        values = self.record()
        values["data"]["sources"] = {str(k): s.weight for k, s in enumerate(self.data.sources)}
        return values


def recipe(name: RecipeName, network: str | None = None) -> TrainingSettings:
    """Return the settings of a preset.

    Args:
        name: `paper` (500 epochs of SGD, as published; what is not said there is in `docs/guide-fuse.md`),
            `fast` (a tenth of the epochs with AdamW), or `bundled`, which made the weights of the package.
        network: preset of the network; None for the one that the recipe names.

    Raises:
        SettingsError: no such preset.
    """
    if name not in RECIPES:
        raise SettingsError(f"preset is {name!r}; it is one of {', '.join(RECIPES)}")
    settings = {"paper": TrainingSettings, "fast": _fast, "bundled": _bundled}[name]()
    if network is None:
        return settings
    return dataclasses.replace(settings, network=find_network(network))


def find_network(name: str) -> NetworkSettings:
    """Return a preset of the network.

    Raises:
        SettingsError: no such preset.
    """
    for known in PRESETS:
        if name == known:
            return network_preset(known)
    raise SettingsError(f"network is {name!r}; it is one of {', '.join(PRESETS)}")


def load_training_settings(path: Path, base: TrainingSettings) -> TrainingSettings:
    """Read settings from a TOML file; what it leaves out stays as in `base`.

    `network` may be the name of a preset; paths of sources are relative to the file.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has an unknown key or a wrong value.
    """
    table = read_toml(path)
    try:
        settings = build(TrainingSettings, merged(plain(base), _with_network(table)))
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    folder = path.resolve().parent
    sources = tuple(dataclasses.replace(s, path=folder / s.path) for s in settings.data.sources)
    return dataclasses.replace(settings, data=dataclasses.replace(settings.data, sources=sources))


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise a SettingsError unless a number is finite and within its limits."""
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"{name} is {value}; it is from {low:g} to {high:g}")


def _with_network(table: dict[str, Any]) -> dict[str, Any]:
    name = table.get("network")
    return {**table, "network": plain(find_network(name))} if isinstance(name, str) else table


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested plain values with those of another table put over them."""
    both = dict(base)
    for key, value in over.items():
        below = both.get(key)
        tables = isinstance(below, Mapping) and isinstance(value, Mapping)
        both[key] = merged(below or {}, value) if tables else value
    return both


LIGHT = AugmentSettings(
    shrink=0.4,
    low_light=0.2,
    visible_gamma=0.3,
    infrared_gamma=0.2,
    noise=0.15,
    polarity=0.05,
)  # of our own recipes
# What made the bundled weights: brightest input, details of both, and what the field's metrics ask for.
OUR_LOSS = LossSettings(
    structure="ssim",
    ssim=5.0,
    intensity=20.0,
    intensity_target="max",
    intensity_window=1,
    gradient=30.0,
    gradient_kind="vector",
    foreground=1.0,
    foreground_gain=1.25,
    mask_weight=8.0,
    differences=6.0,
    information=7.0,
    contrast=10.0,
)


def _fast() -> TrainingSettings:
    return TrainingSettings(
        epochs=50,
        batch=16,
        validate_every=5.0,
        augment=LIGHT,
        network=network_preset("lite"),
        loss=OUR_LOSS,
        optimiser=OptimiserSettings(
            "adamw", learning_rate=1.5e-3, beta2=0.99, weight_decay=1e-4, clip_norm=1.0, ema=0.997
        ),
        schedule=ScheduleSettings(warmup=0.03, hold=0.17, decay="cosine", final=0.03),
    )


def _bundled() -> TrainingSettings:
    """Return what fits a CPU: small batches of small crops, counted in steps.

    The bundled weights took as many steps, in nine phases with other weights of the loss before; these are
    those of the last one. `docs/guide-fuse.md` tells what else was different.
    """
    fast = _fast()
    return dataclasses.replace(
        fast,
        steps=7200,
        batch=4,
        validate_every=20.0,
        data=dataclasses.replace(fast.data, crop=160),
        schedule=ScheduleSettings(warmup=0.01, hold=0.19, decay="cosine", final=0.03),
        optimiser=dataclasses.replace(fast.optimiser, learning_rate=6e-4),
    )
