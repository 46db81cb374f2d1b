"""The convention of the nine keypoints."""

from __future__ import annotations

from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS, SKELETON, WEIGHTS, Visibility


def test_the_nine_names_are_in_the_order_that_coco_files_use():
    assert KEYPOINTS == (
        "Head",
        "Vertical",
        "Tail",
        "Left_front",
        "Right_front",
        "Left_root",
        "Right_root",
        "Left_behind",
        "Right_behind",
    )


def test_mirroring_twice_changes_nothing_and_only_swaps_left_with_right():
    order = list(range(len(KEYPOINTS)))
    for a, b in FLIP_PAIRS:
        order[a], order[b] = order[b], order[a]
        assert KEYPOINTS[a].replace("Left", "Right") == KEYPOINTS[b]
    unpaired = {i for i, j in enumerate(order) if i == j}
    assert {KEYPOINTS[i] for i in unpaired} == {"Head", "Vertical", "Tail"}


def test_the_skeleton_is_the_same_on_both_sides_and_reaches_every_keypoint():
    mirror = {a: b for pair in FLIP_PAIRS for a, b in (pair, pair[::-1])}
    bones = {frozenset(bone) for bone in SKELETON}
    assert bones == {frozenset(mirror.get(i, i) for i in bone) for bone in bones}
    assert {i for bone in bones for i in bone} == set(range(len(KEYPOINTS)))
    assert len(bones) == len(SKELETON) == 11


def test_weights_are_those_of_the_paper():
    assert [WEIGHTS[Visibility(v)] for v in (2, 1, 0)] == [1.0, 0.5, 0.0]
