from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from binocular import INFRARED_WH, infrared_of, pair, pose, scene
from vircraft.registration import Registration, RegistrationSettings, corner_error_px, register_pair
from vircraft.registration.edges import grey_8bit
from vircraft.registration.pair import LEAST_SIDE_PX, LONGEST_SIDE, find, judge, misshapen, unusable
from vircraft.registration.warp import Matrix

TRUTH = pose(0.55, rotation_deg=1.5, shift_px=(8, -6), perspective=(0.004, -0.003))


def _error_px(answer: Registration, truth: Matrix, infrared_wh: tuple[int, int] = INFRARED_WH) -> float:
    assert answer.h_ir_from_vis is not None, answer.reason
    return corner_error_px(truth, answer.h_ir_from_vis, infrared_wh)


@pytest.mark.parametrize("seed", range(6))
def test_pictures_of_one_scene_are_registered_within_a_pixel(seed: int) -> None:
    answer = register_pair(*pair(seed, TRUTH))
    assert answer.status == "fine"
    assert answer.model == "homography"
    assert answer.probability > 0.9
    assert _error_px(answer, TRUTH) < 1.0
    assert answer.predicted_error_px is not None
    assert answer.predicted_error_px < 5


def test_pictures_of_different_scenes_are_refused() -> None:
    answers = []
    for seed in range(10):
        _, infrared = pair(seed, TRUTH)
        answers.append(register_pair(scene(seed + 100), infrared))
    refused = [a for a in answers if a.status == "refused"]
    assert {a.reason for a in refused} <= {"low-score", "large-error"}
    assert len(refused) >= 9  # drawn shapes are alike by chance now and then
    assert np.median([a.probability for a in answers]) < 0.4


@pytest.mark.parametrize("share", [0.33, 0.9])
def test_narrow_and_wide_infrared_lenses_are_registered(share: float) -> None:
    truth = pose(share, shift_px=(5, 3))
    assert _error_px(register_pair(*pair(7, truth)), truth) < 1.5


def test_the_same_pictures_give_the_same_bits() -> None:
    visible, infrared = pair(1, TRUTH)
    one, other = register_pair(visible, infrared), register_pair(visible.copy(), infrared.copy())
    np.testing.assert_array_equal(one.h_ir_from_vis, other.h_ir_from_vis)  # type: ignore[arg-type]
    assert one.predicted_error_px == other.predicted_error_px


def test_sixteen_bit_infrared_and_grey_visible_are_registered_alike() -> None:
    visible, infrared = pair(2, TRUTH)
    counts = infrared.astype(np.uint16) * 7 + 22000
    assert _error_px(register_pair(visible, counts), TRUTH) < 1.0
    grey = np.asarray(cv2.cvtColor(visible, cv2.COLOR_BGR2GRAY))
    assert _error_px(register_pair(grey, infrared), TRUTH) < 1.0
    assert _error_px(register_pair(visible, np.dstack([infrared] * 3)), TRUTH) < 1.0


def test_sizes_are_taken_from_the_pictures() -> None:
    visible_wh, infrared_wh = (400, 600), (160, 200)
    truth = pose(0.6, visible_wh=visible_wh, infrared_wh=infrared_wh)
    visible = scene(5, visible_wh)
    answer = register_pair(visible, infrared_of(visible, truth, infrared_wh))
    assert answer.status == "fine"
    assert _error_px(answer, truth, infrared_wh) < 1.0


def test_an_infrared_view_wider_than_the_visible_one_is_refused() -> None:
    wide = scene(8, (1280, 960))
    visible = np.ascontiguousarray(wide[320:640, 430:850])
    infrared = infrared_of(wide, pose(0.95, visible_wh=(1280, 960)))
    assert register_pair(visible, infrared).status == "refused"


def test_the_scale_setting_bounds_what_is_found() -> None:
    visible, infrared = pair(3, pose(0.5))
    assert (
        register_pair(visible, infrared, RegistrationSettings(scale_min=0.4, scale_max=0.6)).status == "fine"
    )
    outside = RegistrationSettings(scale_min=0.75, scale_max=0.95)
    assert register_pair(visible, infrared, outside).status == "refused"


def test_the_rotation_setting_widens_what_is_found() -> None:
    truth = pose(0.5, rotation_deg=25)
    visible, infrared = pair(3, truth)
    assert _error_px(register_pair(visible, infrared, RegistrationSettings(rotation_deg=27)), truth) < 1.5
    assert register_pair(visible, infrared).status == "refused"


