"""What a training tells while it runs; the command line shows it, other callers may do as they like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vircraft.errors import VircraftError


@dataclass(frozen=True)
class Loading:
    """A pair was decoded."""

    done: int
    total: int


@dataclass(frozen=True)
class Remark:
    """Something that a user should know although nothing is wrong."""

    text: str


@dataclass(frozen=True)
class Began:
    """Training begins.

    Attributes:
        step, steps: the first one, and how many there are.
        epoch_steps: steps of an epoch.
        train, held_out: number of pairs to train on and to judge by.
        masks: number of pairs by where their foreground comes from.
        device: `cpu` or the GPU's name, and how many.
        cache: where the pictures wait.
        parameters: of the network.
    """

    step: int
    steps: int
    epoch_steps: float
    train: int
    held_out: int
    masks: Mapping[str, int]
    device: str
    cache: str
    parameters: int


@dataclass(frozen=True)
class Stepped:
    """Steps were taken.

    Attributes:
        step: how many are done.
        loss: of the latest one.
        rate: its learning rate.
        samples_per_s: since the event before.
        waiting: share of that time spent waiting for data.
    """

    step: int
    loss: float
    rate: float
    samples_per_s: float
    waiting: float


@dataclass(frozen=True)
class Validated:
    """The pairs that were kept aside were judged.

    Attributes:
        step: how many steps are done.
        scores: name -> mean over the pairs; `loss` is always there.
        best: it is the lowest loss so far.
        sample: a sheet of fused pictures; None where there is none.
    """

    step: int
    scores: Mapping[str, float]
    best: bool
    sample: Path | None


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written."""

    step: int
    path: Path


Event = Loading | Remark | Began | Stepped | Validated | Saved
OnEvent = Callable[[Event], None]


class DivergedError(VircraftError):
    """A loss or a gradient is not finite."""


class DeviceError(VircraftError):
    """The device that was asked for is not there, or its memory is full."""
