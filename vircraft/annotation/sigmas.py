"""OKS sigmas from pictures that were labelled twice.

COCO compares a keypoint with its true place by exp(-d^2 / (2 s^2 k^2)), where d is their distance in pixels,
s^2 the object's area and k = 2 sigma, and takes sigma from pictures that several people labelled:
sigma^2 = E[d^2 / s^2]. It does not say whether d counts there from the true place or from another person's
point. We read it as in the similarity itself, whose letter it is: d is the distance *in the plane* of *one*
annotation from the true place.

Two people whose errors are independent, each with variance t^2 s^2 along x and along y, differ by a vector
with variance 2 t^2 s^2 along each axis:

    E[d_AB^2 / s^2] = 4 t^2,     E[d_A,true^2 / s^2] = 2 t^2 = sigma^2,     so   sigma^2 = E[d_AB^2 / s^2] / 2

With other conventions the same labels give sqrt(2) times as much (d_AB taken as it is) or 1 / sqrt(2) of it
(one coordinate instead of the distance, sigma = t). With ours, two such people score an OKS of 0.8 against
each other on average. An error that both make is not seen: sigma tells how well they agree.

One occasion of left for right outweighs a hundred good points in a mean of squares. The robust sigma comes
from the median instead: d_AB^2 is exponential for normal errors, its mean is its median / ln 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.keypoints import KEYPOINTS

DEFAULT_SIGMA = 0.05  # until a keypoint's own is measured
FEW_PAIRS = 10  # a sigma from fewer is not worth writing down
OUTLYING = 1.5  # a sigma this many times its robust value is made by a few gross differences
RESAMPLES = 1000
_SEED = 20250801
_CHUNK = 100  # resamples at once, which bounds the memory


@dataclass(frozen=True)
class KeypointAgreement:
    """How well two annotators place one keypoint.

    Attributes:
        keypoint: its name.
        pairs: aircraft on which both placed it (visible or occluded).
        rms_px: root mean square distance between the two, in pixels; nan without pairs, as all that follow.
        median_px: median distance.
        rms_relative: root mean square of the distance over the root of the object's area.
        sigma: rms_relative / sqrt(2), see the module.
        sigma_low, sigma_high: 95 % interval of sigma, bootstrap over pictures.
        sigma_robust: from the median, which gross errors do not move.
    """

    keypoint: str
    pairs: int
    rms_px: float
    median_px: float
    rms_relative: float
    sigma: float
    sigma_low: float
    sigma_high: float
    sigma_robust: float

    @property
    def few(self) -> bool:
        """Say whether there are too few pairs to rely on."""
        return self.pairs < FEW_PAIRS

    @property
    def outliers(self) -> bool:
        """Say whether a few gross differences make up the sigma."""
        return self.pairs >= FEW_PAIRS and self.sigma > OUTLYING * self.sigma_robust


def measure_sigmas(
    distance_px: NDArray[np.float64], scale_px: NDArray[np.float64], picture: NDArray[np.intp]
) -> tuple[KeypointAgreement, ...]:
    """Measure the nine keypoints.

    Args:
        distance_px: (N, 9) distance between the two annotators on each of N aircraft; nan where not both
            placed the keypoint.
        scale_px: (N,) root of each object's area.
        picture: (N,) number of the picture that each aircraft is on; pictures are what is resampled.

    Returns:
        In the order of `KEYPOINTS`.
    """
    squares = (distance_px / scale_px[:, None]) ** 2
    low, high = _interval(squares, picture)
    return tuple(
        _agreement(name, distance_px[:, n], squares[:, n], float(low[n]), float(high[n]))
        for n, name in enumerate(KEYPOINTS)
    )


def sigma_table(
    agreements: tuple[KeypointAgreement, ...], least_pairs: int = FEW_PAIRS, *, robust: bool = False
) -> dict[str, float]:
    """Return keypoint -> sigma, as `vircraft export coco --sigmas` takes it.

    Left out are keypoints with fewer pairs and those whose sigma is zero (labels that are copies).
    """
    chosen = {a.keypoint: a.sigma_robust if robust else a.sigma for a in agreements if a.pairs >= least_pairs}
    return {name: round(sigma, 6) for name, sigma in chosen.items() if sigma >= 5e-7}


def _agreement(
    name: str, distance_px: NDArray[np.float64], squares: NDArray[np.float64], low: float, high: float
) -> KeypointAgreement:
    there = ~np.isnan(distance_px)
    pairs = int(there.sum())
    if pairs == 0:
        return KeypointAgreement(name, 0, *[math.nan] * 7)
    d, r = distance_px[there], squares[there]
    return KeypointAgreement(
        keypoint=name,
        pairs=pairs,
        rms_px=float(np.sqrt(np.mean(d**2))),
        median_px=float(np.median(d)),
        rms_relative=float(np.sqrt(r.mean())),
        sigma=float(np.sqrt(r.mean() / 2)),
        sigma_low=low,
        sigma_high=high,
        sigma_robust=float(np.sqrt(np.median(r) / math.log(2) / 2)),
    )


def _interval(
    squares: NDArray[np.float64], picture: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2.5th and 97.5th percentile of sigma over resampled pictures, (9,) each."""
    count = int(picture.max()) + 1 if picture.size else 0
    if count == 0:
        nothing = np.full(squares.shape[1], math.nan)
        return nothing, nothing
    sums = np.zeros((count, squares.shape[1]))
    pairs = np.zeros_like(sums)
    np.add.at(sums, picture, np.nan_to_num(squares))
    np.add.at(pairs, picture, ~np.isnan(squares))
    rng = np.random.default_rng(_SEED)
    drawn = []
    for _ in range(RESAMPLES // _CHUNK):
        times = rng.multinomial(count, np.full(count, 1 / count), size=_CHUNK)  # how often each was drawn
        with np.errstate(invalid="ignore"):  # no pair in a resample
            drawn.append(np.sqrt((times @ sums) / (times @ pairs) / 2))
    sigmas = np.concatenate(drawn)
    low, high = np.full(squares.shape[1], math.nan), np.full(squares.shape[1], math.nan)
    usable = ~np.isnan(sigmas).all(0)
    if usable.any():
        low[usable], high[usable] = np.nanpercentile(sigmas[:, usable], (2.5, 97.5), axis=0)
    return low, high
