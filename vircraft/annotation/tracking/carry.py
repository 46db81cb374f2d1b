"""Carry the labels of one frame to the next.

Each aircraft is followed as a whole, then its visible keypoints one by one, then the hidden ones by the
aircraft's symmetry, and last its outline, bent so that it goes along with all of them. Nothing that was not
on the first frame is made up: a keypoint that comes into view, or the rest of an aircraft that was cut by the
picture's edge, is for a person to draw.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vircraft.annotation.documents import RuleError
from vircraft.annotation.labelme import LabelFile, Point, Shape
from vircraft.annotation.outlines import circle_polygon
from vircraft.annotation.polygons import clip_to_picture, pixel_count
from vircraft.annotation.tracking.motion import (
    FramePictures,
    Motion,
    Points,
    find_motion,
    follow_points,
    paint_region,
)
from vircraft.annotation.tracking.symmetry import predict_hidden

_BEND_REACH = 0.05  # of the aircraft's diagonal: how far a track speaks for the outline about it
_POINT_REACH = 0.04  # of the diagonal: a keypoint is looked for this far from where the tracks put it
_BOX_FITS_PX = 2.0  # a box this near the outline's extent follows it
_BOX_MARGIN = 0.1  # of the keypoints' extent, where they alone say where the aircraft is
_LEAST_DIAGONAL_PX = 8.0
_LEAST_REACH_PX = 3.0
_UNLIKE, _LOST = 3.2, 0.31  # cost of an aircraft that looks different, and of keypoints not found again
_OPEN_EDGE = 0.05  # of the diagonal; when a cut aircraft has come in by this much the confidence is a third
_HIDDEN_FLAGS = ("occluded", "invisible")
_STIFF = ("circle", "oriented_rectangle")  # keep their form


@dataclass(frozen=True)
class Carried:
    """Labels carried to the next frame.

    Attributes:
        labels: on the next frame, cut at the picture's edge; without shapes when all have left the picture.
        confidence: 0 to 1, of the least sure aircraft.
        whole: the same labels before they were cut, to be carried on.
    """

    labels: LabelFile
    confidence: float
    whole: LabelFile


def can_be_carried(labels: LabelFile) -> bool:
    """Say whether there is something to carry: shapes, and no mask among them."""
    kinds: set[str] = {shape.shape_type for shape in labels.shapes}
    return bool(kinds) and "mask" not in kinds


def carry_labels(labels: LabelFile, before: FramePictures, after: FramePictures) -> Carried:
    """Carry labels from one frame to the next.

    Shapes keep label, type, group, flags and order. What leaves the picture is cut off: an outline may become
    several, a keypoint is left out.

    Args:
        labels: of `before`.
        before, after: the pictures, all of the labels' size.

    Raises:
        ValueError: the sizes differ, there is no shape, or one is a mask.
    """
    if not labels.size_wh == before.size_wh == after.size_wh:
        raise ValueError(
            f"labels are for {labels.size_wh}, the pictures are {before.size_wh} and {after.size_wh}"
        )
    if not can_be_carried(labels):
        raise ValueError("nothing to carry: no shapes, or one is a mask; draw an outline instead")
    moved: dict[int, Shape] = {}
    confidence = 1.0
    for numbers in _groups(labels.shapes):
        shapes, sure = _carry_group([labels.shapes[n] for n in numbers], before, after)
        moved.update(zip(numbers, shapes, strict=True))
        confidence = min(confidence, sure)
    whole = replace(labels, shapes=tuple(moved[n] for n in sorted(moved)))
    return Carried(cut_to_picture(whole), confidence, whole)


def carry_on(labels: LabelFile, frames: Iterable[FramePictures]) -> Iterator[Carried]:
    """Carry labels along a clip, from frame to frame, until nothing of them is in the picture.

    Args:
        labels: of the first frame.
        frames: in order.

    Yields:
        The labels on the second frame, the third and so on, with the confidence of the whole way there.
    """
    drawn, tracked = labels, 1.0
    for before, after in itertools.pairwise(frames):
        step = carry_labels(labels, before, after)
        if not step.labels.shapes:
            return
        labels, tracked = step.whole, tracked * step.confidence
        yield replace(step, confidence=tracked * math.exp(-open_edge(drawn, labels) / _OPEN_EDGE))


def open_edge(source: LabelFile, carried: LabelFile) -> float:
    """Say how far an outline that the picture's edge had cut has come in, as a share of its diagonal.

    What was beyond the edge is then in view and no outline is there for it.

    Args:
        source: the labels as drawn.
        carried: the same shapes later, not cut.
    """
    widest = 0.0
    for was, now in zip(source.shapes, carried.shapes, strict=True):
        if was.shape_type == "point":
            continue
        before, after = np.array(was.points), np.array(now.points)
        diagonal = max(float(np.hypot(*np.ptp(before, axis=0))), _LEAST_DIAGONAL_PX)
        limit = np.array(source.size_wh) - 1.0
        for on_edge, depth in ((before < 0.5, after), (before > limit - 0.5, limit - after)):
            inward = np.where(on_edge, depth, 0.0)
            widest = max(widest, float(inward.max()) / diagonal)
    return widest


def cut_to_picture(labels: LabelFile) -> LabelFile:
    """Cut off what lies outside the picture; an aircraft without any outline or box left goes as a whole."""
    kept: dict[int, list[Shape]] = {}
    for numbers in _groups(labels.shapes):
        pieces = {n: _cut(labels.shapes[n], labels.size_wh) for n in numbers}
        drawn = [n for n in numbers if labels.shapes[n].shape_type != "point"]
        if not drawn or any(pieces[n] for n in drawn):
            kept.update(pieces)
    return replace(labels, shapes=tuple(shape for n in sorted(kept) for shape in kept[n]))


def _groups(shapes: Sequence[Shape]) -> list[list[int]]:
    """Return the positions of the shapes of each aircraft."""
    groups: dict[int | None, list[int]] = {}
    for n, shape in enumerate(shapes):
        groups.setdefault(shape.group_id, []).append(n)
    return list(groups.values())


@dataclass(frozen=True)
class Evidence:
    """What one step of one aircraft rests on.

    Attributes:
        likeness: correlation of the aircraft with itself on the next frame.
        found: of the visible keypoints, the share that was found again; 1 when there are none.
    """

    likeness: float
    found: float

    def confidence(self) -> float:
        """Return 0 to 1: about the chance that little is left to correct (see `benchmarks/propose.py`).

        Fitted on simulated approaches, together with frames from which the aircraft was gone.
        """
        return math.exp(-_UNLIKE * min(1 - self.likeness, 1.0) ** 2 - _LOST * (1 - self.found))


@dataclass(frozen=True)
class _Keypoints:
    """Where the points of one aircraft went, by their numbers among its shapes."""

    places: Mapping[int, Points]
    found: frozenset[int]  # seen on the next frame
    told: frozenset[int]  # by the symmetry


def _carry_group(
    shapes: Sequence[Shape], before: FramePictures, after: FramePictures
) -> tuple[list[Shape], float]:
    """Carry one aircraft; return its shapes, not cut, and how sure that is."""
    region = paint_region(_outlines(shapes), before.size_wh)
    if not region.any():  # it has left the picture
        return list(shapes), 1.0
    vertices = np.vstack([shape.points for shape in shapes])
    diagonal = max(float(np.hypot(*np.ptp(vertices, axis=0))), _LEAST_DIAGONAL_PX)
    motion = find_motion(region, before, after)
    points = _follow_keypoints(shapes, motion, before, after, diagonal)
    sure = sorted(points.found | points.told)
    anchors = (
        np.array([shapes[n].points[0] for n in sure]).reshape(-1, 2),
        np.array([points.places[n] for n in sure]).reshape(-1, 2),
    )
    moved = [
        _with_points(shape, points.places[n][None])
        if n in points.places
        else _move_shape(shape, motion, diagonal * _BEND_REACH, anchors)
        for n, shape in enumerate(shapes)
    ]
    visible = sum(map(_is_visible, shapes))
    found = len(points.found) / visible if visible else 1.0
    evidence = Evidence(motion.likeness, found)
    return _fit_boxes(shapes, moved), evidence.confidence()


def _follow_keypoints(
    shapes: Sequence[Shape], motion: Motion, before: FramePictures, after: FramePictures, diagonal: float
) -> _Keypoints:
    start = {n: np.array(s.points[0]) for n, s in enumerate(shapes) if s.shape_type == "point"}
    if not start:
        return _Keypoints({}, frozenset(), frozenset())
    guesses = motion.bend(np.array(list(start.values())), diagonal * _BEND_REACH)
    places = dict(zip(start, guesses, strict=True))
    visible = [n for n in start if _is_visible(shapes[n])]
    here, there = (np.array([p[n] for n in visible]).reshape(-1, 2) for p in (start, places))
    reach_px = max(diagonal * _POINT_REACH, _LEAST_REACH_PX)
    followed, good = follow_points(here, there, before, after, reach_px)
    places.update(zip(visible, followed, strict=True))
    found = frozenset(n for n, ok in zip(visible, good, strict=True) if ok)
    number = {shapes[n].label: n for n in reversed(start)}  # the first one of a name drawn twice
    hidden = predict_hidden(
        {name: start[n] for name, n in number.items()},
        {name: motion.move(start[n][None])[0] for name, n in number.items()},
        {name: places[n] for name, n in number.items() if n in found},
    )
    places.update({number[name]: place for name, place in hidden.items()})
    return _Keypoints(places, found, frozenset(number[name] for name in hidden))


def _move_shape(shape: Shape, motion: Motion, reach_px: float, anchors: tuple[Points, Points]) -> Shape:
    points = np.array(shape.points)
    if shape.shape_type == "rectangle":
        return _with_points(shape, _move_box(points, motion))
    if shape.shape_type in _STIFF:
        middle = points.mean(0)
        return _with_points(shape, (points - middle) @ _turn_and_grow(motion).T + motion.move(middle[None]))
    return _with_points(shape, motion.bend(points, reach_px, anchors))


def _move_box(corners: Points, motion: Motion) -> Points:
    """Move the middles of a box's sides; moved corners would blow the box up when it turns."""
    low, high = corners.min(0), corners.max(0)
    x, y = (low + high) / 2
    left, right, top, bottom = motion.move(np.array([[low[0], y], [high[0], y], [x, low[1]], [x, high[1]]]))
    return np.array([[left[0], top[1]], [right[0], bottom[1]]])


