"""A rig's pose over time: pooled over frames, followed as it drifts.

A rig's frames share a pose only over a window in time in which it holds: lenses zoom, an aircraft comes
nearer. Over the widest window about an instant in which the residuals stay at the noise that neighbouring
frames show among themselves, the pose is fitted robustly. Zoom and parallax move the pictures against each
other and change their scale, so these may follow a straight line in time; rotation, stretch and perspective
belong to the mounting and are constant in a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.registration.refine import GENERATORS, HOMOGRAPHY, displacements
from vircraft.registration.warp import Matrix, apply_homography, corners, unit_matrix

HALF_WINDOWS = (16, 8, 4, 2)  # frames on either side, tried from the widest on
MOVING = 3  # of the parameters, those that may drift: translation x, y and scale
SLACK_PX = 0.15  # residual that is never held against a window, infrared pixels
POOLED_GAIN = 0.15  # power of the number of frames; those of one scene share most of their error
GAP_GROWTH = 0.15  # relative growth of the predicted error for each frame to the nearest measured one
LEAST_ERROR_PX = 0.3


@dataclass(frozen=True)
class Measured:
    """One frame's own measurement.

    Attributes:
        number: of the frame in the clip's sequence of pairs.
        h_ir_from_vis: (3, 3).
        error_px: its predicted corner error, infrared pixels.
        region_share: the error over the structure that agrees, as a share of `error_px`.
        on_target: it was placed on the structure that moves with the target, see `foreground`.
    """

    number: int
    h_ir_from_vis: Matrix
    error_px: float
    region_share: float = 1.0
    on_target: bool = False


@dataclass(frozen=True)
class Pooled:
    """The pose at one frame from those around it.

    Attributes:
        h_ir_from_vis: (3, 3), h22 = 1.
        error_px: predicted corner error, infrared pixels.
        region_error_px: the same over the structure that the pictures share.
        frames: that took part.
    """

    h_ir_from_vis: Matrix
    error_px: float
    region_error_px: float
    frames: int


@dataclass(frozen=True)
class _Fit:
    value: Matrix  # (8,) motion parameters at the instant
    residuals_px: Matrix  # each frame's mean corner residual
    frames: float  # of one frame's noise that the value amounts to
    inside: NDArray[np.bool_]


def pool(measured: Sequence[Measured], number: int, infrared_wh: tuple[int, int]) -> Pooled | None:
    """Return the pose at frame `number`; None when no frame within the widest window was measured."""
    near = sorted((m for m in measured if abs(m.number - number) <= HALF_WINDOWS[0]), key=lambda m: m.number)
    if not near:
        return None
    if any(m.on_target for m in near):
        near = [m for m in near if m.on_target]
    reference = min(near, key=lambda m: abs(m.number - number)).h_ir_from_vis
    to_unit = unit_matrix(infrared_wh)
    motions = np.array([_parameters(to_unit @ reference @ _unit_inverse(m, to_unit)) for m in near])
    numbers = np.array([m.number for m in near], float) - number
    errors = np.array([max(m.error_px, 0.1) for m in near])
    errors = np.maximum(errors, 0.7 * float(np.median(errors)))  # no frame outvotes its neighbours alone
    corner_px = _corner_jacobian(infrared_wh)
    fit = _widest_fit(numbers, motions, errors, corner_px)
    motion = np.linalg.inv(to_unit) @ (np.eye(3) + np.tensordot(fit.value, GENERATORS, 1)) @ to_unit
    h = np.linalg.inv(motion) @ reference
    gap = float(np.abs(numbers).min())
    error = float(np.median(errors[fit.inside])) / max(fit.frames, 1.0) ** POOLED_GAIN
    error = max(error * (1 + GAP_GROWTH * gap), LEAST_ERROR_PX)
    share = float(np.median([m.region_share for m, k in zip(near, fit.inside, strict=True) if k]))
    return Pooled(h / h[2, 2], error, max(error * share, LEAST_ERROR_PX), int(fit.inside.sum()))


def _unit_inverse(m: Measured, to_unit: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(to_unit @ m.h_ir_from_vis))


def _parameters(motion: Matrix) -> Matrix:
    """Return the eight parameters of a homography in unit coordinates, in the order of GENERATORS."""
    x = motion / motion[2, 2]
    return np.array(
        [
            x[0, 2],
            x[1, 2],
            (x[0, 0] + x[1, 1]) / 2 - 1,
            (x[1, 0] - x[0, 1]) / 2,
            (x[0, 0] - x[1, 1]) / 2,
            (x[0, 1] + x[1, 0]) / 2,
            x[2, 0],
            x[2, 1],
        ]
    )


def _corner_jacobian(infrared_wh: tuple[int, int]) -> Matrix:
    """Return (8, 8): how the corners' x and y, in pixels, move with the parameters."""
    unit = apply_homography(unit_matrix(infrared_wh), corners(infrared_wh))
    per_point = displacements(unit) * infrared_wh[0] / 2
    return np.asarray(per_point.transpose(0, 2, 1).reshape(8, HOMOGRAPHY))


