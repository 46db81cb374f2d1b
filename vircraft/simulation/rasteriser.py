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

    Every face becomes one span of pixels per row that it crosses, every span its pixels; all faces go through
    each step together, so the work is a few dozen array operations whatever their number.

    Args:
        xy: (V, 2) pixel coordinates of the vertices, centres at integers, y down.
        depth: (V,) distance along the optical axis, above 0.
        faces: (F, 3), counter-clockwise seen from outside; faces that look away are skipped.
        size_wh: of the picture.
    """
    width, height = size_wh
    corner = xy[faces]
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    # y points down, so a face that is counter-clockwise from outside has a negative cross product here
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    top = np.minimum(np.minimum(a[:, 1], b[:, 1]), c[:, 1])
    bottom = np.maximum(np.maximum(a[:, 1], b[:, 1]), c[:, 1])
    first = np.ceil(np.maximum(top, 0)).astype(np.int64)
    last = np.floor(np.minimum(bottom, height - 1)).astype(np.int64)
    chosen = np.flatnonzero((area < -1e-6) & (last >= first))
    corner, area, first, last = corner[chosen], area[chosen], first[chosen], last[chosen]
    inverse = 1.0 / depth[faces[chosen]]

    # Barycentric weights as planes p x + q y + r over the picture, (3, F).
    x, y = corner[..., 0].T, corner[..., 1].T
    x1, x2, y1, y2 = x[[1, 2, 0]], x[[2, 0, 1]], y[[1, 2, 0]], y[[2, 0, 1]]
    p, q, r = (y1 - y2) / area, (x2 - x1) / area, (x1 * y2 - x2 * y1) / area

    face_of_span = np.repeat(np.arange(len(chosen)), last - first + 1)
    row = _counted(last - first + 1) + first[face_of_span]
    left, right = _span_ends(p[:, face_of_span], q[:, face_of_span] * row + r[:, face_of_span], width)
    count = np.maximum(right - left + 1, 0)

    # 1 / depth is a plane as well.
    zp, zq, zr = (np.einsum("kf,fk->f", plane, inverse) for plane in (p, q, r))
    z_left = (zr + 0.0)[face_of_span] + zq[face_of_span] * row + zp[face_of_span] * left
    step = _counted(count)
    z = np.repeat(z_left, count) + np.repeat(zp[face_of_span], count) * step
    flat = np.repeat(row * width + left, count) + step
    key = ((z * _DEPTH_STEPS).astype(np.int64) << _FACE_BITS) | np.repeat(face_of_span + 1, count)
    best = np.zeros(width * height, np.int64)
    np.maximum.at(best, flat, key)

    pixels = np.flatnonzero(best)
    found = (best[pixels] & ((1 << _FACE_BITS) - 1)) - 1
    px, py = pixels % width, pixels // width
    weights = np.clip(p[:, found] * px + q[:, found] * py + r[:, found], 0, None) * inverse[found].T
    total = weights.sum(0)
    nearness = zp[found] * px + zq[found] * py + zr[found]
    return Fragments(
        pixels, chosen[found], (weights / total).T.astype(np.float32), nearness.astype(np.float32)
    )


_FACE_BITS = 20
_DEPTH_STEPS = 2.0**42  # of 1 / depth: half a millimetre at 1 km


def _counted(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, .. length - 1 for each length in turn."""
    ends = np.cumsum(lengths)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def _span_ends(
    slope: NDArray[np.float64], value: NDArray[np.float64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and last column where all three weights slope * x + value are at least 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = -value / slope
    low = np.where(slope > 0, root, -np.inf).max(0)
    high = np.where(slope < 0, root, np.inf).min(0)
    outside = ((slope == 0) & (value < 0)).any(0)
    left = np.ceil(np.clip(low - 1e-7, 0, width)).astype(np.int64)
    right = np.floor(np.clip(high + 1e-7, -1, width - 1)).astype(np.int64)
    return left, np.where(outside, left - 1, right)
