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

    def paint_part(self, canvas: Picture, pixels: Picture, corner_xy: tuple[int, int]) -> None:
        """Set what a part of a mask covers on the canvas to 255.

        Args:
            canvas: (H, W) of this view.
            pixels: (h, w) 255 where the mask is set; nothing is outside of it.
            corner_xy: the picture's pixel under pixels[0, 0].
        """
        block = max(1, int(1 / self.scale))  # means of so many pixels first, so that none is missed
        x, y = corner_xy
        x0, y0, x1, y1 = np.array(self.window) + np.array((-block, -block, block, block))
        pixels = pixels[max(0, y0 - y) : max(0, y1 - y), max(0, x0 - x) : max(0, x1 - x)]
        if not pixels.size:
            return
        x, y = max(x, x0), max(y, y0)
        reduced = _block_means(pixels, block)
        left, top, right, bottom = self._shown_box(x - block, y - block, np.array(pixels.shape) + 2 * block)
        if left >= right or top >= bottom:
            return
        first_xy = (np.array((left, top)) - self((x - block, y - block))) / self.scale  # in the padded part
        first = (first_xy - (block - 1) / 2) / block
        step = 1 / (self.scale * block)
        matrix = np.array([[step, 0, first[0]], [0, step, first[1]]])
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shown = cv2.warpAffine(reduced, matrix, (right - left, bottom - top), flags=how)
        canvas[top:bottom, left:right][shown > 127] = 255

    def _shown_box(self, x: int, y: int, shape: NDArray[np.int64]) -> tuple[int, int, int, int]:
        """Return where pixels lie on the canvas, as far as the window shows them; (rows, columns) of them."""
        ends = self(((x, y), (x + shape[1], y + shape[0])))
        low = np.maximum(np.floor(ends[0]), self.corner).astype(int)
        high = np.minimum(np.ceil(ends[1]), np.add(self.corner, self.shown_wh)).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


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


def _block_means(pixels: Picture, block: int) -> Picture:
    """Return the means of blocks of pixels, one block of zeros around them and more where one is cut."""
    rows, columns = (block + -n % block for n in pixels.shape)
    padded = np.pad(pixels, ((block, rows), (block, columns)))
    size = padded.shape[1] // block, padded.shape[0] // block
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), np.uint8)


def _window(centre: float, length: float, limit: int) -> tuple[int, int]:
    """Return the pixels from..to around a centre, moved into the picture."""
    count = max(1, min(limit, math.ceil(length)))
    start = min(max(0, round(centre - count / 2)), limit - count)
    return start, start + count
