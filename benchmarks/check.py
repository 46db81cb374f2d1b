"""What `vircraft check` finds implausible: false alarms on true labels, and which planted mistakes it finds.

    python benchmarks/check.py [--clips 8] [--seeds 1 2 3] [--step 10]

The labels are the simulator's truth of every `step`th frame (geometry only, nothing is rendered), of five
kinds of flight: on approach; landing past the camera; climbing away from it; passing by at right angles; and
near, 150 to 260 m away and up to 45 degrees high. They are checked as they are and as people would draw them:
outlines simplified by 2 px with corners off by 1 px, points off by 1 px, or by 1 or 2 % of the aircraft. Then
one mistake is planted in every picture in turn, and it is counted how often that picture gets a finding that
it did not have.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.checking.neighbours import LabelledFrame, find_in_clip
from vircraft.annotation.checking.plausibility import find_in_picture
from vircraft.annotation.checking.sides import find_wrong_view, view_of
from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS, Visibility
from vircraft.annotation.picture import ABSENT, Annotation, PictureAnnotations
from vircraft.simulation.aircraft import build_aircraft
from vircraft.simulation.clock import build_clock
from vircraft.simulation.film import _outline, keypoints_in
from vircraft.simulation.flight import Flight, plan_flight
from vircraft.simulation.rig import build_rig
from vircraft.simulation.settings import ClipSettings, PlanSettings, plan_clips
from vircraft.simulation.shading import silhouette

FLIGHTS = ("approach", "past", "climb", "abeam", "near")
HANDS = {  # noise of points and corners, px; of points, share of the aircraft; simplification of outlines, px
    "exact": (0.0, 0.0, 0.0),
    "1 px": (1.0, 0.0, 2.0),
    "1 %": (1.0, 0.01, 2.0),
    "2 %": (1.0, 0.02, 2.0),
}
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """One aircraft on one frame: (9, 3) keypoints and the pieces of its outline, (N, 2)."""

    clip: str
    tick: int
    size_wh: tuple[int, int]
    keypoints: Array
    outline: tuple[Array, ...]

    @property
    def size(self) -> float:
        """Return the longer side of the outline, px."""
        return float(np.ptp(np.concatenate(self.outline), axis=0).max())


Clips = Mapping[str, list[Labels]]
Picture = list[tuple[int, Labels]]  # group id and aircraft


def main() -> None:
    """Film, check, plant mistakes, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--step", type=int, default=10)
    options = parser.parse_args()
    clips: dict[str, list[Labels]] = {}
    for flight in FLIGHTS:
        for seed in options.seeds:
            for settings in plan_clips(PlanSettings(clips=options.clips, seed=seed)):
                name = f"{flight}/{settings.name}/{seed}"
                clips[name] = film(name, flight, settings, options.step)
    print(f"{sum(map(len, clips.values()))} pictures of {len(clips)} clips\n")
    for hand, noise in HANDS.items():
        rng = np.random.default_rng(0)
        drawn = {name: [draw(one, noise, rng) for one in frames] for name, frames in clips.items()}
        show_false_alarms(hand, drawn)
        show_mistakes(hand, drawn)


def film(name: str, kind: str, settings: ClipSettings, step: int) -> list[Labels]:
    """Return the true labels of a clip."""

    def rng(part: int) -> np.random.Generator:
        return np.random.default_rng([settings.seed, part])

    aircraft = build_aircraft(settings.aircraft, float(rng(0).uniform(0.92, 1.15)))
    flight = fly(kind, plan_flight(settings, rng(1)), settings, rng(9))
    rig, clock = build_rig(settings, flight, aircraft.mesh.vertices, rng(2)), build_clock(settings).infrared
    scene = SimpleNamespace(aircraft=aircraft, flight=flight)
    labels = []
    for tick, instant in zip(clock.ticks, clock.instants_s, strict=True):
        camera, t_s = rig.infrared(float(instant)), float(instant)
        shape = (
            None
            if tick % step
            else silhouette(aircraft, flight.place(t_s), flight.world_from_body(t_s), camera)
        )
        if shape is not None and (outline := _outline(shape)):
            points = keypoints_in(scene, camera, t_s)  # type: ignore[arg-type]
            labels.append(Labels(name, int(tick), settings.infrared_wh, points, outline))
    return labels


def fly(kind: str, flight: Flight, settings: ClipSettings, rng: np.random.Generator) -> Flight:
    """Return a flight of another kind in the place of an approach."""
    half_s = settings.duration_s / 2
    velocity, middle = flight.velocity, flight.start + flight.velocity * half_s
    pitch_deg = flight.pitch_deg
    if kind in ("past", "climb"):
        middle = middle * [-1, 1, 1]
    if kind == "climb":
        rise = np.radians(rng.uniform(4, 9))
        velocity = np.linalg.norm(velocity) * np.array([np.cos(rise), 0, np.sin(rise)])
        pitch_deg = float(rng.uniform(8, 15))
    if kind == "abeam":
        middle = middle * [0, 1.2, 1]
    if kind == "near":
        distance, aspect = rng.uniform(150, 260), np.radians(rng.uniform(0, 180))
        rise, side = np.radians(rng.uniform(15, 45)), rng.choice([-1, 1])
        level = distance * np.cos(rise)
        middle = np.array([-level * np.cos(aspect), side * level * np.sin(aspect), distance * np.sin(rise)])
    return replace(flight, start=middle - velocity * half_s, velocity=velocity, pitch_deg=pitch_deg)