def _corner_distance(motions: Matrix, corner_px: Matrix) -> Matrix:
    """Return the mean corner displacement of each of (n, 8) motions, pixels."""
    return np.asarray(np.linalg.norm((motions @ corner_px.T).reshape(-1, 4, 2), axis=2).mean(1))


def _noise(motions: Matrix, numbers: Matrix, corner_px: Matrix) -> float:
    """Return the corner noise of one frame from second differences, which a steady drift leaves at zero."""
    if len(motions) < 3:
        return float("inf")
    share = ((numbers[1:-1] - numbers[:-2]) / (numbers[2:] - numbers[:-2]))[:, None]
    bend = motions[1:-1] - (motions[:-2] * (1 - share) + motions[2:] * share)
    bend /= np.sqrt(1 + share**2 + (1 - share) ** 2)
    return float(np.median(_corner_distance(bend, corner_px)))


def _widest_fit(numbers: Matrix, motions: Matrix, errors: Matrix, corner_px: Matrix) -> _Fit:
    """Fit over the widest window, with the simplest motion, whose residuals are mere noise."""
    noise = _noise(motions, numbers, corner_px)
    tried = None
    for half in HALF_WINDOWS:
        inside = np.abs(numbers) <= half
        for line in (False, True):
            if inside.sum() < (3 if line else 1):
                continue
            tried = _fit(numbers, motions, errors, inside, line, corner_px)
            enough = 1.2 * noise + SLACK_PX
            if inside.sum() < 3 or float(np.median(tried.residuals_px)) <= enough:
                return tried
    assert tried is not None  # the widest window holds them all
    return tried


def _fit(
    numbers: Matrix, motions: Matrix, errors: Matrix, inside: NDArray[np.bool_], line: bool, corner_px: Matrix
) -> _Fit:
    """Fit the motions of one window, Cauchy weights; with `line`, the moving parameters follow one."""
    t, wanted = numbers[inside], motions[inside]
    base = 1 / errors[inside] ** 2
    weights = base.copy()
    constant = np.ones((len(t), 1))
    drifting = np.c_[constant, t] if line else constant
    value = np.zeros(HOMOGRAPHY)
    residuals = np.zeros(len(t))
    for _ in range(8):
        root = np.sqrt(weights)[:, None]
        fitted = np.empty_like(wanted)
        for columns, design in ((slice(0, MOVING), drifting), (slice(MOVING, None), constant)):
            solution = np.linalg.lstsq(design * root, wanted[:, columns] * root, rcond=None)[0]
            fitted[:, columns] = design @ solution
            value[columns] = solution[0]
        residuals = _corner_distance(wanted - fitted, corner_px)
        width = max(1.5 * float(np.median(residuals)), 0.1)
        weights = base / (1 + (residuals / width) ** 2)
    # the variance of the value at the instant, in units of one frame's
    normal = drifting.T @ (drifting * weights[:, None]) / float(weights.max())
    frames = 1 / max(float(np.linalg.pinv(normal)[0, 0]), 1e-3)
    return _Fit(value, residuals, frames, inside)
