"""Gaussian windows over the valid part of a picture: only where the whole window lies inside."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_taps(size: int, sigma: float) -> list[float]:
    """Return the `size` weights of a Gaussian of `sigma` pixels, summing to 1."""
    distance = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    return [float(weight) for weight in weights / weights.sum()]


def valid_mean(pictures: Tensor, taps: list[float]) -> Tensor:
    """Return Gaussian means, (..., H, W) to (..., H - n + 1, W - n + 1) for n taps.

    A two-dimensional Gaussian is the product of two; sums of shifted copies take a tenth of the time of a
    convolution in float64 on the CPU.
    """
    return _along(_along(pictures, taps, -1), taps, -2)


def _along(pictures: Tensor, taps: list[float], dim: int) -> Tensor:
    length = pictures.shape[dim] - len(taps) + 1
    total = pictures.narrow(dim, 0, length) * taps[0]
    for shift, weight in enumerate(taps[1:], start=1):
        total.add_(pictures.narrow(dim, shift, length), alpha=weight)
    return total
