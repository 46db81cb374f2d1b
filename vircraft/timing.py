"""The nominal frame rate behind presentation times, and the frames that do not keep to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LATE_SHARE = 0.15  # a frame this share of a period away from its slot counts as late
DOUBLED_SHARE = 0.4  # two frames closer than this share of a period share a slot
VARIABLE_SHARE = 0.10  # more off-slot intervals than this make the rate variable


@dataclass(frozen=True)
class Timing:
    """Frame times read as slots of one period."""

    rate_fps: float
    lost_count: int
    doubled_count: int
    late_count: int
    variable: bool


def frame_timing(times_s: NDArray[np.float64], stated_rates: tuple[float, ...] = ()) -> Timing:
    """Find the nominal rate behind frame times, and what does not keep to it.

    Args:
        times_s: (N,) ascending presentation times.
        stated_rates: rates that the container names; the first that stays within a quarter of a frame of the
            times over the whole clip is taken as exact.
    """
    steps = np.diff(times_s)
    steps = steps[steps > 0]
    if len(steps) == 0:
        return Timing(stated_rates[0] if stated_rates else 25.0, 0, max(0, len(times_s) - 1), 0, False)
    period = float(np.median(steps))
    whole = steps > DOUBLED_SHARE * period
    for _ in range(3):  # the median of coarse time stamps (milliseconds) is off by up to a few percent
        slots = np.maximum(np.round(steps / period), 1.0)
        near = whole & (slots <= 3)
        if not near.any():
            break
        period = float(steps[near].sum() / slots[near].sum())
    span = float(times_s[-1] - times_s[0])
    # Long clips pin the rate far better than single steps: count slots from the start, not step by step.
    position = (times_s - times_s[0]) / period
    good = np.abs(position - np.round(position)) < 0.3
    if good.mean() > 0.9 and np.ptp(np.round(position[good])) > 0:
        index = np.round(position[good])
        period = float(np.polyfit(index, times_s[good], 1)[0])
    for rate in stated_rates:
        if rate > 0 and abs(span * rate - span / period) < 0.25 + 0.0005 * len(times_s):
            period = 1 / rate
            break
    relative = steps / period
    doubled = int((relative < DOUBLED_SHARE).sum()) + int((np.diff(times_s) == 0).sum())
    lost = int(np.maximum(np.round(relative) - 1, 0).sum())
    # Millisecond stamps are off by up to a millisecond without being late.
    off = np.abs(relative - np.round(relative)) > max(LATE_SHARE, 0.0011 / period)
    late = int(np.ceil(off.sum() / 2))  # one late frame bends the step before and the step after it
    # Steps that fit a period each, but not together: the rate changed on the way.
    wandering = len(times_s) >= 10 and good.mean() < 0.7
    variable = wandering or bool(off.mean() > VARIABLE_SHARE and off.sum() >= 3)
    return Timing(1 / period, 0 if variable else lost, doubled, late, variable)
