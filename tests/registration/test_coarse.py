from __future__ import annotations

import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose, scene
from vircraft.registration.coarse import search
from vircraft.registration.edges import grey_8bit
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import Matrix, corner_error_px

SETTINGS = RegistrationSettings()


def _best_error_px(seed: int, truth: Matrix, settings: RegistrationSettings = SETTINGS) -> float:
    visible, infrared = pair(seed, truth)
    first = search(grey_8bit(visible), grey_8bit(infrared), settings)[0]
    return corner_error_px(truth, first.h_ir_from_vis, INFRARED_WH)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.36, 0.6, 0.88])
def test_the_infrared_view_is_found_at_any_scale_and_place(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    room = (1 / share - 1) / 2 * 0.7
    shift = (INFRARED_WH[0] * rng.uniform(-room, room), INFRARED_WH[1] * rng.uniform(-room, room) / 2)
    assert _best_error_px(seed, pose(share, shift_px=shift)) < 0.05 * INFRARED_WH[0]


@pytest.mark.parametrize("rotation_deg", [-6.0, 6.0])
def test_a_rolled_camera_is_found(rotation_deg: float) -> None:
    truth = pose(0.5, rotation_deg=rotation_deg)
    assert _best_error_px(1, truth) < 0.05 * INFRARED_WH[0]
    upright = RegistrationSettings(rotation_deg=0)
    assert _best_error_px(1, truth, upright) > 0.05 * INFRARED_WH[0]


def test_a_scale_outside_the_range_is_not_searched() -> None:
    settings = RegistrationSettings(scale_min=0.6, scale_max=0.9)
    visible, infrared = pair(1, pose(0.4))
    for candidate in search(grey_8bit(visible), grey_8bit(infrared), settings):
        scale = np.sqrt(np.linalg.det(candidate.h_ir_from_vis[:2, :2]))
        assert 0.58 <= INFRARED_WH[0] / (640 * scale) <= 0.92


def test_candidates_are_similarities_in_order_without_doubles() -> None:
    visible, infrared = pair(2, pose(0.5))
    candidates = search(grey_8bit(visible), grey_8bit(infrared), SETTINGS, keep=12)
    assert len(candidates) == 12
    assert [c.significance for c in candidates] == sorted((c.significance for c in candidates), reverse=True)
    for c in candidates:
        h = c.h_ir_from_vis
        assert -1 <= c.score <= 1
        assert h[2, 2] == 1
        np.testing.assert_allclose([h[0, 0], h[0, 1]], [h[1, 1], -h[1, 0]], rtol=0.02, atol=0.02)
    for k, c in enumerate(candidates):
        for other in candidates[:k]:
            assert corner_error_px(c.h_ir_from_vis, other.h_ir_from_vis, INFRARED_WH) > 1


def test_an_infrared_view_too_tall_for_the_visible_one_has_no_candidates() -> None:
    infrared = grey_8bit(scene(1, (200, 600)))
    visible = grey_8bit(scene(2, (640, 360)))
    assert search(visible, infrared, RegistrationSettings(scale_min=0.3, scale_max=0.5)) == []


def test_a_picture_without_edges_gives_candidates_of_no_score_at_most() -> None:
    flat = np.full((200, 300), 90, np.float32)
    assert all(abs(c.score) < 0.01 for c in search(flat, flat, SETTINGS))
