"""What the fused picture holds by itself: EN, SD, SF, AG."""

from __future__ import annotations

import torch
from torch import Tensor

from fgfusion_model.metrics.histograms import entropy, histogram


def en(fused: Tensor) -> Tensor:
    """Entropy of the histogram of 256 bins, bits; (N, H, W) to (N,)."""
    return entropy(histogram(fused)) / torch.log(fused.new_tensor(2.0))


def sd(fused: Tensor) -> Tensor:
    """Population standard deviation."""
    return fused.std(dim=(-2, -1), correction=0)


def sf(fused: Tensor) -> Tensor:
    """Spatial frequency: root of the two mean squares of the differences between neighbours."""
    across = fused.diff(dim=-1).square().mean(dim=(-2, -1))
    down = fused.diff(dim=-2).square().mean(dim=(-2, -1))
    return (across + down).sqrt()


def ag(fused: Tensor) -> Tensor:
    """Average gradient: central differences inside, one-sided at the border."""
    down, across = torch.gradient(fused, dim=(-2, -1))
    return ((across.square() + down.square()) / 2).sqrt().mean(dim=(-2, -1))
