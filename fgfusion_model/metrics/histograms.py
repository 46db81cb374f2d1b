"""Histograms of 8-bit values and their entropies; mutual information."""

from __future__ import annotations

import torch
from torch import Tensor

LEVELS = 256


def histogram(values: Tensor, bins: int = LEVELS) -> Tensor:
    """Return the shares of the whole numbers 0..bins - 1, (N, H, W) to (N, bins)."""
    count = len(values)
    flat = values.reshape(count, -1).long()
    offset = torch.arange(count, device=values.device)[:, None] * bins
    counts = torch.bincount((flat + offset).flatten(), minlength=count * bins)
    return counts.view(count, bins).double() / flat.shape[1]


def entropy(shares: Tensor) -> Tensor:
    """Return the entropy along the last axis, nats; empty bins count nothing."""
    return -torch.xlogy(shares, shares).sum(dim=-1)


def mi(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """I(A;F) + I(B;F) from joint histograms of 256 x 256 bins, nats; (N, H, W) to (N,)."""
    return _shared(infrared, fused) + _shared(visible, fused)


def _shared(source: Tensor, fused: Tensor) -> Tensor:
    joint = histogram(source * LEVELS + fused, LEVELS**2).view(-1, LEVELS, LEVELS)
    return entropy(joint.sum(dim=2)) + entropy(joint.sum(dim=1)) - entropy(joint.flatten(1))
