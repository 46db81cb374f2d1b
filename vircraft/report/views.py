"""A part of a picture, enlarged: where its pixels come to lie on a canvas."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vircraft.report.drawing import Picture

MARGIN = 0.35  # of the object's longer side, around it: room for names


@dataclass(frozen=True)
class View:
    """Columns x0..x1 and rows y0..y1 of a picture (half-open), shown on a canvas.

    Attributes:
        window: x0, y0, x1, y1 in whole pixels of the picture.
        canvas_wh: size of the canvas; the window keeps its proportions and is centred on it.
    """

    window: tuple[int, int, int, int]
    canvas_wh: tuple[int, int]

    @property
    def scale(self) -> float:
        """Canvas pixels per picture pixel."""
        x0, y0, x1, y1 = self.window
        return min(self.canvas_wh[0] / (x1 - x0), self.canvas_wh[1] / (y1 - y0))

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Size of the window on the canvas."""
        x0, y0, x1, y1 = self.window
        return max(1, round((x1 - x0) * self.scale)), max(1, round((y1 - y0) * self.scale))

    @property
    def corner(self) -> tuple[int, int]:
        """Column and row of the canvas where the window starts."""
        width, height = self.shown_wh
        return (self.canvas_wh[0] - width) // 2, (self.canvas_wh[1] - height) // 2

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 2) points of the picture to the canvas; both have pixel centres at integers."""
        inside = np.asarray(points, np.float64) + 0.5 - np.array(self.window[:2])
        return np.asarray(inside * self.scale - 0.5 + np.array(self.corner), np.float64)

    def render(self, picture: Picture) -> Picture:
        """Return the canvas with the window's pixels on black; (H, W) stays grey, (H, W, 3) colour."""
        x0, y0, x1, y1 = self.window
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        shown = cv2.resize(picture[y0:y1, x0:x1], self.shown_wh, interpolation=how)
        canvas = np.zeros((self.canvas_wh[1], self.canvas_wh[0], *picture.shape[2:]), np.uint8)
        left, top = self.corner
        canvas[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        return canvas


def whole(size_wh: tuple[int, int], canvas_wh: tuple[int, int]) -> View:
    """Return the view of a whole picture."""
    return View((0, 0, *size_wh), canvas_wh)


def around(
    box_xyxy: tuple[float, float, float, float],
    size_wh: tuple[int, int],
    canvas_wh: tuple[int, int],
    margin: float = MARGIN,
) -> View:
    """Return the view of a box with a margin, in the canvas's proportions where the picture allows it.

    Args:
        box_xyxy: pixels of the picture, pixel centres at integers.
        size_wh: of the picture.
        canvas_wh: of the canvas.
        margin: on each side, as a share of the box's longer side.
    """
    x0, y0, x1, y1 = (v + 0.5 for v in box_xyxy)
    side = max(x1 - x0, y1 - y0)
    width, height = x1 - x0 + 2 * margin * side, y1 - y0 + 2 * margin * side
    aspect = canvas_wh[0] / canvas_wh[1]
    width, height = max(width, height * aspect), max(height, width / aspect)
    columns = _window((x0 + x1) / 2, width, size_wh[0])
    rows = _window((y0 + y1) / 2, height, size_wh[1])
    return View((columns[0], rows[0], columns[1], rows[1]), canvas_wh)


def _window(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Return the pixels from..to around a centre, moved into the picture."""
    count = max(1, min(limit, math.ceil(length)))
    start = min(max(0, round(centre - count / 2)), limit - count)
    return start, start + count
