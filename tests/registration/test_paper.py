from __future__ import annotations

import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose, scene
from vircraft.registration import RegistrationSettings, corner_error_px, register_pair, register_rig

PAPER = RegistrationSettings(recipe="paper")


def test_within_one_modality_the_printed_recipe_works() -> None:
    visible = scene(3)
    infrared = visible[112:368, 160:480]
    answer = register_pair(visible, infrared, PAPER)
    truth = np.array([[1, 0, -160.0], [0, 1, -112.0], [0, 0, 1.0]])
    assert answer.status == "fine"
    assert answer.h_ir_from_vis is not None
    assert corner_error_px(truth, answer.h_ir_from_vis, (320, 256)) < 3
    assert answer.predicted_error_px is not None
    assert np.isnan(answer.predicted_error_px)


def test_it_answers_on_different_scenes_since_nothing_checks_it() -> None:
    _, infrared = pair(2, pose(0.5))
    assert register_pair(scene(60), infrared, PAPER).status in ("fine", "coarse")


def test_an_infrared_view_too_tall_for_the_visible_one_is_refused() -> None:
    settings = RegistrationSettings(recipe="paper", scale_min=0.3, scale_max=0.5)
    answer = register_pair(scene(2, (640, 360)), scene(1, (200, 600)), settings)
    assert (answer.status, answer.reason) == ("refused", "outside-range")


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_is_refused(value: int) -> None:
    answer = register_pair(scene(1), np.full((256, 320), value, np.uint8), PAPER)
    assert answer.status == "refused"


def test_a_rig_is_registered_pair_by_pair() -> None:
    pairs = [pair(seed, pose(0.5)) for seed in (1, 2)]
    together = register_rig(pairs, PAPER)
    for answer, (visible, infrared) in zip(together, pairs, strict=True):
        alone = register_pair(visible, infrared, PAPER)
        assert alone.status == answer.status
        np.testing.assert_array_equal(alone.h_ir_from_vis, answer.h_ir_from_vis)  # type: ignore[arg-type]
    assert INFRARED_WH == (320, 256)
