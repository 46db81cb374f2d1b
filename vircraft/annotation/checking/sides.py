"""Are left and right, front and behind, head and tail where they can be on a real aircraft?

Far away, a picture shows an aircraft as an affine camera does. Its axes point forward (f, from Tail to Head),
to the left (l, from a right point to its left one) and up (u, about from Tail to Vertical); the picture's x
goes right, y down, and depth away from the camera. Of a rotation's rows two are seen, and the third is their
cross product, so the depth of each axis follows from the other two on the picture: with
cross(a, b) = a_x b_y - a_y b_x,

    cross(f, l) > 0   up points away from the camera: it is seen from below
    cross(l, u) < 0   the nose points to the camera
    cross(f, u) > 0   its left side faces the camera

Exchanging left and right reverses l, and with it the first two; the third stays. A mirrored picture whose
left and right labels were exchanged, too, is a picture of a real aircraft and keeps all three.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vircraft.annotation.checking.findings import Finding
from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.picture import Annotation

PAIRS = ("front", "behind", "root")

# Noise of hand labels, px and in sizes of the aircraft, that no sign may hang on. On simulated aircraft the
# left-right pairs agree by 0.1 (seen from the side) to 10 % of the size, and the leading edge of a wing tip
# lies 1 to 5 % before its trailing edge.
SIGN_PX, SIGN_SHARE = 3.0, 0.016
# The three left-right lines are parallel; perspective at six aircraft lengths parts them by 1.3 % of the
# size. The two at the wing tips are of one length, but for raked tips, up to 8 % of the span.
SKEW_PX, SKEW_SHARE, RAKE_SHARE = 3.0, 0.07, 0.13
# Two axes are told apart from one when their cross product is at least this share of the size squared; the
# truth seen from the side has 0.15 to 0.20.
CROSS_SHARE = 0.03
# Sine of the angle from which on an aircraft is clearly seen from below or above. From behind, a camera on
# the ground sees the top of one that climbs with its nose up by 15 degrees, at 0.17. One that comes shows no
# top: 0.04 are the error of the estimate.
CLEARLY, COMING, NOISE_PX = 0.22, 0.06, 4.0
SPAN_PER_LENGTH = 1.0  # between 0.85 and 1.2 for most; only the estimate of the sine depends on it

Point = tuple[float, float]
Points = Mapping[str, Point]


def find_wrong_sides(one: Annotation) -> list[Finding]:
    """Return what is implausible about the arrangement of the keypoints of one aircraft."""
    points = _placed(one)
    if len(points) < 4:
        return []
    size = _size(points)
    lines = _lines(points)
    odd = _odd_pairs(lines, size)
    findings = _find_odd_pairs(odd, one.group_id) or _find_skew(lines, size, one.group_id)
    forward = _between(points, "Tail", "Head")
    if forward is not None:
        findings += _find_exchanged_ends(points, forward, size, one.group_id)
        if not findings:
            findings = _find_all_exchanged(one, points, forward, lines, size)
    return findings


def cross(a: Point, b: Point) -> float:
    """Return a_x b_y - a_y b_x."""
    return a[0] * b[1] - a[1] * b[0]


def lateral_axis(lines: Mapping[str, Point]) -> Point | None:
    """Return the direction to the left: the sum of the wing tips' lines, else that of the roots."""
    tips = [lines[pair] for pair in ("front", "behind") if pair in lines]
    if tips:
        return sum(x for x, _ in tips) / len(tips), sum(y for _, y in tips) / len(tips)
    return lines.get("root")


def _placed(one: Annotation) -> Points:
    return {name: (x, y) for name, (x, y, v) in zip(KEYPOINTS, one.keypoints, strict=True) if v}


def _lines(points: Points) -> dict[str, Point]:
    """Return the line from right to left of each pair that is placed."""
    lateral = {pair: _between(points, f"Right_{pair}", f"Left_{pair}") for pair in PAIRS}
    return {pair: line for pair, line in lateral.items() if line is not None}


def _size(points: Points) -> float:
    xs, ys = [x for x, _ in points.values()], [y for _, y in points.values()]
    return max(max(xs) - min(xs), max(ys) - min(ys), 1.0)


def _between(points: Points, start: str, end: str) -> Point | None:
    if start not in points or end not in points:
        return None
    (x0, y0), (x1, y1) = points[start], points[end]
    return x1 - x0, y1 - y0


