"""Follow one object from a frame to the next: where its region goes, and where single points go.

Pyramidal Lucas-Kanade on both pictures of a pair, each evened out first, so that a dim night or a change of
the camera's gain does not matter. All coordinates are pixels of the infrared grid, pixel centres at integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2)
Region = NDArray[np.uint8]  # (H, W), 1 where the object is
Layer = NDArray[np.uint8]  # (H, W), a picture evened out
Model = Literal["shift", "similarity", "affine"]

_EVEN_WINDOW = (57, 57)  # pictures are evened out over about an engine's size
_SEARCH_SIDE_PX = 96  # the object is reduced to this before it is searched for
_DISTANCE_COST = 0.3  # of correlation, for a shift by the picture's diagonal
_TRACKS = 200  # in each picture
_WINDOW_PX = 11
_POINT_WINDOW_PX = 9  # single points: small, since a wing tip moves against what is behind it
_RETURN_PX = 0.7  # a track must come back to within this
_TOLERANCE = 3.0 / 640  # of the width: parallax on one aircraft is no outlier
_LEAST_SIMILARITY = 3  # tracks
_LEAST_AFFINE = 8
_LEAST_SPREAD = 0.02  # of their extent, across the narrow direction, for an affine model
_POINT_LIKENESS = 0.8  # correlation of a point's surroundings before and after
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.01)


@dataclass(frozen=True, eq=False)
class FramePictures:
    """The two pictures of a pair.

    Attributes:
        infrared: (H, W) uint8 or uint16.
        visible: (H, W, 3) uint8 BGR on the infrared grid; None when there is none.
    """

    infrared: NDArray[np.generic]
    visible: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.infrared.ndim != 2:
            raise ValueError(f"infrared has shape {self.infrared.shape}; it is (H, W)")
        if self.visible is not None and self.visible.shape != (*self.infrared.shape, 3):
            raise ValueError(f"visible has shape {self.visible.shape}; it is {(*self.infrared.shape, 3)}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self.infrared.shape[1], self.infrared.shape[0]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Return what is tracked on: infrared first, each evened out."""
        grey = [self.infrared]
        if self.visible is not None:
            grey.append(np.asarray(cv2.cvtColor(self.visible, cv2.COLOR_BGR2GRAY)))
        return tuple(_evened(layer) for layer in grey)


@dataclass(frozen=True, eq=False)
class Motion:
    """How a region moved: one model for all of it, and how single places depart from that.

    Attributes:
        matrix: (2, 3), pixels before to pixels after.
        model: what `matrix` is.
        tracks: (N, 2) places before of the tracks that agree with it.
        residuals: (N, 2) by how much each of them departs, pixels.
        likeness: correlation of the region before and after, -1 to 1; the better one of the pictures.
    """

    matrix: Points
    model: Model
    tracks: Points = field(default_factory=lambda: np.zeros((0, 2)))
    residuals: Points = field(default_factory=lambda: np.zeros((0, 2)))
    likeness: float = 0.0

    def move(self, points: Points) -> Points:
        """Move (N, 2) points by the model alone."""
        return np.asarray(points @ self.matrix[:, :2].T + self.matrix[:, 2])

    def bend(self, points: Points, reach_px: float, anchors: tuple[Points, Points] | None = None) -> Points:
        """Move (N, 2) points by the model and by what the tracks near each of them add to it.

        Args:
            points: before.
            reach_px: standard deviation of the Gaussian that weights the tracks.
            anchors: more places before and after, each counted as much as ten tracks.
        """
        places, residuals = self.tracks, self.residuals
        weights = np.ones(len(places))
        if anchors is not None and len(anchors[0]):
            places = np.vstack([places, anchors[0]])
            residuals = np.vstack([residuals, anchors[1] - self.move(anchors[0])])
            weights = np.append(weights, np.full(len(anchors[0]), 10.0))
        if not len(places) or not len(points):
            return self.move(points)
        distance2 = ((points[:, None] - places[None]) ** 2).sum(2)
        near = weights * np.exp(-distance2 / (2 * reach_px**2))
        return np.asarray(self.move(points) + near @ residuals / (near.sum(1, keepdims=True) + 1.0))


