"""Outlines as polygons: clip them to the picture, count their pixels as COCO does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation import masks

Polygon = NDArray[np.float64]

_FEW = 64  # vertices, up to which all pairs of edges are compared
_MOST_PAIRS_PER_EDGE = 32
_MOST_PAIRS = 1 << 22
_PAIRS_AT_ONCE = 1 << 17
MOST_PIECES = 10_000  # that one side of the picture may cut an outline into


def clip_to_picture(polygon: NDArray[np.floating], size_wh: tuple[int, int]) -> list[Polygon]:
    """Cut away what lies outside the picture; what remains may be several pieces.

    Args:
        polygon: (N, 2) vertices in pixels, pixel centres at integers, closed by itself.
        size_wh: the picture covers (-0.5, -0.5) to (W - 0.5, H - 0.5).

    Returns:
        The pieces, each (N, 2) without an edge drawn twice; none when nothing is left.

    Raises:
        ValueError: there would be more than `MOST_PIECES`.
    """
    pieces = [np.asarray(polygon, np.float64)]
    for axis in (0, 1):
        for sign, limit in ((1.0, -0.5), (-1.0, size_wh[axis] - 0.5)):
            pieces = [part for piece in pieces for part in _keep_side(piece, axis, sign, limit)]
    return [piece for piece in pieces if abs(signed_area(piece)) > 1e-9 or self_crossing(piece)]


def signed_area(polygon: NDArray[np.floating]) -> float:
    """Return the area inside a polygon, px^2, by the shoelace formula; the sign tells its direction."""
    x, y = np.asarray(polygon, np.float64).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def even_odd_area(polygon: NDArray[np.floating]) -> float:
    """Return the area that a polygon, (N, 2), paints when inside and outside take turns at each line, px^2.

    Unlike `signed_area` it counts two loops that turn opposite ways as two. Exact where no two edges cross
    away from vertices. Takes N^2 steps.
    """
    x, y = np.asarray(polygon, np.float64).T
    xn, yn = np.roll(x, -1), np.roll(y, -1)
    levels = np.unique(y)
    area = 0.0
    for top, bottom in itertools.pairwise(levels):
        middle = (top + bottom) / 2
        through = (y < middle) != (yn < middle)
        t = (middle - y[through]) / (yn[through] - y[through])
        crossings = np.sort(x[through] + t * (xn[through] - x[through]))
        area += float((crossings[1::2] - crossings[::2]).sum() * (bottom - top))
    return area


def pixel_count(polygons: Sequence[NDArray[np.floating]], size_wh: tuple[int, int]) -> int:
    """Return how many pixels pycocotools paints for the union of polygons that lie inside the picture."""
    usable = [p for p in polygons if len(p) >= 3]
    if not usable:
        return 0
    flat = [(np.asarray(p, np.float64) + 0.5).ravel().tolist() for p in usable]
    return masks.area(masks.paint(flat, size_wh))


def self_crossing(polygon: NDArray[np.floating]) -> bool:
    """Say whether two edges of a closed polygon, (N, 2), cross each other away from their ends.

    Of many edges only those that overlap in x (or in y, where that leaves fewer) are compared. A polygon
    with too many such pairs, which no person draws, counts as not crossing.
    """
    vertices: Polygon = np.asarray(polygon, np.float64)
    if len(vertices) <= _FEW:
        return _any_crossing(vertices)
    first, second = _edge_pairs(vertices)
    blocks = range(0, len(first), _PAIRS_AT_ONCE)  # a million pairs at once take a quarter of a GB
    return any(
        _cross(vertices, first[k : k + _PAIRS_AT_ONCE], second[k : k + _PAIRS_AT_ONCE]) for k in blocks
    )


def _cross(vertices: Polygon, first: NDArray[np.intp], second: NDArray[np.intp]) -> bool:
    n = len(vertices)
    a, b, c, d = vertices[first], vertices[(first + 1) % n], vertices[second], vertices[(second + 1) % n]
    return bool(((_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)).any())


def _any_crossing(vertices: Polygon) -> bool:
    """Compare all edges with all vertices; the ends that neighbours share lie on their lines."""
    x, y = vertices[:, 0], vertices[:, 1]
    following = np.arange(1, len(vertices) + 1) % len(vertices)
    along_x, along_y = (x[following] - x)[:, None], (y[following] - y)[:, None]
    side = np.sign(along_x * (y - y[:, None]) - along_y * (x - x[:, None]))
    parted = side * side[:, following] < 0  # edge i's line runs between the ends of edge j
    return bool((parted & parted.T).any())


def _side(a: Polygon, b: Polygon, c: Polygon) -> NDArray[np.float64]:
    """Return on which side of the lines from a to b the points c lie, as -1, 0, 1."""
    cross = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.sign(cross)


def _edge_pairs(polygon: Polygon) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of edges that are not neighbours and may cross."""
    n = len(polygon)
    order, counts = min((_overlaps(polygon, axis) for axis in (0, 1)), key=lambda found: int(found[1].sum()))
    if counts.sum() > min(_MOST_PAIRS_PER_EDGE * n, _MOST_PAIRS):
        nothing = np.empty(0, np.intp)
        return nothing, nothing
    first = np.repeat(np.arange(n), counts)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    first, second = order[first], order[second]
    apart = np.abs(first - second)
    keep = (apart > 1) & (apart < n - 1)
    return first[keep], second[keep]