def _dot(a: Point, b: Point) -> float:
    return a[0] * b[0] + a[1] * b[1]


def _odd_pairs(lines: Mapping[str, Point], size: float) -> tuple[str, ...]:
    """Return the pairs whose line points against the others'; both of two where no third decides."""
    usual = SIGN_PX + SIGN_SHARE * size
    against = [
        (a, b)
        for n, a in enumerate(lines)
        for b in list(lines)[n + 1 :]
        if _dot(lines[a], lines[b]) < -usual * max(math.hypot(*lines[a]), math.hypot(*lines[b]))
    ]
    if not against:
        return ()
    counts = {pair: sum(pair in both for both in against) for pair in lines}
    most = max(counts.values())
    return tuple(pair for pair in lines if counts[pair] == most)


def _find_odd_pairs(odd: tuple[str, ...], group_id: int | None) -> list[Finding]:
    if not odd:
        return []
    names = " or ".join(f"Left_{pair} and Right_{pair}" for pair in odd)
    text = f"{names} are exchanged: their line points against that of the other pairs; exchange their labels"
    return [Finding("left-right-swapped", text, group_id, f"Left_{odd[0]}")]


def _find_skew(lines: Mapping[str, Point], size: float, group_id: int | None) -> list[Finding]:
    """Find a pair whose line is not parallel to that of another, or front and behind of unequal length."""
    usual = SKEW_PX + SKEW_SHARE * size
    for a, b in (("front", "behind"), ("front", "root"), ("behind", "root")):
        if a not in lines or b not in lines:
            continue
        length = math.hypot(*lines[a])
        skew = abs(cross(lines[a], lines[b])) / length if length > usual else 0.0
        if b == "root":  # its short line cannot be turned by more than its length
            unequal = 0.0
        else:
            unequal = abs(math.hypot(*lines[b]) - length) - (RAKE_SHARE - SKEW_SHARE) * length
        if max(skew, unequal) > usual:
            text = (
                f"the lines Left_{a} to Right_{a} and Left_{b} to Right_{b} differ by "
                f"{max(skew, unequal):.0f} px ({100 * max(skew, unequal) / size:.0f} % of the aircraft), "
                "though an aircraft is its own mirror image; move the point that is off"
            )
            return [Finding("asymmetric", text, group_id, f"Left_{a}")]
    return []


def _find_exchanged_ends(points: Points, forward: Point, size: float, group_id: int | None) -> list[Finding]:
    """Find wing tips whose trailing edge lies fore of the leading edge."""
    length = math.hypot(*forward)
    usual = SIGN_PX + SIGN_SHARE * size
    if length < 2 * usual:
        return []
    chords = {side: _between(points, f"{side}_behind", f"{side}_front") for side in ("Left", "Right")}
    wrong = [side for side, c in chords.items() if c is not None and _dot(c, forward) < -usual * length]
    if len(wrong) == 2:
        text = (
            "Head and Tail are exchanged, or front and behind on both sides: the wing tips have their "
            "leading edges towards Tail; exchange the labels"
        )
        return [Finding("head-tail-swapped", text, group_id, "Head")]
    text = "{0}_front and {0}_behind are exchanged: the leading edge lies towards Tail; exchange the labels"
    return [Finding("front-behind-swapped", text.format(side), group_id, f"{side}_front") for side in wrong]


def _find_all_exchanged(
    one: Annotation, points: Points, forward: Point, lines: Mapping[str, Point], size: float
) -> list[Finding]:
    up = _between(points, "Tail", "Vertical")
    left = lateral_axis(lines)
    why = _hidden_side(one, forward, up, size) or _hidden_end(one, left, up, size)
    if why is None:
        return []
    text = f"left and right are exchanged: {why}; exchange the labels of the pairs"
    return [Finding("left-right-swapped", text, one.group_id, _first_left(points))]


def _first_left(points: Points) -> str:
    return next((name for name in points if name.startswith("Left")), "")


def _seen(one: Annotation, name: str) -> Visibility:
    return one.keypoints[KEYPOINTS.index(name)][2]


