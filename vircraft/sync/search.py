"""Find the offset in one stretch of both streams: coarse over offsets and placements, then fine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vircraft.sync.coarse import CoarseSearch, Placement, coarse_search, placements
from vircraft.sync.fine import FinePeak, adjust_placement, fine_peak, fine_segment
from vircraft.sync.motion import Motion, MotionSums, motion

COARSE_STEP_S = 1 / 30  # the coarse clock is no finer than this
FEWEST_STEPS = 12  # fewer steps between frames than this are not searched
CANDIDATES = 3  # coarse peaks that the fine stage compares
REACH_FRAMES = 5.0  # the fine stage looks this far around a coarse peak
APART_S = 0.25  # evidence further than this from the answer speaks against it
PIECE_S = 2.0  # the answer is checked on pieces of about this length


@dataclass(frozen=True)
class SearchFrame:
    """What a search is told about the clip.

    Attributes:
        period_s: frame period of the slower stream.
        centre_s, reach_s: offsets within `reach_s` of `centre_s` are tried.
        infrared_wh, visible_wh: sizes of the full pictures.
        grid_ir, grid_vis: coarse grids, columns and rows.
    """

    period_s: float
    centre_s: float
    reach_s: float
    infrared_wh: tuple[int, int]
    visible_wh: tuple[int, int]
    grid_ir: tuple[int, int]
    grid_vis: tuple[int, int]


@dataclass(frozen=True)
class LocalOffset:
    """The offset that a short piece gives on its own."""

    infrared_time_s: float
    length_s: float
    offset_s: float
    flow: float


@dataclass(frozen=True, eq=False)
class Finding:
    """The answer of one stretch.

    Attributes:
        peak: interpolated offset and correlations.
        where: placement of the infrared view.
        local: the same peak in pieces of the stretch.
        offsets_s, z: the offsets tried and the evidence there, in standard deviations over chance.
        features: what the confidence is computed from.
    """

    peak: FinePeak
    where: Placement
    local: tuple[LocalOffset, ...]
    offsets_s: NDArray[np.float64]
    z: NDArray[np.float64]
    features: dict[str, float] = field(default_factory=dict)


def find_offset(infrared: MotionSums, visible: MotionSums, frame: SearchFrame) -> Finding | None:
    """Search one stretch; None when too few frames follow each other in it."""
    if min(len(infrared.times_s), len(visible.times_s)) < FEWEST_STEPS:
        return None
    step_s = max(frame.period_s, COARSE_STEP_S)
    count = math.ceil(frame.reach_s / step_s)
    offsets_s = np.asarray(frame.centre_s + step_s * np.arange(-count, count + 1), np.float64)
    coarse = coarse_search(
        [(motion(infrared, frame.grid_ir), motion(visible, frame.grid_vis))],
        offsets_s,
        0.7 * step_s,
        placements(frame.grid_ir, frame.infrared_wh, frame.visible_wh),
    )
    evidence = coarse.evidence()
    if not evidence.max() > 0:
        return None
    fine_ir, fine_vis = motion(infrared), motion(visible)
    segment = fine_segment(fine_ir, fine_vis, frame.centre_s, frame.period_s)
    candidates: list[tuple[float, float, Placement]] = []
    for k in separate_peaks(offsets_s, evidence, 4 * frame.period_s)[:CANDIDATES]:
        offset_s = float(offsets_s[k])
        where, score = adjust_placement(segment, coarse.placements[int(coarse.best[k])], offset_s)
        candidates.append((score, offset_s, where))
    candidates.sort(key=lambda candidate: -candidate[0])
    score, offset_s, where = candidates[0]
    rival = candidates[1][0] if len(candidates) > 1 else 0.0
    peak = fine_peak([segment], where, offset_s, REACH_FRAMES * frame.period_s)
    local = local_offsets(fine_ir, fine_vis, peak.offset_s, where, frame.period_s)
    overlap_s = _overlap_s(infrared, visible, peak.offset_s)
    features = _features(coarse, evidence, peak, local, overlap_s, frame.period_s)
    features |= {"score": score, "rival": rival}
    return Finding(peak, where, local, offsets_s, np.sqrt(2 * evidence), features)


def local_offsets(
    infrared: Motion,
    visible: Motion,
    offset_s: float,
    where: Placement,
    period_s: float,
) -> tuple[LocalOffset, ...]:
    """Return the offsets that pieces of a stretch give on their own, near a given one."""
    start_s, end_s = float(infrared.times_s[0]), float(infrared.times_s[-1])
    pieces = max(2, round((end_s - start_s) / PIECE_S))
    edges = np.linspace(start_s, end_s + 1e-6, pieces + 1)
    found: list[LocalOffset] = []
    for lo, hi in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = infrared.between(lo, hi)
        margin_s = (REACH_FRAMES + 2) * period_s
        other = visible.between(lo + offset_s - margin_s, hi + offset_s + margin_s)
        if min(len(part.times_s), len(other.times_s)) < FEWEST_STEPS // 2:
            continue
        segment = fine_segment(part, other, offset_s, period_s)
        peak = fine_peak([segment], where, offset_s, REACH_FRAMES * period_s)
        found.append(LocalOffset(0.5 * (lo + hi), hi - lo, peak.offset_s, peak.flow))
    return tuple(found)


def _overlap_s(infrared: MotionSums, visible: MotionSums, offset_s: float) -> float:
    """Return how long both streams were seen at an offset."""
    start_s = max(float(infrared.times_s[0]), float(visible.times_s[0]) - offset_s)
    end_s = min(float(infrared.times_s[-1]), float(visible.times_s[-1]) - offset_s)
    return max(0.0, end_s - start_s)


def separate_peaks(
    offsets_s: NDArray[np.float64], evidence: NDArray[np.float64], apart_s: float
) -> list[int]:
    """Return the indices of the highest values that lie apart from each other, highest first."""
    left = evidence.astype(np.float64).copy()
    found: list[int] = []
    while len(found) < CANDIDATES and left.max() > 0:
        k = int(np.argmax(left))
        found.append(k)
        left[np.abs(offsets_s - offsets_s[k]) <= apart_s] = 0
    return found


def _features(
    coarse: CoarseSearch,
    evidence: NDArray[np.float64],
    peak: FinePeak,
    local: tuple[LocalOffset, ...],
    overlap_s: float,
    period_s: float,
) -> dict[str, float]:
    z = np.sqrt(2 * evidence)
    near = int(np.argmin(np.abs(coarse.offsets_s - peak.offset_s)))
    apart = np.abs(coarse.offsets_s - peak.offset_s) > APART_S
    deviations = np.abs([one.offset_s - peak.offset_s for one in local]) / period_s
    agreeing = deviations < 1.5
    return {
        "z": float(z[max(0, near - 1) : near + 2].max()),
        "z_others": float(z[apart].max()) if apart.any() else 0.0,
        "cells": float(coarse.cells[near]),
        "cells_null": float(coarse.cells_null.max()),
        "shift": float(coarse.shift[near].max()),
        "flow": peak.flow,
        "activity": peak.activity,
        "agree": float(np.mean(agreeing)) if len(local) else 0.0,
        "deviation": float(np.median(deviations)) if len(local) else REACH_FRAMES,
        "pieces": float(len(local)),
        "overlap_s": overlap_s,
        "edge": float(peak.at_edge),
    }
