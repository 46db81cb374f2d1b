"""Keypoint labels, and scores against pycocotools and NumPy."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("timm")

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fgfusion_model.downstream.coco_labels import read_coco
from fgfusion_model.downstream.keypoints.drift import write_drift
from fgfusion_model.downstream.keypoints.estimation import Pose
from fgfusion_model.downstream.keypoints.labels import KeypointLabels, read_keypoint_labels
from fgfusion_model.downstream.keypoints.scores import (
    coco_results,
    coco_scores,
    mean_by_picture,
    pixel_scores,
    similarities,
    similarity_scores,
)
from keypoint_scenes import change_labels, labels_path, write_dataset
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.errors import DatasetError, InputFileError, VircraftError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, {"test": 24})


def document(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(labels_path(root, "test").read_text())
    return found


def labels(root: Path, category: str = "") -> KeypointLabels:
    return read_keypoint_labels(read_coco(labels_path(root, "test"), "test"), category)


def random_poses(found: KeypointLabels, seed: int = 0) -> list[Pose]:
    """Return the labels, each moved by a normal error of 1 to 8 pixels."""
    random = np.random.default_rng(seed)
    return [
        Pose(
            entry.keypoints[:, :2] + random.normal(0, random.uniform(1, 8), (9, 2)),
            random.uniform(0, 1, 9),
            np.zeros((9, 2, 2)),
        )
        for entry in found.objects
    ]


def by_hand(root: Path, results: list[dict[str, Any]], sigmas: np.ndarray) -> list[float]:
    """Return COCOeval's own numbers from files."""
    path = root / "results.json"
    path.write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(labels_path(root, "test")))
        judge = COCOeval(truth, truth.loadRes(str(path)), "keypoints")
        judge.params.kpt_oks_sigmas = sigmas
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(value) for value in judge.stats]


def oks_by_hand(root: Path, results: list[dict[str, Any]]) -> list[float]:
    """Return the OKS from the formula, straight from the file's numbers."""
    values = []
    for record, result in zip(document(root)["annotations"], results, strict=True):
        terms = []
        for k in range(9):
            x, y, v = record["keypoints"][3 * k : 3 * k + 3]
            u, w, _ = result["keypoints"][3 * k : 3 * k + 3]
            if v:
                squared = (x - u) ** 2 + (y - w) ** 2
                terms.append(math.exp(-squared / (2 * record["area"] * (2 * 0.05) ** 2)))
        values.append(sum(terms) / len(terms))
    return values


def test_scores_equal_pycocotools_own_run_on_the_results_file(root: Path):
    found = labels(root)
    results = coco_results(found, random_poses(found))
    stats = by_hand(root, results, np.full(9, 0.05))
    scores = coco_scores(found, results)
    assert 0.05 < stats[0] < 0.95
    assert [scores[n] for n in ("mAP[50,95]", "AP50", "AP75")] == pytest.approx(stats[:3])
    assert scores["AR[50,95]"] == pytest.approx(stats[5])


def test_two_aircraft_on_a_picture_and_other_sigmas_are_scored_as_by_pycocotools(root: Path):
    table = document(root)
    for record in table["annotations"]:
        record["image_id"] = (record["image_id"] + 1) // 2
    table["info"]["keypoint_sigmas"] = sigmas = [0.02 + 0.01 * k for k in range(9)]
    change_labels(root, "test", **table)
    found = labels(root)
    results = coco_results(found, random_poses(found, 1))
    scores = coco_scores(found, results)
    assert [scores[n] for n in ("mAP[50,95]", "AP50", "AP75")] == pytest.approx(
        by_hand(root, results, np.array(sigmas))[:3]
    )
    oks = similarities(found, results)
    assert mean_by_picture(found, oks)["test_000001"] == pytest.approx(oks[:2].mean())


def test_the_share_above_each_oks_is_that_of_the_formula(root: Path):
    found = labels(root)
    results = coco_results(found, random_poses(found))
    expected = np.array(oks_by_hand(root, results))
    oks = similarities(found, results)
    assert oks == pytest.approx(expected)
    scores = similarity_scores(oks)
    thresholds = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    shares = [float(np.mean(expected > t)) for t in thresholds]
    assert [scores[f"share[OKS>{t:.2f}]"] for t in thresholds] == pytest.approx(shares)
    assert scores["mean share[OKS 0.50-0.95]"] == pytest.approx(np.mean(shares))
    assert scores["mean OKS"] == pytest.approx(expected.mean())


def test_labels_given_back_score_one(root: Path):
    found = labels(root)
    poses = [Pose(e.keypoints[:, :2], np.ones(9), np.zeros((9, 2, 2))) for e in found.objects]
    results = coco_results(found, poses)
    assert coco_scores(found, results)["mAP[50,95]"] == pytest.approx(1)
    assert similarity_scores(similarities(found, results))["share[OKS>0.95]"] == 1
    assert pixel_scores(found, results)["median error px"] == pytest.approx(0, abs=1e-3)


