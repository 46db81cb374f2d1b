"""The scores of every method on every picture, their means, intervals and ranks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.inference.picture_pairs import PairFailure
from fgfusion_model.metrics import Convention, Metric
from fgfusion_model.scoring.bootstrap import interval, resampled_means
from vircraft.errors import SettingsError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreSettings:
    """How to score."""

    convention: Convention = "cddfuse"  # or `tang`, see fgfusion_model.metrics.score
    device: str = "auto"  # a GPU when there is one; cpu, cuda, cuda:N
    resamples: int = 2000  # of the bootstrap over pictures
    confidence: float = 0.95  # of the intervals
    seed: int = 0  # of the bootstrap

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.confidence < 1:
            raise SettingsError(
                f"resamples {self.resamples}, confidence {self.confidence}; resamples must be at least 1 and "
                "confidence between 0 and 1"
            )


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """What a scoring job found.

    Attributes:
        pictures: names, P of them.
        methods: names, M of them, baselines first.
        metrics: K of them.
        values: (P, M, K); nan where a metric is not defined, as foreground contrast without a mask.
        settings: how it was scored.
        failures: what was left out, and why.
    """

    pictures: tuple[str, ...]
    methods: tuple[str, ...]
    metrics: tuple[Metric, ...]
    values: Array
    settings: ScoreSettings = field(default_factory=ScoreSettings)
    failures: tuple[PairFailure, ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.pictures), len(self.methods), len(self.metrics))
        if self.values.shape != expected:
            raise ValueError(f"values have shape {self.values.shape}; {expected} is needed")

    @cached_property
    def means(self) -> Array:
        """Means over the pictures that have a value, (M, K)."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Mean of empty slice", category=RuntimeWarning)
            return np.asarray(np.nanmean(self.values, axis=0))

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of pictures that have a value, (M, K)."""
        return np.asarray((~np.isnan(self.values)).sum(axis=0))

    @cached_property
    def intervals(self) -> tuple[Array, Array]:
        """Lower and upper ends of the means' intervals, (M, K) each; nan below two pictures."""
        return interval(self._replicates, self.settings.confidence)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """1 for the best mean of a metric, 2 for the second, ..., (M, K); equal means share; 0 for nan."""
        signs = np.array([1.0 if metric.lower_is_better else -1.0 for metric in self.metrics])
        ordered = self.means * signs
        places = np.zeros(ordered.shape, np.int64)
        for k in range(len(self.metrics)):
            known = ~np.isnan(ordered[:, k])
            places[known, k] = 1 + np.unique(ordered[known, k], return_inverse=True)[1]
        return places

    @cached_property
    def level_with_best(self) -> NDArray[np.bool_]:
        """Whether a method cannot be told from the best one of a metric, (M, K).

        The interval of the paired differences, picture by picture, holds 0; the best is level with itself.
        """
        level = np.zeros(self.means.shape, bool)
        for k in range(len(self.metrics)):
            best = np.flatnonzero(self.places[:, k] == 1)
            if len(best):
                paired = self._replicates[:, :, k] - self._replicates[:, best[:1], k]
                low, high = interval(paired, self.settings.confidence)
                level[:, k] = (low <= 0) & (high >= 0)
                level[best, k] = True
        return level

    @cached_property
    def _replicates(self) -> Array:
        return resampled_means(self.values, self.settings.resamples, self.settings.seed)
