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
    total = np.zeros((1, 1), np.float32)
    power, strength = 0.0, 1.0
    cell_x, cell_y = cell_px
    for octave in range(octaves):
        # A coarse octave is drawn small and enlarged together with those before it.
        shrink_x, shrink_y = (2.0 ** max(int(np.floor(np.log2(cell / 6))), 0) for cell in (cell_x, cell_y))
        small = (int(np.ceil(w / shrink_x)), int(np.ceil(h / shrink_y)))
        if octave == 0:
            total = np.zeros(small[::-1], np.float32)
        elif total.shape[::-1] != small:
            total = np.asarray(cv2.resize(total, small, interpolation=cv2.INTER_LINEAR), np.float32)
        total += strength * _octave(rng, small, cell_x / shrink_x, cell_y / shrink_y)
        power += strength**2
        strength *= gain
        cell_x, cell_y = cell_x / 2, cell_y / 2
        if min(cell_x, cell_y) < finest_px:
            break
    if total.shape != (h, w):
        total = np.asarray(cv2.resize(total, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(total / np.float32(0.8 * np.sqrt(power)), np.float32)


def _octave(rng: np.random.Generator, size_wh: tuple[int, int], cell_x: float, cell_y: float) -> Picture:
    w, h = size_wh
    grid = rng.standard_normal((int(np.ceil(h / cell_y)) + 4, int(np.ceil(w / cell_x)) + 4), np.float32)
    shift_x, shift_y = rng.uniform(1.0, 2.0, 2)
    scale = np.array([[1 / cell_x, 0, shift_x], [0, 1 / cell_y, shift_y]])
    method = cv2.INTER_CUBIC if min(cell_x, cell_y) > 3 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(
            grid, scale, (w, h), flags=method | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )
    )


def ridge(
    rng: np.random.Generator, width: int, cell_px: float, *, octaves: int = 8, gain: float = 0.5
) -> Picture:
    """Return (W,) float32 one-dimensional fractal noise: the outline of a range of hills or of treetops."""
    row: Picture = fractal(rng, (width, 1), (cell_px, 1e9), octaves=octaves, gain=gain, finest_px=1.5)[0]
    return row


def smoothstep(x: Picture, low: float, high: float) -> Picture:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
