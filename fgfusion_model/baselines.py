"""Fusion without a network: Average, Max and a Laplacian pyramid, which every table of scores shows.

The pixelwise maximum nearly wins the usual table (VIF, Qabf, MI), so a table without it says little.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

PYRAMID_LEVELS = 4  # of details, below them the base
SMALLEST_BASE_PX = 4  # the shorter side of the base; smaller pictures get fewer levels
_TAPS = (0.0625, 0.25, 0.375, 0.25, 0.0625)  # Burt and Adelson, a = 0.375


def average(infrared: Tensor, visible: Tensor) -> Tensor:
    """Return the mean of both pictures."""
    return (infrared + visible) / 2


def maximum(infrared: Tensor, visible: Tensor) -> Tensor:
    """Return the larger value of each pixel."""
    return torch.maximum(infrared, visible)


def laplacian_pyramid(infrared: Tensor, visible: Tensor, levels: int = PYRAMID_LEVELS) -> Tensor:
    """Fuse in a Laplacian pyramid: of the details the larger in magnitude, of the base the mean.

    Args:
        infrared: (N, 1, H, W), any scale of values.
        visible: (N, 1, H, W), luminance on the same scale.
        levels: of details.

    Returns:
        (N, 1, H, W), which may leave the range of the inputs by a little.
    """
    details = []
    for _ in range(levels):
        if min(infrared.shape[-2:]) < 2 * SMALLEST_BASE_PX:
            break
        (infrared, detail_a), (visible, detail_b) = _split(infrared), _split(visible)
        details.append(torch.where(detail_a.abs() >= detail_b.abs(), detail_a, detail_b))
    fused = average(infrared, visible)
    for detail in reversed(details):
        fused = _expand(fused, detail) + detail
    return fused


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Average": average,
    "Max": maximum,
    "Laplacian": laplacian_pyramid,
}


def fuse_8_bit(name: str, infrared: Tensor, visible: Tensor) -> Tensor:
    """Return a baseline's picture of two 8-bit ones, (N, 1, H, W) on 0..255, rounded (half to even)."""
    return BASELINES[name](infrared.double(), visible.double()).round().clamp(0, 255)


def _split(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next smaller level and the detail that it lacks."""
    smaller = _blur(pictures)[..., ::2, ::2]
    return smaller, pictures - _expand(smaller, pictures)


def _expand(pictures: Tensor, like: Tensor) -> Tensor:
    """Return a level at the size of the one above: zeros between the pixels, blurred, times 4."""
    wide = torch.zeros_like(like)
    wide[..., ::2, ::2] = pictures
    return 4 * _blur(wide)


def _blur(pictures: Tensor) -> Tensor:
    return _blur_along(_blur_along(pictures, (2, 2, 0, 0), -1), (0, 0, 2, 2), -2)


def _blur_along(pictures: Tensor, border: tuple[int, int, int, int], dim: int) -> Tensor:
    length = pictures.shape[dim]
    padded = pad(pictures, border, mode="reflect")
    total = padded.narrow(dim, 0, length) * _TAPS[0]
    for shift, weight in enumerate(_TAPS[1:], start=1):
        total.add_(padded.narrow(dim, shift, length), alpha=weight)
    return total
