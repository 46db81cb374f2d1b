"""Boxes of a split from COCO or VOC files, by picture and class, and what a detector answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.coco_labels import (
    CocoSplit,
    find_coco,
    has_coco,
    read_coco,
    shared_remarks,
)
from fgfusion_model.downstream.detection.voc_labels import find_annotations, has_voc, read_voc
from vircraft.errors import DatasetError, InputFileError


@dataclass(frozen=True)
class Detections:
    """What a detector says of a picture, best first.

    Attributes:
        boxes_xyxy: (K, 4) left, top, right, bottom, pixels of the full picture, counted from its edges.
        scores: (K,) 0..1.
        labels: (K,) numbers of classes, from 0.
    """

    boxes_xyxy: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class BoxLabels:
    """The boxes of a split.

    Attributes:
        coco: pictures and objects; `area` and `iscrowd` are filled in where the file lacks them.
        remarks: what a user should know.
    """

    coco: CocoSplit
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the classes in the order of their ids."""
        return tuple(self.coco.categories.values())

    def targets(self, classes: Sequence[str]) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """Return boxes (K, 4) xyxy, cut at the picture's edges, and classes (K,) of each picture; no crowds.

        Raises:
            InputFileError: an object's class is not among those given.
        """
        numbers = self.class_numbers(classes)
        found: dict[int, list[tuple[list[float], int]]] = {p.id: [] for p in self.coco.pictures}
        sizes = {p.id: p.size_wh for p in self.coco.pictures}
        for record in self.coco.annotations:
            x, y, w, h = map(float, record["bbox"])
            width, height = sizes[record["image_id"]]
            box = [max(0.0, x), max(0.0, y), min(float(width), x + w), min(float(height), y + h)]
            if not record["iscrowd"] and box[2] > box[0] and box[3] > box[1]:
                found[record["image_id"]].append((box, numbers[record["category_id"]]))
        return [
            (
                np.array([box for box, _ in objects], np.float64).reshape(-1, 4),
                np.array([number for _, number in objects], np.int64),
            )
            for objects in found.values()
        ]

    def class_numbers(self, classes: Sequence[str]) -> dict[int, int]:
        """Return category id -> number of the class.

        Raises:
            InputFileError: an object's class is not among those given.
        """
        used = {record["category_id"] for record in self.coco.annotations}
        known = {name: k for k, name in enumerate(classes)}
        strange = [name for k, name in self.coco.categories.items() if k in used and name not in known]
        if strange:
            raise InputFileError(
                f"holds objects of the classes {', '.join(strange)}, and the detector knows "
                f"{', '.join(classes)}; train with --classes, or judge on the same classes",
                path=self.coco.path,
                reason="classes",
            )
        return {k: known[name] for k, name in self.coco.categories.items() if name in known}

    def results(self, found: Mapping[str, Detections], classes: Sequence[str]) -> list[dict[str, Any]]:
        """Return detections as a COCO results file lists them; those of classes that the split lacks go."""
        ids = {number: k for k, number in self.class_numbers(classes).items()}
        return [
            {
                "image_id": picture.id,
                "category_id": ids[int(label)],
                "bbox": [round(float(v), 3) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])],
                "score": round(float(score), 6),
            }
            for picture in self.coco.pictures
            if (here := found.get(picture.stem)) is not None
            for box, score, label in zip(here.boxes_xyxy, here.scores, here.labels, strict=True)
            if int(label) in ids
        ]


def find_boxes(root: Path, split: str) -> BoxLabels:
    """Find the boxes of a split: COCO's `annotations/instances_SPLIT.json`, or `Annotation/*.xml` as M3FD.

    Raises:
        DatasetError: there are none for that split.
        InputFileError: a file cannot be used.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: is no folder; give a dataset with boxes")
    if find_annotations(root) is not None:
        return BoxLabels(*read_voc(root, split))
    if not (root / "annotations").is_dir():
        raise DatasetError(
            f"{root}: has no boxes (annotations/instances_{split}.json of `vircraft export coco`, or "
            "Annotation/*.xml as in M3FD)"
        )
    labels = read_coco(find_coco(root, split, "instances"), split)
    document = copy.deepcopy(dict(labels.document))
    for record in document["annotations"]:
        record.setdefault("iscrowd", 0)
        if record.get("area") is None:
            record["area"] = float(record["bbox"][2]) * float(record["bbox"][3])
    remarks = shared_remarks(root, labels, "instances")
    return BoxLabels(CocoSplit(labels.path, split, labels.pictures, document), remarks)


def has_boxes(root: Path, split: str) -> bool:
    """Say whether there are boxes of a split, whatever is wrong with them."""
    if root.is_dir() and find_annotations(root) is not None:
        return has_voc(root, split)
    return has_coco(root, split, "instances")
