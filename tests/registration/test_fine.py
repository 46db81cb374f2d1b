from __future__ import annotations

import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose, scene
from vircraft.registration.edges import VisiblePyramid, grey_8bit
from vircraft.registration.fine import FEWEST_MATCHES, match_orb
from vircraft.registration.refine import Template
from vircraft.registration.warp import corner_error_px

TRUTH = pose(0.5, rotation_deg=1.0, perspective=(0.003, 0.002))


@pytest.mark.parametrize("seed", range(3))
def test_keypoints_find_the_homography_from_seven_pixels_off(seed: int) -> None:
    visible, infrared = pair(seed, TRUTH)
    start = np.array([[1, 0, 5.0], [0, 1, -5.0], [0, 0, 1]]) @ TRUTH
    fit = match_orb(Template(grey_8bit(infrared), 320), VisiblePyramid(grey_8bit(visible)), start)
    assert fit is not None
    assert fit.inliers >= FEWEST_MATCHES
    assert fit.h_ir_from_vis[2, 2] == pytest.approx(1)
    assert corner_error_px(TRUTH, fit.h_ir_from_vis, INFRARED_WH) < 2
    assert 0 < fit.residual_px < 3


def test_the_residual_is_in_full_size_infrared_pixels() -> None:
    visible, infrared = pair(1, TRUTH)
    fits = [
        match_orb(Template(grey_8bit(infrared), width), VisiblePyramid(grey_8bit(visible)), TRUTH)
        for width in (160, 320)
    ]
    assert fits[0] is not None
    assert fits[1] is not None
    assert 0.3 < fits[0].residual_px / fits[1].residual_px < 4


def test_pictures_of_different_scenes_have_hardly_any_matches_that_agree() -> None:
    visible, infrared = scene(11), pair(12, TRUTH)[1]
    right = match_orb(
        Template(grey_8bit(infrared), 160), VisiblePyramid(grey_8bit(pair(12, TRUTH)[0])), TRUTH
    )
    wrong = match_orb(Template(grey_8bit(infrared), 160), VisiblePyramid(grey_8bit(visible)), TRUTH)
    assert right is not None
    assert wrong is None or wrong.inliers < right.inliers / 3


@pytest.mark.parametrize("shape", [(16, 16), (40, 60), (256, 320)])
def test_a_picture_without_keypoints_has_no_answer(shape: tuple[int, int]) -> None:
    flat = np.full(shape, 60, np.float32)
    assert match_orb(Template(flat, 160), VisiblePyramid(flat), np.eye(3)) is None