def find_motion(region: Region, before: FramePictures, after: FramePictures) -> Motion:
    """Find where a region went: first as a whole, then by its tracks.

    The model is the simplest that the tracks support: a shift for fewer than three of them, affine for many
    that spread in two directions, else a similarity.

    Args:
        region: (H, W), not empty.
        before: the frame that the region lies on.
        after: the frame to find it on, of the same size.
    """
    shift = _search(region, before.layers[0], after.layers[0])
    guess = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    pairs = [_tracks(region, a, b, guess) for a, b in zip(before.layers, after.layers, strict=False)]
    start, end = (np.vstack([pair[k] for pair in pairs]) for k in (0, 1))
    matrix, model, agree = _fit(start, end, guess, max(1.5, _TOLERANCE * region.shape[1]))
    motion = Motion(matrix, model)
    likeness = max(_likeness(matrix, region, a, b) for a, b in zip(before.layers, after.layers, strict=False))
    residuals = end[agree] - motion.move(start[agree])
    return Motion(matrix, model, start[agree], residuals, likeness)


def follow_points(
    points: Points, guesses: Points, before: FramePictures, after: FramePictures, reach_px: float
) -> tuple[Points, NDArray[np.bool_]]:
    """Follow single points; the visible picture, which is off by its registration, is asked last.

    Args:
        points: (N, 2) before.
        guesses: (N, 2) where each should be after.
        before, after: the frames.
        reach_px: how far from its guess a point may be found.

    Returns:
        Places after (the guess where nothing was found), and whether each was found.
    """
    there, found = guesses.copy(), np.zeros(len(points), np.bool_)
    for a, b in zip(before.layers, after.layers, strict=False):
        if found.all():
            break
        places, good = _round_trip(a, b, points, guesses, _POINT_WINDOW_PX, levels=1)
        good &= np.hypot(*(places - guesses).T) < reach_px
        for k in np.flatnonzero(good & ~found):
            if _patch_likeness(a, b, points[k], places[k]) > _POINT_LIKENESS:
                there[k], found[k] = places[k], True
    return there, found


def paint_region(outlines: Sequence[Points], size_wh: tuple[int, int], grow_px: int = 2) -> Region:
    """Return the region inside outlines, grown a little so that its edge takes part."""
    region = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    limit = 4.0 * max(size_wh)  # OpenCV's fixed-point coordinates overflow far outside
    for outline in outlines:
        vertices = np.round(np.clip(outline, -limit, limit) * 16).astype(np.int32)
        cv2.fillPoly(region, [vertices], (1,), shift=4)
    if grow_px:
        region = np.asarray(cv2.dilate(region, np.ones((2 * grow_px + 1,) * 2, np.uint8)), np.uint8)
    return region


def _evened(picture: NDArray[np.generic]) -> Layer:
    """Take away the local mean and divide by the local spread; noise alone stays weak."""
    grey = picture.astype(np.float32)
    if picture.dtype != np.uint8:  # to the span of 8 bit, whatever the span of the sensor
        low, high = (float(q) for q in np.quantile(grey, (0.01, 0.99)))
        grey = (grey - np.float32(low)) * np.float32(200.0 / max(high - low, 1.0))
    mean = cv2.stackBlur(grey, _EVEN_WINDOW)
    variance = cv2.stackBlur((grey - mean) ** 2, _EVEN_WINDOW)
    spread = np.sqrt(np.maximum(variance, 0))  # rounding may leave it just below
    return np.asarray(np.clip(127 + 50 * (grey - mean) / (spread + 4), 0, 255), np.uint8)


def _search(region: Region, before: Layer, after: Layer) -> tuple[float, float]:
    """Return the shift (x, y) in pixels under which the region is found again, nearer ones preferred."""
    x, y, w, h = cv2.boundingRect(region)
    scale = min(1.0, _SEARCH_SIDE_PX / max(w, h))
    window = (slice(y, y + h), slice(x, x + w))
    template, mask, scene = (_reduced(p, scale) for p in (before[window], region[window], after))
    pad = max(template.shape) // 3  # it may go a third of itself out of the picture
    scene = np.asarray(cv2.copyMakeBorder(scene, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=127))
    if scene.shape[0] < template.shape[0] or scene.shape[1] < template.shape[1]:
        return 0.0, 0.0
    response = np.asarray(cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED, mask=mask))
    response = np.where(np.isfinite(response), np.clip(response, -1, 1), -1)
    rows, columns = np.mgrid[: response.shape[0], : response.shape[1]]
    shift_x, shift_y = (columns - pad) / scale - x, (rows - pad) / scale - y
    cost = _DISTANCE_COST * np.hypot(shift_x, shift_y) / np.hypot(*region.shape)
    best = np.unravel_index((response - cost).argmax(), response.shape)
    return float(shift_x[best]), float(shift_y[best])


def _reduced(picture: Layer, scale: float) -> NDArray[np.float32]:
    small = picture.astype(np.float32)
    if scale < 1:
        small = np.asarray(
            cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32
        )
    return small


