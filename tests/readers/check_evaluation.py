"""The ground truth evaluated against itself scores 1.000 everywhere, by three evaluators."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import Export, export  # noqa: F401
from read_like_coco import open_with

KINDS = {"bbox": "instances", "segm": "instances", "keypoints": "person_keypoints"}
NO_AIRCRAFT = -1.0  # the evaluators' figure for a size of which there is none
AR_OF_ONE = 6  # recall with one detection a picture: below 1 where a picture shows several aircraft


@pytest.mark.parametrize("package", ["pycocotools", "xtcocotools", "faster_coco_eval"])
@pytest.mark.parametrize("iou_type", sorted(KINDS))
def test_ground_truth_against_itself_is_perfect(export, package, iou_type, tmp_path):  # noqa: F811
    for path in export.files(KINDS[iou_type]):
        truth = open_with(package, with_masks(path, tmp_path) if iou_type == "segm" else path)
        results = perfect_results(truth, iou_type)
        if not results:
            continue
        figures = evaluate(package, truth, truth.loadRes(results), iou_type)
        if iou_type != "keypoints":
            del figures[AR_OF_ONE]
        held = [figure for figure in figures if figure != NO_AIRCRAFT]
        assert len(held) >= 5, path.name
        assert held == pytest.approx([1.0] * len(held), abs=5e-7), path.name


def with_masks(path: Path, folder: Path) -> Path:
    """Return the COCO file without the aircraft that have only a box: evaluators of masks stop at them."""
    document = json.loads(path.read_text(encoding="utf-8"))
    document["annotations"] = [a for a in document["annotations"] if a["segmentation"]]
    kept = folder / path.name
    kept.write_text(json.dumps(document), encoding="utf-8")
    return kept


def perfect_results(truth: Any, iou_type: str) -> list[dict[str, Any]]:
    """Return a detection for every aircraft that counts, just as it was drawn."""
    results = []
    for annotation in truth.loadAnns(truth.getAnnIds()):
        if annotation["iscrowd"] or (iou_type == "keypoints" and not annotation["num_keypoints"]):
            continue
        result = {name: annotation[name] for name in ("image_id", "category_id")} | {"score": 0.9}
        if iou_type == "segm":
            result["segmentation"] = truth.annToRLE(annotation)
        else:
            result[iou_type] = annotation[iou_type]
        results.append(result)
    return results


def evaluate(package: str, truth: Any, results: Any, iou_type: str) -> list[float]:
    """Evaluate with the export's own sigmas and return AP and AR: at all thresholds, .5, .75, by size."""
    sigmas = np.array(truth.dataset["info"]["keypoint_sigmas"])
    assert sigmas.shape == (9,)
    if package == "xtcocotools":
        module = importlib.import_module("xtcocotools.cocoeval")
        evaluation = module.COCOeval(truth, results, iou_type, sigmas)
    elif package == "faster_coco_eval":
        evaluation = importlib.import_module(package).COCOeval_faster(truth, results, iou_type)
        evaluation.params.kpt_oks_sigmas = sigmas
    else:
        evaluation = importlib.import_module("pycocotools.cocoeval").COCOeval(truth, results, iou_type)
        evaluation.params.kpt_oks_sigmas = sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(figure) for figure in evaluation.stats][: 10 if iou_type == "keypoints" else 12]
