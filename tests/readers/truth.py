"""What a reader should see on each picture, known without the code under test.

Coordinates count pixel edges, as Labelme and COCO do: (0, 0) to (W, H) is the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Point = tuple[float, float]

KEYPOINTS = (
    "Head",
    "Vertical",
    "Tail",
    "Left_front",
    "Right_front",
    "Left_root",
    "Right_root",
    "Left_behind",
    "Right_behind",
)
_CHAINS = (
    ("Head", "Vertical", "Tail", "Head"),
    ("Head", "Left_root", "Left_front", "Left_behind", "Left_root"),
    ("Head", "Right_root", "Right_front", "Right_behind", "Right_root"),
)
# Pairs of names joined by a line, in any order.
BONES = frozenset(frozenset(pair) for chain in _CHAINS for pair in pairwise(chain))
NOTHING_SEEN = ((0.0, 0.0, 0),) * len(KEYPOINTS)


@dataclass(frozen=True)
class Instance:
    """One aircraft.

    Attributes:
        box_xywh: left, top, width, height in pixels.
        keypoints: nine of (x, y, v), v as in COCO.
        mask: (H, W); None where only a box is drawn.
        polygons: the drawn outline's pieces inside the picture; empty where the mask is no polygon.
        crowd: many aircraft, not told apart.
    """

    box_xywh: tuple[float, float, float, float]
    keypoints: tuple[tuple[float, float, int], ...] = NOTHING_SEEN
    mask: Mask | None = None
    polygons: tuple[tuple[Point, ...], ...] = ()
    crowd: bool = False

    @property
    def area(self) -> float:
        """Pixels of the mask, or of the box where there is no mask."""
        return self.box_xywh[2] * self.box_xywh[3] if self.mask is None else float(self.mask.sum())


@dataclass(frozen=True)
class Picture:
    """One picture: its name relative to the root, its size and the aircraft on it."""

    file_name: str
    size_wh: tuple[int, int]
    instances: tuple[Instance, ...]


def pixels_inside(polygon: tuple[Point, ...], size_wh: tuple[int, int]) -> Mask:
    """Return the pixels whose centre is inside; exact where every edge is on a pixel edge."""
    width, height = size_wh
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inside = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def pixels_by_definition(polygons: tuple[tuple[Point, ...], ...], size_wh: tuple[int, int]) -> Mask:
    """Return the pixels that pycocotools paints; slanted edges have no other definition in COCO."""
    from pycocotools import mask as coco_mask

    flat = [[float(value) for point in polygon for value in point] for polygon in polygons]
    painted: Mask = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, size_wh[1], size_wh[0]))) > 0
    return painted


def extent(polygons: tuple[tuple[Point, ...], ...]) -> tuple[float, float, float, float]:
    """Return the box (x, y, w, h) around polygons."""
    x, y = zip(*(point for polygon in polygons for point in polygon), strict=True)
    return (min(x), min(y), max(x) - min(x), max(y) - min(y))


def pixel_extent(mask: Mask) -> tuple[float, float, float, float]:
    """Return the box (x, y, w, h) around the pixels of a mask, outer edges included."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return (x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)
