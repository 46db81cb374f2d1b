"""Do the keypoints, the outline and the box of an aircraft belong together? What one picture tells.

Distances are in pixels; `size` is the longer side of the aircraft. Thresholds were set on simulated aircraft
200 to 540 pixels long, with exact and with hand-like labels; `benchmarks/check.py` measures them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.annotation import masks
from vircraft.annotation.checking.findings import BOX, Finding
from vircraft.annotation.checking.sides import find_wrong_sides
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, Visibility
from vircraft.annotation.picture import Annotation, PictureAnnotations

# A visible keypoint may lie this far off the outline: 3 px + 1.5 % of the aircraft. Hand-like outlines
# (simplified by 2 px, corners off by 1 px) leave 99.9 % of the points within 3.7 px, all within 5.2: a wing
# tip is thin.
OFF_PX, OFF_SHARE = 3.0, 0.015
# What hides a point may hide the outline there, too; so an occluded one is remarked on only far away.
OFF_OCCLUDED_SHARE = 0.25
# From this many points off on, it is the outline that is wrong, not each of them.
MANY_OFF, MANY_OFF_SHARE = 3, 1 / 3
# Nine points span the aircraft but for its tailplane, engines and wheels: those reach up to 0.20 further.
BEYOND_SHARE = 0.30
# The truth's boxes and outlines agree to 0.1 px; people draw boxes to a few pixels.
BOX_PX, BOX_SHARE = 4.0, 0.04
# Pieces of one aircraft (behind a mast, say) lie closer than this, in sizes of the larger one, unless one of
# them is a speck.
APART_SHARE, SPECK_SHARE = 0.5, 0.1
# A piece that is half as large as the largest has keypoints, when so many are placed.
HALF_SHARE, ENOUGH_POINTS = 0.5, 5
MOST_COMPARED = 50  # aircraft on one picture, up to which a stray point is looked for on the others

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def find_in_picture(labels: PictureAnnotations) -> list[Finding]:
    """Return what is implausible about the labels of one picture, taken by themselves."""
    single = [one for one in labels.annotations if not one.crowd]
    covers = [_Cover.of(one) for one in single]
    findings = []
    others = list(zip(single, covers, strict=True)) if len(single) <= MOST_COMPARED else []
    for one, cover in zip(single, covers, strict=True):
        if cover is not None:
            findings += _find_off_outline(one, cover, others)
            findings += _find_pieces_apart(one, cover)
        findings += _find_wrong_box(one, cover)
        findings += find_wrong_sides(one)
    return findings


def placed_points(one: Annotation) -> dict[str, tuple[float, float, Visibility]]:
    """Return the keypoints that are placed, by name."""
    return {name: p for name, p in zip(KEYPOINTS, one.keypoints, strict=True) if p[2]}


def name_of(one: Annotation) -> str:
    """Return what to call an aircraft in a message."""
    return "" if one.group_id is None else f" of group {one.group_id}"


@dataclass(frozen=True)
class _Cover:
    """Where the outline of an aircraft lies.

    Attributes:
        contours: the polygons, each (N, 2) float32.
        rectangles: (N, 4) left, top, right, bottom that make up the mask, where it is no polygons.
        box: extent.
    """

    contours: tuple[NDArray[np.float32], ...]
    rectangles: NDArray[np.float64] | None
    box: Box

    @classmethod
    def of(cls, one: Annotation) -> _Cover | None:
        """Return the cover of an annotation; None when it has a box only."""
        if one.polygons:
            contours = tuple(np.array(piece, np.float32) for piece in one.polygons)
            return cls(contours, None, _extent(contours))
        if one.rle is None:
            return None
        rectangles = _mask_rectangles(one.rle)
        if not len(rectangles):
            return None
        return cls((), rectangles, _extent((rectangles[:, :2], rectangles[:, 2:])))

    @property
    def size(self) -> float:
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def distance(self, x: float, y: float) -> float:
        """Return how far a point lies outside; 0 or less when it is inside."""
        if self.rectangles is None:
            return -max(cv2.pointPolygonTest(contour, (x, y), True) for contour in self.contours)
        low, high = self.rectangles[:, :2], self.rectangles[:, 2:]
        off = np.maximum(np.maximum(low - (x, y), (x, y) - high), 0)
        return float(np.hypot(off[:, 0], off[:, 1]).min())


def _extent(parts: Sequence[NDArray[Any]]) -> Box:
    low = np.min([part.min(0) for part in parts], axis=0)
    high = np.max([part.max(0) for part in parts], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _mask_rectangles(rle: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return (N, 4) rectangles that cover a mask's pixels: a run is one, at most three where it goes on."""
    height, width = rle["size"]
    flips = masks.toggles(rle)
    starts, ends = flips[::2], np.append(flips[1::2], width * height)[: len(flips[::2])]
    first, last = starts // height, (ends - 1) // height
    top, bottom = starts % height, (ends - 1) % height + 1
    one = first == last
    parts = [np.stack([first, top, first + 1, np.where(one, bottom, height)], axis=1)]
    more = np.flatnonzero(~one)
    zero = np.zeros(len(more), np.int64)
    parts.append(np.stack([last[more], zero, last[more] + 1, bottom[more]], axis=1))
    middle = more[last[more] - first[more] > 1]
    zero = np.zeros(len(middle), np.int64)
    parts.append(np.stack([first[middle] + 1, zero, last[middle], zero + height], axis=1))
    return np.concatenate(parts) - 0.5