def draw(one: Labels, noise: tuple[float, float, float], rng: np.random.Generator) -> Labels:
    """Return labels as a hand draws them."""
    px, share, simplified_px = noise
    points = one.keypoints.copy()
    points[:, :2] += rng.normal(0, 1, (9, 2)) * np.hypot(px, share * one.size) * (points[:, 2:] > 0)
    outline = one.outline
    if simplified_px:
        fewer = [cv2.approxPolyDP(p.astype(np.float32)[:, None], simplified_px, True)[:, 0] for p in outline]
        outline = tuple(p + rng.normal(0, px, p.shape) for p in fewer if len(p) > 2) or outline
    return replace(one, keypoints=points, outline=outline)


def show_false_alarms(hand: str, clips: Clips) -> None:
    """Print how many pictures get each finding although nothing was planted."""
    print(f"hand {hand}: pictures with a finding, though the labels are true [%]")
    for kind in FLIGHTS:
        counts: Counter[str] = Counter()
        total = 0
        for name, frames in clips.items():
            if name.startswith(kind):
                found = check([[(1, one)] for one in frames])
                total += len(frames)
                counts.update(code for codes in found for code in codes)
        listed = ", ".join(f"{code} {100 * count / total:.2f}" for code, count in counts.items())
        print(f"  {kind:9} {total:5d} pictures: {listed or 'none'}")


def check(pictures: list[Picture]) -> list[set[str]]:
    """Return the codes found on each picture of a clip."""
    codes: list[set[str]] = []
    frames = []
    for number, picture in enumerate(pictures):
        labels = PictureAnnotations(
            Path(f"{number}.json"), "x.png", picture[0][1].size_wh, annotations(picture)
        )
        codes.append({finding.code for finding in find_in_picture(labels)})
        for one in labels.annotations:
            view = view_of(one)
            if view is not None and "left-right-swapped" not in codes[-1]:
                codes[-1] |= {finding.code for finding in find_wrong_view(one, view, 1)}
        frames.append(LabelledFrame(number, f"{number}.json", picture[0][1].tick, labels.annotations))
    for number, finding in find_in_clip(frames):
        assert isinstance(number, int)
        codes[number].add(finding.code)
    return codes


def annotations(picture: Picture) -> tuple[Annotation, ...]:
    """Return the annotations that a reader makes of drawn labels."""
    made = []
    for group_id, one in sorted(picture, key=lambda pair: pair[0]):
        vertices = np.concatenate(one.outline)
        (x0, y0), (x1, y1) = vertices.min(0), vertices.max(0)
        points = tuple((float(x), float(y), Visibility(int(v))) if v else ABSENT for x, y, v in one.keypoints)
        pieces = tuple(tuple((float(x), float(y)) for x, y in piece) for piece in one.outline)
        box = (float(x0), float(y0), float(x1), float(y1))
        made.append(Annotation(group_id, box, 1.0, points, pieces))
    return tuple(made)


def exchange(one: Labels, pairs: Iterable[tuple[int, int]]) -> Labels:
    """Exchange keypoints."""
    points = one.keypoints.copy()
    for a, b in pairs:
        points[[a, b]] = points[[b, a]]
    return replace(one, keypoints=points)


def move_point(one: Labels, share: float, rng: np.random.Generator) -> Labels:
    """Move one keypoint by a share of the aircraft, anywhere."""
    points = one.keypoints.copy()
    k, angle = rng.choice(np.flatnonzero(points[:, 2])), rng.uniform(0, 2 * np.pi)
    points[k, :2] += share * one.size * np.array([np.cos(angle), np.sin(angle)])
    return replace(one, keypoints=points)


def move_outline(one: Labels, share: float, rng: np.random.Generator) -> Labels:
    """Move the outline by a share of the aircraft, anywhere."""
    angle = rng.uniform(0, 2 * np.pi)
    step = share * one.size * np.array([np.cos(angle), np.sin(angle)])
    return replace(one, outline=tuple(piece + step for piece in one.outline))


