"""Where the infrared corners lie in the visible picture over time: pooled over frames, followed as it drifts.

A rig's frames share a pose only over a window in time in which it holds: lenses zoom, an aircraft comes
nearer. A straight line is fitted robustly to each corner over the widest window about an instant in which
the residuals stay at the noise that neighbouring frames show among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.registration.warp import Matrix, apply_homography, corners

HALF_WINDOWS = (16, 8, 4, 2)  # frames on either side, tried from the widest on
SLACK_PX = 0.15  # residual that is never held against a window, infrared pixels
POOLED_GAIN = 0.35  # the pooled error falls with this power of the number of frames, see docs/benchmarks.md
GAP_GROWTH = 0.15  # relative growth of the predicted error for each frame to the nearest measured one


@dataclass(frozen=True)
class Measured:
    """One frame's own measurement.

    Attributes:
        number: of the frame in the clip's sequence of pairs.
        h_ir_from_vis: (3, 3).
        error_px: its predicted corner error, infrared pixels.
        on_target: it was placed on the structure that moves with the target, see `foreground`.
    """

    number: int
    h_ir_from_vis: Matrix
    error_px: float
    on_target: bool = False


@dataclass(frozen=True)
class Pooled:
    """The pose at one frame from those around it: homography, predicted error (px), frames that took part."""

    h_ir_from_vis: Matrix
    error_px: float
    frames: int


def pool(measured: Sequence[Measured], number: int, infrared_wh: tuple[int, int]) -> Pooled | None:
    """Return the pose at frame `number`; None when no frame within the widest window was measured."""
    near = [m for m in measured if abs(m.number - number) <= HALF_WINDOWS[0]]
    if not near:
        return None
    if any(m.on_target for m in near):
        near = [m for m in near if m.on_target]
    reference = min(near, key=lambda m: abs(m.number - number)).h_ir_from_vis
    # corners of each frame's infrared view, on the infrared grid of the reference frame: (n, 8)
    placed = np.array([_corners_under(m, reference, infrared_wh) for m in near])
    numbers = np.array([m.number for m in near], float) - number
    errors = np.array([max(m.error_px, 0.1) for m in near])
    noise = _noise(placed, numbers)
    value, count, inside = _widest_fit(numbers, placed, errors, noise)
    source = value.reshape(4, 2)
    back = apply_homography(np.linalg.inv(reference), source)
    h = _through_corners(back, corners(infrared_wh))
    gap = float(np.abs(numbers).min())
    error = float(np.median(errors[inside])) / max(count, 1) ** POOLED_GAIN * (1 + GAP_GROWTH * gap)
    return Pooled(h, max(error, 0.3), int(inside.sum()))


def _corners_under(m: Measured, reference: Matrix, infrared_wh: tuple[int, int]) -> Matrix:
    h = reference @ np.linalg.inv(m.h_ir_from_vis)
    return apply_homography(h, corners(infrared_wh)).ravel()


def _noise(placed: Matrix, numbers: Matrix) -> float:
    """Return the corner noise of one frame from second differences, which a steady drift leaves at zero."""
    if len(placed) < 3:
        return float("inf")
    left, mid, right = placed[:-2], placed[1:-1], placed[2:]
    share = ((numbers[1:-1] - numbers[:-2]) / (numbers[2:] - numbers[:-2]))[:, None]
    bend = (mid - (left * (1 - share) + right * share)).reshape(-1, 4, 2)
    scale = np.sqrt(1 + share**2 + (1 - share) ** 2)
    return float(np.median(np.linalg.norm(bend, axis=2) / scale))


def _widest_fit(
    numbers: Matrix, placed: Matrix, errors: Matrix, noise: float
) -> tuple[Matrix, float, NDArray[np.bool_]]:
    """Return the fit over the widest window, with the simplest motion, whose residuals are mere noise.

    Returns:
        The eight coordinates at number 0, the effective number of frames, which frames took part.
    """
    nearest = np.abs(numbers) <= np.abs(numbers).min()
    tried = (placed[nearest][0], 1.0, nearest)
    for half in HALF_WINDOWS:
        inside = np.abs(numbers) <= half
        for line in (False, True):
            if inside.sum() < (3 if line else 1):
                continue
            value, residuals, count = _fit(numbers[inside], placed[inside], errors[inside], line)
            tried = (value, count, inside)
            if inside.sum() < 3 or float(np.median(residuals)) <= 1.2 * noise + SLACK_PX:
                return tried
    return tried


def _fit(numbers: Matrix, placed: Matrix, errors: Matrix, line: bool) -> tuple[Matrix, Matrix, float]:
    """Fit a line or a constant to the corners, Cauchy weights.

    Returns:
        The eight coordinates at number 0, each frame's mean corner residual (px), the effective number of
        frames.
    """
    design = np.c_[np.ones_like(numbers), numbers] if line else np.ones((len(numbers), 1))
    base = 1 / errors**2
    weights = base.copy()
    solution = np.median(placed, axis=0, keepdims=True)
    residuals = np.zeros(len(numbers))
    for _ in range(8):
        root = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(design * root, placed * root, rcond=None)[0]
        gaps = (placed - design @ solution).reshape(-1, 4, 2)
        residuals = np.linalg.norm(gaps, axis=2).mean(1)
        width = max(1.5 * float(np.median(residuals)), 0.1)
        weights = base / (1 + (residuals / width) ** 2)
    # the variance of the value at number 0, in units of one frame's
    normal = design.T @ (design * weights[:, None]) / float(weights.max())
    return np.asarray(solution[0]), residuals, 1 / max(float(np.linalg.pinv(normal)[0, 0]), 1e-3)


def _through_corners(src: Matrix, dst: Matrix) -> Matrix:
    """Return the homography that takes four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(src, dst, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    h = np.linalg.solve(np.array(rows), dst.ravel())
    return np.append(h, 1.0).reshape(3, 3)
