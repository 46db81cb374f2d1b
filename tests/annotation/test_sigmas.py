"""OKS sigmas against annotators whose noise is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.sigmas import measure_sigmas, sigma_table

TRUE_PER_AXIS = 0.02  # standard deviation of one annotator along x, and along y, over root of the area
TRUE_SIGMA = math.sqrt(2) * TRUE_PER_AXIS  # root mean square distance of one annotator from the truth


def two_annotators(count: int, seed: int = 0, per_axis: float = TRUE_PER_AXIS):
    """Distances of two independent annotators and the scales of their aircraft, and each one's error."""
    rng = np.random.default_rng(seed)
    scale = rng.uniform(20, 200, count)
    first, second = rng.normal(0, per_axis, (2, count, len(KEYPOINTS), 2)) * scale[:, None, None]
    return np.hypot(*np.moveaxis(first - second, -1, 0)), scale, np.hypot(*np.moveaxis(first, -1, 0))


def test_known_noise_gives_back_the_known_sigma():
    distance, scale, _ = two_annotators(5_000)
    for found in measure_sigmas(distance, scale, np.arange(5_000)):
        assert found.sigma == pytest.approx(TRUE_SIGMA, rel=0.04)
        assert found.sigma_robust == pytest.approx(TRUE_SIGMA, rel=0.04)


def test_sigma_is_coco_s_definition_for_one_annotator_against_the_truth():
    # sigma^2 = E[d^2 / s^2], d from the truth: computed here from the errors that a real study never sees
    distance, scale, error = two_annotators(5_000)
    direct = np.sqrt(np.mean((error / scale[:, None]) ** 2, axis=0))
    found = measure_sigmas(distance, scale, np.arange(5_000))
    assert [a.sigma for a in found] == pytest.approx(direct.tolist(), rel=0.04)


def test_two_annotators_of_different_care_give_the_mean_of_their_variances():
    rng = np.random.default_rng(3)
    errors = [rng.normal(0, t, (5_000, 9, 2)) for t in (0.01, 0.03)]
    distance = np.hypot(*np.moveaxis(errors[0] - errors[1], -1, 0))
    found = measure_sigmas(distance, np.ones(5_000), np.arange(5_000))
    assert found[0].sigma == pytest.approx(math.sqrt(2 * (0.01**2 + 0.03**2) / 2), rel=0.04)


def test_the_oks_of_an_annotator_at_this_sigma_is_as_coco_means_it():
    # with k = 2 sigma, an annotator one sigma off scores exp(-1/8)
    distance, scale, error = two_annotators(5_000)
    sigma = np.array([a.sigma for a in measure_sigmas(distance, scale, np.arange(5_000))])
    oks = np.exp(-((error / scale[:, None]) ** 2) / (2 * (2 * sigma) ** 2))
    within = np.mean(oks >= math.exp(-1 / 8), axis=0)
    assert within == pytest.approx(np.full(9, 1 - math.exp(-1)), abs=0.03)


def test_pycocotools_gives_two_annotators_the_similarity_that_theory_expects():
    # Both d_AB^2 / (2 s^2 sigma^2) and Exp(1) have mean 1, so E[OKS] = E[exp(-x / 4)] = 0.8.
    rng = np.random.default_rng(11)
    count, true_xy = 400, np.full((9, 2), 500.0)
    first, second = true_xy + rng.normal(0, TRUE_PER_AXIS * 100, (2, count, 9, 2))
    distance = np.hypot(*np.moveaxis(first - second, -1, 0))
    found = measure_sigmas(distance, np.full(count, 100.0), np.arange(count))
    assert oks_by_pycocotools(first, second, [a.sigma for a in found]) == pytest.approx(0.8, abs=0.01)


