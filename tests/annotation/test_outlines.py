"""Outlines and boxes of a label file, against hand-drawn truths and what pycocotools paints."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from contract_files import (
    BOX,
    SQUARE,
    H,
    W,
    decoded,
    document,
    mask,
    only,
    painted,
    records,
    rectangle,
    refusal,
    shape,
    square,
)
from vircraft.annotation.documents import LabelFileError

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
quarter = st.integers(0, 4 * 127).map(lambda v: v / 4)

DEGENERATE = {
    "no point": shape(points=[]),
    "one point": shape(points=[[20, 20]]),
    "two points": shape(points=[[20, 20], [50, 50]]),
    "a line": shape(points=[[20, 20], [50, 50], [80, 80]]),
    "there and back": shape(points=[[20, 20], [60, 30], [100, 20], [60, 30]]),
    "one place": shape(points=[[20, 20]] * 5),
    "a closed pair": shape(points=[[20, 20], [50, 60], [20, 20]]),
    "a line far out": shape(points=[[-1e6, -1e6], [1e6, 1e6], [0, 0]]),
    "a hair": shape(points=[[20, 20], [50, 50], [80, 80 + 1e-10]]),
    "a box of one corner": rectangle([[20, 20]]),
    "a box of three corners": rectangle(SQUARE[:3]),
    "a box of no width": rectangle([[20, 20], [20, 60]]),
    "a box of no height": rectangle([[20, 20], [60, 20]]),
    "a box of nothing": rectangle([[20, 20], [20, 20]]),
    "a box of rounding": rectangle([[0.1, 20], [0.1 + 2e-17, 60]]),
    "an empty box": rectangle([]),
    "a circle of one point": shape(points=[[20, 20]], kind="circle"),
    "a circle of three points": shape(points=SQUARE[:3], kind="circle"),
    "a circle of no radius": shape(points=[[20, 20], [20, 20]], kind="circle"),
    "an oriented rectangle of three": shape(points=SQUARE[:3], kind="oriented_rectangle"),
    "an oriented rectangle of no width": shape(points=[[20, 20], [60, 20]] * 2, kind="oriented_rectangle"),
    "a keypoint of no point": shape("Head", [], kind="point"),
    "a keypoint of two points": shape("Head", BOX, kind="point"),
}
OUTSIDE = {
    "left": shape(points=square(-50, 20, -10, 60)),
    "at the border": shape(points=square(-50, 20, 0, 60)),
    "below": shape(points=square(20, H, 60, H + 9)),
    "round the corner": shape(points=[[-30, 20], [20, -30], [-30, -30]]),
    "far out": shape(points=square(9e5, 9e5, 1e6, 1e6)),
    "a box": rectangle([[-50, 20], [-10, 60]]),
    "a box at the border": rectangle([[W, 20], [W + 5, 60]]),
    "a box by a rounding error inside": rectangle([[-50, 20], [1e-300, 60]]),
    "a circle": shape(points=[[-50, 20], [-10, 20]], kind="circle"),
    "an oriented rectangle": shape(points=square(-50, 20, -10, 60), kind="oriented_rectangle"),
    "between pixel centres": shape(points=square(20.6, 20, 20.7, 60)),
    "a mask": mask(np.ones((4, 4), np.uint8), (W, 10)),
}


@pytest.mark.parametrize("bad", DEGENERATE.values(), ids=DEGENERATE)
def test_a_shape_of_no_size_is_degenerate(tmp_path, bad):
    error = refusal(tmp_path, document(shape(group=2), bad))
    assert (error.reason, error.shape) == ("degenerate-shape", 1)


@pytest.mark.parametrize("bad", OUTSIDE.values(), ids=OUTSIDE)
def test_an_outline_without_pixels_is_an_empty_mask(tmp_path, bad):
    error = refusal(tmp_path, document(shape(group=2), bad))
    assert (error.reason, error.shape) == ("empty-mask", 1)


@pytest.mark.parametrize("turn", [0, 17.5, 45, 90])
def test_an_oriented_rectangle_is_a_polygon(tmp_path, turn):
    points = cv2.boxPoints(((80, 64), (60, 30), turn)).tolist()
    record, warnings = only(tmp_path, shape(points=points, kind="oriented_rectangle"))
    assert record["segmentation"][0] == pytest.approx(np.ravel(points))
    assert record["area"] == painted(record).sum() == pytest.approx(1800, abs=90)
    assert not warnings


@pytest.mark.parametrize(
    ("centre", "edge"), [((80, 60), (80, 30)), ((80.5, 60.25), (110, 75)), ((64, 64), (64, 66))]
)
def test_a_circle_is_a_polygon_within_a_pixel(tmp_path, centre, edge):
    radius = np.hypot(*np.subtract(edge, centre))
    record, warnings = only(tmp_path, shape(points=[centre, edge], kind="circle"))
    corner = np.subtract(centre, radius)
    assert record["bbox"] == pytest.approx([*corner, 2 * radius, 2 * radius], abs=0.01)
    y, x = np.mgrid[:H, :W] + 0.5
    distance = np.hypot(x - centre[0], y - centre[1]) - radius
    assert not (painted(record) & (distance > 1)).any()
    assert not (~painted(record) & (distance < -1)).any()
    assert not warnings


def test_a_circle_partly_outside_is_clipped(tmp_path):
    record, warnings = only(tmp_path, shape(points=[[0, 0], [50, 0]], kind="circle"))
    assert record["area"] == pytest.approx(np.pi * 2500 / 4, abs=60)
    assert record["bbox"] == pytest.approx([0, 0, 50, 50], abs=0.01)
    assert warnings == {"clipped"}


@pytest.mark.parametrize(
    ("points", "area", "parts"),
    [
        (square(-20, 40, 60, 80), 2400, 1),
        (square(-20, -20, 500, 500), W * H, 1),
        (square(-1e6, -1e6, 1e6, 1e6), W * H, 1),
        (square(140, 100, 200, 200), 20 * 28, 1),
        # a U whose bottom lies left of the picture, its wings come in
        ([[-20, 5], [30, 5], [30, 15], [-10, 15], [-10, 25], [30, 25], [30, 35], [-20, 35]], 600, 2),
    ],
)
def test_an_outline_is_clipped_to_the_picture(tmp_path, points, area, parts):
    record, warnings = only(tmp_path, shape(points=points))
    assert record["area"] == painted(record).sum() == area
    assert len(record["segmentation"]) == parts
    assert warnings == {"clipped"}


@pytest.mark.parametrize(
    ("points", "crossing"),
    [
        ([[20, 20], [100, 100], [100, 20], [20, 100]], True),
        ([[80, 10], [110, 100], [30, 45], [130, 45], [50, 100]], True),
        ([[20, 20], [100, 20], [100, 100], [20, 100], [20, 20]], False),  # closed by hand
        ([[20, 20], [20, 20], [100, 20], [100, 60], [100, 100], [20, 100]], False),  # repeated, collinear
        ([[20, 20], [100, 20], [100, 100], [60, 100], [60, 120], [60, 100], [20, 100]], False),  # a spike
    ],
)
def test_an_outline_that_crosses_itself_is_told(tmp_path, points, crossing):
    record, warnings = only(tmp_path, shape(points=points))
    assert warnings == ({"self-crossing"} if crossing else set())
    assert record["area"] == painted(record).sum() > 1000


@pytest.mark.parametrize(
    "points",
    [
        [[20, 20], [60, 60], [100, 100], [100, 20], [20, 100]],  # a bow tie with a vertex where it crosses
        [[20, 20], [60, 60], [100, 20], [100, 100], [60, 60], [20, 100]],  # two triangles that touch
    ],
)
def test_two_triangles_that_meet_in_a_vertex_have_an_area(tmp_path, points):
    record, _ = only(tmp_path, shape(points=points))
    assert record["area"] == painted(record).sum() == pytest.approx(3200, abs=100)


@many
@given(st.lists(st.tuples(quarter, quarter), min_size=3, max_size=12, unique=True))
def test_area_is_what_pycocotools_paints_of_what_is_written(tmp_path, points):
    assume(np.linalg.matrix_rank(np.subtract(points, points[0])) == 2)
    flat = [v for point in points for v in point]
    expected = decoded(coco_mask.frPyObjects([flat], H, W)[0])
    assume(expected.any())
    with contextlib.suppress(LabelFileError):  # a polygon that goes there and back
        record, _ = only(tmp_path, shape(points=points))
        assert record["segmentation"] == [flat]
        assert record["area"] == expected.sum()
        np.testing.assert_array_equal(painted(record), expected)


@many
@example([(0.0, 0.0), (0.0, 132.0), (4.0, 0.1)])  # a cut coordinate that adding half a pixel changed
@given(st.lists(st.tuples(st.floats(-300, 400), st.floats(-300, 400)), min_size=3, max_size=9))
def test_nothing_is_written_outside_the_picture(tmp_path, points):
    try:
        (found,), _ = records(tmp_path, shape(points=points))
    except LabelFileError as error:
        event(error.reason)
        return
    for piece in found["segmentation"]:
        xy = np.reshape(piece, (-1, 2))
        assert (xy >= 0).all()
        assert (xy <= [W, H]).all()
    x, y, w, h = found["bbox"]
    assert min(x, y) >= 0
    assert x + w <= W + 1e-9
    assert y + h <= H + 1e-9
    assert found["area"] == painted(found).sum() > 0
