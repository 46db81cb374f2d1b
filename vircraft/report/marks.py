"""Labels drawn over a picture: outline, box, skeleton, keypoints by visibility (the paper's Fig. 9)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.annotation import masks
from vircraft.annotation.documents import RuleError
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, SKELETON, Visibility
from vircraft.annotation.labelme import LabelFile, Point, Shape
from vircraft.annotation.outlines import circle_polygon
from vircraft.annotation.picture import Annotation
from vircraft.report.drawing import BONE_BGR, BOX_BGR, OUTLINE_BGR, Picture, keypoint_bgr, keypoints_of
from vircraft.report.views import View, whole

TINT = 0.12  # of the outline's colour over the aircraft
_SHADOW = (20, 20, 20)
_SHIFT = 4  # fixed-point bits of the drawing coordinates


@dataclass(frozen=True)
class DrawnAircraft:
    """What is drawn of one aircraft; pixel centres at integers.

    Attributes:
        group_id: of its shapes.
        keypoints: name -> place and visibility, invisible ones left out.
        outlines: pieces of the outline, (N, 2) each.
        rle: the mask, where the outline is painted rather than drawn; decoded only while it is drawn, as many
            on a large picture would fill the memory.
        box_xyxy: None where there is no box.
        crowd: many aircraft; they have no keypoints.
    """

    group_id: int | None = None
    keypoints: Mapping[str, tuple[Point, Visibility]] = field(default_factory=dict)
    outlines: tuple[NDArray[np.float64], ...] = ()
    rle: Mapping[str, Any] | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    crowd: bool = False

    def extent(self) -> tuple[float, float, float, float] | None:
        """Return left, top, right, bottom of all that is drawn; None when nothing is."""
        points = [np.reshape(self.box_xyxy, (2, 2))] if self.box_xyxy else list(self.outlines)
        points += [np.array([point for point, _ in self.keypoints.values()])] if self.keypoints else []
        if not points:
            return None
        together = np.concatenate(points)
        (x0, y0), (x1, y1) = together.min(0), together.max(0)
        return float(x0), float(y0), float(x1), float(y1)

    def count(self, visibility: Visibility) -> int:
        """Return how many of the nine keypoints have a visibility."""
        return len(self.names(visibility))

    def names(self, visibility: Visibility) -> list[str]:
        """Return the keypoints that have a visibility, in order; absent ones are invisible."""
        seen = {name: v for name, (_, v) in self.keypoints.items()}
        return [name for name in KEYPOINTS if seen.get(name, Visibility.INVISIBLE) == visibility]


def from_annotation(annotation: Annotation) -> DrawnAircraft:
    """Return what is drawn of an aircraft whose labels follow the contract."""
    return DrawnAircraft(
        group_id=annotation.group_id,
        keypoints={
            name: ((x, y), v)
            for name, (x, y, v) in zip(KEYPOINTS, annotation.keypoints, strict=True)
            if v != Visibility.INVISIBLE
        },
        outlines=tuple(np.array(piece, np.float64) for piece in annotation.polygons),
        rle=annotation.rle,
        box_xyxy=annotation.box_xyxy,
        crowd=annotation.crowd,
    )


def from_shapes(labels: LabelFile) -> tuple[DrawnAircraft, ...]:
    """Return what can be drawn of a file that breaks a rule, so that a person sees what is wrong."""
    drawn = []
    for group in dict.fromkeys(shape.group_id for shape in labels.shapes):
        own = [s for s in labels.shapes if s.group_id == group and s.label == AIRCRAFT]
        boxes = [s.points for s in own if s.shape_type == "rectangle"]
        drawn.append(
            DrawnAircraft(
                group_id=group,
                keypoints=keypoints_of(labels.shapes, group),
                outlines=tuple(outline for shape in own if (outline := _outline(shape)) is not None),
                box_xyxy=_sorted_box(boxes[0]) if boxes else None,
            )
        )
    return tuple(drawn)


def draw_labels(picture: Picture, labels: LabelFile, scale: float = 1.0) -> Picture:
    """Return a BGR picture with all that a label file says over it, whether it follows the rules or not.

    Args:
        picture: (H, W, 3) uint8, the labelled picture enlarged `scale` times.
        labels: what to draw, in pixels of the labelled picture.
        scale: picture size over labelled size.
    """
    canvas_wh = (picture.shape[1], picture.shape[0])
    size_wh = (max(1, round(canvas_wh[0] / scale)), max(1, round(canvas_wh[1] / scale)))
    return draw_aircraft(picture, from_shapes(labels), whole(size_wh, canvas_wh))


def draw_aircraft(canvas: Picture, aircraft: Iterable[DrawnAircraft], view: View) -> Picture:
    """Return a canvas with aircraft over it.

    A filled disc is a visible keypoint, a ring an occluded one; invisible ones are not drawn. Red is the
    aircraft's left, green its right (as its lights are), blue its axis.

    Args:
        canvas: (H, W, 3) uint8 BGR, what `view` renders.
        aircraft: what to draw.
        view: where the picture's pixels are on the canvas.
    """
    canvas = canvas.copy()
    aircraft = list(aircraft)
    weight = max(1.0, max(canvas.shape[:2]) / 800)
    for one in aircraft:
        _draw_outline(canvas, one, view, weight)
    for one in aircraft:
        if one.box_xyxy:
            a, b = _fixed(view(np.reshape(one.box_xyxy, (2, 2))))
            cv2.rectangle(canvas, _pair(a), _pair(b), BOX_BGR, round(weight), cv2.LINE_AA, _SHIFT)
        _draw_keypoints(canvas, one, view, weight)
    return canvas


def paint_mask(aircraft: Sequence[DrawnAircraft], view: View) -> Picture:
    """Return where outlines and masks lie on the canvas: 255 inside, 0 outside."""
    canvas = np.zeros((view.canvas_wh[1], view.canvas_wh[0]), np.uint8)
    for one in aircraft:
        for piece in one.outlines:
            cv2.fillPoly(canvas, [_fixed(view(piece))], 255, cv2.LINE_8, _SHIFT)
        if one.rle is not None:
            view.paint_part(canvas, *decode_part(one.rle))
    return canvas


def decode_part(rle: Mapping[str, Any]) -> tuple[Picture, tuple[int, int]]:
    """Return the pixels of a mask within its extent, 255 and 0, and the column and row of the first."""
    box = masks.extent(rle)
    if box is None:
        return np.zeros((0, 0), np.uint8), (0, 0)
    left, top, right, bottom = (int(v) for v in box)
    height = int(rle["size"][0])
    flips = masks.toggles(rle) - left * height
    columns = right - left
    pixels = masks.decode(masks.from_toggles(flips[flips < columns * height], (columns, height)))
    return pixels[top:bottom].astype(np.uint8) * 255, (left, top)


def marker_radius(one: DrawnAircraft, view: View) -> float:
    """Return the radius of a keypoint's mark on the canvas: a small aircraft gets small ones."""
    extent = one.extent()
    largest = 4.6 * min(max(0.6, max(view.canvas_wh) / 800), 2.0)
    if extent is None:
        return largest
    diagonal = float(np.hypot(extent[2] - extent[0], extent[3] - extent[1])) * view.scale
    return float(np.clip(0.025 * diagonal, 1.5, largest))


