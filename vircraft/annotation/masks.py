"""Masks as run lengths: painted from polygons, read from PNGs, joined, subtracted, decoded.

A mask is COCO's compressed RLE, `{"size": [H, W], "counts": str}`, column by column. In between it is its
*toggles*: the ascending positions, counted down the columns, at which the value changes, starting from 0.
With them the symmetric difference of two masks is that of two sets, however large the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Rle = dict[str, Any]
Toggles = NDArray[np.int64]
Box = tuple[float, float, float, float]

NO_TOGGLES: Toggles = np.empty(0, np.int64)

# pycocotools walks along an outline in fifths of a pixel and keeps every step (20 bytes each)
LONGEST_OUTLINE = 2e6
MOST_RUNS = 2_000_000  # of one mask; only noise has more

# pycocotools 2.0.11 writes one byte past the end of a mask's counts when every run takes six letters, the
# most that it makes room for (a run of 2^24 pixels or more), and the process dies sooner or later. Three such
# runs are needed, so smaller pictures are safe; for larger ones it only paints, with a row to spare that no
# polygon reaches, which ends every run of set pixels with its column.
_SAFE_PIXELS = 3 << 24
HIGHEST_PAINTED = (1 << 24) - 2  # px, of a picture that polygons are painted in


def outline_length(edges: NDArray[np.float64]) -> float:
    """Return how many pixels pycocotools walks along a closed outline, (N, 2)."""
    return float(np.abs(edges - np.roll(edges, -1, axis=0)).max(axis=1).sum())


def paint(polygons: Sequence[Sequence[float]], size_wh: tuple[int, int]) -> Rle:
    """Paint the union of polygons as pycocotools does.

    Args:
        polygons: x0, y0, x1, y1, ... counted from pixel edges, inside the picture.
        size_wh: of the picture, at most `HIGHEST_PAINTED` high.
    """
    width, height = size_wh
    if width * height < _SAFE_PIXELS:
        return union(coco_mask.frPyObjects(polygons, height, width))
    spare = union(coco_mask.frPyObjects(polygons, height + 1, width))
    columns, rows = np.divmod(toggles(spare), height + 1)
    return from_toggles(_odd(columns * height + rows), size_wh)


def area(rle: Mapping[str, Any]) -> int:
    """Return the number of pixels of a mask."""
    return int(coco_mask.area(dict(rle)))


def union(rles: Sequence[Mapping[str, Any]]) -> Rle:
    """Return the pixels that are in any of the masks (at least one, of equal size)."""
    if len(rles) == 1:
        return _plain(rles[0])
    height, width = rles[0]["size"]
    return from_toggles(
        _combined([(toggles(rle), 1) for rle in rles], lambda depth: depth > 0), (width, height)
    )


def subtract(rle: Rle, holes: Sequence[Rle]) -> Rle:
    """Return the pixels of a mask that are in none of the holes."""
    if not holes:
        return rle
    height, width = rle["size"]
    weighted = [(toggles(rle), 1), (toggles(union(holes)), 2)]
    return from_toggles(_combined(weighted, lambda depth: depth == 1), (width, height))


def _combined(
    weighted: Sequence[tuple[Toggles, int]], inside: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> Toggles:
    """Return where a combination of masks changes: add up the weights of those that cover a pixel."""
    positions = np.concatenate([flips for flips, _ in weighted])
    steps = np.concatenate([weight * (1 - 2 * (np.arange(len(flips)) % 2)) for flips, weight in weighted])
    order = np.argsort(positions, kind="stable")
    positions, depth = positions[order], np.cumsum(steps[order])
    last = np.diff(positions, append=-1) != 0  # of changes at one place
    state = inside(depth[last]).astype(np.int8)
    changed: Toggles = positions[last][np.diff(state, prepend=0) != 0]
    return changed


def toggles(rle: Mapping[str, Any]) -> Toggles:
    """Return where a mask changes its value."""
    height, width = rle["size"]
    return toggles_of_runs(run_lengths(rle["counts"]), (width, height))


def toggles_of_runs(runs: NDArray[np.int64], size_wh: tuple[int, int]) -> Toggles:
    """Return where runs change the value; a run of length zero changes nothing."""
    positions = np.cumsum(runs, dtype=np.int64)
    return _odd(positions[positions < size_wh[0] * size_wh[1]])


def from_toggles(positions: Toggles, size_wh: tuple[int, int]) -> Rle:
    """Return the mask that changes its value at the given ascending positions."""
    width, height = size_wh
    counts = np.diff(positions, prepend=0, append=width * height)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    return {"size": [int(height), int(width)], "counts": compressed_counts(counts)}


def from_pixels(pixels: NDArray[np.bool_], corner_xy: tuple[int, int], size_wh: tuple[int, int]) -> Rle:
    """Encode a part of a mask.

    Args:
        pixels: (h, w), what is set; nothing is outside of it.
        corner_xy: the picture's pixel under pixels[0, 0]; the part lies inside the picture.
        size_wh: of the picture.

    Raises:
        ValueError: there are more than `MOST_RUNS` changes along the columns.
    """
    rows, columns = pixels.shape
    padded = np.zeros((columns, rows + 2), np.int8)
    padded[:, 1:-1] = pixels.T
    changes = np.diff(padded, axis=1)
    if (count := np.count_nonzero(changes)) > MOST_RUNS:
        raise ValueError(f"the mask changes {count} times down its columns; at most {MOST_RUNS} are allowed")
    column, row = np.nonzero(changes)
    positions = (column + corner_xy[0]).astype(np.int64) * size_wh[1] + row + corner_xy[1]
    return from_toggles(_odd(positions[positions < size_wh[0] * size_wh[1]]), size_wh)


def decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Return the pixels of a mask, (H, W)."""
    height, width = rle["size"]
    runs = np.diff(toggles(rle), prepend=0, append=height * width)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def extent(rle: Mapping[str, Any]) -> Box | None:
    """Return left, top, right, bottom of a mask, half-open, counted from pixel edges; None when empty."""
    flips = toggles(rle)
    if not len(flips):
        return None
    height, width = rle["size"]
    starts, ends = flips[::2], np.append(flips[1::2], width * height)[: len(flips[::2])]
    left, right = starts[0] // height, (ends[-1] - 1) // height + 1
    if (starts // height == (ends - 1) // height).all():
        top, bottom = (starts % height).min(), ((ends - 1) % height).max() + 1
    else:  # a run that goes on into the next column touches both borders
        top, bottom = 0, height
    return float(left), float(top), float(right), float(bottom)


def run_lengths(counts: str | bytes) -> NDArray[np.int64]:
    """Return the run lengths that COCO's compressed counts stand for, five bits to a letter.

    From the fourth on, a run is written as what it differs from the one before the last.

    Raises:
        ValueError: a letter that is none of them, a run cut off, or one that cannot be.
    """
    text = counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
    bits = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(bits):
        return bits
    if bits.min() < 0 or bits.max() > 63:
        raise ValueError("counts holds a letter that COCO's compressed form has not: '0' to 'o'")
    ends = np.flatnonzero(bits < 32)
    if not len(ends) or ends[-1] != len(bits) - 1:
        raise ValueError("counts is cut off in the middle of a run")
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = 5 * (np.arange(len(bits)) - np.repeat(starts, ends - starts + 1))
    if places.max() > 50:
        raise ValueError("counts holds a run that is longer than any picture")
    runs: NDArray[np.int64] = np.add.reduceat((bits & 31) << places, starts)
    negative = bits[ends] & 16 > 0
    runs[negative] -= np.int64(1) << (places[ends[negative]] + 5)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    if (runs < 0).any():
        raise ValueError(f"run {int(np.argmax(runs < 0))} of counts has a negative length")
    return runs


def compressed_counts(runs: NDArray[np.int64]) -> str:
    """Return run lengths as COCO's compressed counts, see `run_lengths`."""
    rest = np.array(runs, np.int64)
    rest[3:] -= runs[1:-2]
    letters, used = [], [np.ones(len(rest), np.bool_)]
    while used[-1].any():
        bits = rest & 31
        rest >>= 5
        more = used[-1] & np.where(bits & 16, rest != -1, rest != 0)
        letters.append((bits + 32 * more + 48).astype(np.uint8))
        used.append(more)
    return np.stack(letters, 1)[np.stack(used[:-1], 1)].tobytes().decode("ascii")


def encode_mask_png(pixels: NDArray[np.bool_]) -> bytes:
    """Return a mask as a PNG of one bit a pixel, which readers take as 0 and 255."""
    parameters = (cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1)
    ok, buffer = cv2.imencode(".png", pixels.astype(np.uint8) * 255, parameters)
    if not ok:
        raise ValueError(f"OpenCV cannot write a mask of shape {pixels.shape} as PNG")
    return bytes(buffer)


def joined_extent(boxes: Iterable[Box]) -> Box:
    """Return the smallest box around boxes (at least one)."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _odd(positions: Toggles) -> Toggles:
    """Keep the positions that occur an odd number of times: two changes at one place undo each other."""
    if len(positions) < 2 or (np.diff(positions) > 0).all():
        return positions
    values, times = np.unique(positions, return_counts=True)
    once: Toggles = values[times % 2 == 1]
    return once


def _plain(rle: Mapping[str, Any]) -> Rle:
    counts = rle["counts"]
    return {
        "size": [int(v) for v in rle["size"]],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }
