"""What the frames before and after tell: points that jump, left and right exchanged, group ids exchanged.

Two frames are compared after the similarity (shift, turn, scale) that brings the points of one onto those of
the other, so that the camera's pan and zoom, and the aircraft's coming nearer, take no part. Points are
complex numbers x + iy here, a track (F, 9) of them with nan where a point is not placed.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.checking.findings import Finding
from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS
from vircraft.annotation.picture import Annotation

# A jump is at least 3 px + 2 % of the aircraft, and JUMP_TIMES what the points of the clip are off by on the
# median (of points that are off by chance, one in 10^5 is) and what the frame's other points are. At an end
# of a clip only one side tells, from where a turning aircraft looks different: twice as much.
JUMP_PX, JUMP_SHARE, JUMP_TIMES, JUMP_AT_END = 3.0, 0.02, 4.0, 2.0
LEAST_POINTS = 4  # besides the one that is looked at
LEAST_SPREAD_PX2 = 1.0  # of points, below which they are one place, from which no scale follows
MOST_JUMPS = 4  # of points in one frame; each is taken out before the next is looked for
# Neighbours show about the same view: the points fit to this share of the aircraft (median).
ALIKE_SHARE = 0.05
FITS_BETTER = (
    0.5  # exchanged labels fit if they are off by less than this share of what those drawn are off by
)
SIDE_SHARE = 0.02  # |cross(f, l)| / size^2 from which on its sign counts; noise of 1 % of the size makes 0.01
MOST_GROUPS = 8  # on one frame, up to which their places are compared
MOST_EXCHANGED_SHARE = 1 / 3  # of a clip, up to which the fewer are taken to be the wrong ones

Track = NDArray[np.complex128]
_FLIPPED = np.arange(len(KEYPOINTS))
for _left, _right in FLIP_PAIRS:
    _FLIPPED[[_left, _right]] = _right, _left
_HEAD, _TAIL = KEYPOINTS.index("Head"), KEYPOINTS.index("Tail")


@dataclass(frozen=True)
class LabelledFrame:
    """One frame of a clip.

    Attributes:
        key: what the caller calls it.
        name: what to call it in messages.
        tick: its time, in the clip's own units.
        aircraft: that were labelled on it, crowds left out.
    """

    key: Hashable
    name: str
    tick: int
    aircraft: tuple[Annotation, ...]


Located = tuple[Hashable, Finding]  # the frame's key and what was found there


def find_in_clip(frames: Sequence[LabelledFrame]) -> list[Located]:
    """Return what is implausible about the frames of one clip with respect to each other."""
    frames = sorted(frames, key=lambda frame: frame.tick)
    tracks: dict[int | None, list[tuple[LabelledFrame, Annotation]]] = defaultdict(list)
    for frame in frames:
        for one in frame.aircraft:
            if one.visible_count > LEAST_POINTS:
                tracks[one.group_id].append((frame, one))
    findings = _find_exchanged_groups(frames)
    for group_id, seen in tracks.items():
        if len(seen) > 1:
            findings += _find_in_track(seen, group_id)
    return findings


def _find_in_track(seen: Sequence[tuple[LabelledFrame, Annotation]], group_id: int | None) -> list[Located]:
    values = np.array([[(x, y, v) for x, y, v in one.keypoints] for _, one in seen], np.float64)
    points: Track = np.where(values[..., 2] > 0, values[..., 0] + 1j * values[..., 1], np.nan)
    findings: list[Located] = []
    for row, other in find_exchanged_sides(points):
        text = (
            f"left and right are the other way round than on {seen[other][0].name}; exchange the labels of "
            "the pairs on one of the two"
        )
        findings.append((seen[row][0].key, Finding("left-right-swapped", text, group_id, "Left_front")))
        points[row] = points[row][_FLIPPED]
    for jump in find_jumps(points, np.array([frame.tick for frame, _ in seen], np.float64)):
        name, percent = KEYPOINTS[jump.keypoint], 100 * jump.off_px / jump.size_px
        text = (
            f"{name} is {jump.off_px:.0f} px ({percent:.0f} % of the aircraft) from where the neighbouring "
            f"frames have it; points are usually off by {jump.usual_px:.1f} px here: move it"
        )
        finding = Finding("point-jumps", text, group_id, name)
        findings.append((seen[jump.row][0].key, finding))
    return findings


@dataclass(frozen=True)
class Jump:
    """A point that is not where the neighbouring frames have it.

    Attributes:
        row: of the track.
        keypoint: position in KEYPOINTS.
        off_px: distance from where it should be.
        size_px: of the aircraft.
        usual_px: what the points of the track are off by on the median.
    """

    row: int
    keypoint: int
    off_px: float
    size_px: float
    usual_px: float


def find_jumps(track: Track, ticks: NDArray[np.float64]) -> list[Jump]:
    """Find points that jump.

    Args:
        track: (F, 9) one aircraft's points, nan where not placed.
        ticks: (F,) times, ascending.
    """
    points = track.copy()
    sizes = _sizes(points)
    jumps: list[Jump] = []
    for _ in range(MOST_JUMPS):
        off, sides = _distances(points, ticks)
        if np.isnan(off).all():
            break
        usual = float(np.nanmedian(off / sizes[:, None])) * sizes
        limit = np.maximum(JUMP_PX + JUMP_SHARE * sizes, JUMP_TIMES * usual)[:, None]
        excess = off / np.where(sides == 2, limit, JUMP_AT_END * limit)
        worst = np.argmax(np.nan_to_num(excess), axis=1)
        peaks = excess[np.arange(len(points)), worst]
        share = off / sizes[:, None]
        rows = [int(row) for row in np.flatnonzero(peaks > 1)]
        found = [
            row
            for row in rows
            if _is_peak(share, sides, row, int(worst[row]))
            and _others_fit(points, ticks, row, int(worst[row]), float(off[row, worst[row]]))
        ]
        for row in found:
            k = int(worst[row])
            jumps.append(Jump(row, k, float(off[row, k]), float(sizes[row]), float(usual[row])))
            points[row, k] = np.nan
        if not found:
            break
    return sorted(jumps, key=lambda jump: (jump.row, jump.keypoint))


def _others_fit(points: Track, ticks: NDArray[np.float64], row: int, k: int, off_px: float) -> bool:
    """Say whether the frame's other points lie much better once a point is left out.

    If they do not, the aircraft looks different from its neighbours, and no single point is to blame.
    """
    near = slice(max(row - 1, 0), row + 2)
    rest = points[near].copy()
    at = row - near.start
    rest[at, k] = np.nan
    others = _distances(rest, ticks[near])[0][at]
    others = others[~np.isnan(others)]
    return len(others) < LEAST_POINTS or off_px > JUMP_TIMES * float(np.median(others))


def _is_peak(share: NDArray[np.float64], sides: NDArray[np.int64], row: int, k: int) -> bool:
    """Say whether a point is farther off than on the frames beside it: a jump shows there, too, at half.

    An end is seen against one neighbour, so that a jump there and one on the neighbour look alike but for
    what the neighbour's other side says.
    """
    for other in (row - 1, row + 1):
        if 0 <= other < len(share) and not np.isnan(share[other, k]):
            handicap = 1.0
            if sides[row, k] == 1 and sides[other, k] == 2:
                handicap = 1.5
            elif sides[row, k] == 2 and sides[other, k] == 1:
                handicap = 1 / 1.5
            if share[row, k] < handicap * share[other, k]:
                return False
    return True


def _distances(track: Track, ticks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (F, 9) how far each point is from where its neighbours put it, and how many neighbours did.

    With two neighbours the place lies between theirs, by time.
    """
    nothing = np.full((1, track.shape[1]), np.nan, np.complex128)
    before = np.concatenate([nothing, _carried(track[:-1], track[1:])])
    after = np.concatenate([_carried(track[1:], track[:-1]), nothing])
    gap = np.maximum(np.diff(ticks), 1e-9)
    share = np.concatenate([[0.5], gap[:-1] / (gap[:-1] + gap[1:]), [0.5]])[: len(track), None]
    between = (1 - share) * before + share * after
    place = np.where(np.isnan(between), np.where(np.isnan(before), after, before), between)
    sides = (~np.isnan(before)).astype(np.int64) + ~np.isnan(after)
    return np.abs(track - place), sides