def draw_marker(
    canvas: Picture,
    place: NDArray[np.float64],
    colour: tuple[int, int, int],
    visibility: Visibility,
    radius: float,
) -> None:
    """Draw one keypoint: a disc when visible, a ring when occluded."""
    centre = _pair(_fixed(place))
    fixed = round(radius * (1 << _SHIFT))
    if visibility is Visibility.OCCLUDED:
        thick = max(1, round(0.45 * radius))
        cv2.circle(canvas, centre, fixed, _SHADOW, thick + (2 if radius > 4 else 1), cv2.LINE_AA, _SHIFT)
        cv2.circle(canvas, centre, fixed, colour, thick, cv2.LINE_AA, _SHIFT)
        return
    cv2.circle(canvas, centre, fixed + (1 << _SHIFT), _SHADOW, -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(canvas, centre, fixed, colour, -1, cv2.LINE_AA, _SHIFT)


def _draw_outline(canvas: Picture, one: DrawnAircraft, view: View, weight: float) -> None:
    painted = paint_mask([one], view)
    left, top, width, height = cv2.boundingRect(painted)
    if width:
        inside = slice(top, top + height), slice(left, left + width)
        ground = canvas[inside]
        tinted = cv2.addWeighted(ground, 1 - TINT, np.full_like(ground, OUTLINE_BGR), TINT, 0)
        np.copyto(ground, tinted, where=painted[inside][..., None] > 0)
    lines = [_fixed(view(piece)) for piece in one.outlines]
    if one.rle is not None:
        contours, _ = cv2.findContours(painted, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        lines = [_fixed(contour[:, 0].astype(np.float64)) for contour in contours]
    cv2.polylines(canvas, lines, True, OUTLINE_BGR, round(weight), cv2.LINE_AA, _SHIFT)


def _draw_keypoints(canvas: Picture, one: DrawnAircraft, view: View, weight: float) -> None:
    place = {name: view(point) for name, (point, _) in one.keypoints.items()}
    for a, b in ((KEYPOINTS[i], KEYPOINTS[j]) for i, j in SKELETON):
        if a in place and b in place:
            ends = _pair(_fixed(place[a])), _pair(_fixed(place[b]))
            cv2.line(canvas, *ends, BONE_BGR, max(1, round(0.8 * weight)), cv2.LINE_AA, _SHIFT)
    radius = marker_radius(one, view)
    for name, (_, visibility) in one.keypoints.items():
        draw_marker(canvas, place[name], keypoint_bgr(name), visibility, radius)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return points with `_SHIFT` binary digits after the point, kept within what OpenCV can draw."""
    return np.round(np.clip(points, -1e4, 1e5) * (1 << _SHIFT)).astype(np.int32)


def _pair(point: NDArray[np.int32]) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def _outline(shape: Shape) -> NDArray[np.float64] | None:
    points = np.array(shape.points, np.float64)
    kind: str = shape.shape_type
    if kind in ("polygon", "oriented_rectangle"):
        return points if len(points) >= 3 else None
    if kind == "circle":
        with contextlib.suppress(RuleError):  # no circle at all
            return np.array(circle_polygon(shape.points), np.float64)
    return None


def _sorted_box(points: tuple[Point, ...]) -> tuple[float, float, float, float]:
    (xa, ya), (xb, yb) = points[0], points[-1]
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)
