from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binocular import pose
from vircraft.registration.track import HALF_WINDOWS, LEAST_ERROR_PX, Measured, pool
from vircraft.registration.warp import Matrix, corner_error_px

WH = (320, 256)
WINDOW = HALF_WINDOWS[0]


def _at(number: int) -> Matrix:
    """Return the pose of a zooming lens at a frame: scale and shift follow a straight line."""
    return pose(0.5, shift_px=(0.4 * number, -0.2 * number)) * [[1 + 2e-3 * number], [1 + 2e-3 * number], [1]]


def _noisy(h: Matrix, rng: np.random.Generator, sd_px: float) -> Matrix:
    jitter = np.eye(3) + np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]]) * rng.normal(0, sd_px, (3, 1))
    return np.asarray(jitter @ h)


def test_nothing_measured_within_the_window_is_no_pose() -> None:
    assert pool([], 0, WH) is None
    far = [Measured(WINDOW + 1, pose(0.5), 1.0)]
    assert pool(far, 0, WH) is None
    assert pool(far, 1, WH) is not None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-16, 16), min_size=1, max_size=33, unique=True),
    st.floats(0.2, 1.2),
    st.floats(-10, 10),
    st.floats(-0.02, 0.02),
)
def test_equal_measurements_come_back_as_they_are(
    numbers: list[int], share: float, rotation_deg: float, bend: float
) -> None:
    h = pose(share, rotation_deg=rotation_deg, perspective=(bend, -bend))
    pooled = pool([Measured(n, h, 2.0) for n in numbers], 0, WH)
    assert pooled is not None
    assert corner_error_px(h, pooled.h_ir_from_vis, WH) < 1e-5
    assert pooled.h_ir_from_vis[2, 2] == 1
    assert pooled.frames == len(numbers)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(3, 20))
def test_the_order_of_the_measurements_does_not_matter(random: object, count: int) -> None:
    rng = np.random.default_rng(count)
    measured = [Measured(n, _noisy(_at(n), rng, 0.5), 1.0 + 0.1 * n) for n in range(count)]
    shuffled = list(measured)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = pool(measured, 2, WH), pool(shuffled, 2, WH)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.h_ir_from_vis, other.h_ir_from_vis)
    assert one.error_px == other.error_px


def test_noise_is_averaged_out_and_the_predicted_error_falls() -> None:
    rng = np.random.default_rng(3)
    truth = pose(0.5)
    measured = [Measured(n, _noisy(truth, rng, 1.0), 2.0) for n in range(-16, 17)]
    single = np.mean([corner_error_px(truth, m.h_ir_from_vis, WH) for m in measured])
    pooled = pool(measured, 0, WH)
    assert pooled is not None
    assert corner_error_px(truth, pooled.h_ir_from_vis, WH) < single / 2.5
    assert pooled.error_px < 0.75 * 2.0
    assert pooled.frames > 20


@pytest.mark.parametrize("number", [-12, 0, 12])
def test_a_lens_that_zooms_steadily_is_followed(number: int) -> None:
    rng = np.random.default_rng(4)
    measured = [Measured(n, _noisy(_at(n), rng, 0.3), 1.0) for n in range(-16, 17)]
    pooled = pool(measured, number, WH)
    assert pooled is not None
    assert corner_error_px(_at(number), pooled.h_ir_from_vis, WH) < 0.5
    assert pooled.frames >= 5


def test_a_jump_of_the_rig_narrows_the_window() -> None:
    before, after = pose(0.5), pose(0.5, shift_px=(25, 10))
    measured = [Measured(n, before if n < 0 else after, 1.0) for n in range(-16, 17)]
    for number, truth in ((-8, before), (8, after)):
        pooled = pool(measured, number, WH)
        assert pooled is not None
        assert corner_error_px(truth, pooled.h_ir_from_vis, WH) < 0.5


def test_an_outlier_hardly_moves_the_pose() -> None:
    rng = np.random.default_rng(5)
    truth = pose(0.5)
    measured = [Measured(n, _noisy(truth, rng, 0.3), 1.0) for n in range(-8, 9)]
    measured[8] = Measured(0, pose(0.5, shift_px=(30, 20)), 1.0)
    pooled = pool(measured, 0, WH)
    assert pooled is not None
    assert corner_error_px(truth, pooled.h_ir_from_vis, WH) < 0.5


def test_a_gap_is_bridged_with_a_growing_error() -> None:
    measured = [Measured(n, _at(n), 4.0) for n in (*range(-12, -4), *range(5, 12))]
    across = pool(measured, 0, WH)
    beside = pool(measured, 5, WH)
    assert across is not None
    assert beside is not None
    assert corner_error_px(_at(0), across.h_ir_from_vis, WH) < 0.3
    assert across.error_px > beside.error_px


def test_frames_placed_on_the_target_outweigh_those_on_the_background() -> None:
    target, background = pose(0.5, shift_px=(5, 0)), pose(0.5)
    measured = [
        Measured(n, target if n % 3 == 0 else background, 1.0, on_target=n % 3 == 0) for n in range(9)
    ]
    pooled = pool(measured, 4, WH)
    assert pooled is not None
    assert corner_error_px(target, pooled.h_ir_from_vis, WH) < 0.1


def test_the_error_over_the_region_is_its_share_but_never_below_the_least() -> None:
    measured = [Measured(n, pose(0.5), 8.0, region_share=0.5) for n in range(3)]
    pooled = pool(measured, 1, WH)
    assert pooled is not None
    assert pooled.region_error_px == pytest.approx(pooled.error_px / 2)
    sure = pool([Measured(0, pose(0.5), 1e-3)], 0, WH)
    assert sure is not None
    assert sure.error_px == sure.region_error_px == LEAST_ERROR_PX