def _find_off_outline(
    one: Annotation, cover: _Cover, others: Sequence[tuple[Annotation, _Cover | None]]
) -> list[Finding]:
    points = placed_points(one)
    allowed = OFF_PX + OFF_SHARE * cover.size
    off: dict[str, float] = {}
    for name, (x, y, seen) in points.items():
        limit = allowed if seen is Visibility.VISIBLE else max(allowed, OFF_OCCLUDED_SHARE * cover.size)
        if (distance := cover.distance(x, y)) > limit:
            off[name] = distance
    findings = []
    for name in list(off):
        x, y, _ = points[name]
        for other, there in others:
            if other is not one and there is not None and there.distance(x, y) <= 0:
                findings.append(
                    Finding(
                        "mixed-groups",
                        f"{name}{name_of(one)} lies {off.pop(name):.0f} px off its own outline and on that"
                        f"{name_of(other)}; correct its group id",
                        one.group_id,
                        name,
                    )
                )
                break
    if len(off) >= max(MANY_OFF, MANY_OFF_SHARE * len(points)):
        return [*findings, _misses(one, cover, off, len(points))]
    for name, distance in off.items():
        share = 100 * distance / cover.size
        text = f"{name} lies {distance:.1f} px ({share:.0f} % of the aircraft) off the outline{name_of(one)}"
        text += f"; at most {allowed:.1f} px are usual: move it or mend the outline"
        findings.append(Finding("keypoint-off-outline", text, one.group_id, name))
    return findings + _find_reaching_beyond(one, cover, points)


def _misses(one: Annotation, cover: _Cover, off: Mapping[str, float], count: int) -> Finding:
    farthest = max(off, key=lambda name: off[name])
    return Finding(
        "outline-misses-keypoints",
        f"{len(off)} of {count} keypoints lie off the outline{name_of(one)}, {farthest} farthest with "
        f"{off[farthest]:.0f} px ({100 * off[farthest] / cover.size:.0f} % of the aircraft); "
        "is it the outline of another aircraft or frame, or was it moved?",
        one.group_id,
        AIRCRAFT,
    )


def _find_reaching_beyond(one: Annotation, cover: _Cover, points: Mapping[str, Any]) -> list[Finding]:
    """Find an outline that reaches far beyond its keypoints; only all nine tell how far it should."""
    if len(points) < len(KEYPOINTS):
        return []
    xs, ys = [p[0] for p in points.values()], [p[1] for p in points.values()]
    size = max(max(xs) - min(xs), max(ys) - min(ys), 1.0)
    left, top, right, bottom = cover.box
    beyond = max(min(xs) - left, min(ys) - top, right - max(xs), bottom - max(ys)) / size
    if beyond <= BEYOND_SHARE:
        return []
    text = (
        f"the outline{name_of(one)} reaches {beyond * size:.0f} px ({100 * beyond:.0f} % of the aircraft) "
        "beyond its nine keypoints; does it take in something else, or are the points another's?"
    )
    return [Finding("outline-misses-keypoints", text, one.group_id, AIRCRAFT)]


