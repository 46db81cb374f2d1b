"""Sobel gradients with a chosen border."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import pad


def sobel(pictures: Tensor, border: Literal["constant", "replicate"]) -> tuple[Tensor, Tensor]:
    """Return gradients to the right and down, weights 1 2 1; (N, H, W) each.

    Args:
        pictures: (N, H, W).
        border: `constant` puts zeros around the picture, `replicate` its outermost pixels.
    """
    p = pad(pictures[:, None], (1, 1, 1, 1), mode=border)[:, 0]
    across = p[..., 2:] - p[..., :-2]
    down = p[..., 2:, :] - p[..., :-2, :]
    gx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    gy = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return gx, gy
