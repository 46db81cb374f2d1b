"""Is a method better than another, or was it luck? Paired over pictures, by clip; and the spread over seeds.

Pictures of one clip show the same aircraft under the same light, so they are no independent evidence: their
differences are averaged first, and a clip counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.data.folders import group_of
from fgfusion_model.experiments.scores import MethodScores
from fgfusion_model.scoring.bootstrap import interval, resampled_means

CONFIDENCE = 0.95
LEVEL = 0.05  # below, a difference is taken as real
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """A method against another on the same pictures; differences are first - second.

    Attributes:
        first, second: the methods.
        difference: mean over clips of the picture values' difference.
        low, high: its 95 % interval, bootstrap over clips; nan below two clips.
        p: of the two-sided sign-flip test over clips.
        p_holm: corrected for all comparisons of the table.
        clips, pictures: how many both have.
        lead: difference of the main score, mean over seeds; nan where one has none.
        spread: the larger of both methods' standard deviations over seeds; nan with one seed.
        compared: comparisons that `p_holm` is corrected for.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    clips: int
    pictures: int
    lead: float
    spread: float
    compared: int = 1

    @property
    def lowest_p(self) -> float:
        """Return the lowest corrected p that two-sided sign-flip tests over so many clips can give."""
        return float(min(1.0, self.compared * 2.0 ** (1 - self.clips)))

    @property
    def beyond_spread(self) -> bool:
        """Say whether the main scores differ by more than the spread over seeds."""
        return abs(self.lead) > self.spread  # never true for nan

    @property
    def holds(self) -> bool:
        """Say whether the difference may be claimed: beyond the spread, told apart over clips, same sign."""
        return self.beyond_spread and self.p_holm < LEVEL and self.lead * self.difference > 0


def compare(
    first: MethodScores,
    others: Sequence[MethodScores],
    by_picture: str,
    main: str,
    resamples: int,
) -> list[Comparison]:
    """Compare a method with others on the seeds that both have; those without one, or without a common
    picture, are left out.

    Args:
        first: the method whose lead is in question.
        others: the others.
        by_picture: name of the values by picture.
        main: name of the score that seeds spread over.
        resamples: of the tests and intervals.
    """
    found = [_compare(first, other, by_picture, main, resamples) for other in others]
    there = [comparison for comparison in found if comparison is not None]
    corrected = holm([comparison.p for comparison in there])
    return [replace(c, p_holm=p, compared=len(there)) for c, p in zip(there, corrected, strict=True)]


def clip_differences(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Return clip -> mean of first - second over its pictures that both have."""
    found: dict[str, list[float]] = {}
    for stem in sorted(first.keys() & second.keys()):
        found.setdefault(group_of(stem), []).append(first[stem] - second[stem])
    return {clip: float(np.mean(values)) for clip, values in found.items()}


def sign_flip_p(differences: Sequence[float], resamples: int) -> float:
    """Return the two-sided p of a mean of 0, were each difference as likely to have the other sign.

    All sign patterns are counted where there are at most `resamples` of them, else so many drawn ones.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2 or not values.any():
        return 1.0
    from scipy.stats import permutation_test

    result = permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        random_state=np.random.default_rng(0),
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's correction: the k-th smallest of n p times n - k + 1, never falling, at most 1."""
    count, highest = len(p_values), 0.0
    corrected = [0.0] * count
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation over seeds, n - 1 in the denominator; nan below two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _compare(
    first: MethodScores, second: MethodScores, by_picture: str, main: str, resamples: int
) -> Comparison | None:
    seeds = first.results.keys() & second.results.keys()
    first, second = first.of_seeds(seeds), second.of_seeds(seeds)
    values = first.by_picture(by_picture), second.by_picture(by_picture)
    differences = np.array(list(clip_differences(*values).values()))
    if not len(differences):
        return None
    low, high = interval(resampled_means(differences[:, None], resamples, 0), CONFIDENCE)
    p = sign_flip_p(differences.tolist(), resamples)
    scores = [list(method.values(main).values()) for method in (first, second)]
    lead = float(np.mean(scores[0]) - np.mean(scores[1])) if all(scores) else float("nan")
    return Comparison(
        first.name,
        second.name,
        float(differences.mean()),
        float(low[0]),
        float(high[0]),
        p,
        p,
        len(differences),
        len(values[0].keys() & values[1].keys()),
        lead,
        float(np.max([spread(s) for s in scores])),
    )
