"""What one picture tells about its labels, on an aeroplane that the tests turn as they like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeroplane import SIDES, annotate, exchange, project, without
from vircraft.annotation import masks
from vircraft.annotation.checking.findings import Finding
from vircraft.annotation.checking.plausibility import _Cover, find_in_picture
from vircraft.annotation.checking.sides import find_wrong_view, view_of
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.picture import Annotation, PictureAnnotations

SIZE = (640, 512)
VIEWS = [(aspect, below) for aspect in (0, 25, 60, 110, 160, 180, 215, 300) for below in (4, 12, 35, 70)]


def findings(*annotations: Annotation) -> list[Finding]:
    return find_in_picture(PictureAnnotations(Path("a.json"), "a.png", SIZE, annotations))


def codes(*annotations: Annotation) -> set[str]:
    return {finding.code for finding in findings(*annotations)}


def moved(points: np.ndarray, name: str, by: tuple[float, float]) -> np.ndarray:
    points = points.copy()
    points[KEYPOINTS.index(name)] += by
    return points


def with_outline_of(drawn: Annotation, other: Annotation) -> Annotation:
    return replace(drawn, polygons=other.polygons, box_xyxy=other.box_xyxy)


@given(st.floats(0, 360), st.floats(3, 85), st.floats(2, 12))
@settings(max_examples=200, deadline=None)
def test_a_right_aeroplane_seen_from_below_has_no_finding(aspect: float, below: float, px_per_m: float):
    one = annotate(project(aspect, below, px_per_m))
    assert findings(one) == []
    view = view_of(one)
    assert view is not None
    assert view.sine > 0
    assert find_wrong_view(one, view, 1) == []


@pytest.mark.parametrize(("aspect", "below"), VIEWS)
def test_the_mirrored_picture_of_one_with_sides_exchanged_has_no_finding(aspect: float, below: float):
    points = exchange(project(aspect, below) * [-1, 1] + [640, 0], *SIDES)
    one = annotate(points)
    assert findings(one) == []
    assert view_of(one).sine == pytest.approx(view_of(annotate(project(aspect, below))).sine)


@pytest.mark.parametrize(("aspect", "below"), VIEWS)
def test_the_angle_from_below_is_estimated_to_a_few_degrees(aspect: float, below: float):
    sine = view_of(annotate(project(aspect, below))).sine
    assert sine == pytest.approx(np.sin(np.radians(below)), abs=0.08)  # it takes the span for the length


@pytest.mark.parametrize(("aspect", "below"), [v for v in VIEWS if v[1] >= 35])
def test_all_sides_exchanged_show_the_top_to_a_camera_on_the_ground(aspect: float, below: float):
    one = annotate(exchange(project(aspect, below), *SIDES))
    found = find_wrong_view(one, view_of(one), 1)
    assert [f.code for f in found] == ["left-right-swapped"]
    assert "above" in found[0].message
    assert find_wrong_view(one, view_of(one), -1) == []  # where cameras look down, it is right


@pytest.mark.parametrize("aspect", [30, 60, 90, 120])
def test_all_sides_exchanged_hide_the_root_on_the_near_side(aspect: float):
    right = annotate(project(aspect, 6), hidden=("Right_root",))  # its left side faces the camera
    assert codes(right) == set()
    wrong = annotate(exchange(project(aspect, 6), *SIDES), hidden=("Left_root",))
    assert codes(wrong) == {"left-right-swapped"}
    assert "Left_root is flagged occluded" in findings(wrong)[0].message


def test_all_sides_exchanged_hide_the_nearer_end():
    right = annotate(project(10, 6), hidden=("Tail",))
    assert codes(right) == set()
    assert codes(annotate(exchange(project(10, 6), *SIDES), hidden=("Tail",))) == {"left-right-swapped"}


@pytest.mark.parametrize("pair", SIDES)
@pytest.mark.parametrize("aspect", [0, 30, 150, 200])
def test_one_exchanged_pair_is_named(pair: tuple[str, str], aspect: float):
    found = findings(annotate(exchange(project(aspect, 10), pair), group_id=4))
    first = next(f for f in found if f.code == "left-right-swapped")
    assert f"{pair[0]} and {pair[1]}" in first.message
    assert (first.group_id, first.label) == (4, pair[0])


@pytest.mark.parametrize("aspect", [40, 90, 140])
def test_exchanged_head_and_tail_are_named(aspect: float):
    assert "head-tail-swapped" in codes(annotate(exchange(project(aspect, 10), ("Head", "Tail"))))


@pytest.mark.parametrize("aspect", [40, 90, 140])
def test_an_exchanged_wing_tip_is_named(aspect: float):
    found = findings(annotate(exchange(project(aspect, 10), ("Left_front", "Left_behind"))))
    named = [f for f in found if f.code == "front-behind-swapped"]
    assert [f.label for f in named] == ["Left_front"]


def test_a_wing_that_does_not_mirror_the_other_is_asymmetric():
    assert "asymmetric" in codes(annotate(moved(project(20, 10), "Left_front", (0, 50))))


def test_few_points_say_nothing_about_sides():
    one = without(annotate(exchange(project(30, 40), *SIDES)), *KEYPOINTS[3:])
    assert codes(one) == set()
    assert view_of(one) is None


def test_a_point_off_the_outline_is_named_with_its_distance():
    right = annotate(project(30, 20))
    x = right.box_xyxy[2]
    far = project(30, 20)
    far[KEYPOINTS.index("Left_root")] = x + 20, 256
    found = findings(with_outline_of(annotate(far), right))
    named = [f for f in found if f.code == "keypoint-off-outline"]
    assert [f.label for f in named] == ["Left_root"]
    assert float(named[0].message.split(" lies ")[1].split(" px")[0]) >= 20


def test_a_point_on_the_edge_may_be_off_by_hand():
    right = annotate(project(30, 20))
    points = project(30, 20)
    middle = points.mean(0)
    out = points + 3 * (points - middle) / np.linalg.norm(points - middle, axis=1, keepdims=True)
    assert codes(with_outline_of(annotate(out), right)) == set()


def test_a_hidden_point_may_lie_where_the_outline_is_hidden_too():
    right = annotate(project(90, 10))
    points = moved(project(90, 10), "Vertical", (0, -30))
    assert "keypoint-off-outline" in codes(with_outline_of(annotate(points), right))
    assert codes(with_outline_of(annotate(points, hidden=("Vertical",)), right)) == set()


def test_an_outline_beside_its_keypoints_is_one_finding():
    right = annotate(project(30, 20))
    found = findings(with_outline_of(right, annotate(project(30, 20, at=(380, 300)))))
    assert [f.code for f in found] == ["outline-misses-keypoints"]
    assert found[0].label == "aircraft"


def test_an_outline_that_takes_in_more_than_the_aircraft_misses_its_keypoints():
    right = annotate(project(30, 20))
    assert codes(with_outline_of(right, annotate(project(30, 20, 8.0 * 1.8)))) == {"outline-misses-keypoints"}


def test_a_box_that_does_not_fit_is_named_with_its_side():
    right = annotate(project(30, 20))
    x0, y0, x1, y1 = right.box_xyxy
    assert codes(replace(right, box_xyxy=(x0 - 3, y0, x1 + 3, y1))) == set()
    found = findings(replace(right, box_xyxy=(x0, y0, x1 - 40, y1)))
    assert [f.code for f in found] == ["box-misfit"]
    assert "right side" in found[0].message
    assert "40 px" in found[0].message


def test_without_an_outline_points_are_compared_with_the_box():
    right = replace(annotate(project(30, 20)), polygons=())
    assert codes(right) == set()
    x0, y0, x1, y1 = right.box_xyxy
    found = findings(replace(right, box_xyxy=(x0 + 60, y0, x1, y1)))
    assert {f.code for f in found} == {"keypoint-off-box"}


def test_a_point_on_another_aircraft_is_of_the_wrong_group():
    a, b = project(30, 20, 4, (160, 256)), project(30, 20, 4, (460, 256))
    right = annotate(a, 1), annotate(b, 2)
    assert codes(*right) == set()
    tip = KEYPOINTS.index("Left_front")
    a[tip], b[tip] = b[tip].copy(), a[tip].copy()
    drawn = [with_outline_of(annotate(p, g), r) for p, g, r in ((a, 1, right[0]), (b, 2, right[1]))]
    mixed = [f for f in findings(*drawn) if f.code == "mixed-groups"]
    assert [(f.group_id, f.label) for f in mixed] == [(1, "Left_front"), (2, "Left_front")]


def test_two_aircraft_under_one_group_id_are_told_by_their_outlines():
    one, other = annotate(project(30, 20, 4, (160, 256)), 7), annotate(project(30, 20, 4, (460, 256)), 7)
    both = (0.0, 100.0, 639.0, 400.0)
    assert "mixed-groups" in codes(replace(one, polygons=one.polygons + other.polygons, box_xyxy=both))


def test_the_parts_of_an_aircraft_behind_a_mast_are_one():
    points = project(90, 10)
    whole = np.array(annotate(points).polygons[0])
    x = whole[:, 0].mean()
    left = np.clip(whole, None, [x - 5, np.inf])
    right = np.clip(whole, [x + 5, -np.inf], None)
    pieces = tuple(tuple((float(a), float(b)) for a, b in piece) for piece in (left, right))
    assert "mixed-groups" not in codes(replace(annotate(points), polygons=pieces))


def test_a_crowd_is_not_looked_at():
    wrong = with_outline_of(annotate(project(30, 20)), annotate(project(30, 20, at=(500, 300))))
    assert codes(replace(wrong, crowd=True)) == set()


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.integers(2, 9))
@settings(max_examples=100, deadline=None)
def test_the_distance_to_a_mask_is_that_to_its_nearest_pixel(seed: int, width: int, height: int):
    rng = np.random.default_rng(seed)
    pixels = rng.random((height, width)) < 0.5
    pixels[rng.integers(height), rng.integers(width)] = True
    rle = masks.from_pixels(pixels, (0, 0), (width, height))
    cover = _Cover.of(Annotation(None, (0, 0, 1, 1), 1.0, rle=rle))
    rows, columns = np.nonzero(pixels)
    for x, y in rng.uniform(-5, 14, (5, 2)):
        dx, dy = np.maximum(abs(columns - x) - 0.5, 0), np.maximum(abs(rows - y) - 0.5, 0)
        assert cover.distance(x, y) == pytest.approx(np.hypot(dx, dy).min())


def test_a_mask_is_compared_like_an_outline():
    one = annotate(project(30, 20))
    flat = [v + 0.5 for point in one.polygons[0] for v in point]
    mask = replace(one, polygons=(), rle=masks.paint([flat], SIZE))
    assert codes(mask) == set()
    points = project(30, 20, at=(400, 256))
    assert codes(replace(mask, keypoints=annotate(points).keypoints)) >= {"outline-misses-keypoints"}


def test_every_code_has_a_meaning():
    with pytest.raises(ValueError, match="is no finding"):
        Finding("what-is-this", "")
