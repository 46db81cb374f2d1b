"""The rules of the label contract, sentence by sentence, against hand-drawn truths and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from contract_files import (
    BOX,
    SQUARE,
    H,
    W,
    changed,
    document,
    good,
    keypoint,
    mask,
    only,
    painted,
    read,
    records,
    rectangle,
    refusal,
    shape,
    square,
    write,
)
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.rules import read_annotations

DIAMOND = [[80, 20], [120, 60], [80, 100], [40, 60]]
many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# -- 1 labels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["", "Aircraft", "AIRCRAFT", "aircraft ", "head", "HEAD", "Left-front", "nose", "é"]
)
def test_any_other_label_is_unknown(tmp_path, label):
    error = refusal(tmp_path, document(shape(), keypoint(label)))
    assert (error.reason, error.shape) == ("unknown-label", 1)


@pytest.mark.parametrize("label", KEYPOINTS)
@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("polygon", SQUARE),
        ("rectangle", BOX),
        ("circle", BOX),
        ("line", BOX),
        ("points", BOX),
        (None, SQUARE),
    ],
)
def test_a_keypoint_is_a_point(tmp_path, label, kind, points):
    error = refusal(tmp_path, document(shape(), shape(label, points, kind=kind)))
    assert (error.reason, error.shape) == ("wrong-shape-type", 1)


@pytest.mark.parametrize("kind", ["line", "linestrip", "points", "Polygon", "ellipse", "", "rotation"])
def test_an_outline_is_drawn_as_one(tmp_path, kind):
    error = refusal(tmp_path, document(shape(kind=kind)))
    assert (error.reason, error.shape) == ("wrong-shape-type", 0)


def test_an_aircraft_is_no_point(tmp_path):
    assert (
        refusal(tmp_path, document(shape(), shape(points=[[5, 5]], kind="point"))).reason
        == "wrong-shape-type"
    )


# -- 2 visibility ----------------------------------------------------------------------------------


def test_visibility_follows_the_flags(tmp_path):
    record, warnings = only(
        tmp_path,
        shape(),
        keypoint("Head", (21, 22)),
        keypoint("Vertical", (23, 24), occluded=True, invisible=False),
        keypoint("Tail", (25, 26), invisible=True),
        keypoint("Right_behind", (27.25, 28.125), occluded=False, other=True),
    )
    assert record["keypoints"] == [21, 22, 2, 23, 24, 1, 0, 0, 0] + [0] * 15 + [27.25, 28.125, 2]
    assert record["num_keypoints"] == 3
    assert record["keypoint_weights"] == [1.0, 0.5, 0, 0, 0, 0, 0, 0, 1.0]
    assert not warnings


def test_both_flags_are_a_conflict(tmp_path):
    error = refusal(tmp_path, document(shape(), keypoint(occluded=True, invisible=True)))
    assert (error.reason, error.shape) == ("flag-conflict", 1)


@pytest.mark.parametrize("at", [(-1e-9, 5), (5, -1), (W + 1e-9, 5), (5, H + 0.5), (1e6, 5)])
def test_a_keypoint_outside_is_refused_unless_invisible(tmp_path, at):
    error = refusal(tmp_path, document(shape(), keypoint(at=at)))
    assert (error.reason, error.shape) == ("keypoint-outside", 1)
    assert refusal(tmp_path, document(shape(), keypoint(at=at, occluded=True))).reason == "keypoint-outside"
    assert only(tmp_path, shape(), keypoint(at=at, invisible=True))[0]["keypoints"] == [0] * 27


@pytest.mark.parametrize("at", [(0, 0), (W, H), (0, H), (W, 0), (-0.0, 5)])
def test_a_keypoint_on_the_border_is_inside(tmp_path, at):
    assert only(tmp_path, shape(), keypoint(at=at))[0]["keypoints"][:3] == [*at, 2]


# -- 3 instances -----------------------------------------------------------------------------------


def test_one_instance_a_group_by_ascending_number(tmp_path):
    ids = [7, -3, 0, 10**30]
    shapes = [rectangle([[10 * k, 0], [10 * k + 5, 5]], group=group) for k, group in enumerate(ids)]
    points = [keypoint("Head", (10 * k + 1, 1), group) for k, group in enumerate(ids)]
    found, _ = records(tmp_path, *points, *shapes)
    assert [r["group_id"] for r in found] == sorted(ids)
    assert [r["bbox"][0] for r in found] == [10 * ids.index(group) for group in sorted(ids)]
    assert [r["keypoints"][0] for r in found] == [10 * ids.index(group) + 1 for group in sorted(ids)]


GROUPS = {
    "two outlines without groups": ([shape(group=None), shape(group=None)], "ambiguous-group"),
    "three kinds without groups": (
        [shape(group=None), shape(points=BOX, kind="circle", group=None), rectangle(group=None)],
        "ambiguous-group",
    ),
    "a keypoint without group": ([shape(), keypoint(group=None)], "missing-group"),
    "an outline without group": ([shape(group=None), keypoint(group=0)], "missing-group"),
    "group 0 is a group": ([shape(group=0), keypoint(group=None)], "missing-group"),
    "a group without outline": ([shape(), keypoint(group=2)], "no-object"),
    "keypoints alone": ([keypoint(group=None)], "no-object"),
    "a hole alone": ([shape(flags={"hole": True})], "no-object"),
    "a hole in another group": ([shape(), shape(flags={"hole": True}, group=2)], "no-object"),
    "two heads": ([shape(), keypoint(), keypoint()], "duplicate-keypoint"),
    "a head seen and one not": ([shape(), keypoint(), keypoint(invisible=True)], "duplicate-keypoint"),
    "two boxes": ([rectangle(), rectangle()], "duplicate-box"),
    "two boxes and an outline": ([rectangle(), shape(), rectangle()], "duplicate-box"),
}


@pytest.mark.parametrize(("shapes", "reason"), GROUPS.values(), ids=GROUPS)
def test_what_shapes_form_together(tmp_path, shapes, reason):
    error = refusal(tmp_path, document(*shapes))
    assert error.reason == reason
    assert error.shape is not None


@pytest.mark.parametrize("group", [None, 0, 5, -1])
def test_an_outline_and_its_box_and_hole_are_one_aircraft(tmp_path, group):
    hole = shape(points=square(40, 40, 50, 50), flags={"hole": True}, group=group)
    record, _ = only(tmp_path, shape(group=group), rectangle(group=group), hole, keypoint(group=group))
    assert (record["area"], record["bbox"]) == (6400 - 100, [20, 30, 40, 60])


def test_the_same_keypoint_in_two_groups_is_fine(tmp_path):
    assert len(records(tmp_path, shape(), shape(group=2), keypoint(), keypoint(group=2))[0]) == 2


# -- 4 segmentation, 5 area and box ----------------------------------------------------------------


def test_polygons_are_given_as_drawn(tmp_path):
    points = [[20.1, 20.7], [100.3, 20], [99.123456789, 100], [20, 97.3]]
    record, warnings = only(tmp_path, shape(points=points), shape(points=DIAMOND))
    assert record["segmentation"] == [[v for p in points for v in p], [v for p in DIAMOND for v in p]]
    assert record["area"] == painted(record).sum()
    assert record["bbox"] == pytest.approx([20, 20, 100, 80])
    assert not warnings


def test_pieces_that_overlap_are_counted_once(tmp_path):
    record, _ = only(tmp_path, shape(), shape(points=square(60, 20, 140, 100)))
    assert (record["area"], record["bbox"]) == (120 * 80, [20, 20, 120, 80])


def test_a_box_alone_has_no_mask(tmp_path):
    record, warnings = only(tmp_path, rectangle())
    assert (record["segmentation"], record["area"], record["bbox"]) == ([], 40 * 60, [20, 30, 40, 60])
    assert warnings == {"no-mask"}


@pytest.mark.parametrize("corners", [[[60, 90], [20, 30]], [[60, 30], [20, 90]], [[20, 90], [60, 30]]])
def test_a_box_is_sorted(tmp_path, corners):
    assert only(tmp_path, rectangle(corners))[0]["bbox"] == [20, 30, 40, 60]


def test_a_box_is_clipped(tmp_path):
    record, warnings = only(tmp_path, rectangle([[-10, 100], [30.5, 500]]))
    assert (record["bbox"], record["area"]) == ([0, 100, 30.5, 28], 30.5 * 28)
    assert warnings == {"no-mask", "clipped"}


def test_the_whole_picture_is_not_clipped(tmp_path):
    record, warnings = only(tmp_path, rectangle([[0, 0], [W, H]]), shape(points=square(0, 0, W, H)))
    assert (record["bbox"], record["area"], warnings) == ([0, 0, W, H], W * H, set())


def test_a_drawn_box_comes_before_the_outline(tmp_path):
    record, warnings = only(tmp_path, shape(), rectangle())
    assert (record["bbox"], record["area"], warnings) == ([20, 30, 40, 60], 6400, set())


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_box_of_four_corners_is_a_box(tmp_path, first):
    corners = square(20, 30, 60, 90)
    assert only(tmp_path, rectangle(corners[first:] + corners[:first]))[0]["bbox"] == [20, 30, 40, 60]


HOLES = {
    "inside": ([square(40, 40, 50, 60)], 6400 - 200),
    "outside": ([square(110, 20, 150, 60)], 6400),
    "across the edge": ([square(90, 20, 150, 60)], 6400 - 400),
    "two": ([square(40, 40, 50, 60), square(60, 60, 70, 70)], 6400 - 300),
    "two that overlap": ([square(40, 40, 50, 60), square(45, 40, 55, 60)], 6400 - 300),
    "partly outside the picture": ([square(-50, 40, 30, 50)], 6400 - 100),
}


@pytest.mark.parametrize(("holes", "area"), HOLES.values(), ids=HOLES)
@pytest.mark.parametrize("first", [True, False])
def test_holes_are_cut_out(tmp_path, holes, area, first):
    shapes = [shape(points=hole, flags={"hole": True}) for hole in holes]
    record, _ = only(tmp_path, *(shapes if first else []), shape(), *([] if first else shapes))
    assert record["area"] == painted(record).sum() == area
    assert record["segmentation"]["size"] == [H, W]
    assert record["bbox"] == [20, 20, 80, 80]


def test_a_hole_is_cut_out_of_all_parts(tmp_path):
    hole = shape(points=square(90, 50, 120, 60), flags={"hole": True})
    record, _ = only(tmp_path, shape(), shape(points=square(110, 20, 150, 100)), hole)
    assert record["area"] == 6400 + 3200 - 100 - 100


def test_a_hole_that_takes_everything_leaves_an_empty_mask(tmp_path):
    hole = shape(points=square(0, 0, W, H), flags={"hole": True})
    assert refusal(tmp_path, document(shape(), hole)).reason == "empty-mask"


@pytest.mark.parametrize(
    ("also", "more"), [([], 0), ([rectangle()], 0), ([mask(np.ones((4, 4), np.uint8), (0, 0))], 16)]
)
def test_a_crowd_is_an_rle_without_keypoints(tmp_path, also, more):
    record, _ = only(tmp_path, shape(flags={"crowd": True}), keypoint(), *also)
    assert (record["iscrowd"], record["num_keypoints"], record["keypoints"]) == (1, 0, [0] * 27)
    assert record["area"] == painted(record).sum() == 6400 + more
    assert record["segmentation"]["size"] == [H, W]


def test_flags_that_are_off_change_nothing(tmp_path):
    record, _ = only(tmp_path, shape(flags={"crowd": False, "hole": False, "reviewed": True}), keypoint())
    assert (record["iscrowd"], record["num_keypoints"]) == (0, 1)
    assert isinstance(record["segmentation"], list)


# -- order, file flags, names ----------------------------------------------------------------------


def test_the_file_comes_before_the_picture(tmp_path):
    bad = changed(lambda d: d.update(imagePath="gone.png", imageHeight="128"))
    assert refusal(tmp_path, bad).reason == "bad-type"


def test_the_picture_comes_before_the_shapes(tmp_path):
    bad = document(shape("wing"), imagePath="gone.png")
    assert refusal(tmp_path, bad).reason == "missing-image"
    assert refusal(tmp_path, document(shape("wing"), imageHeight=5)).reason == "size-mismatch"


def test_the_first_bad_shape_is_named(tmp_path):
    shapes = [shape(), keypoint(at=(-1, 5)), shape("wing"), shape(points=[])]
    for number, reason in ((1, "keypoint-outside"), (0, "unknown-label"), (0, "degenerate-shape")):
        error = refusal(tmp_path, document(*shapes))
        assert (error.reason, error.shape) == (reason, number)
        del shapes[: number + 1]


def test_a_shape_comes_before_what_shapes_form_together(tmp_path):
    error = refusal(tmp_path, document(keypoint(group=7), shape(), shape(group=None), shape("wing")))
    assert (error.reason, error.shape) == ("unknown-label", 3)


def test_a_skipped_file_is_not_read_on(tmp_path):
    found = read(tmp_path, document(shape("wing"), imagePath="gone.png", flags={"skip": True}))
    assert (found.skipped, found.annotations) == (True, ())
    assert not read(tmp_path, document(shape(), flags={"skip": False, "reviewed": True})).skipped


def test_a_picture_without_aircraft_is_fine(tmp_path):
    found = read(tmp_path, document())
    assert (found.annotations, found.size_wh, found.warnings) == ((), (W, H), ())


def test_an_outline_without_keypoints_is_fine(tmp_path):
    record, warnings = only(tmp_path, shape())
    assert (record["keypoints"], record["num_keypoints"], warnings) == ([0] * 27, 0, set())


def test_each_warning_is_given_once(tmp_path):
    found = read(tmp_path, document(*(rectangle([[-5, 0], [9, 9]], group=k) for k in range(3))))
    assert sorted(found.warnings) == ["clipped", "no-mask"]


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    write(tmp_path, "{", "bad.json")
    write(tmp_path, good(), "good.json")
    assert len(read_annotations(tmp_path / "good.json", tmp_path).annotations) == 1


# -- any valid annotation --------------------------------------------------------------------------

inside = st.tuples(st.floats(0, W), st.floats(0, H))
visibilities = st.sampled_from([None, "occluded", "invisible"])


@many
@given(
    st.dictionaries(
        st.sampled_from(KEYPOINTS), st.tuples(inside, st.sampled_from([None, "occluded", "invisible"]))
    )
)
def test_keypoints_come_out_as_drawn(tmp_path, points):
    shapes = [keypoint(label, at, **({flag: True} if flag else {})) for label, (at, flag) in points.items()]
    record, _ = only(tmp_path, *shapes, shape())
    for k, label in enumerate(KEYPOINTS):
        (x, y), flag = points.get(label, ((0, 0), "invisible"))
        want = (0, 0, 0) if flag == "invisible" else (x, y, 1 if flag else 2)
        assert record["keypoints"][3 * k : 3 * k + 3] == pytest.approx(want, abs=1e-9)


@many
@given(inside, inside)
def test_boxes_come_out_as_drawn(tmp_path, a, b):
    assume(abs(a[0] - b[0]) > 1e-6 and abs(a[1] - b[1]) > 1e-6)
    (x0, x1), (y0, y1) = sorted((a[0], b[0])), sorted((a[1], b[1]))
    record, warnings = only(tmp_path, rectangle([a, b]))
    assert record["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=1e-9)
    assert record["area"] == pytest.approx((x1 - x0) * (y1 - y0))
    assert warnings == {"no-mask"}