def _hidden_side(one: Annotation, forward: Point, up: Point | None, size: float) -> str | None:
    """Say why, when the root on the near side is hidden and that on the far side is not."""
    roots = _seen(one, "Left_root"), _seen(one, "Right_root")
    if up is None or set(roots) != {Visibility.VISIBLE, Visibility.OCCLUDED}:
        return None
    facing = cross(forward, up)
    if abs(facing) < CROSS_SHARE * size**2 or (facing > 0) == (roots[0] is Visibility.VISIBLE):
        return None
    near, far = ("Left", "Right") if facing > 0 else ("Right", "Left")
    return (
        f"by Head, Tail and Vertical its {near.lower()} side faces the camera, but {near}_root is flagged "
        f"occluded and {far}_root is not"
    )


def _hidden_end(one: Annotation, left: Point | None, up: Point | None, size: float) -> str | None:
    """Say why, when the nearer of Head and Tail is hidden and the other is not."""
    ends = _seen(one, "Head"), _seen(one, "Tail")
    if up is None or left is None or set(ends) != {Visibility.VISIBLE, Visibility.OCCLUDED}:
        return None
    coming = -cross(left, up)
    if abs(coming) < CROSS_SHARE * size**2 or (coming > 0) == (ends[0] is Visibility.VISIBLE):
        return None
    near, far = ("Head", "Tail") if coming > 0 else ("Tail", "Head")
    return f"by the wings and the fin {near} is nearer than {far}, but {near} is flagged occluded"


@dataclass(frozen=True)
class View:
    """From where an aircraft is seen.

    Attributes:
        sine: of the angle at which the underside of the wings is seen; negative for the top.
        noise: what that may be off by.
        coming: its nose clearly points to the camera.
    """

    sine: float
    noise: float
    coming: bool

    @property
    def side(self) -> int:
        """1 when it is clearly seen from below, -1 from above, 0 when neither is clear."""
        clear = abs(self.sine) > CLEARLY + self.noise
        return 0 if not clear else 1 if self.sine > 0 else -1


def view_of(one: Annotation) -> View | None:
    """Return from where an aircraft is seen, as its labels have it; None when too few points are placed."""
    points = _placed(one)
    lateral = lateral_axis(_lines(points))
    forward, up = _between(points, "Tail", "Head"), _between(points, "Tail", "Vertical")
    if forward is None or lateral is None:
        return None
    size = _size(points)
    coming = up is not None and cross(lateral, up) < -CROSS_SHARE * size**2
    return View(sine_from_below(forward, lateral), NOISE_PX / size, coming)


def find_wrong_view(one: Annotation, view: View, expected: int) -> list[Finding]:
    """Find an aircraft whose left and right seem exchanged because it shows the wrong side of its wings.

    Args:
        one: the aircraft.
        view: of it.
        expected: 1 where cameras look up at aircraft, -1 where they look down on them.
    """
    limit = (COMING if view.coming and expected > 0 else CLEARLY) + view.noise
    if view.sine * expected > -limit:
        return []
    degrees = math.degrees(math.asin(min(abs(view.sine), 1.0)))
    seen, usual = ("above", "below") if expected > 0 else ("below", "above")
    text = (
        f"left and right are exchanged: it would be seen from about {degrees:.0f} degrees {seen} its wings, "
        f"though aircraft are seen from {usual} here; exchange the labels of the pairs, unless it banks"
    )
    return [Finding("left-right-swapped", text, one.group_id, _first_left(_placed(one)))]


def sine_from_below(forward: Point, left: Point) -> float:
    """Return the sine of the angle at which the underside of the wings is seen; negative for the top.

    f and l are perpendicular on the aircraft and their lengths F and k F are in a known ratio, so with the
    depths z of both, F^2 = f.f + z_f^2, (k F)^2 = l.l + z_l^2 and f.l + z_f z_l = 0: F^2 is the larger root
    of (F^2 - f.f) (k^2 F^2 - l.l) = (f.l)^2. The sine is cross(f, l) / (k F^2).
    """
    k2 = SPAN_PER_LENGTH**2
    ff, ll, fl = _dot(forward, forward), _dot(left, left), _dot(forward, left)
    b = ll + k2 * ff
    root = math.sqrt(max(b * b - 4 * k2 * (ff * ll - fl * fl), 0.0))
    length2 = (b + root) / (2 * k2)
    return cross(forward, left) / (SPAN_PER_LENGTH * length2) if length2 > 0 else 0.0
