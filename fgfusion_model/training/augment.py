"""Augmentation of brightness: darker and flatter visible pictures, noisy infrared ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vircraft.errors import SettingsError


@dataclass(frozen=True)
class AugmentSettings:
    """How pictures are varied; probabilities are for each picture by itself."""

    quarter_turns: bool = True  # turn by 0, 90, 180 or 270 degrees
    flips: bool = True  # mirror every second one
    rotation_deg: float = 0.0  # turn freely within +- this, with interpolation
    shrink: float = 0.0  # probability that the crop spans more of the picture and is made smaller
    shrink_most: float = 2.0  # up to this many times as much, where the picture is large enough
    low_light: float = 0.0  # probability that the visible picture is darkened as at dusk
    low_light_gain: float = 0.25  # the darkest gain; gains are drawn between it and 1
    visible_gamma: float = 0.0  # probability that the visible picture gets a gamma
    infrared_gamma: float = 0.0  # the same of infrared
    gamma_spread: float = 0.35  # standard deviation of the gammas' logarithm
    noise: float = 0.0  # probability that the network, but not the loss, sees noise in infrared
    noise_most: float = 0.03  # its largest standard deviation, on the scale of [0, 1]
    polarity: float = 0.0  # probability that infrared is inverted (black-hot)

    def __post_init__(self) -> None:
        for name in ("shrink", "low_light", "visible_gamma", "infrared_gamma", "noise", "polarity"):
            _check(name, getattr(self, name), 0, 1)
        _check("rotation_deg", self.rotation_deg, 0, 45)
        _check("shrink_most", self.shrink_most, 1, 2)
        _check("low_light_gain", self.low_light_gain, 0.01, 1)
        _check("gamma_spread", self.gamma_spread, 0, 1)
        _check("noise_most", self.noise_most, 0, 0.5)


class Light(NamedTuple):
    """What is done to the brightness of each picture of a batch; all (N,) float32.

    Attributes:
        infrared_gamma, visible_gamma: exponents.
        visible_gain: factor of the visible picture.
        sigma: standard deviation of the infrared noise, on the scale of [0, 1].
        inverted: 1 where infrared is inverted, else 0.
    """

    infrared_gamma: Tensor
    visible_gamma: Tensor
    visible_gain: Tensor
    sigma: Tensor
    inverted: Tensor


def draw_light(count: int, settings: AugmentSettings, generator: torch.Generator) -> Light:
    """Draw what is done to each of `count` pictures; the generator is one of the CPU."""
    s = settings
    odds = torch.tensor([s.infrared_gamma, s.visible_gamma, s.low_light, s.noise, s.polarity])
    happens = torch.rand((count, 5), generator=generator) < odds
    gammas = torch.exp(torch.randn((count, 2), generator=generator) * s.gamma_spread)
    uniform = torch.rand((count, 2), generator=generator)
    return Light(
        torch.where(happens[:, 0], gammas[:, 0], 1.0),
        torch.where(happens[:, 1], gammas[:, 1], 1.0),
        torch.where(happens[:, 2], s.low_light_gain + (1 - s.low_light_gain) * uniform[:, 0], 1.0),
        torch.where(happens[:, 3], uniform[:, 1] * s.noise_most, 0.0),
        happens[:, 4].float(),
    )


def relight(infrared: Tensor, visible: Tensor, light: Light) -> tuple[Tensor, Tensor]:
    """Return infrared and visible with their new brightness, (N, 1, S, S) in [0, 1]."""
    on = [value.to(infrared.device, non_blocking=True)[:, None, None, None] for value in light]
    inverted = on[4]
    infrared = infrared + inverted * (1 - 2 * infrared)
    return infrared.pow(on[0]), visible.pow(on[1]) * on[2]


def add_noise(picture: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Return a picture, (N, 1, S, S), with Gaussian noise, cut off at 0 and 1.

    Args:
        picture: in [0, 1].
        sigma: (N,), the standard deviation for each.
        generator: of the picture's device.
    """
    noise = torch.randn(picture.shape, generator=generator, device=picture.device)
    spread = sigma.to(picture.device, non_blocking=True)[:, None, None, None]
    return (picture + noise * spread).clamp(0, 1)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise SettingsError(f"augment.{name} is {value}; it is from {low:g} to {high:g}")
