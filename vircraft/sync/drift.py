"""Whether the two clocks run apart: a line through offsets found at different times."""

from __future__ import annotations

import numpy as np

from vircraft.sync.search import LocalOffset

FASTEST_DRIFT = 3e-3  # clocks that differ by more than this are not expected
SPREAD_FRAMES = 0.05  # spread of an offset found at perfect correlation; it grows as the correlation sinks
SIGNIFICANT = 4.0  # standard errors
FEWEST_PLACES = 4


def fit_drift(local: tuple[LocalOffset, ...], offset_s: float, period_s: float) -> tuple[float, float]:
    """Fit a line to local offsets, each trusted by its correlation.

    Returns:
        The offset at infrared time 0 and the drift in ppm when the drift is significant (four standard
        errors, and a third of a frame over the stretch); else the given offset and 0.
    """
    reach_s = 4 * period_s
    near = [one for one in local if one.flow > 0.1]
    near = [one for one in near if abs(one.offset_s - offset_s) < reach_s + FASTEST_DRIFT * _span_s(near)]
    if len(near) < FEWEST_PLACES:
        return offset_s, 0.0
    t = np.array([one.infrared_time_s for one in near])
    o = np.array([one.offset_s for one in near])
    spread = SPREAD_FRAMES * period_s / np.array([one.flow for one in near]) ** 2
    spread *= np.sqrt(2.0 / np.array([one.length_s for one in near]).clip(0.5, 8.0))
    i, j = np.triu_indices(len(t), 1)
    slope = float(np.median((o[j] - o[i]) / (t[j] - t[i])))  # Theil and Sen: one wrong place does no harm
    level = float(np.median(o - slope * t))
    scatter = 1.4826 * float(np.median(np.abs(o - slope * t - level) / spread))
    middle = float(np.average(t, weights=spread**-2))
    error = max(scatter, 1.0) / float(np.sqrt((((t - middle) / spread) ** 2).sum()))
    shift_s = abs(slope) * float(np.ptp(t))
    if abs(slope) < SIGNIFICANT * error or shift_s < period_s / 3 or abs(slope) > FASTEST_DRIFT:
        return offset_s, 0.0
    return level, slope * 1e6


def _span_s(local: list[LocalOffset]) -> float:
    return max((one.infrared_time_s for one in local), default=0.0) - min(
        (one.infrared_time_s for one in local), default=0.0
    )
