"""Bootstrap over pictures: how far a mean would move with other pictures of the same kind."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST_PICTURES = 2  # below, nothing is known of the spread


def resampled_means(values: Array, resamples: int, seed: int) -> Array:
    """Return means over pictures drawn with replacement, (resamples, ...), the same ones for every column.

    Args:
        values: (pictures, ...); nan where a picture has no value, which is then left out.
        resamples: how many times to draw.
        seed: of the drawing.

    Returns:
        nan where a column has an infinite value, fewer than two pictures, or none in a drawing.
    """
    count = len(values)
    flat = values.reshape(count, -1)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    known = np.isfinite(flat)
    weight = drawn @ known.astype(np.float64)
    sums = drawn @ np.where(known, flat, 0)
    usable = (known.sum(axis=0) >= LEAST_PICTURES) & ~np.isinf(flat).any(axis=0)
    means = np.divide(sums, weight, out=np.full_like(sums, np.nan), where=(weight > 0) & usable)
    return means.reshape(resamples, *values.shape[1:])


def interval(replicates: Array, confidence: float) -> tuple[Array, Array]:
    """Return the percentile interval along the first axis; nan where nothing is known."""
    tail = 100 * (1 - confidence) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        low, high = np.nanpercentile(replicates, [tail, 100 - tail], axis=0)
    return low, high