def _carried(source: Track, target: Track) -> Track:
    """Return where each point of `source` lands on `target` by the similarity of all the other points.

    Least squares over complex numbers: t = a s + b, the sums of all points less those of the point itself.
    """
    both = ~(np.isnan(source) | np.isnan(target))
    s, t = np.where(both, source, 0), np.where(both, target, 0)
    n, sum_s, sum_t, sum_ss, sum_st = (
        v.sum(1, keepdims=True) - v for v in (both.astype(np.float64), s, t, np.abs(s) ** 2, s.conj() * t)
    )
    spread = sum_ss - np.abs(sum_s) ** 2 / np.maximum(n, 1)
    usable = both & (n >= LEAST_POINTS) & (spread > LEAST_SPREAD_PX2)
    n = np.maximum(n, 1)
    a = (sum_st - sum_s.conj() * sum_t / n) / np.maximum(spread, LEAST_SPREAD_PX2)
    placed: Track = np.where(usable, a * (s - sum_s / n) + sum_t / n, np.nan)
    return placed


def _sizes(track: Track) -> NDArray[np.float64]:
    """Return (F,) the longer side of the points' extent."""
    width = np.nanmax(track.real, axis=1) - np.nanmin(track.real, axis=1)
    height = np.nanmax(track.imag, axis=1) - np.nanmin(track.imag, axis=1)
    sizes: NDArray[np.float64] = np.maximum(np.maximum(width, height), 1.0)
    return sizes


