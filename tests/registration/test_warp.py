from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vircraft.registration.warp import (
    apply_homography,
    corner_error_px,
    corners,
    resize_matrix,
    unit_matrix,
    warp_visible,
)

SIDE = st.integers(2, 400)


def test_corners_are_pixel_centres_clockwise_from_the_top_left() -> None:
    assert corners((640, 512)).tolist() == [[0, 0], [639, 0], [639, 511], [0, 511]]


def test_points_are_mapped_as_opencv_maps_them() -> None:
    rng = np.random.default_rng(1)
    h = np.eye(3) + rng.normal(0, 0.1, (3, 3)) * [[1, 1, 50], [1, 1, 50], [1e-3, 1e-3, 0]]
    points = rng.uniform(0, 600, (50, 2))
    expected = cv2.perspectiveTransform(points[:, None], h)[:, 0]
    np.testing.assert_allclose(apply_homography(h, points), expected, atol=1e-9)


def test_a_point_that_goes_to_infinity_is_nan() -> None:
    h = np.array([[1, 0, 0], [0, 1, 0], [1, 0, -5.0]])
    mapped = apply_homography(h, np.array([[5.0, 3.0], [6.0, 3.0]]))
    assert np.isnan(mapped[0]).all()
    np.testing.assert_allclose(mapped[1], [6, 3])


@given(SIDE, SIDE, SIDE, SIDE)
def test_resizing_maps_the_picture_s_edges_onto_each_other(w: int, h: int, to_w: int, to_h: int) -> None:
    matrix = resize_matrix((w, h), (to_w, to_h))
    ends = apply_homography(matrix, np.array([[-0.5, -0.5], [w - 0.5, h - 0.5]]))
    np.testing.assert_allclose(ends, [[-0.5, -0.5], [to_w - 0.5, to_h - 0.5]], atol=1e-9)


@pytest.mark.parametrize("to_wh", [(100, 80), (400, 320), (150, 90)])
def test_the_resize_matrix_is_that_of_opencv_s_resize_on_a_linear_ramp(to_wh: tuple[int, int]) -> None:
    x, y = np.meshgrid(np.arange(200.0), np.arange(160.0))
    for ramp, axis in ((x, 0), (y, 1)):
        small = cv2.resize(ramp, to_wh, interpolation=cv2.INTER_LINEAR)
        at = np.array([[to_wh[0] // 2, to_wh[1] // 2], [to_wh[0] // 3, to_wh[1] // 4]])
        source = apply_homography(np.linalg.inv(resize_matrix((200, 160), to_wh)), at)
        np.testing.assert_allclose(small[at[:, 1], at[:, 0]], source[:, axis], atol=1e-6)


def test_unit_coordinates_have_the_centre_at_nought_and_half_the_width_as_one() -> None:
    ends = apply_homography(
        unit_matrix((640, 512)), np.array([[319.5, 255.5], [639.5, 255.5], [319.5, -0.5]])
    )
    np.testing.assert_allclose(ends, [[0, 0], [1, 0], [0, -0.8]], atol=1e-12)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_the_corner_error_of_a_shift_is_its_length(dx: float, dy: float) -> None:
    h = np.array([[0.5, 0.02, -30], [-0.01, 0.5, -20], [1e-5, 0, 1.0]])
    moved = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]]) @ h
    assert corner_error_px(h, moved, (320, 256)) == pytest.approx(np.hypot(dx, dy), abs=1e-6)


def test_the_corner_error_of_a_homography_that_cannot_be_inverted_is_infinite() -> None:
    assert corner_error_px(np.zeros((3, 3)), np.eye(3), (320, 256)) == float("inf")
    assert corner_error_px(np.eye(3), np.full((3, 3), np.nan), (320, 256)) == float("inf")


def _blob(wh: tuple[int, int], centre: tuple[float, float], sigma: float) -> np.ndarray:
    x, y = np.meshgrid(np.arange(wh[0]), np.arange(wh[1]))
    return 60000 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 2.5])
def test_a_blob_lands_where_the_homography_sends_it(share: float) -> None:
    turn = np.array([[share, 0.03 * share], [-0.03 * share, share]])
    h = np.vstack([np.c_[turn, [251.7, 240.4] - turn @ [301.3, 187.8]], [0, 0, 1]])
    visible = _blob((600, 400), (301.3, 187.8), 12).astype(np.uint16)
    warped = warp_visible(visible, h, (500, 480)).astype(float)
    assert warped.shape == (480, 500)
    y, x = np.indices(warped.shape)
    centre = np.array([(x * warped).sum(), (y * warped).sum()]) / warped.sum()
    np.testing.assert_allclose(centre, [251.7, 240.4], atol=0.02)


def test_a_reduced_picture_is_anti_aliased() -> None:
    checks = (np.indices((400, 400)).sum(0) % 2 * 255).astype(np.uint8)
    h = resize_matrix((400, 400), (90, 90))
    inner = warp_visible(checks, h, (90, 90))[5:-5, 5:-5].astype(float)
    assert abs(inner.mean() - 127.5) < 2
    assert inner.std() < 3


def test_a_reduced_picture_is_near_that_of_area_averaging() -> None:
    rng = np.random.default_rng(2)
    visible = cv2.GaussianBlur(rng.uniform(0, 255, (480, 640)).astype(np.float32), (0, 0), 3)
    visible = np.clip((visible - 127) * 8 + 127, 0, 255).astype(np.uint8)
    wh = (200, 150)
    expected = cv2.resize(visible, wh, interpolation=cv2.INTER_AREA).astype(float)
    warped = warp_visible(visible, resize_matrix((640, 480), wh), wh).astype(float)
    assert np.abs(warped - expected)[3:-3, 3:-3].mean() < 4


def test_outside_the_visible_picture_it_is_black_and_types_are_kept() -> None:
    visible = np.full((100, 100, 3), 200, np.uint8)
    warped = warp_visible(visible, np.array([[1, 0, 50], [0, 1, 0], [0, 0, 1.0]]), (150, 100))
    assert warped.dtype == np.uint8
    assert (warped[:, :48] == 0).all()
    assert (warped[:, 52:] == 200).all()


@pytest.mark.parametrize(
    "h",
    [
        np.diag([1e-9, 1e-9, 1.0]),
        np.diag([1e9, 1e9, 1.0]),
        np.array([[1, 2, 3], [2, 4, 6], [0, 0, 1.0]]),
        np.array([[0.5, 0, 0], [0, 0.5, 0], [0.02, 0, 1.0]]),
    ],
    ids=["tiny", "huge", "singular", "horizon in view"],
)
def test_an_odd_homography_gives_a_picture_of_the_size_asked_for(h: np.ndarray) -> None:
    assert warp_visible(np.full((60, 80), 9, np.uint8), h, (50, 40)).shape == (40, 50)


@pytest.mark.parametrize("h", [np.full((3, 3), np.nan), np.zeros((3, 3))])
def test_a_homography_that_says_nothing_is_an_error(h: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        warp_visible(np.zeros((10, 10), np.uint8), h, (10, 10))
