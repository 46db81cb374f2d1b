"""Judge a keypoint network on a split, top-down from the labelled boxes (Sec. 3.3.2, Tab. 2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fgfusion_model.downstream.keypoints.drift import write_drift, write_sheets
from fgfusion_model.downstream.keypoints.estimation import Estimator, estimate, load_estimator
from fgfusion_model.downstream.keypoints.labels import KeypointLabels
from fgfusion_model.downstream.keypoints.scores import (
    coco_results,
    coco_scores,
    mean_by_picture,
    pixel_scores,
    similarities,
    similarity_scores,
)
from fgfusion_model.downstream.keypoints.training import load_labels, load_patches
from fgfusion_model.downstream.pictures import find_pictures
from fgfusion_model.downstream.results import TaskResult, write_result
from fgfusion_model.downstream.trained import other_pictures
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.training.runtime import Runtime
from vircraft.errors import DatasetError
from vircraft.files import write_atomically

RESULTS_NAME = "keypoints_results.json"
FIGURES = 12  # objects on the sheets


def evaluate(
    weights: Path,
    root: Path,
    pictures: str,
    *,
    split: str = "test",
    output: Path | None = None,
    runtime: Runtime | None = None,
    on_file: Callable[[int, int], None] | None = None,
    figures: int = FIGURES,
) -> TaskResult:
    """Judge a network on a split.

    Args:
        weights: of `train`.
        root: a dataset with COCO labels.
        pictures: `visible`, `infrared` or a folder of fused pictures.
        split: to judge on.
        output: folder for `result.json`, `keypoints_results.json` (COCO's results), `drift.csv` and sheets
            of the kind of Fig. 11; None: nothing is written.
        runtime: where it runs.
        on_file: is called with the number of pictures read and their total.
        figures: objects on the sheets, evenly spread; 0: none.

    Raises:
        DatasetError: labels or pictures are missing, or do not fit each other or the network.
        InputFileError: a file is damaged.
    """
    estimator = load_estimator(weights, choose_device((runtime or Runtime()).device))
    labels = load_labels(root, split, estimator.category)
    if labels.names.names != estimator.keypoints:
        raise DatasetError(
            f"{labels.coco.path}: has the keypoints {list(labels.names.names)}, the network was trained on "
            f"{list(estimator.keypoints)}; judge it on the labels of its own kind"
        )
    found = find_pictures(root, pictures, split)
    patches = load_patches(found, labels, estimator.settings, on_file or (lambda done, total: None))
    poses = list(estimate(estimator.network, patches, estimator.settings, estimator.flip_pairs))
    results = coco_results(labels, poses)
    oks = similarities(labels, results)
    result = TaskResult(
        "keypoints",
        split,
        found.label,
        {**coco_scores(labels, results), **similarity_scores(oks), **pixel_scores(labels, results)},
        {"OKS": mean_by_picture(labels, oks)},
        _remarks(labels, estimator, found.label),
    )
    if output is not None:
        write_atomically(output / RESULTS_NAME, json.dumps(results).encode())
        write_drift(output, labels, results)
        if figures:
            write_sheets(output, labels, patches, poses, results, estimator.settings, figures)
        write_result(result, output)
    return result


def _remarks(labels: KeypointLabels, estimator: Estimator, pictures: str) -> tuple[str, ...]:
    crowds = sum(record["category_id"] == labels.names.category_id for record in labels.coco.annotations)
    left_out = crowds - len(labels.objects)
    remarks = [
        f"top-down from the labelled boxes of {len(labels.objects)} objects: finding them is not judged",
        "share[OKS>t]: share of labelled objects whose OKS is above t; AP and mAP are COCO's",
    ]
    if not labels.own_sigmas:
        remarks.append("the labels carry no OKS sigmas (info.keypoint_sigmas): 0.05 for each keypoint")
    if left_out:
        remarks.append(f"{left_out} objects left out: crowds, or without a labelled keypoint")
    return (*remarks, *labels.remarks, *other_pictures(estimator.pictures, pictures))
