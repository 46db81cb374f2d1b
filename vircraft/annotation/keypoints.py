"""The nine aircraft keypoints of Sec. 3.1: names in order, flip pairs, skeleton, visibility and weights."""

from __future__ import annotations

from enum import IntEnum

# Order of the keypoints everywhere: Labelme files, COCO, networks. Left and right are the aircraft's own.
KEYPOINTS = (
    "Head",  # nose tip
    "Vertical",  # top of the fin
    "Tail",  # rear end of the fuselage
    "Left_front",  # wing tip at the leading edge
    "Right_front",
    "Left_root",  # where the leading edge meets the fuselage
    "Right_root",
    "Left_behind",  # wing tip at the trailing edge
    "Right_behind",
)

# Label of an outline (polygon, ...) and of a box (rectangle).
AIRCRAFT = "aircraft"

_FLIPPED_NAMES = (
    ("Left_front", "Right_front"),
    ("Left_root", "Right_root"),
    ("Left_behind", "Right_behind"),
)

# Positions in KEYPOINTS that change places when the picture is mirrored.
FLIP_PAIRS = tuple((KEYPOINTS.index(left), KEYPOINTS.index(right)) for left, right in _FLIPPED_NAMES)

_BONES = (
    ("Head", "Vertical"),
    ("Vertical", "Tail"),
    ("Head", "Tail"),
    ("Head", "Left_root"),
    ("Left_root", "Left_front"),
    ("Left_front", "Left_behind"),
    ("Left_behind", "Left_root"),
    ("Head", "Right_root"),
    ("Right_root", "Right_front"),
    ("Right_front", "Right_behind"),
    ("Right_behind", "Right_root"),
)

# Lines to draw, as positions in KEYPOINTS counted from 0 (COCO counts from 1).
SKELETON = tuple((KEYPOINTS.index(a), KEYPOINTS.index(b)) for a, b in _BONES)


class Visibility(IntEnum):
    """How well a keypoint can be seen; the values are COCO's v."""

    INVISIBLE = 0  # can't be placed, or outside the picture; x = y = 0 in COCO
    OCCLUDED = 1  # hidden, but its place can be inferred and is labelled there
    VISIBLE = 2


# Weight of a keypoint in training, by visibility (Sec. 3.1).
WEIGHTS = {Visibility.VISIBLE: 1.0, Visibility.OCCLUDED: 0.5, Visibility.INVISIBLE: 0.0}
