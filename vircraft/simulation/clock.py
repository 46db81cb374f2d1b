"""Two recorders, each with its own clock: which instants their frames show and what their files say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.settings import ClipSettings


@dataclass(frozen=True)
class StreamClock:
    """The frames of one file.

    Attributes:
        ticks: (N,) slots that are in the file, ascending.
        instants_s: (N,) when each was taken, seconds of the scene (visible tick 0 is at 0).
        times_s: (N,) the presentation times in the file.
        start_s: presentation time of tick 0.
        fps: nominal rate.
    """

    ticks: NDArray[np.int64]
    instants_s: NDArray[np.float64]
    times_s: NDArray[np.float64]
    start_s: float
    fps: float


@dataclass(frozen=True)
class RigClock:
    """Both streams and how an infrared tick maps onto the visible clock."""

    infrared: StreamClock
    visible: StreamClock
    offset_frames: float
    ticks_per_tick: float  # visible frame periods in one infrared frame period, drift included

    def visible_tick(self, infrared_tick: float) -> float:
        """Return the fractional visible tick of the instant of an infrared tick."""
        return self.offset_frames + infrared_tick * self.ticks_per_tick

    def visible_index(self, visible_tick: float) -> float:
        """Return the fractional index, among the frames that the visible file holds, of a visible tick."""
        held = self.visible.ticks
        if visible_tick <= held[0]:
            return float(visible_tick - held[0])
        if visible_tick >= held[-1]:
            return float(len(held) - 1 + visible_tick - held[-1])
        return float(np.interp(visible_tick, held, np.arange(len(held))))


def build_clock(settings: ClipSettings) -> RigClock:
    """Return the clocks of a clip."""
    ratio = settings.visible_fps / settings.infrared_fps * (1 + settings.drift_ppm * 1e-6)
    ticks_ir = _held(settings.duration_s, settings.infrared_fps, settings.lost_infrared)
    ticks_vis = _held(settings.duration_s, settings.visible_fps, settings.lost_visible)
    visible_of_ir = np.asarray(settings.offset_frames + ticks_ir * ratio, np.float64)
    # On a common clock the recorder that started later says so; otherwise both files start at 0.
    lead_s = settings.offset_frames / settings.visible_fps if settings.true_start_times else 0.0
    start_ir, start_vis = max(lead_s, 0.0), max(-lead_s, 0.0)
    infrared = StreamClock(
        ticks_ir,
        visible_of_ir / settings.visible_fps,
        start_ir + ticks_ir / settings.infrared_fps,
        start_ir,
        settings.infrared_fps,
    )
    visible = StreamClock(
        ticks_vis,
        ticks_vis / settings.visible_fps,
        start_vis + ticks_vis / settings.visible_fps,
        start_vis,
        settings.visible_fps,
    )
    return RigClock(infrared, visible, settings.offset_frames, ratio)


def _held(duration_s: float, fps: float, lost: tuple[int, ...]) -> NDArray[np.int64]:
    ticks = np.arange(max(round(duration_s * fps), 2))
    return ticks[~np.isin(ticks, lost)]