def _overlaps(polygon: Polygon, axis: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the edges by where they start on an axis, and how many of the following each overlaps."""
    start, end = polygon[:, axis], np.roll(polygon[:, axis], -1)
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.argsort(low)
    reach = np.searchsorted(low[order], high[order], side="right")
    return order, np.maximum(reach - np.arange(len(polygon)) - 1, 0)


def _keep_side(polygon: Polygon, axis: int, sign: float, limit: float) -> list[Polygon]:
    """Return the parts of a polygon where sign * (coordinate - limit) >= 0, as separate polygons.

    Walks around the polygon, collects the chains of vertices that lie inside, each from where it enters to
    where it leaves, and joins the ends along the cutting line: sorted along that line, neighbouring ends
    bound the same stretch of the polygon's inside.
    """
    depth = sign * (polygon[:, axis] - limit)
    inside = depth >= 0
    if inside.all():
        return [polygon]
    if not inside.any():
        return []
    first = int(np.flatnonzero(~inside)[0])  # start outside, so that no chain is cut in two
    polygon = np.roll(polygon, -first, axis=0)
    depth, inside = np.roll(depth, -first), np.roll(inside, -first)
    i = np.flatnonzero(inside != np.roll(inside, -1))  # edges that come in and go out, by turns
    if len(i) > 2 * MOST_PIECES:
        raise ValueError(f"the picture's border cuts the outline {len(i)} times; at most {2 * MOST_PIECES}")
    j = (i + 1) % len(polygon)
    t = depth[i] / (depth[i] - depth[j])
    crossings = polygon[i] + t[:, None] * (polygon[j] - polygon[i])
    crossings[:, axis] = limit
    chains = [
        np.vstack((crossings[k], polygon[i[k] + 1 : i[k + 1] + 1], crossings[k + 1]))
        for k in range(0, len(i), 2)
    ]
    return _join_chains(chains, 1 - axis)


def _join_chains(chains: Sequence[Polygon], along: int) -> list[Polygon]:
    ends = [(chain[side][along], k, side) for k, chain in enumerate(chains) for side in (0, -1)]
    ends.sort(key=lambda end: (end[0], end[1], end[2]))
    partner: dict[tuple[int, int], tuple[int, int]] = {}
    for (_, k, side), (_, other, other_side) in zip(ends[::2], ends[1::2], strict=True):
        partner[k, side], partner[other, other_side] = (other, other_side), (k, side)
    pieces, free = [], dict.fromkeys(range(len(chains)))
    while free:
        k, side, parts = next(iter(free)), 0, []
        while k in free:
            del free[k]
            parts.append(chains[k] if side == 0 else chains[k][::-1])
            k, side = partner[k, -1 if side == 0 else 0]
        pieces.append(np.concatenate(parts))
    return pieces
