"""Large pictures in overlapping tiles: where they lie, and weights that blend them without a seam."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from vircraft.errors import SettingsError

GRID = 16  # tiles start on multiples of it, so that a tile's deep features lie where the whole picture's lie
MIN_TILE = 96  # pixels; below it a tile would be overlap only
MARGIN = 16  # pixels beside a cut where the padding shows in the result: they get no weight

Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Span:
    """A tile's part of one side of the picture.

    Attributes:
        start, stop: pixels, stop not included.
        weights: (stop - start,) float32; those of all spans that cover a pixel sum to 1.
    """

    start: int
    stop: int
    weights: Plane

    @property
    def pixels(self) -> slice:
        """Return the pixels that it covers."""
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Tile:
    """A rectangle of the picture and its weights."""

    rows: Span
    columns: Span

    @property
    def place(self) -> tuple[slice, slice]:
        """Return the rows and columns that it covers."""
        return self.rows.pixels, self.columns.pixels

    @property
    def weights(self) -> Plane:
        """Return (h, w) weights; those of all tiles sum to 1 at every pixel."""
        return np.outer(self.rows.weights, self.columns.weights)


def plan_tiles(height: int, width: int, size: int, overlap: int) -> list[Tile]:
    """Cover a picture with tiles of about equal size.

    Args:
        height, width: of the picture, pixels.
        size: the longest side of a tile, pixels, up to 15 more for the last ones.
        overlap: of neighbours, pixels.

    Raises:
        SettingsError: the tiles are too small, or overlap by more than half.
    """
    check_tiles(size, overlap)
    rows, columns = plan_spans(height, size, overlap), plan_spans(width, size, overlap)
    return [Tile(row, column) for row, column in product(rows, columns)]


def check_tiles(size: int, overlap: int) -> None:
    """Refuse tiles that are too small or overlap by more than half.

    Raises:
        SettingsError: what was asked for, and the limits.
    """
    if size < MIN_TILE:
        raise SettingsError(f"tiles of {size} pixels are too small; give {MIN_TILE} or more")
    if not 2 * MARGIN < overlap <= size // 2:
        raise SettingsError(
            f"an overlap of {overlap} pixels does not go with tiles of {size}; it is more than {2 * MARGIN} "
            f"and at most {size // 2}"
        )


def plan_spans(length: int, size: int, overlap: int) -> list[Span]:
    """Cover one side of a picture: starts on the grid, at least `overlap` shared by neighbours."""
    if length <= size:
        return [Span(0, length, np.ones(length, np.float32))]
    count = math.ceil((length - overlap) / (size - overlap))
    step = math.ceil((length - overlap) / (count * GRID)) * GRID
    count = math.ceil((length - overlap) / step)  # rounding up to the grid may have saved a tile
    bounds = [(i * step, min(i * step + step + overlap, length)) for i in range(count)]
    ramps = [_ramp(stop - start, overlap, start > 0, stop < length) for start, stop in bounds]
    total = np.zeros(length, np.float32)
    for (start, stop), ramp in zip(bounds, ramps, strict=True):
        total[start:stop] += ramp
    return [Span(a, b, ramp / total[a:b]) for (a, b), ramp in zip(bounds, ramps, strict=True)]


def _ramp(length: int, overlap: int, cut_before: bool, cut_after: bool) -> Plane:
    """Return weights that rise as a raised cosine beside a cut, after a margin of 0."""
    position = (np.arange(overlap) - MARGIN + 0.5) / (overlap - 2 * MARGIN)
    rise = (0.5 - 0.5 * np.cos(np.pi * np.clip(position, 0, 1))).astype(np.float32)
    ramp = np.ones(length, np.float32)
    if cut_before:
        ramp[:overlap] *= rise
    if cut_after:
        ramp[-overlap:] *= rise[::-1]
    return ramp