def _tracks(region: Region, before: Layer, after: Layer, guess: Points) -> tuple[Points, Points]:
    """Return the corners of a region before and after, those that come back only."""
    corners = cv2.goodFeaturesToTrack(before, _TRACKS, 0.01, 5, mask=region)
    if corners is None:
        return np.zeros((0, 2)), np.zeros((0, 2))
    start = np.asarray(corners, np.float64).reshape(-1, 2)
    end, good = _round_trip(before, after, start, start + guess[:, 2], _WINDOW_PX, levels=2)
    return start[good], end[good]


def _round_trip(
    before: Layer, after: Layer, start: Points, guesses: Points, window_px: int, levels: int
) -> tuple[Points, NDArray[np.bool_]]:
    """Track points there and back; return the places there and which came back to where they were."""

    def track(a: Layer, b: Layer, from_: Points, to: Points) -> tuple[Points, NDArray[np.bool_]]:
        known, guessed = (np.array(p, np.float32, order="C").reshape(-1, 1, 2) for p in (from_, to))
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            *(a, b, known, guessed),
            winSize=(window_px, window_px),
            maxLevel=levels,
            criteria=_STOP,
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )
        return np.asarray(found, np.float64)[:, 0], np.asarray(status)[:, 0] > 0

    there, went = track(before, after, start, guesses)
    back, came = track(after, before, there, start)
    return there, went & came & (np.hypot(*(back - start).T) < _RETURN_PX)


def _fit(
    start: Points, end: Points, guess: Points, tolerance_px: float
) -> tuple[Points, Model, NDArray[np.bool_]]:
    """Return the model's matrix, its name and which tracks agree with it."""
    if len(start) >= _LEAST_AFFINE:
        fitted, votes = cv2.estimateAffine2D(start, end, None, cv2.RANSAC, tolerance_px)
        matrix, agree = np.asarray(fitted, np.float64), np.ravel(np.asarray(votes)) > 0
        if fitted is not None and _affine_holds(matrix, start[agree]):
            return matrix, "affine", agree
    if len(start) >= _LEAST_SIMILARITY:
        fitted, votes = cv2.estimateAffinePartial2D(start, end, None, cv2.RANSAC, tolerance_px)
        matrix, agree = np.asarray(fitted, np.float64), np.ravel(np.asarray(votes)) > 0
        if fitted is not None and agree.sum() >= _LEAST_SIMILARITY and _sane(matrix):
            return matrix, "similarity", agree
    return guess, "shift", np.hypot(*(end - start - guess[:, 2]).T) < tolerance_px


def _affine_holds(matrix: Points, start: Points) -> bool:
    """Say whether tracks are enough, and spread enough across, to tell an affine model."""
    if len(start) < _LEAST_AFFINE or not _sane(matrix):
        return False
    spread = np.linalg.svd(start - start.mean(0), compute_uv=False) / np.sqrt(len(start))
    return bool(spread[1] > max(_LEAST_SPREAD * spread[0], 2.0))


def _sane(matrix: Points) -> bool:
    """Say whether the object kept about its size: between two frames nothing grows by half."""
    stretch = np.linalg.svd(matrix[:, :2], compute_uv=False)
    return bool(np.linalg.det(matrix[:, :2]) > 0 and stretch[0] < 1.5 and stretch[1] > 1 / 1.5)


def _likeness(matrix: Points, region: Region, before: Layer, after: Layer) -> float:
    """Return the correlation of a region with itself on the next frame; 0 where too little stays in view."""
    size = (region.shape[1], region.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(after, matrix, size, flags=flags))
    seen = np.asarray(cv2.warpAffine(np.ones_like(after), matrix, size, flags=flags)) > 0
    inside = (region > 0) & seen
    if inside.sum() < max(30, 0.3 * region.sum()):
        return 0.0
    return _correlation(before[inside], moved[inside])


def _patch_likeness(before: Layer, after: Layer, place: Points, found: Points) -> float:
    side = (_POINT_WINDOW_PX, _POINT_WINDOW_PX)
    a, b = (
        np.asarray(cv2.getRectSubPix(layer, side, (float(p[0]), float(p[1]))))
        for layer, p in ((before, place), (after, found))
    )
    return _correlation(a, b)


def _correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    x, y = (np.asarray(v, np.float32).ravel() - np.float32(v.mean()) for v in (a, b))
    xx, yy, xy = (float((p * q).sum(dtype=np.float64)) for p, q in ((x, x), (y, y), (x, y)))
    return xy / math.sqrt(max(xx * yy, 1e-9))
