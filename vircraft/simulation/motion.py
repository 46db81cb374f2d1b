"""Smooth random functions of time, so that two cameras can look at any instant, in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Wander:
    """A sum of sinusoids: `amplitude` is its standard deviation, frequencies in hertz."""

    amplitudes: NDArray[np.float64]
    frequencies_hz: NDArray[np.float64]
    phases: NDArray[np.float64]

    def __call__(self, t_s: float) -> float:
        """Return the value at a time."""
        angle = 2 * np.pi * self.frequencies_hz * t_s + self.phases
        return float(self.amplitudes @ np.sin(angle))


def wander(
    rng: np.random.Generator, amplitude: float, low_hz: float, high_hz: float, terms: int = 5
) -> Wander:
    """Draw a wandering function with frequencies between two bounds, lower ones stronger."""
    frequencies = np.geomspace(low_hz, high_hz, terms) * rng.uniform(0.85, 1.15, terms)
    weights = rng.uniform(0.5, 1.0, terms) / np.sqrt(frequencies)
    weights *= amplitude * np.sqrt(2.0) / np.linalg.norm(weights)
    return Wander(weights, frequencies, rng.uniform(0, 2 * np.pi, terms))
