"""What moves between consecutive frames: activity and flow on a grid of cells, and of the whole picture.

Flow does not care about contrast, so a hot engine that is dark to the eye moves alike in both modalities;
activity (the mean absolute change) also tells where something moves that has too little texture for flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.sync.windows import Window

Array = NDArray[np.float32]

NOISE_VARIANCE = 4.0  # squared grey levels: damps the flow of cells without texture
LONGEST_STEP = 1.5  # steps longer than this many periods span a lost frame and say little


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion between consecutive frames; each row belongs to the instant halfway between two frames.

    Attributes:
        times_s: (K,) instants.
        activity: (K, rows, columns) root of the mean absolute change, grey levels ** 0.5.
        flow: (K, 2, rows, columns) damped flow in shares of the picture width per second.
        shift: (K, 2) flow of the whole picture, the same unit.
    """

    times_s: NDArray[np.float64]
    activity: Array
    flow: Array
    shift: Array

    def between(self, start_s: float, end_s: float) -> Motion:
        """Return the part from `start_s` up to `end_s`."""
        part = slice(*np.searchsorted(self.times_s, (start_s, end_s)).tolist())
        return Motion(self.times_s[part], self.activity[part], self.flow[part], self.shift[part])


@dataclass(frozen=True, eq=False)
class MotionSums:
    """Cell means of the products that flow is solved from; can be pooled to coarser grids."""

    times_s: NDArray[np.float64]
    steps_s: NDArray[np.float64]
    sums: Array  # (K, 6, rows, columns): |t|, xx, xy, yy, xt, yt
    width_px: int


def joined(parts: Sequence[MotionSums]) -> MotionSums:
    """Put stretches that follow each other in time together; the step between two of them is missing."""
    return MotionSums(
        np.concatenate([part.times_s for part in parts]),
        np.concatenate([part.steps_s for part in parts]),
        np.concatenate([part.sums for part in parts]),
        parts[0].width_px,
    )


def motion_sums(window: Window, period_s: float, grid_wh: tuple[int, int]) -> MotionSums:
    """Sum gradients and changes over cells for each pair of consecutive frames.

    Steps over a lost frame and repetitions of the same picture are left out: what moved in them is not
    comparable with its neighbours.
    """
    times: list[float] = []
    steps: list[float] = []
    sums: list[Array] = []
    previous: Array | None = None
    for k in range(len(window.times_s)):
        current = np.asarray(cv2.GaussianBlur(window.pictures[k], (0, 0), 1.0), np.float32)
        step_s = float(window.times_s[k] - window.times_s[k - 1]) if k else 0.0
        if previous is not None and 1e-4 < step_s <= LONGEST_STEP * period_s:
            change = current - previous
            if np.abs(change).max() > 0.75:
                times.append(0.5 * float(window.times_s[k] + window.times_s[k - 1]))
                steps.append(step_s)
                sums.append(_cell_sums(change, 0.5 * (current + previous), grid_wh))
        previous = current
    columns, rows = grid_wh
    stacked = np.stack(sums) if sums else np.zeros((0, 6, rows, columns), np.float32)
    return MotionSums(np.asarray(times), np.asarray(steps), stacked, window.pictures.shape[2])


def _cell_sums(change: Array, mean: Array, grid_wh: tuple[int, int]) -> Array:
    change = change - np.float32(np.median(change[::4, ::4]))  # exposure and gain are not motion
    x = cv2.Sobel(mean, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    y = cv2.Sobel(mean, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
    products = (np.abs(change), x * x, x * y, y * y, x * change, y * change)
    return np.stack([cv2.resize(p, grid_wh, interpolation=cv2.INTER_AREA) for p in products]).astype(
        np.float32
    )


def motion(sums: MotionSums, grid_wh: tuple[int, int] | None = None) -> Motion:
    """Solve for flow on the grid of the sums or on a coarser one."""
    cells = sums.sums
    if grid_wh is not None and len(cells):
        flat = cells.reshape(-1, *cells.shape[2:])
        pooled = np.stack([cv2.resize(c, grid_wh, interpolation=cv2.INTER_AREA) for c in flat])
        cells = pooled.reshape(len(cells), 6, *pooled.shape[1:])
    unit = 1.0 / (sums.steps_s * sums.width_px)
    whole = cells.mean(axis=(2, 3), keepdims=True)
    return Motion(
        times_s=sums.times_s,
        activity=np.sqrt(cells[:, 0]),
        flow=(_solve(cells, NOISE_VARIANCE) * unit[:, None, None, None]).astype(np.float32),
        shift=(_solve(whole, 0.05)[:, :, 0, 0] * unit[:, None]).astype(np.float32),
    )


def _solve(cells: Array, damping: float) -> Array:
    """Solve the 2x2 normal equations of Lucas and Kanade in each cell; (K, 2, rows, columns) pixels."""
    xx, xy, yy, xt, yt = (cells[:, i] for i in range(1, 6))
    xx, yy = xx + np.float32(damping), yy + np.float32(damping)
    determinant = xx * yy - xy * xy
    return np.stack([(xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant], axis=1)
