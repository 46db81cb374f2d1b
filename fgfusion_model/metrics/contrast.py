"""Foreground contrast: how the foreground stands out from what is around it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

RING_PX = 15  # width of the ring


def foreground_contrast(fused: Tensor, mask: Tensor) -> Tensor:
    """Return (mean inside the mask - mean in the ring around it) / 255, -1..1; (N, H, W) to (N,).

    The ring is what lies outside the mask within 15 pixels (centre to centre) of a pixel of it. nan where
    the mask is empty or nothing is around it.

    Args:
        fused: (N, H, W), 0..255.
        mask: (N, H, W) or (1, H, W), bool.
    """
    ring = _dilate(mask) & ~mask
    return (_mean(fused, mask) - _mean(fused, ring)) / 255


def _mean(pictures: Tensor, where: Tensor) -> Tensor:
    return (pictures * where).sum(dim=(-2, -1)) / where.sum(dim=(-2, -1))


def _dilate(mask: Tensor) -> Tensor:
    """Return the pixels within RING_PX of the mask: a disc, built of one run for each of its rows."""
    height = mask.shape[-2]
    rows = pad(mask.float(), (0, 0, RING_PX, RING_PX))
    reached = torch.zeros_like(mask)
    for row in range(RING_PX + 1):
        half = int((RING_PX**2 - row**2) ** 0.5)
        wide = max_pool1d(rows, 2 * half + 1, stride=1, padding=half) > 0
        for shift in {RING_PX - row, RING_PX + row}:
            reached |= wide[..., shift : shift + height, :]
    return reached
