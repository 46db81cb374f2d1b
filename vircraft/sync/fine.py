"""Follow a coarse answer to a fraction of a frame: fine cells, adjusted placement, interpolated peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.sync.coarse import Placement, cell_centres
from vircraft.sync.motion import Motion
from vircraft.sync.signals import Array, correlation_at, even_signal, overlap

ADJUST_STEPS = (0.02, 0.01, 0.005)  # of the placement, shares of the visible width
CELL_SAMPLES = 300.0  # independent samples behind the correlation of cells ...
SHIFT_SAMPLES = 300.0  # ... and of whole-picture shifts
SHIFT_TRUST_POWER = 8
ADJUST_TICKS = 120  # the placement is adjusted on about this many instants
ACTIVITY_SHARE = 0.5  # weight of activity beside flow: its peak is as high but less sharp


@dataclass(frozen=True, eq=False)
class FineSegment:
    """A stretch of both motions on a common clock of half frames.

    `first_offset_s` is the offset at lag 0; visible columns are those of the visible grid.
    """

    infrared: tuple[Array, Array, Array]  # activity (N, T), flow (2N, T), shift (2, T)
    visible: tuple[Array, Array, Array]
    grid_ir: tuple[int, int]
    grid_vis: tuple[int, int]
    first_offset_s: float
    step_s: float
    middle_s: float  # middle of the infrared stretch


def fine_segment(infrared: Motion, visible: Motion, offset_s: float, period_s: float) -> FineSegment:
    """Resample a stretch around a coarse offset."""
    step_s, width_s = period_s / 2, 0.8 * period_s
    start_s = float(infrared.times_s[0])
    count_ir = 1 + int((infrared.times_s[-1] - start_s) / step_s)
    first = int(np.ceil((visible.times_s[0] - start_s - offset_s) / step_s))
    start_vis_s = start_s + offset_s + first * step_s
    count_vis = max(1, 1 + int((visible.times_s[-1] - start_vis_s) / step_s))

    def channels(one: Motion, clock: tuple[float, float, int]) -> tuple[Array, Array, Array]:
        rows = (one.activity, one.flow, one.shift)
        a, f, s = (np.ascontiguousarray(even_signal(one.times_s, r, clock, width_s).values.T) for r in rows)
        return a, f, s

    return FineSegment(
        infrared=channels(infrared, (start_s, step_s, count_ir)),
        visible=channels(visible, (start_vis_s, step_s, count_vis)),
        grid_ir=(infrared.activity.shape[2], infrared.activity.shape[1]),
        grid_vis=(visible.activity.shape[2], visible.activity.shape[1]),
        first_offset_s=start_vis_s - start_s,
        step_s=step_s,
        middle_s=0.5 * float(infrared.times_s[0] + infrared.times_s[-1]),
    )


def placed(values: Array, grid_vis: tuple[int, int], grid_ir: tuple[int, int], where: Placement) -> Array:
    """Sample visible rows at the infrared cells (bilinear): (k * vis cells, T) to (k * ir cells, T)."""
    columns, rows = grid_vis
    x, y = cell_centres(grid_ir)
    px = np.clip((where.left + x * where.width) * columns - 0.5, 0, columns - 1.001)
    py = np.clip((where.top + y * where.height) * rows - 0.5, 0, rows - 1.001)
    x0, y0 = px.astype(np.intp), py.astype(np.intp)
    fx, fy = (px - x0).astype(np.float32)[:, None], (py - y0).astype(np.float32)[:, None]
    corner = y0 * columns + x0
    cells = values.reshape(len(values) // (columns * rows), columns * rows, values.shape[1])
    parts = []
    for channel in cells:
        out = channel[corner] * ((1 - fx) * (1 - fy))
        out += channel[corner + 1] * (fx * (1 - fy))
        out += channel[corner + columns] * ((1 - fx) * fy)
        out += channel[corner + columns + 1] * (fx * fy)
        parts.append(out)
    return np.concatenate(parts)


def lag_of(segment: FineSegment, offset_s: float) -> int:
    """Return the whole lag nearest to an offset."""
    return round((offset_s - segment.first_offset_s) / segment.step_s)


def _meeting(segment: FineSegment, offset_s: float) -> tuple[list[Array], list[Array]]:
    """Return activity and flow of both streams at the instants that meet at an offset, thinned out."""
    lag = lag_of(segment, offset_s)
    at_ir, at_vis = overlap(segment.infrared[0].shape[1], segment.visible[0].shape[1], lag)
    thin = max(1, (at_ir.stop - at_ir.start) // ADJUST_TICKS)
    return [x[:, at_ir][:, ::thin] for x in segment.infrared[:2]], [
        x[:, at_vis][:, ::thin] for x in segment.visible[:2]
    ]


def _score(
    meeting: tuple[list[Array], list[Array]],
    grid_ir: tuple[int, int],
    grid_vis: tuple[int, int],
    where: Placement,
) -> float:
    """Return the correlation of flow and activity under one placement."""
    score = 0.0
    for infrared, visible, weight in zip(*meeting, (ACTIVITY_SHARE, 1.0), strict=True):
        score += weight * correlation_at(infrared, placed(visible, grid_vis, grid_ir, where), 0)
    return score


def adjust_placement(segment: FineSegment, where: Placement, offset_s: float) -> tuple[Placement, float]:
    """Climb to the best placement near a given one; returns it and its score."""
    meeting = _meeting(segment, offset_s)
    grids = segment.grid_ir, segment.grid_vis
    best, score = where, _score(meeting, *grids, where)
    ratio = where.height / where.width
    for step in ADJUST_STEPS:
        for _ in range(3):
            moved = False
            for dx, dy, dw in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 2), (0, 0, -2)):
                width = best.width + dw * step
                shrink = 0.5 * (best.width - width)
                trial = Placement(
                    best.left + dx * step + shrink,
                    best.top + dy * step + shrink * ratio,
                    width,
                    width * ratio,
                )
                trial_score = _score(meeting, *grids, trial)
                if trial_score > score:
                    best, score, moved = trial, trial_score, True
            if not moved:
                break
    return best, score


@dataclass(frozen=True, eq=False)
class FinePeak:
    """An interpolated peak.

    Attributes:
        offset_s: of the peak.
        flow, activity: correlations at the peak.
        at_edge: the evidence still rises at the end of the range.
    """

    offset_s: float
    flow: float
    activity: float
    at_edge: bool


def fine_peak(
    segments: Sequence[FineSegment],
    where: Placement,
    offset_s: float,
    reach_s: float,
) -> FinePeak:
    """Interpolate the peak of the evidence near an offset.

    Args:
        segments: stretches whose evidence is added up; all of one clock step.
        where: placement of the infrared view.
        offset_s, reach_s: the range to look at.
    """
    step_s = segments[0].step_s
    reach = max(3, round(reach_s / step_s))
    grid = offset_s + step_s * np.arange(-reach, reach + 1)
    total, flow_at, activity_at = np.zeros(len(grid)), np.zeros(len(grid)), np.zeros(len(grid))
    share = np.array([s.infrared[0].shape[1] for s in segments], float)
    share /= share.sum()
    for segment, part in zip(segments, share, strict=True):
        flow = placed(segment.visible[1], segment.grid_vis, segment.grid_ir, where)
        activity = placed(segment.visible[0], segment.grid_vis, segment.grid_ir, where)
        # The segment's clock need not hold the grid's offsets: interpolate its own lags onto them.
        lag = lag_of(segment, offset_s)
        lags = np.arange(lag - reach - 1, lag + reach + 2)
        own = segment.first_offset_s + lags * step_s
        curves = np.array(
            [
                (
                    correlation_at(segment.infrared[1], flow, k),
                    correlation_at(segment.infrared[0], activity, k),
                    correlation_at(segment.infrared[2][:1], segment.visible[2][:1], k),
                    correlation_at(segment.infrared[2][1:], segment.visible[2][1:], k),
                )
                for k in lags.tolist()
            ]
        )
        rows = [np.interp(grid, own, curve) for curve in curves.T]
        cells = (rows[0] + ACTIVITY_SHARE * rows[1]) / (1 + ACTIVITY_SHARE)
        total += part * _evidence(cells, CELL_SAMPLES)
        for row in rows[2:]:
            # Pictures of different extent shift alike only when the camera itself moves.
            trust = max(float(row.max()), 0.0) ** SHIFT_TRUST_POWER
            total += part * trust * _evidence(row, SHIFT_SAMPLES)
        flow_at += part * rows[0]
        activity_at += part * rows[1]
    peak = int(np.argmax(total))
    edge = peak in (0, len(grid) - 1)
    lo, hi = max(0, peak - 2), min(len(grid), peak + 3)
    place = float(grid[peak])
    if not edge and hi - lo >= 4:
        a, b, _ = np.polyfit(grid[lo:hi] - grid[peak], total[lo:hi], 2)
        if a < 0:
            place += float(np.clip(-b / (2 * a), -step_s, step_s))
    return FinePeak(place, float(flow_at[peak]), float(activity_at[peak]), edge)


def _evidence(correlation: NDArray[np.float64], samples: float) -> NDArray[np.float64]:
    """Return the log-likelihood gain of a correlation over none, from independent samples."""
    return np.asarray(-0.5 * samples * np.log1p(-(np.clip(correlation, 0, 0.999) ** 2)))
