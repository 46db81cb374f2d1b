from __future__ import annotations

import cv2
import numpy as np
import pytest

from binocular import INFRARED_WH, infrared_of, pair, pose
from vircraft.registration.edges import VisiblePyramid, grey_8bit
from vircraft.registration.refine import (
    AFFINE,
    GENERATORS,
    LEAST_WEIGHT,
    SIMILARITY,
    TRANSLATION,
    Template,
    View,
    agreement_weights,
    correlation,
    displacements,
    refine,
    refine_jointly,
)
from vircraft.registration.warp import Matrix, apply_homography, corner_error_px

TRUTH = pose(0.55, rotation_deg=1.0, shift_px=(6, -4), perspective=(0.004, -0.003))


def _view(seed: int, width: int, truth: Matrix = TRUTH) -> View:
    visible, infrared = pair(seed, truth)
    return Template(grey_8bit(infrared), width), VisiblePyramid(grey_8bit(visible))


def _off(h: Matrix, dx: float, dy: float, scale: float = 1.0) -> Matrix:
    return np.array([[scale, 0, dx], [0, scale, dy], [0, 0, 1.0]]) @ h


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("off", [(3.0, -2.0, 1.0), (-2.0, 3.0, 1.01), (0.5, 4.0, 0.99)])
def test_it_converges_to_the_known_homography(seed: int, off: tuple[float, float, float]) -> None:
    start = _off(TRUTH, *off)
    visible, infrared = pair(seed, TRUTH)
    pyramid = VisiblePyramid(grey_8bit(visible))
    h = refine(Template(grey_8bit(infrared), 160), pyramid, start).h_ir_from_vis
    end = refine(Template(grey_8bit(infrared), 320), pyramid, h, anchor=start)
    assert corner_error_px(TRUTH, end.h_ir_from_vis, INFRARED_WH) < 0.2
    assert end.h_ir_from_vis[2, 2] == 1
    assert end.score > 0.5


def test_views_of_one_rig_together_are_nearer_than_most_of_them_alone() -> None:
    views = []
    for seed in range(4):
        visible, _ = pair(seed, TRUTH)
        noisy = infrared_of(visible, TRUTH, seed=seed, noise=25)
        views.append((Template(grey_8bit(noisy), 320), VisiblePyramid(grey_8bit(visible))))
    start = _off(TRUTH, 2, -1)
    together = refine_jointly(views, start, steps=12).h_ir_from_vis
    alone = [refine(*view, start, steps=12).h_ir_from_vis for view in views]
    errors = [corner_error_px(TRUTH, h, INFRARED_WH) for h in alone]
    assert corner_error_px(TRUTH, together, INFRARED_WH) < np.median(errors) + 0.02


def test_templates_of_different_sizes_cannot_be_refined_together() -> None:
    with pytest.raises(ValueError, match="one size"):
        refine_jointly([_view(0, 80), _view(1, 160)], TRUTH)


@pytest.mark.parametrize("parameters", [TRANSLATION, SIMILARITY, AFFINE])
def test_only_the_parameters_asked_for_move(parameters: int) -> None:
    template, pyramid = _view(1, 160)
    start = _off(TRUTH, 2.5, -2)
    end = refine(template, pyramid, start, parameters=parameters)
    assert end.information.shape == (parameters, parameters)
    unit = template.to_unit @ template.h_level_from_ir
    motion = unit @ end.h_ir_from_vis @ np.linalg.inv(unit @ start)
    motion /= motion[2, 2]
    # perspective of the product is nought when both factors are affine
    np.testing.assert_allclose(motion[2], [0, 0, 1], atol=1e-9)
    if parameters <= SIMILARITY:
        np.testing.assert_allclose([motion[0, 0], motion[0, 1]], [motion[1, 1], -motion[1, 0]], atol=1e-9)
    if parameters == TRANSLATION:
        np.testing.assert_allclose(motion[:2, :2], np.eye(2), atol=1e-9)


