"""What synchronisation decides: an affine map between the two streams' presentation times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from vircraft.clips import Clip, Remark
from vircraft.errors import SettingsError

SyncSource = Literal["option", "sidecar", "container", "motion", "assumed"]


@dataclass(frozen=True)
class SyncSettings:
    """How the offset between the two streams is looked for."""

    max_offset_s: float = 2.0  # the offset between the starts is searched within +- this
    budget_s: float = 10.0  # at most this much video of each stream is decoded for it
    min_confidence: float = 0.8  # below it the estimate is reported as doubtful

    def __post_init__(self) -> None:
        if not 0.05 <= self.max_offset_s <= 60:
            raise SettingsError(f"max_offset_s is {self.max_offset_s}; it is between 0.05 and 60 seconds")
        if not 1 <= self.budget_s <= 600:
            raise SettingsError(f"budget_s is {self.budget_s}; it is between 1 and 600 seconds")
        if not 0 <= self.min_confidence <= 1:
            raise SettingsError(f"min_confidence is {self.min_confidence}; it is between 0 and 1")


@dataclass(frozen=True)
class Synchronisation:
    """One clock for two streams: visible time = infrared time * (1 + drift_ppm / 1e6) + offset_s.

    Attributes:
        offset_s: seconds, both times as presentation times.
        offset_frames: the same in visible frames counted from the streams' first frames: infrared frame i
            shows the instant of visible frame i + offset_frames (at equal rates, without drift).
        drift_ppm: how much faster the visible clock runs, parts per million.
        source: who says so.
        confidence: belief that the offset is right to a frame, 0..1.
        remarks: what a user should know (`weak-sync`, `drift`, `no-overlap`, ...).
        curve_lags_s, curve_score: the correlation over offsets that the estimate was read from; empty when
            nothing was estimated.
    """

    offset_s: float
    offset_frames: float
    drift_ppm: float = 0.0
    source: SyncSource = "assumed"
    confidence: float = 0.0
    remarks: tuple[Remark, ...] = ()
    curve_lags_s: tuple[float, ...] = ()
    curve_score: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.offset_s, self.offset_frames, self.drift_ppm))):
            raise ValueError("offset and drift must be finite")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence is {self.confidence}; it is between 0 and 1")

    def visible_time_s(self, infrared_time_s: float) -> float:
        """Return the visible presentation time of the instant that an infrared one names."""
        return infrared_time_s * (1 + self.drift_ppm * 1e-6) + self.offset_s

    def infrared_time_s(self, visible_time_s: float) -> float:
        """Return the infrared presentation time of the instant that a visible one names."""
        return (visible_time_s - self.offset_s) / (1 + self.drift_ppm * 1e-6)


def offset_s_from_frames(clip: Clip, offset_frames: float) -> float:
    """Turn an offset in visible frames between the first frames into one between presentation times."""
    return clip.visible.start_time_s + offset_frames / clip.visible.rate_fps - clip.infrared.start_time_s


def offset_frames_from_s(clip: Clip, offset_s: float, drift_ppm: float = 0.0) -> float:
    """Turn an offset between presentation times into visible frames between the first frames."""
    start_s = clip.infrared.start_time_s
    return (start_s * (1 + drift_ppm * 1e-6) + offset_s - clip.visible.start_time_s) * clip.visible.rate_fps