def find_exchanged_sides(track: Track) -> list[tuple[int, int]]:
    """Find frames whose left and right are exchanged against their neighbours.

    Where a third of the clip or less is against the rest, those few are returned; otherwise the first of each
    stretch.

    Returns:
        (row, a row that is the other way round), ascending.
    """
    relation = _relations(track)
    found: list[tuple[int, int]] = []
    start = 0
    for end in range(1, len(track) + 1):
        if end == len(track) or relation[end - 1] == 0:
            found += _fewer(np.cumprod(np.append(1, relation[start : end - 1])), start)
            start = end
    return found


def _fewer(state: NDArray[np.int64], start: int) -> list[tuple[int, int]]:
    """Return the rows of a stretch that are against the others, each with a row that is."""
    fewer = 1 if (state == 1).sum() < (state == -1).sum() else -1
    changes = np.flatnonzero(np.diff(state)) + 1
    if (state == fewer).sum() > MOST_EXCHANGED_SHARE * len(state):
        return [(start + int(row), start + int(row) - 1) for row in changes]
    rest = np.flatnonzero(state != fewer)
    rows = np.flatnonzero(state == fewer)
    return [(start + int(row), start + int(rest[np.argmin(np.abs(rest - row))])) for row in rows]


def _relations(track: Track) -> NDArray[np.int64]:
    """Return (F - 1,): 1 where neighbours agree in left and right, -1 where not, 0 where nothing tells."""
    before, after = track[:-1], track[1:]
    sizes = np.maximum(_sizes(after), 1.0)
    as_drawn = _misfit(before, after) / sizes
    exchanged = _misfit(before[:, _FLIPPED], after) / sizes
    side = np.stack([_side(before), _side(after)])
    same_side = side[0] * side[1] > 0  # an aircraft that passes by shows the same underside
    against = (exchanged < FITS_BETTER * as_drawn) & (exchanged < ALIKE_SHARE) & ~same_side
    agree = (as_drawn < ALIKE_SHARE) & ~against
    return np.where(against, -1, np.where(agree, 1, 0)).astype(np.int64)


def _misfit(source: Track, target: Track) -> NDArray[np.float64]:
    """Return (F,) the root mean square distance after the best similarity; inf where points lack."""
    off = np.abs(_carried(source, target) - target)
    count = (~np.isnan(off)).sum(1)
    total = np.nansum(off**2, axis=1)
    return np.where(count > LEAST_POINTS, np.sqrt(total / np.maximum(count, 1)), np.inf)


def _side(track: Track) -> NDArray[np.float64]:
    """Return (F,) the sign of cross(f, l); 0 where it is weak."""
    forward = track[:, _HEAD] - track[:, _TAIL]
    lines = np.stack([track[:, left] - track[:, right] for left, right in FLIP_PAIRS])
    lateral = np.where(np.isnan(lines), 0, lines).sum(0)
    value = (forward.conj() * lateral).imag / 2 / _sizes(track) ** 2
    return np.where(np.abs(np.nan_to_num(value)) > SIDE_SHARE, np.sign(value), 0.0)


def _find_exchanged_groups(frames: Sequence[LabelledFrame]) -> list[Located]:
    """Find frames on which two aircraft have exchanged their places against the frames beside them.

    The camera follows them, so it is the line from one to the other that counts.
    """
    lines: dict[tuple[int, int], list[tuple[LabelledFrame, NDArray[Any]]]] = defaultdict(list)
    for frame in frames:
        placed = {one.group_id: one for one in frame.aircraft if one.group_id is not None}
        if len(placed) > MOST_GROUPS:
            continue
        for a, b in itertools.combinations(sorted(placed), 2):
            line, size = _line(placed[a], placed[b])
            if np.hypot(*line) > size:  # else too close to tell
                lines[a, b].append((frame, line))
    findings: list[Located] = []
    for (a, b), seen in lines.items():
        steps = [np.sign(one @ other) for (_, one), (_, other) in itertools.pairwise(seen)]
        for row, other in _fewer(np.cumprod([1, *steps]), 0) if steps and -1 in steps else ():
            text = (
                f"groups {a} and {b} are the other way round than on {seen[other][0].name}; exchange their "
                "numbers on one of the two, if a number shall follow an aircraft through the clip"
            )
            findings.append((seen[row][0].key, Finding("groups-exchanged", text, a)))
    return findings


def _line(a: Annotation, b: Annotation) -> tuple[NDArray[Any], float]:
    """Return the line between the middles of two aircraft and half their mean size."""
    boxes = np.array([a.box_xyxy, b.box_xyxy])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    return middles[1] - middles[0], float((boxes[:, 2:] - boxes[:, :2]).max(1).mean()) / 2