Mistake = Callable[[Labels, np.random.Generator], Labels]
HEAD, TAIL = KEYPOINTS.index("Head"), KEYPOINTS.index("Tail")
LEFT_TIP = (KEYPOINTS.index("Left_front"), KEYPOINTS.index("Left_behind"))
MISTAKES: dict[str, Mistake] = {
    "left and right exchanged, all pairs": lambda one, _: exchange(one, FLIP_PAIRS),
    "left and right exchanged, front": lambda one, _: exchange(one, FLIP_PAIRS[:1]),
    "left and right exchanged, root": lambda one, _: exchange(one, FLIP_PAIRS[1:2]),
    "left and right exchanged, behind": lambda one, _: exchange(one, FLIP_PAIRS[2:]),
    "head and tail exchanged": lambda one, _: exchange(one, [(HEAD, TAIL)]),
    "front and behind of a tip exchanged": lambda one, _: exchange(one, [LEFT_TIP]),
    "a point moved by 5 %": lambda one, rng: move_point(one, 0.05, rng),
    "a point moved by 10 %": lambda one, rng: move_point(one, 0.10, rng),
    "a point moved by 20 %": lambda one, rng: move_point(one, 0.20, rng),
    "the outline moved by 5 %": lambda one, rng: move_outline(one, 0.05, rng),
    "the outline moved by 10 %": lambda one, rng: move_outline(one, 0.10, rng),
    "the outline moved by 20 %": lambda one, rng: move_outline(one, 0.20, rng),
}


def show_mistakes(hand: str, clips: Clips) -> None:
    """Print how often a planted mistake gives a new finding on its picture."""
    print(f"\nhand {hand}: mistakes found, one in a clip at a time [%]")
    print(f"  {'':38}" + "".join(f"{kind:>10}" for kind in FLIGHTS) + "   by which findings")
    for what, mistake in MISTAKES.items():
        row(what, clips, lambda pictures, rng, mistake=mistake: plant(pictures, mistake, rng))
    row("left and right, in the whole clip", clips, exchange_whole_clip)
    print("  two aircraft side by side:")
    for what, regroup in REGROUPED.items():
        row(what, clips, lambda pictures, rng, regroup=regroup: plant_pair(pictures, regroup))
    print()


Trial = tuple[set[str], set[str]]  # codes before and after
Planter = Callable[[list[Picture], np.random.Generator], list[Trial]]


def row(what: str, clips: Clips, planter: Planter) -> None:
    """Print one kind of mistake."""
    rng = np.random.default_rng(1)
    found: dict[str, list[bool]] = defaultdict(list)
    codes: Counter[str] = Counter()
    for name, frames in clips.items():
        for before, after in planter([[(1, one)] for one in frames], rng):
            found[name.partition("/")[0]].append(bool(after - before))
            codes.update(after - before)
    cells = "".join(f"{100 * np.mean(found[kind]):10.1f}" for kind in FLIGHTS)
    total = sum(map(len, found.values()))
    listed = ", ".join(f"{code} {100 * count / total:.0f}" for code, count in codes.most_common(4))
    print(f"  {what:38}{cells}   {listed}")


def plant(pictures: list[Picture], mistake: Mistake, rng: np.random.Generator) -> list[Trial]:
    """Make the mistake on each picture of a clip in turn."""
    before = check(pictures)
    trials = []
    for k, picture in enumerate(pictures):
        wrong = [(group_id, mistake(one, rng)) for group_id, one in picture]
        after = check([*pictures[:k], wrong, *pictures[k + 1 :]])
        trials.append((before[k], after[k]))
    return trials


def exchange_whole_clip(pictures: list[Picture], _: np.random.Generator) -> list[Trial]:
    """Exchange left and right on every picture of a clip at once."""
    wrong = [[(group_id, exchange(one, FLIP_PAIRS)) for group_id, one in picture] for picture in pictures]
    return list(zip(check(pictures), check(wrong), strict=True))


def plant_pair(pictures: list[Picture], regroup: Callable[[Labels, Labels], Picture]) -> list[Trial]:
    """Put a second aircraft beside the first and mix the two up on each picture in turn."""
    pairs = []
    for picture in pictures:
        one = picture[0][1]
        aside = np.array([1.3 * one.size, 0.2 * one.size])
        points = one.keypoints.copy()
        points[:, :2] += aside * (points[:, 2:] > 0)
        pairs.append((one, replace(one, keypoints=points, outline=tuple(p + aside for p in one.outline))))
    good: list[Picture] = [[(1, a), (2, b)] for a, b in pairs]
    before = check(good)
    trials = []
    for k, (a, b) in enumerate(pairs):
        after = check([*good[:k], regroup(a, b), *good[k + 1 :]])
        trials.append((before[k], after[k]))
    return trials


def _one_point(a: Labels, b: Labels) -> Picture:
    points_a, points_b = a.keypoints.copy(), b.keypoints.copy()
    k = int(np.flatnonzero(a.keypoints[:, 2])[0])
    points_a[k], points_b[k] = b.keypoints[k], a.keypoints[k]
    return [(1, replace(a, keypoints=points_a)), (2, replace(b, keypoints=points_b))]


REGROUPED: dict[str, Callable[[Labels, Labels], Picture]] = {
    "all group ids exchanged": lambda a, b: [(2, a), (1, b)],
    "group ids of the points exchanged": lambda a, b: [
        (1, replace(a, keypoints=b.keypoints)),
        (2, replace(b, keypoints=a.keypoints)),
    ],
    "group ids of one point exchanged": _one_point,
    "both outlines in one group": lambda a, b: [(1, replace(a, outline=(*a.outline, *b.outline)))],
}


if __name__ == "__main__":
    main()
