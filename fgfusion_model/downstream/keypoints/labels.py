"""Keypoint labels of a split: which keypoints, and every object that has some."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.coco_labels import CocoSplit
from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS
from vircraft.errors import DatasetError, InputFileError

EDGE = 0.5  # COCO counts pixel edges, we count centres
FARTHEST = 1e6  # of a coordinate, pixels; pycocotools cannot stand what is far outside a picture
DEFAULT_SIGMA = 0.05  # of a keypoint whose OKS sigma nobody measured
Points = NDArray[np.float64]


@dataclass(frozen=True)
class KeypointNames:
    """The keypoints of a category.

    Attributes:
        category: its name.
        category_id: in the file that was read.
        names: of the keypoints, in order.
        flip_pairs: positions that change places when a picture is mirrored.
    """

    category: str
    category_id: int
    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]

    @property
    def mirrored(self) -> list[int]:
        """Return for each keypoint which one it becomes in a mirror."""
        return mirrored_order(len(self.names), self.flip_pairs)


@dataclass(frozen=True, eq=False)
class KeypointObject:
    """One labelled object.

    Attributes:
        id, image_id: as in the file.
        stem: of its picture.
        box_xywh: left and top edge, width and height, pixels; pixel centres are at integers.
        keypoints: (K, 3): x, y (pixel centres at integers) and v as in COCO; x and y of v = 0 mean nothing.
        area: of its mask, square pixels.
        judged: it counts: no crowd, and at least one keypoint is labelled.
    """

    id: int
    image_id: int
    stem: str
    box_xywh: tuple[float, float, float, float]
    keypoints: Points
    area: float
    judged: bool


@dataclass(frozen=True)
class KeypointLabels:
    """The keypoint labels of a split.

    Attributes:
        coco: the file.
        names: which keypoints.
        objects: all that are judged, in the file's order.
        sigmas: of OKS, one a keypoint.
        own_sigmas: they stand in the file; else each is 0.05.
        remarks: what a user should know.
    """

    coco: CocoSplit
    names: KeypointNames
    objects: tuple[KeypointObject, ...]
    sigmas: tuple[float, ...]
    own_sigmas: bool
    remarks: tuple[str, ...] = ()


def read_keypoint_labels(coco: CocoSplit, category: str = "") -> KeypointLabels:
    """Take the keypoints out of a COCO file.

    Args:
        coco: the file.
        category: whose; "" for the only one that has keypoints.

    Raises:
        DatasetError: no category has keypoints, several have and none was named, or no keypoint is labelled.
        InputFileError: an object's keypoints, area or box make no sense.
    """
    names = _find_names(coco, category)
    stems = {picture.id: (picture.stem, picture.size_wh) for picture in coco.pictures}
    objects = tuple(
        _object(record, len(names.names), *stems[record["image_id"]], coco)
        for record in coco.annotations
        if record["category_id"] == names.category_id
    )
    judged = tuple(entry for entry in objects if entry.judged)
    if not judged:
        raise DatasetError(
            f"{coco.path}: none of the {len(objects)} objects of {names.category!r} in the split "
            f"{coco.split!r} has a labelled keypoint (v above 0); annotate some and export again"
        )
    sigmas, own = _sigmas(coco, len(names.names))
    return KeypointLabels(coco, names, judged, sigmas, own)


def mirrored_order(count: int, pairs: Sequence[Sequence[int]]) -> list[int]:
    """Return for each of so many keypoints which one it becomes in a mirror."""
    order = list(range(count))
    for left, right in pairs:
        order[left], order[right] = right, left
    return order


def find_flip_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the positions that change places in a mirror: ours, else by `left` and `right` in the names."""
    if tuple(names) == KEYPOINTS:
        return FLIP_PAIRS
    places = {name.lower(): place for place, name in enumerate(names)}
    return tuple(
        (place, places[other])
        for name, place in places.items()
        if "left" in name and (other := name.replace("left", "right")) in places
    )


def _find_names(coco: CocoSplit, category: str) -> KeypointNames:
    having = {c["name"]: c for c in coco.document["categories"] if c.get("keypoints")}
    there = ", ".join(repr(name) for name in coco.categories.values()) or "none"
    if not having:
        raise DatasetError(
            f"{coco.path}: no category has keypoints (categories: {there}); export the labels with "
            "`vircraft export coco`"
        )
    if category and category not in having:
        raise DatasetError(
            f"{coco.path}: category {category!r} has no keypoints; those with keypoints: "
            f"{', '.join(map(repr, having))}"
        )
    if not category and len(having) > 1:
        raise DatasetError(
            f"{coco.path}: {len(having)} categories have keypoints ({', '.join(map(repr, having))}); name "
            "one with the setting `category`"
        )
    found = having[category or next(iter(having))]
    names = tuple(map(str, found["keypoints"]))
    return KeypointNames(str(found["name"]), int(found["id"]), names, find_flip_pairs(names))


def _object(
    record: Mapping[str, Any], count: int, stem: str, size_wh: tuple[int, int], coco: CocoSplit
) -> KeypointObject:
    values = record.get("keypoints") or [0] * (3 * count)
    if len(values) != 3 * count:
        raise _bad(coco, record, f"has {len(values)} keypoint values, not 3 x {count}")
    points = np.asarray(values, np.float64).reshape(count, 3)
    labelled = points[:, 2] > 0
    if not np.isin(points[:, 2], (0, 1, 2)).all() or not (np.abs(points) <= FARTHEST).all():
        raise _bad(
            coco, record, "has a keypoint that is not finite, farther than 1e6 px, or of v not 0, 1, 2"
        )
    area = float(record.get("area") or 0)
    if labelled.any() and not (math.isfinite(area) and area > 0):
        raise _bad(coco, record, f"has the area {record.get('area')}; OKS needs one above 0")
    x, y, width, height = map(float, record["bbox"])
    if min(x + width, y + height) <= 0 or x >= size_wh[0] or y >= size_wh[1]:
        raise _bad(coco, record, f"has a box outside its picture of {size_wh[0]}x{size_wh[1]}")
    points[labelled, :2] -= EDGE
    return KeypointObject(
        int(record["id"]),
        int(record["image_id"]),
        stem,
        (x - EDGE, y - EDGE, width, height),
        points,
        area,
        bool(labelled.any()) and not record.get("iscrowd"),
    )


def _bad(coco: CocoSplit, record: Mapping[str, Any], what: str) -> InputFileError:
    return InputFileError(f"object {record['id']} {what}", path=coco.path, reason="bad-keypoints")


def _sigmas(coco: CocoSplit, count: int) -> tuple[tuple[float, ...], bool]:
    """Return the OKS sigmas that the export wrote, or 0.05 each."""
    info = coco.document.get("info")
    found = info.get("keypoint_sigmas") if isinstance(info, Mapping) else None
    if not found:
        return (DEFAULT_SIGMA,) * count, False
    numbers = isinstance(found, list) and all(isinstance(value, int | float) for value in found)
    if not numbers or len(found) != count or not all(math.isfinite(v) and v > 0 for v in found):
        message = f"info.keypoint_sigmas is {found}; it has {count} numbers above 0, one a keypoint"
        raise InputFileError(message, path=coco.path, reason="bad-sigmas")
    return tuple(map(float, found)), True
