"""Decide how a clip's two streams share a clock: stated, in the containers, or seen in the motion."""

from __future__ import annotations

from dataclasses import replace

from vircraft.clips import Clip, Remark
from vircraft.sync.clock import (
    Synchronisation,
    SyncSettings,
    offset_frames_from_s,
    offset_s_from_frames,
)
from vircraft.sync.estimate import estimate_offset
from vircraft.sync.sidecar import read_sidecar

STARTS_AGREE_FRAMES = 2.0  # start times are believed when the motion is no further from them
STARTS_CONFIDENCE = 0.8  # of start times that the motion says nothing about
DIFFERENT_START_S = 1e-4  # container start times closer than this are equal, and equal ones are no evidence


def synchronise(
    clip: Clip, settings: SyncSettings | None = None, offset_frames: float | None = None
) -> Synchronisation:
    """Find the offset between a clip's streams.

    The first of these decides: `offset_frames` (the user's option), the clip list's offset, the sidecar
    `NAME.sync.toml`, container start times where they differ, the motion seen in both streams.

    Args:
        clip: a probed clip.
        settings: search range and cost.
        offset_frames: visible frames; infrared frame i shows the instant of visible frame i + offset.

    Raises:
        ClipError: the sidecar cannot be read (`bad-sidecar`), or a stream cannot be decoded.
    """
    settings = settings or SyncSettings()
    stated = offset_frames if offset_frames is not None else clip.offset_frames
    if stated is not None:
        offset_s = offset_s_from_frames(clip, stated)
        return with_overlap(clip, Synchronisation(offset_s, stated, 0.0, "option", 1.0))
    if clip.sync_sidecar is not None:
        sidecar = read_sidecar(clip.sync_sidecar)
        offset_s = sidecar.offset_s if sidecar.offset_s is not None else 0.0
        if sidecar.offset_frames is not None:
            offset_s = offset_s_from_frames(clip, sidecar.offset_frames)
        frames = offset_frames_from_s(clip, offset_s)
        return with_overlap(clip, Synchronisation(offset_s, frames, sidecar.drift_ppm, "sidecar", 1.0))
    return with_overlap(clip, _from_motion(clip, settings))


def _from_motion(clip: Clip, settings: SyncSettings) -> Synchronisation:
    """Decide between container start times and what the motion says."""
    starts_differ = abs(clip.visible.start_time_s - clip.infrared.start_time_s) > DIFFERENT_START_S
    centre_s = 0.0 if starts_differ else offset_s_from_frames(clip, 0.0)
    estimate = estimate_offset(clip, settings, centre_s)
    remarks: list[Remark] = []
    lags, score = ((), ()) if estimate is None else (estimate.curve_lags_s, estimate.curve_score)
    curve = {"curve_lags_s": tuple(map(float, lags)), "curve_score": tuple(map(float, score))}
    sure = estimate is not None and estimate.confidence >= settings.min_confidence
    period_s = 1 / min(clip.infrared.rate_fps, clip.visible.rate_fps)
    if starts_differ:
        if estimate is None or not sure or abs(estimate.offset_s) < STARTS_AGREE_FRAMES * period_s:
            confidence = (
                STARTS_CONFIDENCE
                if not sure or estimate is None
                else max(estimate.confidence, STARTS_CONFIDENCE)
            )
            return Synchronisation(
                0.0, offset_frames_from_s(clip, 0.0), 0.0, "container", confidence, (), **curve
            )
        message = (
            f"the motion in the two streams agrees {abs(estimate.offset_s):.3f} s away from the files' start "
            "times; the motion was followed (--offset decides otherwise)"
        )
        remarks.append(Remark("start-times-contradicted", message))
    if estimate is None:
        remarks.append(
            Remark("weak-sync", "too few frames, or nothing moves: the offset is taken as 0; use --offset")
        )
        return Synchronisation(
            centre_s, offset_frames_from_s(clip, centre_s), 0.0, "assumed", 0.0, tuple(remarks)
        )
    frames = offset_frames_from_s(clip, estimate.offset_s, estimate.drift_ppm)
    if not sure:
        message = (
            f"the motion says {frames:+.2f} frames with a confidence of {estimate.confidence:.2f} "
            f"(below {settings.min_confidence:.2f}); check a pair and use --offset"
        )
        remarks.append(Remark("weak-sync", message))
    if estimate.drift_ppm:
        over_s = clip.infrared.duration_s
        message = (
            f"the clocks drift by {estimate.drift_ppm:+.0f} ppm: "
            f"{abs(estimate.drift_ppm) * 1e-6 * over_s / period_s:.1f} frames over the clip; followed"
        )
        remarks.append(Remark("drift", message))
    return Synchronisation(
        estimate.offset_s, frames, estimate.drift_ppm, "motion", estimate.confidence, tuple(remarks), **curve
    )


def with_overlap(clip: Clip, sync: Synchronisation) -> Synchronisation:
    """Add a remark when the two streams share no instant, or little of the shorter one."""
    start = max(sync.visible_time_s(clip.infrared.start_time_s), clip.visible.start_time_s)
    end = min(
        sync.visible_time_s(clip.infrared.start_time_s + clip.infrared.duration_s),
        clip.visible.start_time_s + clip.visible.duration_s,
    )
    shorter_s = min(clip.infrared.duration_s, clip.visible.duration_s)
    if end <= start:
        message = f"the streams share no instant: {start - end:.2f} s lie between them"
        return replace(sync, remarks=(*sync.remarks, Remark("no-overlap", message)))
    if end - start < 0.5 * shorter_s:
        message = f"the streams share {end - start:.2f} s of the shorter one's {shorter_s:.2f} s"
        return replace(sync, remarks=(*sync.remarks, Remark("short-overlap", message)))
    return sync
