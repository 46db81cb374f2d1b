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
from vircraft.sync.sidecar import read_sidecar

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
    if abs(clip.visible.start_time_s - clip.infrared.start_time_s) > DIFFERENT_START_S:
        return with_overlap(
            clip, Synchronisation(0.0, offset_frames_from_s(clip, 0.0), 0.0, "container", 0.9)
        )
    remark = Remark("assumed-sync", "nothing tells the offset between the streams; taken as 0")
    offset_s = offset_s_from_frames(clip, 0.0)
    return with_overlap(clip, Synchronisation(offset_s, 0.0, 0.0, "assumed", 0.0, (remark,)))


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
