"""How well keypoints were found: COCO's AP, the share of objects above each OKS, and pixels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fgfusion_model.downstream.keypoints.estimation import Pose
from fgfusion_model.downstream.keypoints.labels import EDGE, KeypointLabels, KeypointObject

THRESHOLDS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))  # of OKS
VISIBLE = 2  # COCO's v
PCK_SHARE = 0.05  # of the box's longer side: a keypoint this near counts as found
DECIMALS = 3  # of coordinates in a results file, pixels
Floats = NDArray[np.float64]


def coco_results(labels: KeypointLabels, poses: Sequence[Pose]) -> list[dict[str, Any]]:
    """Return poses as COCO's results: one entry an object of the labels, in their order.

    Coordinates are COCO's (pixel edges); the third number of a keypoint is its confidence.
    """
    return [
        result_entry(entry.image_id, labels.names.category_id, pose)
        for entry, pose in zip(labels.objects, poses, strict=True)
    ]


def result_entry(image_id: int, category_id: int, pose: Pose) -> dict[str, Any]:
    """Return one object's keypoints as COCO has them."""
    rows = np.column_stack([np.round(pose.points + EDGE, DECIMALS), np.round(pose.confidence, 4)])
    return {
        "image_id": image_id,
        "category_id": category_id,
        "keypoints": [float(value) for value in rows.ravel()],
        "score": round(pose.score, 6),
    }


def coco_scores(labels: KeypointLabels, results: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return COCO's AP and AR by `pycocotools`, over all areas, with the labels' own sigmas.

    Args:
        labels: of the split.
        results: as COCO has them.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools talks
        truth = COCO()
        truth.dataset = _bare_document(labels)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes([dict(entry) for entry in results]), "keypoints")
        judge.params.kpt_oks_sigmas = np.asarray(labels.sigmas)
        judge.params.catIds = [labels.names.category_id]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"], judge.eval["recall"]  # (T, R, K, A, M), (T, K, A, M)
    return {
        "mAP[50,95]": _mean(precision[:, :, :, 0, -1]),
        "AP50": _mean(precision[0, :, :, 0, -1]),
        "AP75": _mean(precision[5, :, :, 0, -1]),
        "AR[50,95]": _mean(recall[:, :, 0, -1]),
    }


def similarities(labels: KeypointLabels, results: Sequence[Mapping[str, Any]]) -> Floats:
    """Return the OKS of each labelled object with its own result, (N,); COCO's formula.

    The mean over labelled keypoints of exp(-d^2 / (2 area (2 sigma)^2)).
    """
    variances = (2 * np.asarray(labels.sigmas)) ** 2
    values: list[float] = []
    for entry, result in zip(labels.objects, results, strict=True):
        labelled = entry.keypoints[:, 2] > 0
        exponents = distances(entry, result) ** 2 / (2 * variances * (entry.area + np.spacing(1)))
        values.append(float(np.exp(-exponents[labelled]).mean()))
    return np.array(values)


def distances(entry: KeypointObject, result: Mapping[str, Any]) -> Floats:
    """Return how far each keypoint is from its label, (K,), pixels; meaningless where v is 0."""
    found = np.asarray(result["keypoints"], np.float64).reshape(-1, 3)[:, :2] - EDGE
    return np.asarray(np.hypot(*(found - entry.keypoints[:, :2]).T), np.float64)


def similarity_scores(oks: Floats) -> dict[str, float]:
    """Return the share of objects above each OKS threshold; the paper's Tab. 2 seems to print it.

    Args:
        oks: of each object.
    """
    shares = {f"share[OKS>{threshold:.2f}]": float((oks > threshold).mean()) for threshold in THRESHOLDS}
    mean = float(np.mean(list(shares.values())))
    return {"mean share[OKS 0.50-0.95]": mean, "mean OKS": float(oks.mean()), **shares}


def pixel_scores(labels: KeypointLabels, results: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the median distance of visible keypoints from their labels, and the share that is near.

    `PCK[0.05]` counts labelled keypoints within 0.05 of the box's longer side.
    """
    visible: list[float] = []
    near: list[bool] = []
    for entry, result in zip(labels.objects, results, strict=True):
        drift, v = distances(entry, result), entry.keypoints[:, 2]
        visible += drift[v == VISIBLE].tolist()
        near += (drift[v > 0] <= PCK_SHARE * max(entry.box_xywh[2:])).tolist()
    median = float(np.median(visible)) if visible else None
    return {"median error px": median, f"PCK[{PCK_SHARE}]": float(np.mean(near))}


def mean_by_picture(labels: KeypointLabels, values: Floats) -> dict[str, float]:
    """Return picture's stem -> mean of its objects' values."""
    by_stem: dict[str, list[float]] = {}
    for entry, value in zip(labels.objects, values, strict=True):
        by_stem.setdefault(entry.stem, []).append(float(value))
    return {stem: float(np.mean(found)) for stem, found in by_stem.items()}


def _bare_document(labels: KeypointLabels) -> dict[str, Any]:
    """Return the labels without outlines, which keypoints do not need; COCOeval writes into it."""
    document = labels.coco.document
    dropped = ("segmentation", "keypoint_weights")
    names = labels.names
    annotations = [
        {"iscrowd": 0, "area": 0.0, "num_keypoints": 0, **_without(record, dropped)}
        for record in document["annotations"]
        if record["category_id"] == names.category_id
    ]
    for record in annotations:
        values = record.get("keypoints") or [0] * (3 * len(names.names))
        record["keypoints"] = list(values)
        record["num_keypoints"] = sum(v > 0 for v in values[2::3])
    return {
        "info": {},
        "images": list(document["images"]),
        "categories": [dict(c) for c in document["categories"]],
        "annotations": annotations,
    }


def _without(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def _mean(values: Floats) -> float | None:
    """Return the mean of what is defined; COCOeval marks the rest with -1."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None