def _turn_and_grow(motion: Motion) -> Points:
    """Return the (2, 2) rotation times scale that is nearest to the motion."""
    u, stretch, vt = np.linalg.svd(motion.matrix[:, :2])
    return np.asarray(u @ vt * stretch.mean())


def _fit_boxes(shapes: Sequence[Shape], moved: Sequence[Shape]) -> list[Shape]:
    """Let a box follow the outline's extent where it did so before."""
    outlined = [n for n, shape in enumerate(shapes) if shape.shape_type == "polygon"]
    if not outlined:
        return list(moved)
    before, after = (_extent([s[n] for n in outlined]) for s in (shapes, moved))
    return [
        _with_points(now, after)
        if was.shape_type == "rectangle" and np.abs(_extent([was]) - before).max() < _BOX_FITS_PX
        else now
        for was, now in zip(shapes, moved, strict=True)
    ]


def _extent(shapes: Sequence[Shape]) -> Points:
    points = np.vstack([shape.points for shape in shapes])
    return np.array([points.min(0), points.max(0)])


def _outlines(shapes: Sequence[Shape]) -> list[Points]:
    """Return polygons that hold the aircraft: its outlines, else its box, else what its keypoints span."""
    drawn = [s for s in shapes if s.shape_type not in ("point", "rectangle") and not s.flags.get("hole")]
    drawn = [s for s in drawn if s.shape_type == "circle" or len(s.points) > 2]
    drawn = drawn or [s for s in shapes if s.shape_type == "rectangle"]
    if drawn:
        return [_as_polygon(shape) for shape in drawn]
    low, high = _extent(shapes)
    margin = max(_BOX_MARGIN * float(np.hypot(*(high - low))), _LEAST_DIAGONAL_PX)
    return [_corners(low - margin, high + margin)]


