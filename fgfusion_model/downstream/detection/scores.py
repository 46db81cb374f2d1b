"""Average precision of boxes, by pycocotools' COCOeval (Sec. 3.3.4, Tab. 4)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MOST_BOXES = 100  # of a picture that count, as COCO has it
MAP = "mAP[50,95]"


def box_scores(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return AP50, AP75 and mAP[50,95], and `AP50 CLASS` of each where there are several; None: no objects.

    Args:
        document: COCO labels.
        results: as a COCO results file lists them.
    """
    judge = _judge(document, results)
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    mean, ap50, ap75 = (None if value < 0 else float(value) for value in judge.stats[:3])
    scores: dict[str, float | None] = {"AP50": ap50, "AP75": ap75, MAP: mean}
    names = [category["name"] for category in judge.cocoGt.loadCats(judge.params.catIds)]
    if len(names) > 1:
        for k, name in enumerate(names):
            scores[f"AP50 {name}"] = _mean(judge.eval["precision"][0, :, k, 0, -1])
    return scores


def picture_scores(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Return AP50 of each picture that has objects, by id: COCOeval's on that picture alone.

    Args:
        document: COCO labels.
        results: as a COCO results file lists them.
    """
    judge = _judge(document, results)
    judge.params.iouThrs = np.array([0.5])
    judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
    judge.params.maxDets = [MOST_BOXES]
    values: dict[int, float] = {}
    for number in judge.cocoGt.getImgIds():
        judge.params.imgIds = [number]
        with contextlib.redirect_stdout(io.StringIO()):
            judge.evaluate()
            judge.accumulate()
        value = _mean(judge.eval["precision"])
        if value is not None:
            values[number] = value
    return values


def _judge(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        labels, answers = _coco(document), COCO()
        if results:
            answers = labels.loadRes([dict(result) for result in results])
        else:  # pycocotools fails on an empty list
            answers = _coco({**document, "annotations": []})
        return COCOeval(labels, answers, "bbox")


def _coco(document: Mapping[str, Any]) -> COCO:
    coco = COCO()
    # copies: COCOeval writes into the objects
    objects = [dict(record) for record in document["annotations"]]
    coco.dataset = {**document, "annotations": objects}
    coco.createIndex()
    return coco


def _mean(precision: NDArray[np.float64]) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None
