"""Where to write the names of keypoints so that they hide neither the aircraft nor one another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.report.drawing import Picture

Place = tuple[float, float]
Rect = tuple[float, float, float, float]  # left, top, right, bottom

_DIRECTIONS = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 24, endpoint=False)]
_REACHES = (0.8, 1.4, 2.2, 3.2, 4.5, 6.0, 8.0, 10.0)  # heights of a name between point and name
_SWEEPS = 3
_GAP = 3.0  # pixels kept free around a name


@dataclass(frozen=True)
class _Candidate:
    rect: Rect
    end: Place  # of the leader, at the rectangle
    fixed_cost: float  # that does not depend on where the other names are


def place_names(
    points: Mapping[str, Place], size_wh: Mapping[str, tuple[int, int]], covered: Picture
) -> dict[str, Rect]:
    """Choose a rectangle for each name.

    Every name is tried in 24 directions and at several distances from its point. What it costs: covering
    the aircraft, a mark or another name, a leader across the aircraft or across another leader, and
    distance. Each name takes its cheapest place in turn, three times round.

    Args:
        points: name -> place of its keypoint on the canvas.
        size_wh: name -> size of its text in pixels.
        covered: (H, W) uint8, not 0 where the aircraft is.

    Returns:
        name -> left, top, right, bottom; a name for which the canvas has no room at all is left out.
    """
    total = np.asarray(cv2.integral((covered > 0).astype(np.uint8)), np.int32)
    candidates = {
        name: found for name in points if (found := _candidates(name, points, size_wh[name], covered, total))
    }
    chosen: dict[str, _Candidate] = {}
    for _ in range(_SWEEPS):
        for name, options in candidates.items():
            others = [(points[n], c) for n, c in chosen.items() if n != name]
            costs = [option.fixed_cost + _clash(points[name], option, others) for option in options]
            chosen[name] = options[costs.index(min(costs))]
    return {name: candidate.rect for name, candidate in chosen.items()}


def leader_end(point: Place, rect: Rect) -> Place:
    """Return the place of a rectangle that is nearest to a point."""
    return min(max(point[0], rect[0]), rect[2]), min(max(point[1], rect[1]), rect[3])


def _candidates(
    name: str, points: Mapping[str, Place], wh: tuple[int, int], covered: Picture, total: NDArray[np.int32]
) -> list[_Candidate]:
    height, width = covered.shape
    x, y = points[name]
    found = []
    for reach in _REACHES:
        for dx, dy in _DIRECTIONS:
            centre_x = x + dx * (reach * wh[1] + wh[0] / 2)
            centre_y = y + dy * (reach * wh[1] + wh[1] / 2)
            rect = (centre_x - wh[0] / 2, centre_y - wh[1] / 2, centre_x + wh[0] / 2, centre_y + wh[1] / 2)
            if rect[0] < 1 or rect[1] < 1 or rect[2] > width - 1 or rect[3] > height - 1:
                continue
            end = leader_end((x, y), rect)
            cost = 8 * _share(rect, total) + 1.5 * _leader_share((x, y), end, covered) + 0.16 * reach
            cost += sum(6.0 for n, p in points.items() if _inside(p, rect, 2 * _GAP) and n != name)
            found.append(_Candidate(rect, end, cost))
    return found


def _share(rect: Rect, total: NDArray[np.int32]) -> float:
    """Return the share of a rectangle that lies on the aircraft."""
    x0, y0, x1, y1 = (round(v) for v in rect)
    inside = int(total[y1, x1]) - int(total[y0, x1]) - int(total[y1, x0]) + int(total[y0, x0])
    return inside / max(1, (x1 - x0) * (y1 - y0))


def _leader_share(a: Place, b: Place, covered: Picture) -> float:
    """Return the share of a leader that runs across the aircraft."""
    hits = 0
    for t in (0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])
        row, column = min(max(int(y), 0), covered.shape[0] - 1), min(max(int(x), 0), covered.shape[1] - 1)
        hits += covered[row, column] > 0
    return hits / 5


def _clash(point: Place, candidate: _Candidate, others: list[tuple[Place, _Candidate]]) -> float:
    """Return what a place costs because of the other names."""
    cost = 0.0
    for other_point, other in others:
        if _overlap(candidate.rect, other.rect):
            cost += 20.0
        if _cross(point, candidate.end, other_point, other.end):
            cost += 2.5
        if _hits(point, candidate.end, other.rect) or _hits(other_point, other.end, candidate.rect):
            cost += 3.0
    return cost


def _inside(point: Place, rect: Rect, gap: float) -> bool:
    return rect[0] - gap < point[0] < rect[2] + gap and rect[1] - gap < point[1] < rect[3] + gap


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] + _GAP and b[0] < a[2] + _GAP and a[1] < b[3] + _GAP and b[1] < a[3] + _GAP


def _hits(a: Place, b: Place, rect: Rect) -> bool:
    """Say whether a leader runs through a rectangle (looked at in a few places)."""
    return any(
        _inside((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])), rect, 0) for t in (0.2, 0.4, 0.6, 0.8)
    )


def _cross(a: Place, b: Place, c: Place, d: Place) -> bool:
    """Say whether two segments cross."""

    def side(p: Place, q: Place, r: Place) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
