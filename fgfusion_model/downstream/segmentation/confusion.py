"""Intersection over union from one confusion matrix (Sec. 3.3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.segmentation.label_maps import IGNORED, LabelMap

Counts = NDArray[np.int64]


def confusion(label: LabelMap, predicted: LabelMap, classes: int) -> Counts:
    """Count pixels, (classes, classes): row = label, column = prediction; those without a class are left out.

    Args:
        label: (H, W), ids below `classes`, or 255.
        predicted: (H, W), ids below `classes`.
        classes: how many there are.
    """
    known = label != IGNORED
    cells = label[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_ious(counts: Counts) -> list[float | None]:
    """Return IoU of each class, 0..1: what both say over what either says; None where none does."""
    both = np.diag(counts)
    either = counts.sum(0) + counts.sum(1) - both
    return [float(b / e) if e else None for b, e in zip(both, either, strict=True)]


def mean_iou(counts: Counts) -> float | None:
    """Return the mean over the classes that have an IoU; None when none has."""
    known = [value for value in class_ious(counts) if value is not None]
    return sum(known) / len(known) if known else None


def picture_iou(counts: Counts) -> float | None:
    """Return the mean IoU over the classes that the picture's label holds; None when it holds none."""
    there = counts.sum(1) > 0
    known = [
        value for value, here in zip(class_ious(counts), there, strict=True) if here and value is not None
    ]
    return sum(known) / len(known) if known else None


def scores_of(counts: Counts, names: Sequence[str]) -> Mapping[str, float | None]:
    """Return `IoU NAME` for each class in order, and last `mIoU`, as the columns of Tab. 3."""
    ious = class_ious(counts)
    scores = {f"IoU {name}": value for name, value in zip(names, ious, strict=True)}
    return {**scores, "mIoU": mean_iou(counts)}
