"""Estimate offset and drift from what moves in both streams, with a confidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vircraft.clips import Clip, Stream
from vircraft.sync.clock import SyncSettings
from vircraft.sync.confidence import confidence_of
from vircraft.sync.drift import FASTEST_DRIFT, fit_drift
from vircraft.sync.fine import adjust_placement, fine_peak, fine_segment
from vircraft.sync.motion import MotionSums, joined, motion, motion_sums
from vircraft.sync.search import FEWEST_STEPS, REACH_FRAMES, Finding, LocalOffset, SearchFrame, find_offset
from vircraft.sync.windows import read_window

INFRARED_WIDTH, VISIBLE_WIDTH = 160, 240  # pixels to which frames are reduced
FINE_IR, FINE_VIS = 40, 60  # columns of the fine grids: cells of four pixels
COARSE_IR, COARSE_VIS = 10, 20  # columns of the coarse grids
MAIN_S, SIDE_S = 5.0, 1.5  # lengths of the first window and of those that tell the drift
SURE = 0.9  # confidence at which no more is read for the offset itself


@dataclass(frozen=True, eq=False)
class OffsetEstimate:
    """What the motion says.

    Attributes:
        offset_s: visible time minus infrared time; with a drift, at infrared time 0.
        drift_ppm: 0 unless it is significant.
        confidence: belief that the offset is right to a frame, 0..1.
        curve_lags_s, curve_score: offsets tried, and the evidence there in standard deviations over chance.
        features: what the confidence was computed from.
    """

    offset_s: float
    drift_ppm: float
    confidence: float
    curve_lags_s: NDArray[np.float64]
    curve_score: NDArray[np.float64]
    features: dict[str, float] = field(default_factory=dict)


def estimate_offset(clip: Clip, settings: SyncSettings, centre_s: float) -> OffsetEstimate | None:
    """Estimate the offset of a clip within `settings.max_offset_s` of `centre_s`.

    One window in which much moves is looked at first; it is widened while the answer is doubtful, and short
    windows far from it tell the drift once the answer is sure.

    Returns:
        None when there is not enough to look at: a dozen frames at least, and something that moves.
    """
    period_s = max(1 / clip.infrared.rate_fps, 1 / clip.visible.rate_fps)
    first_s, last_s = shared_span(clip, centre_s)
    # A short clip is read as a whole.
    length_s = min(MAIN_S, settings.budget_s) if last_s - first_s > settings.budget_s else last_s - first_s
    if length_s < FEWEST_STEPS * period_s:
        return None
    frame = SearchFrame(
        period_s=period_s,
        centre_s=centre_s,
        reach_s=settings.max_offset_s,
        infrared_wh=clip.infrared.size_wh,
        visible_wh=clip.visible.size_wh,
        grid_ir=grid_of(clip.infrared, COARSE_IR),
        grid_vis=grid_of(clip.visible, COARSE_VIS),
    )
    start_s = busiest_start_s(clip, centre_s, (first_s, last_s), length_s)
    read = _read_both(clip, (start_s, start_s + length_s), centre_s)
    found = find_offset(*read, frame)
    confidence = confidence_of(found)
    local = found.local if found else ()
    spare_s = settings.budget_s - length_s
    if confidence < SURE and spare_s > 1:
        parts = [read]
        before_s = min(max(start_s - first_s, 0), max(spare_s / 2, spare_s - (last_s - start_s - length_s)))
        after_s = min(last_s - start_s - length_s, spare_s - before_s)
        if before_s > FEWEST_STEPS * period_s:
            parts.insert(0, _read_both(clip, (start_s - before_s, start_s), centre_s))
        if after_s > FEWEST_STEPS * period_s:
            parts.append(_read_both(clip, (start_s + length_s, start_s + length_s + after_s), centre_s))
        found = find_offset(joined([p[0] for p in parts]), joined([p[1] for p in parts]), frame) or found
        confidence = confidence_of(found)
        local = found.local if found else ()
    elif found is not None and spare_s >= 2 * SIDE_S:
        local = (
            *local,
            *_side_offsets(clip, found, (start_s, start_s + length_s), (first_s, last_s), period_s),
        )
    if found is None:
        return None
    offset_s, drift_ppm = fit_drift(local, found.peak.offset_s, period_s)
    # Rounded well below what matters, so that the last bits of floating point are no part of the answer.
    return OffsetEstimate(
        round(offset_s, 6),
        round(drift_ppm, 2),
        round(confidence, 4),
        np.round(found.offsets_s, 6),
        np.round(found.z, 3),
        found.features,
    )


def grid_of(stream: Stream, columns: int) -> tuple[int, int]:
    """Return columns and rows of about square cells."""
    return columns, max(3, round(columns * stream.size_wh[1] / stream.size_wh[0]))


def shared_span(clip: Clip, offset_s: float) -> tuple[float, float]:
    """Return first and last infrared time at which both cameras were running, given an offset."""
    start_s = max(clip.infrared.start_time_s, clip.visible.start_time_s - offset_s)
    end_s = min(float(clip.infrared.times_s[-1]), float(clip.visible.times_s[-1]) - offset_s)
    return start_s, end_s


def busiest_start_s(clip: Clip, centre_s: float, span_s: tuple[float, float], length_s: float) -> float:
    """Return where a window should start for much to move in it, judged by the size of the packets."""
    latest_s = span_s[1] - length_s
    if latest_s <= span_s[0]:
        return span_s[0]
    starts = np.linspace(span_s[0], latest_s, 2 + int((latest_s - span_s[0]) / 0.5))
    keys_s = clip.visible.key_times_s - centre_s  # from here nothing is decoded in vain
    keys_s = keys_s[(keys_s >= span_s[0]) & (keys_s <= latest_s)]
    if len(keys_s) > 1:
        starts = keys_s
    merit = np.zeros(len(starts))
    for stream, shift_s in ((clip.infrared, 0.0), (clip.visible, centre_s)):
        usual = max(float(np.median(stream.packet_bytes)), 1.0)
        load = np.minimum(stream.packet_bytes / usual, 4.0)  # keyframes are large without anything moving
        total = np.concatenate([[0.0], np.cumsum(load)])
        lo = np.searchsorted(stream.times_s, starts + shift_s)
        hi = np.searchsorted(stream.times_s, starts + shift_s + length_s)
        merit += (total[hi] - total[lo]) / max(float(total[-1]), 1.0)
    # Of places that are about as good the one nearest to the middle.
    off_middle = np.abs(starts - 0.5 * (span_s[0] + latest_s)) / (latest_s - span_s[0])
    return float(starts[int(np.argmax(np.round(merit, 3) - 1e-4 * off_middle))])


def _read(stream: Stream, start_s: float, end_s: float) -> MotionSums:
    """Read the motion of one stream over a span of its own time."""
    infrared = stream.modality == "infrared"
    window = read_window(stream, start_s, end_s, INFRARED_WIDTH if infrared else VISIBLE_WIDTH)
    return motion_sums(window, 1 / stream.rate_fps, grid_of(stream, FINE_IR if infrared else FINE_VIS))


def _read_both(clip: Clip, span_s: tuple[float, float], offset_s: float) -> tuple[MotionSums, MotionSums]:
    """Read the motion of both streams over a span of infrared time, the visible one shifted by an offset."""
    infrared = _read(clip.infrared, *span_s)
    return infrared, _read(clip.visible, span_s[0] + offset_s, span_s[1] + offset_s)


def _side_offsets(
    clip: Clip,
    found: Finding,
    main_s: tuple[float, float],
    span_s: tuple[float, float],
    period_s: float,
) -> tuple[LocalOffset, ...]:
    """Return offsets near the two ends of a clip, where they are well apart from the main window."""
    local: list[LocalOffset] = []
    offset_s = found.peak.offset_s
    # Starting at the last visible keyframe that leaves room saves decoding up to the very end.
    keys_s = clip.visible.key_times_s - offset_s + (REACH_FRAMES + 3) * period_s + FASTEST_DRIFT * span_s[1]
    late_s = keys_s[(keys_s > main_s[1]) & (keys_s <= span_s[1] - SIDE_S)]
    for start_s in (span_s[0], float(late_s[-1]) if len(late_s) else span_s[1] - SIDE_S):
        distance_s = max(main_s[0] - (start_s + SIDE_S), start_s - main_s[1])
        if distance_s < SIDE_S:
            continue
        reach_s = REACH_FRAMES * period_s + FASTEST_DRIFT * distance_s
        margin_s = reach_s + 2 * period_s
        infrared = motion(_read(clip.infrared, start_s, start_s + SIDE_S))
        visible = motion(
            _read(clip.visible, start_s + offset_s - margin_s, start_s + SIDE_S + offset_s + margin_s)
        )
        if min(len(infrared.times_s), len(visible.times_s)) < FEWEST_STEPS:
            continue
        segment = fine_segment(infrared, visible, offset_s, period_s)
        where, _ = adjust_placement(segment, found.where, offset_s)  # the lens may have zoomed meanwhile
        peak = fine_peak([segment], where, offset_s, reach_s)
        if not peak.at_edge and peak.flow > 0.5 * found.peak.flow:
            local.append(LocalOffset(start_s + SIDE_S / 2, SIDE_S, peak.offset_s, peak.flow))
    return tuple(local)