def test_the_gate_s_belief_decides_between_fine_coarse_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    visible, infrared = pair(4, TRUTH)
    found = find(grey_8bit(visible), grey_8bit(infrared), RegistrationSettings())
    assert found is not None
    by_belief = RegistrationSettings(accept_probability=0.8, coarse_probability=0.5)
    answers = {}
    for belief in (0.9, 0.6, 0.4, float("nan")):
        monkeypatch.setattr("vircraft.registration.pair.probability", lambda _, belief=belief: belief)
        answers[belief] = judge(found, INFRARED_WH, by_belief)
    fine, coarse, *refused = answers.values()
    assert (fine.status, fine.model, fine.reason) == ("fine", "homography", "")
    assert (coarse.status, coarse.model, coarse.reason) == ("coarse", "similarity", "weak-evidence")
    assert [(a.status, a.reason) for a in refused] == [("refused", "low-score")] * 2
    assert _error_px(coarse, TRUTH) < 16
    assert coarse.predicted_error_px is not None
    assert fine.predicted_error_px is not None
    assert coarse.predicted_error_px > fine.predicted_error_px


def test_an_answer_predicted_worse_than_the_limit_is_refused() -> None:
    picky = RegistrationSettings(max_error_px=0.01)
    answer = register_pair(*pair(4, TRUTH), picky)
    assert (answer.status, answer.reason) == ("refused", "large-error")


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (np.zeros((256, 320), np.uint8), "constant"),
        (np.full((256, 320), 255, np.uint8), "constant"),
        (np.full((256, 320), 31000, np.uint16), "constant"),
        (np.full((15, 320), 7, np.uint8), "too-small"),
        (np.zeros((16, 16 * LONGEST_SIDE + 1), np.uint8), "too-long"),
    ],
)
def test_a_picture_that_carries_nothing_is_refused_by_name(picture: np.ndarray, code: str) -> None:
    good_visible, good_infrared = pair(1, TRUTH)
    assert register_pair(good_visible, picture).reason == f"infrared-{code}"
    assert register_pair(picture, good_infrared).reason == f"visible-{code}"


def test_a_saturated_picture_is_refused() -> None:
    burnt = np.full((256, 320), 255, np.uint8)
    burnt[100:102, 100:140] = 120
    assert unusable(burnt.astype(np.float32), "infrared") == "infrared-saturated"
    assert register_pair(scene(1), burnt).reason == "infrared-saturated"


def test_the_limits_of_size_are_inclusive() -> None:
    assert misshapen(np.zeros((LEAST_SIDE_PX, LEAST_SIDE_PX * LONGEST_SIDE), np.float32), "visible") == ""


def test_pictures_of_32_by_24_get_an_answer() -> None:
    visible = scene(1, (64, 48))
    answer = register_pair(visible, np.ascontiguousarray(visible[10:34, 14:46]))
    assert answer.status in ("fine", "coarse", "refused")


@pytest.mark.parametrize("kind", [np.float32, np.int16, bool])
def test_other_types_of_pixels_are_an_error(kind: type) -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        register_pair(np.zeros((64, 64), kind), np.zeros((64, 64), np.uint8))


SMALL = arrays.array_shapes(min_dims=2, max_dims=2, min_side=LEAST_SIDE_PX, max_side=48)
SPARSE = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda kind: arrays.arrays(kind, SMALL))
# Everything goes through to the end, however little it is believed.
CREDULOUS = RegistrationSettings(accept_probability=0, coarse_probability=0, max_error_px=1e9)


@settings(max_examples=15, deadline=None)
@given(SPARSE, SPARSE, st.sampled_from(["vircraft", "paper"]))
def test_any_two_pictures_get_an_answer(visible: np.ndarray, infrared: np.ndarray, recipe: str) -> None:
    answer = register_pair(visible, infrared, RegistrationSettings(recipe=recipe))  # type: ignore[arg-type]
    assert answer.status in ("fine", "coarse", "refused")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), SMALL, SMALL, st.integers(1, 255), st.integers(1, 8))
def test_any_two_noises_go_through_to_the_end(
    seed: int, shape: tuple[int, int], other: tuple[int, int], levels: int, block: int
) -> None:
    rng = np.random.default_rng(seed)

    def noise(shape: tuple[int, int]) -> np.ndarray:
        small = rng.integers(0, levels + 1, (shape[0] // block + 1, shape[1] // block + 1)) * (255 // levels)
        whole = np.kron(small, np.ones((block, block)))[: shape[0], : shape[1]]
        return np.ascontiguousarray(whole.astype(np.uint8))

    answer = register_pair(noise(shape), noise(other), CREDULOUS)
    assert answer.status == "fine" or answer.reason.startswith(("infrared-", "visible-", "outside-range"))


def test_geometry_that_degenerates_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def collapse(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr("vircraft.registration.pair.settle", collapse)
    assert register_pair(*pair(1, TRUTH)).status == "refused"