def test_displacements_are_the_derivatives_of_a_homography() -> None:
    points, small = np.array([[0.4, -0.7], [-1.0, 0.8]]), 1e-6
    expected = [(apply_homography(np.eye(3) + small * g, points) - points) / small for g in GENERATORS]
    np.testing.assert_allclose(displacements(points), np.stack(expected, axis=1), atol=1e-5)


def test_where_there_is_one_small_structure_the_pose_stays_a_similarity() -> None:
    visible = np.full((480, 640, 3), 100, np.uint8)
    cv2.rectangle(visible, (300, 220), (345, 238), (220, 220, 220), -1)
    cv2.line(visible, (290, 215), (352, 246), (30, 30, 30), 3)
    truth = pose(0.5)
    infrared = infrared_of(visible, truth, noise=4)
    start = _off(truth, 2.0, -1.5)
    template = Template(grey_8bit(infrared), 160)
    end = refine(template, VisiblePyramid(grey_8bit(visible)), start, steps=12)
    unit = template.to_unit @ template.h_level_from_ir
    motion = unit @ end.h_ir_from_vis @ np.linalg.inv(unit @ start)
    motion /= motion[2, 2]
    assert np.abs(motion[2, :2]).max() < 0.03
    assert abs(motion[0, 0] - motion[1, 1]) < 0.06
    assert abs(motion[0, 1] + motion[1, 0]) < 0.06
    middle = np.array([[321.0, 230.0, 1.0]]).T
    there, wanted = end.h_ir_from_vis @ middle, truth @ middle
    assert np.linalg.norm(there[:2] / there[2] - wanted[:2] / wanted[2]) < 0.5


def test_a_mask_leaves_out_what_moves_otherwise() -> None:
    visible, _ = pair(3, pose(0.5))
    infrared = infrared_of(visible, pose(0.5))
    # the right half of the infrared view is displaced by 6 px
    displaced = infrared_of(visible, pose(0.5, shift_px=(6, 0)))
    infrared[:, 160:] = displaced[:, 160:]
    template = Template(grey_8bit(infrared), 160)
    mask = np.zeros(template.size_wh[::-1], np.float32)
    mask[:, :70] = 1
    pyramid = VisiblePyramid(grey_8bit(visible))
    for masked, truth in ((mask, pose(0.5)), (mask[:, ::-1], pose(0.5, shift_px=(6, 0)))):
        end = refine(
            template, pyramid, pose(0.5, shift_px=(3, 0)), parameters=TRANSLATION, steps=12,
            mask=np.ascontiguousarray(masked),
        )  # fmt: skip
        assert corner_error_px(truth, end.h_ir_from_vis, INFRARED_WH) < 0.5


def test_correlation_is_highest_at_the_truth_and_low_elsewhere() -> None:
    template, pyramid = _view(2, 160)
    best = correlation(template, pyramid, TRUTH)
    assert best > 0.5
    assert correlation(template, pyramid, _off(TRUTH, 4, 0)) < best - 0.1
    assert abs(correlation(template, pyramid, _off(TRUTH, 60, 40))) < 0.2


def test_weights_are_high_where_edges_agree_and_least_where_they_do_not() -> None:
    ones = np.ones((40, 60), np.float32)
    np.testing.assert_allclose(agreement_weights(ones, ones, ones)[20, 30], 1 + LEAST_WEIGHT, atol=1e-3)
    np.testing.assert_allclose(agreement_weights(-ones, ones, ones), LEAST_WEIGHT)
    np.testing.assert_allclose(agreement_weights(0 * ones, 0 * ones, 0 * ones), LEAST_WEIGHT)


def test_a_picture_without_edges_stays_where_it_is() -> None:
    flat = np.full((120, 160), 50, np.float32)
    end = refine(Template(flat, 80), VisiblePyramid(flat), np.eye(3))
    np.testing.assert_allclose(end.h_ir_from_vis, np.eye(3), atol=1e-6)