def _find_pieces_apart(one: Annotation, cover: _Cover) -> list[Finding]:
    """Find two outlines of about one size far apart: two aircraft under one group id."""
    if len(cover.contours) < 2:
        return []
    boxes = [_extent((contour,)) for contour in cover.contours]
    sizes = [max(b[2] - b[0], b[3] - b[1]) for b in boxes]
    largest = max(range(len(boxes)), key=lambda n: sizes[n])
    points = list(placed_points(one).values())
    for n, box in enumerate(boxes):
        if n == largest or sizes[n] < SPECK_SHARE * sizes[largest]:
            continue
        gap = _gap(box, boxes[largest])
        bare = sizes[n] > HALF_SHARE * sizes[largest] and len(points) >= ENOUGH_POINTS and gap > 0
        if gap > APART_SHARE * sizes[largest] or (
            bare and all(_gap((p[0], p[1], p[0], p[1]), box) > 0 for p in points)
        ):
            text = (
                f"outlines of {sizes[largest]:.0f} and {sizes[n]:.0f} px lie {gap:.0f} px apart under one "
                f"group id{name_of(one).replace(' of group', ',')}; give each aircraft a number of its own"
            )
            return [Finding("mixed-groups", text, one.group_id, AIRCRAFT)]
    return []


def _gap(a: Box, b: Box) -> float:
    return math.hypot(max(a[0] - b[2], b[0] - a[2], 0.0), max(a[1] - b[3], b[1] - a[3], 0.0))


def _find_wrong_box(one: Annotation, cover: _Cover | None) -> list[Finding]:
    """Compare the box with the outline, and the keypoints with the box."""
    findings = []
    left, top, right, bottom = one.box_xyxy
    size = max(right - left, bottom - top)
    if cover is not None:
        side, off = _worst_side(one, cover)
        if off > BOX_PX + BOX_SHARE * cover.size:
            text = (
                f"the {side} side of the box{name_of(one)} is {off:.0f} px from that of the outline; "
                "draw the box again, or delete it: the outline has one of its own"
            )
            findings.append(Finding("box-misfit", text, one.group_id, BOX))
        return findings  # the points are compared with the outline
    for name, (x, y, seen) in placed_points(one).items():
        off = _gap((x, y, x, y), one.box_xyxy)
        usual = OFF_PX + OFF_SHARE * size
        if off > (usual if seen is Visibility.VISIBLE else OFF_OCCLUDED_SHARE * size):
            text = f"{name} lies {off:.1f} px outside the box{name_of(one)}; move it, or draw the box again"
            findings.append(Finding("keypoint-off-box", text, one.group_id, name))
    return findings


def _worst_side(one: Annotation, cover: _Cover) -> tuple[str, float]:
    """Return the side of the box that is farthest from where it should be, and how far.

    A box may go on to where hidden keypoints are.
    """
    points = [(x, y) for x, y, _ in placed_points(one).values()]
    left, top, right, bottom = cover.box
    wide_left, wide_top = min([left, *(x for x, _ in points)]), min([top, *(y for _, y in points)])
    wide_right, wide_bottom = max([right, *(x for x, _ in points)]), max([bottom, *(y for _, y in points)])
    x0, y0, x1, y1 = one.box_xyxy
    off = {
        "left": max(wide_left - x0, x0 - left),
        "top": max(wide_top - y0, y0 - top),
        "right": max(right - x1, x1 - wide_right),
        "bottom": max(bottom - y1, y1 - wide_bottom),
    }
    side = max(off, key=lambda name: off[name])
    return side, off[side]
