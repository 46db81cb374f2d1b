"""A z-buffer rasteriser in NumPy: which triangle is nearest at each pixel centre, and where on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Fragments:
    """The pixels that a mesh covers.

    Attributes:
        pixels: (P,) flat pixel numbers (row * width + column), ascending.
        faces: (P,) the nearest face of each.
        weights: (P, 3) float32, perspective-correct weights of the face's three vertices.
        inverse_depth: (P,) float32, 1 / distance along the optical axis.
    """

    pixels: NDArray[np.int64]
    faces: NDArray[np.int64]
    weights: Floats
    inverse_depth: Floats


def rasterise(
    xy: NDArray[np.floating], depth: NDArray[np.floating], faces: NDArray[np.int32], size_wh: tuple[int, int]
) -> Fragments:
    """Find the nearest front face at every pixel centre.

    Triangles are gathered in batches of equal bounding box (powers of two), so the work is a few array
    operations per batch whatever the number of triangles.

    Args:
        xy: (V, 2) pixel coordinates of the vertices, centres at integers, y down.
        depth: (V,) distance along the optical axis, above 0.
        faces: (F, 3), counter-clockwise seen from outside; faces that look away are skipped.
        size_wh: of the picture.
    """
    width, height = size_wh
    corner = xy[faces].astype(np.float32)  # (F, 3, 2)
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    # y points down, so a face that is counter-clockwise from outside has a negative cross product here
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = np.ceil(np.maximum(corner.min(1), 0)).astype(np.int64)
    high = np.floor(np.minimum(corner.max(1), [width - 1, height - 1])).astype(np.int64)
    extent = high - low + 1
    chosen = np.flatnonzero((area < -1e-6) & (extent > 0).all(1))
    inverse = (1.0 / depth[faces]).astype(np.float32)  # (F, 3)

    best = np.zeros(width * height, np.int64)
    if len(chosen):
        # Edge functions e_k(x, y) = p x + q y + r, scaled so that they are the barycentric weights.
        # They count from the corner of the face's own box: single precision is too coarse for whole pictures.
        x, y = corner[..., 0] - low[:, :1], corner[..., 1] - low[:, 1:]
        x, y = x.astype(np.float32), y.astype(np.float32)
        x1, x2, y1, y2 = x[:, [1, 2, 0]], x[:, [2, 0, 1]], y[:, [1, 2, 0]], y[:, [2, 0, 1]]
        scale = 1.0 / np.where(np.abs(area) < 1e-6, -1e-6, area)[:, None]
        plane_p, plane_q = (y1 - y2) * scale, (x2 - x1) * scale
        plane_r = (x1 * y2 - x2 * y1) * scale
        span = np.maximum(np.ceil(np.log2(extent[chosen])).astype(int), 1)
        group = span[:, 0] * 32 + span[:, 1]
        for key in np.unique(group):
            members = chosen[group == key]
            _fill(
                best, members, low, key // 32, key % 32, (plane_p, plane_q, plane_r), inverse, (width, height)
            )

    pixels = np.flatnonzero(best)
    found = (best[pixels] & 0xFFFFF) - 1
    if len(pixels) == 0:
        return Fragments(pixels, found, np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    px = (pixels % width - low[found, 0]).astype(np.float32)[:, None]
    py = (pixels // width - low[found, 1]).astype(np.float32)[:, None]
    linear = np.clip(plane_p[found] * px + plane_q[found] * py + plane_r[found], 0, None)
    weights = linear * inverse[found]
    total = weights.sum(1, keepdims=True)
    return Fragments(pixels, found, weights / total, total[:, 0] / linear.sum(1))


def _fill(
    best: NDArray[np.int64],
    members: NDArray[np.int64],
    low: NDArray[np.int64],
    log_w: int,
    log_h: int,
    planes: tuple[Floats, Floats, Floats],
    inverse: Floats,
    size_wh: tuple[int, int],
) -> None:
    """Put the fragments of one batch of triangles into the buffer of (depth, face) keys."""
    width, height = size_wh
    p, q, r = (plane[members].T[:, :, None, None] for plane in planes)  # (3, n, 1, 1)
    xs = np.arange(1 << log_w)
    ys = np.arange(1 << log_h)[:, None]
    room = np.array([width, height]) - low[members]
    inside = (ys < room[:, 1, None, None]) & (xs < room[:, 0, None, None])
    xs, ys = xs.astype(np.float32), ys.astype(np.float32)
    values = []
    for k in range(3):
        value = (q[k] * ys + r[k]) + p[k] * xs
        inside &= value >= -1e-5
        values.append(value)
    n, row, column = np.nonzero(inside)
    if len(n) == 0:
        return
    z = sum(values[k][n, row, column] * inverse[members[n], k] for k in range(3))
    key = (np.asarray(z * 2**40, np.int64) << 20) | (members[n] + 1)
    flat = (low[members[n], 1] + row) * width + low[members[n], 0] + column
    np.maximum.at(best, flat, key)
