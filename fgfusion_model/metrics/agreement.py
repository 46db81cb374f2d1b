"""How the fused picture follows its sources as a whole: SCD, CC, PSNR."""

from __future__ import annotations

import torch
from torch import Tensor

PEAK = 255.0


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation over each picture, (N, H, W) to (N,); 0 where a variance is 0."""
    a = first - first.mean(dim=(-2, -1), keepdim=True)
    b = second - second.mean(dim=(-2, -1), keepdim=True)
    norm = (a.square().sum(dim=(-2, -1)) * b.square().sum(dim=(-2, -1))).sqrt()
    return torch.where(norm > 0, (a * b).sum(dim=(-2, -1)) / norm, 0.0)


def scd(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Sum of the correlations of differences: what one source did not give comes from the other."""
    return correlation(fused - visible, infrared) + correlation(fused - infrared, visible)


def cc(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Mean correlation with both sources."""
    return (correlation(infrared, fused) + correlation(visible, fused)) / 2


def psnr(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """10 log10(255^2 / mean of the two mean squared errors), decibel; inf where both errors are 0."""
    error = (_mse(infrared, fused) + _mse(visible, fused)) / 2
    return 10 * torch.log10(PEAK**2 / error)


def _mse(source: Tensor, fused: Tensor) -> Tensor:
    return (source - fused).square().mean(dim=(-2, -1))