def _as_polygon(shape: Shape) -> Points:
    points = np.array(shape.points)
    if shape.shape_type == "rectangle":
        return _corners(points.min(0), points.max(0))
    if shape.shape_type == "circle":
        try:
            return np.array(circle_polygon(shape.points))
        except RuleError:  # it has no size
            return np.repeat(points[:1], 3, axis=0)
    return points


def _corners(low: Points, high: Points) -> Points:
    return np.array([low, [high[0], low[1]], high, [low[0], high[1]]])


def _cut(shape: Shape, size_wh: tuple[int, int]) -> list[Shape]:
    """Return what is inside the picture of one shape; others than polygon and box stay whole."""
    limit = np.array(size_wh) - 0.5
    points = np.array(shape.points)
    if shape.shape_type == "point":
        return [shape] if bool(((points >= -0.5) & (points <= limit)).all()) else []
    if shape.shape_type == "rectangle":
        low, high = np.clip(points.min(0), -0.5, limit), np.clip(points.max(0), -0.5, limit)
        return [_with_points(shape, np.array([low, high]))] if (high > low).all() else []
    if shape.shape_type == "polygon":
        pieces = clip_to_picture(points, size_wh)
        return [_with_points(shape, piece) for piece in pieces if pixel_count([piece], size_wh) > 0]
    if shape.shape_type in _STIFF:
        return [shape] if clip_to_picture(_as_polygon(shape), size_wh) else []
    return [shape] if bool(((points >= -0.5) & (points <= limit)).all(1).any()) else []


def _is_visible(shape: Shape) -> bool:
    return shape.shape_type == "point" and not any(shape.flags.get(name) for name in _HIDDEN_FLAGS)


def _with_points(shape: Shape, points: Points) -> Shape:
    places: tuple[Point, ...] = tuple((float(x), float(y)) for x, y in points)
    return replace(shape, points=places)