def oks_by_pycocotools(first: np.ndarray, second: np.ndarray, sigmas: list[float]) -> float:
    """Mean similarity of one annotator's points, taken as detections, to the other's."""
    images = [{"id": n + 1, "width": 1000, "height": 1000} for n in range(len(first))]
    common = {"category_id": 1, "bbox": [450, 450, 100, 100], "area": 100.0**2, "iscrowd": 0}

    def records(points: np.ndarray) -> list[dict]:
        flat = [np.column_stack([xy, np.full(9, 2)]).ravel().tolist() for xy in points]
        return [
            {**common, "id": n + 1, "image_id": n + 1, "keypoints": k, "num_keypoints": 9, "score": 1.0}
            for n, k in enumerate(flat)
        ]

    truth, detected = COCO(), COCO()
    for coco, points in ((truth, first), (detected, second)):
        coco.dataset = {"images": images, "categories": [{"id": 1}], "annotations": records(points)}
        coco.createIndex()
    evaluation = COCOeval(truth, detected, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(sigmas)
    evaluation._prepare()
    return float(np.mean([evaluation.computeOks(n + 1, 1) for n in range(len(first))]))


def test_the_interval_holds_the_true_sigma_about_as_often_as_it_says():
    hits = 0
    for seed in range(40):
        distance, scale, _ = two_annotators(60, seed)
        found = measure_sigmas(distance, scale, np.arange(60))
        hits += sum(a.sigma_low <= TRUE_SIGMA <= a.sigma_high for a in found)
    assert hits / 360 > 0.88  # 95 % in theory; a percentile bootstrap of 60 pictures is a little short of it


def test_aircraft_of_one_picture_are_resampled_together():
    distance, scale, _ = two_annotators(40, 1)
    alone = measure_sigmas(distance, scale, np.arange(40))[0]
    doubled = measure_sigmas(np.repeat(distance, 2, 0), np.repeat(scale, 2), np.repeat(np.arange(40), 2))[0]
    assert doubled.pairs == 2 * alone.pairs
    assert doubled.sigma_high - doubled.sigma_low == pytest.approx(alone.sigma_high - alone.sigma_low)


def test_one_gross_error_is_told_and_does_not_move_the_robust_sigma():
    distance, scale, _ = two_annotators(50, 2)
    clean = measure_sigmas(distance, scale, np.arange(50))[0]
    distance[7, 0] = 3 * scale[7]  # left taken for right
    found = measure_sigmas(distance, scale, np.arange(50))[0]
    assert found.outliers
    assert not clean.outliers
    assert found.sigma > 5 * clean.sigma
    assert found.sigma_robust == pytest.approx(clean.sigma_robust, rel=0.1)


def test_keypoints_that_not_both_placed_are_left_out():
    distance, scale, _ = two_annotators(30)
    distance[:, 1] = np.nan
    distance[:25, 2] = np.nan
    head, vertical, tail, *_ = measure_sigmas(distance, scale, np.arange(30))
    assert (head.pairs, vertical.pairs, tail.pairs) == (30, 0, 5)
    assert math.isnan(vertical.sigma)
    assert (head.few, vertical.few, tail.few) == (False, True, True)


def test_the_table_leaves_out_what_is_not_measured():
    distance, scale, _ = two_annotators(30)
    distance[:, 1] = np.nan
    distance[:25, 2] = np.nan
    distance[:, 3] = 0
    found = measure_sigmas(distance, scale, np.arange(30))
    table = sigma_table(found)
    assert set(table) == set(KEYPOINTS) - {"Vertical", "Tail", "Left_front"}
    assert table["Head"] == pytest.approx(found[0].sigma, abs=1e-6)
    assert "Tail" in sigma_table(found, least_pairs=5)
    assert sigma_table(found, robust=True)["Head"] == pytest.approx(found[0].sigma_robust, abs=1e-6)


def test_nothing_to_measure_is_no_error():
    found = measure_sigmas(np.empty((0, 9)), np.empty(0), np.empty(0, np.intp))
    assert [a.pairs for a in found] == [0] * 9
    assert sigma_table(found) == {}