def test_results_count_pixel_edges_as_the_labels_do(root: Path):
    found = labels(root)
    pose = Pose(np.full((9, 2), 10.0), np.full(9, 0.25), np.zeros((9, 2, 2)))
    result = coco_results(found, [pose] * len(found.objects))[0]
    assert result["keypoints"][:3] == [10.5, 10.5, 0.25]
    assert result["score"] == 0.25
    assert (result["image_id"], result["category_id"]) == (1, 1)


def test_pixels_count_visible_keypoints_and_shares_labelled_ones(root: Path):
    found = labels(root)
    shift = np.zeros((9, 2))
    shift[KEYPOINTS.index("Tail")] = 1000  # occluded in half the pictures
    poses = [Pose(e.keypoints[:, :2] + shift, np.ones(9), np.zeros((9, 2, 2))) for e in found.objects]
    results = coco_results(found, poses)
    scores = pixel_scores(found, results)
    labelled = sum(int((e.keypoints[:, 2] > 0).sum()) for e in found.objects)
    assert scores["median error px"] == pytest.approx(0, abs=1e-3)
    assert scores["PCK[0.05]"] == pytest.approx(1 - len(found.objects) / labelled)


def test_crowds_and_objects_without_keypoints_are_neither_found_nor_missed(root: Path):
    table = document(root)
    table["annotations"][0]["iscrowd"] = 1
    table["annotations"][1] |= {"keypoints": [0] * 27, "num_keypoints": 0}
    change_labels(root, "test", **table)
    found = labels(root)
    assert [entry.id for entry in found.objects] == list(range(3, 25))
    poses = [Pose(e.keypoints[:, :2], np.ones(9), np.zeros((9, 2, 2))) for e in found.objects]
    assert coco_scores(found, coco_results(found, poses))["mAP[50,95]"] == pytest.approx(1)


def test_drift_is_the_distance_of_peak_and_label_in_pixels(root: Path):
    found = labels(root)
    results = coco_results(found, random_poses(found))
    rows = list(csv.DictReader(write_drift(root, found, results).read_text().splitlines()))
    assert len(rows) == 24 * 9
    record, result = document(root)["annotations"][0], results[0]
    expected = math.hypot(*(result["keypoints"][k] - record["keypoints"][k] for k in (0, 1)))
    assert rows[0]["keypoint"] == "Head"
    assert float(rows[0]["drift_px"]) == pytest.approx(expected, abs=2e-3)
    assert float(rows[0]["label_x"]) == pytest.approx(record["keypoints"][0], abs=1e-3)
    unlabelled = [row for row in rows if row["v"] == "0"]
    assert unlabelled
    assert {row["drift_px"] for row in unlabelled} == {""}


def test_without_sigmas_in_the_file_each_is_five_hundredths(tmp_path: Path):
    found = labels(write_dataset(tmp_path, {"test": 2}, sigmas=False))
    assert found.sigmas == (0.05,) * 9
    assert not found.own_sigmas


def change(root: Path, **values: Any) -> None:
    table = document(root)
    for record in table["annotations"]:
        record.update(values)
    change_labels(root, "test", **table)


def test_a_category_without_keypoints_is_refused(root: Path):
    change_labels(root, "test", categories=[{"id": 1, "name": "aircraft"}])
    with pytest.raises(DatasetError, match="no category has keypoints \\(categories: 'aircraft'\\)"):
        labels(root)


def test_of_several_categories_the_one_named_is_taken(root: Path):
    one = document(root)["categories"][0]
    other = {"id": 2, "name": "bird", "keypoints": ["beak", "left_wing", "right_wing"]}
    change_labels(root, "test", categories=[one, other])
    with pytest.raises(DatasetError, match="'aircraft', 'bird'"):
        labels(root)
    with pytest.raises(
        DatasetError, match="'whale' has no keypoints; those with keypoints: 'aircraft', 'bird'"
    ):
        labels(root, "whale")
    assert labels(root, "aircraft").names.names == KEYPOINTS


def test_a_split_without_any_labelled_keypoint_is_refused(root: Path):
    change(root, keypoints=[0] * 27)
    with pytest.raises(DatasetError, match="none of the 24 objects"):
        labels(root)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keypoints": [1.0, 2.0, 2]}, "object 1 has 3 keypoint values, not 3 x 9"),
        ({"keypoints": [1.0, 2.0, 3] * 9}, "v not 0, 1, 2"),
        ({"keypoints": [float("nan"), 2.0, 2] * 9}, "not finite"),
        ({"keypoints": [1e9, 2.0, 2] * 9}, "farther than 1e6"),
        ({"area": 0}, "has the area 0"),
        ({"bbox": [500, 500, 20, 20]}, "outside its picture of 160x96"),
    ],
)
def test_labels_that_make_no_sense_are_named(root: Path, values: dict[str, Any], message: str):
    change(root, **values)
    with pytest.raises(InputFileError, match=message):
        labels(root)


@pytest.mark.parametrize("sigmas", [[0.05], [0.05] * 8 + [0], [0.05] * 8 + ["x"]])
def test_sigmas_that_make_no_sense_are_named(root: Path, sigmas: list[Any]):
    change_labels(root, "test", info={"keypoint_sigmas": sigmas})
    with pytest.raises(VircraftError, match="keypoint_sigmas"):
        labels(root)
