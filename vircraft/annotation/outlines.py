"""Turn one outline shape of a Labelme file into polygons or a mask inside the picture.

Coordinates here count pixel edges, as in the file: the picture covers (0, 0) to (W, H).
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from vircraft.annotation.documents import Point, RuleError, shown
from vircraft.annotation.masks import HIGHEST_PAINTED, LONGEST_OUTLINE, Box, Rle, from_pixels, outline_length
from vircraft.annotation.picture import DECIMALS, EXACT_FROM
from vircraft.annotation.polygons import clip_to_picture, even_odd_area, self_crossing

OUTLINE_TYPES = ("polygon", "oriented_rectangle", "circle", "mask")
_SAGITTA = 0.05  # px, the most that the polygon drawn for a circle stays inside of it
MOST_MASK_PIXELS = 1 << 26
_LEAST_AREA = 1e-9  # px^2, of an outline as large as a pixel; larger ones in proportion
_LEAST_SIDE = 1e-9  # px, of a box
_MOST_LOOP_VERTICES = 1000

# What the outlines of a file may cost together, in pixels that pycocotools walks along (some 0.2 us each)
MOST_STEPS = 1e7
_STEPS_OF_A_PIECE = 1000  # joined with others it costs that much, however small
_STEPS_OF_A_CLIPPED_VERTEX = 2
_MASK_PIXELS_IN_A_STEP = 8
_SHORT = 2e4  # px, an outline whose length need not be measured


@dataclass(frozen=True)
class Outline:
    """An outline inside the picture.

    Attributes:
        pieces: polygons, each x0, y0, x1, y1, ...; empty for a mask.
        rle: the mask, when it was painted.
        box: extent: of the vertices, or half-open of the mask's pixels.
        clipped: a part of it lay outside the picture.
        crossing: its line crosses itself.
        steps: about what it costs to paint, see MOST_STEPS.
    """

    pieces: tuple[list[float], ...]
    rle: Rle | None
    box: Box
    clipped: bool = False
    crossing: bool = False
    steps: float = 0.0


def read_outline(kind: str, points: Sequence[Point], mask: Any, size_wh: tuple[int, int]) -> Outline:
    """Return the outline that a shape draws.

    Args:
        kind: one of OUTLINE_TYPES.
        points: as in the file.
        mask: the file's `mask` field; only read for masks.
        size_wh: of the picture.

    Raises:
        RuleError: `degenerate-shape`, `bad-mask`, `empty-mask` or `out-of-range`.
    """
    if kind == "mask":
        return _mask_outline(points, mask, size_wh)
    if kind == "circle":
        points = circle_polygon(points)
    elif kind == "oriented_rectangle" and len(points) != 4:
        raise RuleError("degenerate-shape", f"an oriented rectangle has {len(points)} points; it needs 4")
    return _polygon_outline(points, size_wh)


def sorted_box(points: Sequence[Point]) -> Box:
    """Return left, top, right, bottom of a drawn rectangle.

    Raises:
        RuleError: `degenerate-shape`, it is not two corners or has no size.
    """
    if len(points) == 4 and len({x for x, _ in points}) == len({y for _, y in points}) == 2:
        points = (min(points), max(points))  # as X-AnyLabeling writes them: all four corners
    if len(points) != 2:
        raise RuleError("degenerate-shape", f"a rectangle has {len(points)} points; it needs two corners")
    (xa, ya), (xb, yb) = points
    if min(abs(xa - xb), abs(ya - yb)) < _LEAST_SIDE:
        raise RuleError("degenerate-shape", "the box has no size; draw it again")
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


def clip_box(box: Box, size_wh: tuple[int, int]) -> Box:
    """Return the part of a box inside the picture.

    Raises:
        RuleError: `empty-mask`, nothing is inside.
    """
    left, top, right, bottom = box
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, float(size_wh[0])), min(bottom, float(size_wh[1]))
    if min(right - left, bottom - top) < _LEAST_SIDE:
        raise RuleError("empty-mask", "the box lies outside the picture; delete it")
    return left, top, right, bottom


def circle_polygon(points: Sequence[Point]) -> list[Point]:
    """Return a circle, given by its centre and a point on it, as a polygon through its four extremes."""
    if len(points) != 2:
        raise RuleError(
            "degenerate-shape", f"a circle has {len(points)} points; it needs a centre and one on the circle"
        )
    (x, y), (xe, ye) = points
    radius = math.hypot(xe - x, ye - y)
    if radius < 1e-3:
        raise RuleError("degenerate-shape", "the circle has no size; draw it again")
    count = 4 * max(4, math.ceil(math.pi / math.sqrt(2 * _SAGITTA / radius) / 4))
    angles = [2 * math.pi * k / count for k in range(count)]
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def _polygon_outline(points: Sequence[Point], size_wh: tuple[int, int]) -> Outline:
    if len(points) < 3:
        raise RuleError("degenerate-shape", f"a polygon has {len(points)} points; it needs 3")
    if size_wh[1] > HIGHEST_PAINTED:
        raise RuleError("out-of-range", f"a picture {size_wh[1]} px high is too high to paint outlines in")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    box = (min(xs), min(ys), max(xs), max(ys))
    edges = np.array(points)
    crossing = self_crossing(edges)
    if not crossing and _has_no_area(points, box):
        if len(points) > _MOST_LOOP_VERTICES or even_odd_area(edges) <= _least_area(box):
            raise RuleError("degenerate-shape", "the outline has no area; draw it again")
        crossing = True  # in a vertex, such as a bow tie with a vertex in its knot
    if box[0] >= 0 and box[1] >= 0 and box[2] <= size_wh[0] and box[3] <= size_wh[1]:
        flat = [_as_written(v) for point in points for v in point]
        return Outline((flat,), None, box, crossing=crossing, steps=_steps((edges,), box))
    try:
        pieces = [piece + 0.5 for piece in clip_to_picture(edges - 0.5, size_wh)]
    except ValueError as error:
        raise RuleError("out-of-range", f"{error}; draw it again") from error
    if not pieces:
        raise RuleError("empty-mask", "the outline lies outside the picture; delete it")
    steps = _STEPS_OF_A_CLIPPED_VERTEX * len(points) + _steps(pieces, box)
    (left, top), (right, bottom) = np.concatenate(pieces).min(0), np.concatenate(pieces).max(0)
    flats = tuple([_as_written(float(v)) for v in piece.ravel()] for piece in pieces)
    box = float(left), float(top), float(right), float(bottom)
    return Outline(flats, None, box, clipped=True, crossing=crossing, steps=steps)


def _as_written(edge: float) -> float:
    """Return a coordinate as it will be exported, so that the very polygon is painted that is written."""
    return edge if edge >= EXACT_FROM else round(edge, DECIMALS)


def _has_no_area(points: Sequence[Point], box: Box) -> bool:
    left, top = box[:2]
    following = (*points[1:], points[0])
    twice = sum(
        (x - left) * (yn - top) - (xn - left) * (y - top)
        for (x, y), (xn, yn) in zip(points, following, strict=True)
    )
    return abs(twice) <= 2 * _least_area(box)


def _least_area(box: Box) -> float:
    return _LEAST_AREA * max(1.0, box[2] - box[0], box[3] - box[1]) ** 2


def _steps(pieces: Sequence[NDArray[np.float64]], box: Box) -> float:
    """Return at least what it costs to paint the pieces of one outline; `box` is around them."""
    reach = max(1.0, box[2] - box[0], box[3] - box[1])
    steps = 0.0
    for edges in pieces:
        length = len(edges) * reach
        if length > _SHORT and (length := outline_length(edges)) > LONGEST_OUTLINE:
            raise RuleError(
                "out-of-range",
                f"the outline is {length:.3g} px long; at most {LONGEST_OUTLINE:.0f} px can be painted",
            )
        steps += _STEPS_OF_A_PIECE + length
    return steps


def _mask_outline(points: Sequence[Point], mask: Any, size_wh: tuple[int, int]) -> Outline:
    pixels, left, top = _mask_pixels(points, mask)
    if not pixels.any():
        raise RuleError("empty-mask", "no pixel of the mask is set; delete it")
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + pixels.shape[1], size_wh[0]), min(top + pixels.shape[0], size_wh[1])
    inside = pixels[max(y0 - top, 0) : max(y1 - top, 0), max(x0 - left, 0) : max(x1 - left, 0)]
    count = int(np.count_nonzero(inside))
    if not count:
        raise RuleError("empty-mask", "the mask lies outside the picture; delete it")
    try:
        rle = from_pixels(inside, (x0, y0), size_wh)
    except ValueError as error:
        raise RuleError("bad-mask", f"{error}; draw it again") from error
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    return Outline(
        (),
        rle,
        (float(x0 + columns[0]), float(y0 + rows[0]), float(x0 + columns[-1] + 1), float(y0 + rows[-1] + 1)),
        clipped=count < int(np.count_nonzero(pixels)),
        steps=_STEPS_OF_A_PIECE + len(rle["counts"]) + pixels.size / _MASK_PIXELS_IN_A_STEP,
    )


def _mask_pixels(points: Sequence[Point], mask: Any) -> tuple[NDArray[np.bool_], int, int]:
    """Return the pixels of a mask and the position of the first in the picture.

    The two points are pixel indices, both inclusive.
    """
    if len(points) != 2:
        raise RuleError("degenerate-shape", f"a mask has {len(points)} points; it needs two corners")
    if mask is None:
        raise RuleError("bad-mask", "the mask has no picture; draw it again")
    if not isinstance(mask, str):
        raise RuleError("bad-mask", f"mask is {shown(mask)}; it must be a PNG in base64")
    left, top, right, bottom = (math.floor(v + 1e-6) for point in points for v in point)
    size_wh = right - left + 1, bottom - top + 1
    if min(size_wh) < 1 or size_wh[0] * size_wh[1] > MOST_MASK_PIXELS:
        raise RuleError(
            "bad-mask", f"its corners span {size_wh[0]}x{size_wh[1]} pixels; at most {MOST_MASK_PIXELS}"
        )
    return _decode_png(mask, size_wh), left, top


def _decode_png(mask: str, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    try:
        content = base64.b64decode(mask)
    except (binascii.Error, ValueError) as error:
        raise RuleError("bad-mask", f"the mask is not base64 ({error}); draw it again") from error
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(content)) as picture:
            if picture.size != size_wh:
                raise RuleError(
                    "bad-mask",
                    f"the mask is {picture.size[0]}x{picture.size[1]} pixels, "
                    f"its corners say {size_wh[0]}x{size_wh[1]}; draw it again",
                )
            values = np.asarray(picture)
            has_alpha = picture.mode in ("LA", "RGBA")
    except RuleError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # hostile PNGs fail in many ways
        raise RuleError("bad-mask", f"the mask is not a PNG ({error}); draw it again") from error
    if values.ndim == 3:
        return np.asarray((values[..., :-1] if has_alpha else values).any(axis=2))
    return values.astype(bool)
