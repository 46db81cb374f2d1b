"""Fractal noise: the texture of clouds, hills, grass and trees."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]


def fractal(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    cell_px: tuple[float, float],
    *,
    octaves: int = 7,
    gain: float = 0.55,
    finest_px: float = 2.0,
) -> Picture:
    """Return (H, W) float32 noise, mean about 0 and deviation about 1.

    Args:
        rng: draws it.
        size_wh: of the picture.
        cell_px: size of the coarsest blobs, across and down.
        octaves: how many times the blobs are halved, at most.
        gain: strength of each octave against the one before.
        finest_px: octaves with smaller blobs are left out.
    """
    w, h = size_wh
    total = np.zeros((h, w), np.float32)
    power, strength = 0.0, 1.0
    cell_x, cell_y = cell_px
    for _ in range(octaves):
        grid_wh = (max(int(np.ceil(w / cell_x)), 1) + 3, max(int(np.ceil(h / cell_y)), 1) + 3)
        grid = rng.standard_normal((grid_wh[1], grid_wh[0]), np.float32)
        shift_x, shift_y = rng.uniform(0.5, 1.5, 2)
        scale = np.array([[1 / cell_x, 0, shift_x], [0, 1 / cell_y, shift_y]])
        layer = cv2.warpAffine(
            grid, scale, (w, h), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )
        total += strength * layer
        power += strength**2
        strength *= gain
        cell_x, cell_y = cell_x / 2, cell_y / 2
        if min(cell_x, cell_y) < finest_px:
            break
    return np.asarray(total / (0.8 * np.sqrt(power)), np.float32)


def ridge(rng: np.random.Generator, width: int, cell_px: float, *, octaves: int = 8, gain: float = 0.5) -> Picture:
    """Return (W,) float32 one-dimensional fractal noise: the outline of a range of hills or of treetops."""
    return fractal(rng, (width, 1), (cell_px, 1e9), octaves=octaves, gain=gain, finest_px=1.5)[0]


def smoothstep(x: Picture, low: float, high: float) -> Picture:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
