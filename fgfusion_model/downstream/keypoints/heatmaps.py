"""Targets on the heatmap's cells, and the two losses: the paper's cross entropy and the usual MSE."""

from __future__ import annotations

import torch
from torch import Tensor

from fgfusion_model.downstream.keypoints.settings import STRIDE

LEAST_WEIGHT = 1e-6  # of a batch without any labelled keypoint, whose loss is 0


def cells_of(points: Tensor) -> Tensor:
    """Return places on the crop, pixels, as places on the heatmap, cells; centres at integers on both."""
    return (points + 0.5) / STRIDE - 0.5


def inside(cells: Tensor, size_wh: tuple[int, int]) -> Tensor:
    """Say for places, (..., 2), which lie on a heatmap of that size."""
    limits = torch.tensor(size_wh, dtype=cells.dtype, device=cells.device) - 0.5
    return ((cells >= -0.5) & (cells < limits)).all(-1)


def axis_profiles(cells: Tensor, size_wh: tuple[int, int], sigma: float) -> tuple[Tensor, Tensor]:
    """Return the two factors of Gaussians with peak 1, (B, K, W) and (B, K, H).

    Args:
        cells: (B, K, 2), their middles.
        size_wh: of the heatmap.
        sigma: in cells; 0: 1 in the nearest cell, 0 elsewhere.
    """
    profiles = []
    for axis, size in enumerate(size_wh):
        places = torch.arange(size, device=cells.device, dtype=cells.dtype)
        middle = cells[..., axis, None]
        if sigma:
            profiles.append(torch.exp(-((places - middle) ** 2) / (2 * sigma**2)))
        else:
            profiles.append((places == torch.floor(middle + 0.5)).to(cells.dtype))
    return profiles[0], profiles[1]


def cross_entropy(logits: Tensor, points: Tensor, weights: Tensor, sigma: float) -> Tensor:
    """Return the paper's weighted cross entropy over heatmap positions (Sec. 3.3.2).

    Each heatmap is a distribution over its positions (softmax); the target is a Gaussian of sum 1 about the
    label. The mean over keypoints is weighted by their visibility (Sec. 3.1).

    Args:
        logits: (B, K, H, W).
        points: (B, K, 2), labels on the crop, pixels.
        weights: (B, K); labels off the heatmap count 0.
        sigma: of the target, cells; 0: the nearest one alone.
    """
    size_wh = logits.shape[-1], logits.shape[-2]
    cells = cells_of(points)
    used = weights * inside(cells, size_wh)
    across, down = axis_profiles(cells, size_wh, sigma)
    least = torch.finfo(logits.dtype).tiny
    across = across / across.sum(-1, keepdim=True).clamp_min(least)
    down = down / down.sum(-1, keepdim=True).clamp_min(least)
    logs = logits.flatten(2).log_softmax(-1).view_as(logits)
    losses = -torch.einsum("bkhw,bkh,bkw->bk", logs, down, across)
    return (used * losses).sum() / used.sum().clamp_min(LEAST_WEIGHT)


def squared_error(heatmaps: Tensor, points: Tensor, weights: Tensor, sigma: float) -> Tensor:
    """Return the weighted mean squared error to Gaussian heatmaps of peak 1, over all positions.

    Args:
        heatmaps: (B, K, H, W).
        points: (B, K, 2), labels on the crop, pixels.
        weights: (B, K); labels off the heatmap count 0.
        sigma: of the target, cells.
    """
    size_wh = heatmaps.shape[-1], heatmaps.shape[-2]
    cells = cells_of(points)
    used = weights * inside(cells, size_wh)
    across, down = axis_profiles(cells, size_wh, sigma)
    target = down[..., :, None] * across[..., None, :]
    losses = ((heatmaps - target) ** 2).mean((-2, -1))
    return (used * losses).mean()
