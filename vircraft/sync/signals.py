"""Signals on a common, even clock, with their slow part taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SLOW_S = 0.6  # changes slower than about this tell little about the offset and blunt its peak
MIN_SUPPORT = 0.5  # a tick with less than this share of the usual frames near it is left out


@dataclass(frozen=True, eq=False)
class Signal:
    """Values at even ticks.

    Attributes:
        start_s, step_s: the clock.
        values: (T, N) float32; rows without support are 0.
    """

    start_s: float
    step_s: float
    values: Array


def even_signal(
    times_s: NDArray[np.float64],
    values: NDArray[np.floating],
    clock: tuple[float, float, int],
    width_s: float,
) -> Signal:
    """Resample rows at uneven instants by a Gaussian kernel and take out the slow part.

    Both streams pass the same kernel, so that different rates and vacant slots leave the same bandwidth.

    Args:
        times_s: (K,) ascending.
        values: (K, ...) rows.
        clock: start and step in seconds, and the number of ticks.
        width_s: standard deviation of the kernel.
    """
    start_s, step_s, count = clock
    ticks = start_s + step_s * np.arange(count)
    rows = np.asarray(values, np.float32).reshape(len(times_s), -1)
    weight = np.exp(-0.5 * ((ticks[:, None] - times_s[None]) / width_s) ** 2)
    support = weight.sum(1)
    usable = support > MIN_SUPPORT * max(float(np.median(support)), 1e-6)
    even = (weight / np.maximum(support, 1e-9)[:, None]).astype(np.float32) @ rows
    even[~usable] = 0
    kernel = np.exp(-0.5 * ((ticks[:, None] - ticks[None]) / SLOW_S) ** 2) * usable[None]
    slow = (kernel / np.maximum(kernel.sum(1), 1e-9)[:, None]).astype(np.float32) @ even
    even -= slow
    even[~usable] = 0
    return Signal(start_s, step_s, even)


def overlap(rows_a: int, rows_b: int, lag: int) -> tuple[slice, slice]:
    """Return the rows of two signals that meet at a lag: a[n] meets b[n + lag]."""
    first, last = max(0, -lag), min(rows_a, rows_b - lag)
    last = max(first, last)
    return slice(first, last), slice(first + lag, last + lag)


def correlation_at(a: Array, b: Array, lag: int) -> float:
    """Return the normalised correlation of two (N, T) signals at a lag of whole ticks."""
    at_a, at_b = overlap(a.shape[1], b.shape[1], lag)
    x, y = a[:, at_a], b[:, at_b]
    energy = float(np.einsum("nt,nt->", x, x)) * float(np.einsum("nt,nt->", y, y))
    return float(np.einsum("nt,nt->", x, y)) / np.sqrt(energy) if energy > 0 else 0.0
