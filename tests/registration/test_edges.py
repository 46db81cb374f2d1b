from __future__ import annotations

import cv2
import numpy as np
import pytest

from binocular import scene
from vircraft.registration.edges import (
    COARSE,
    FINE,
    EdgeScale,
    VisiblePyramid,
    grey_8bit,
    oriented_edges,
    resize_grey,
)
from vircraft.registration.warp import resize_matrix


def _texture(seed: int = 1) -> np.ndarray:
    return grey_8bit(scene(seed, (200, 150)))


@pytest.mark.parametrize("scale", [COARSE, FINE])
def test_a_contrast_reversal_changes_nothing(scale: EdgeScale) -> None:
    grey = _texture()
    np.testing.assert_allclose(oriented_edges(255 - grey, scale), oriented_edges(grey, scale), atol=2e-4)


def test_brightness_changes_nothing_and_gain_little() -> None:
    grey = _texture() * np.float32(0.5)
    edges = oriented_edges(grey)
    np.testing.assert_allclose(oriented_edges(grey + 40), edges, atol=2e-4)
    strong = np.hypot(edges[..., 0], edges[..., 1]) > 0.8
    difference = np.abs(oriented_edges(grey * 2) - edges)[strong]
    assert difference.mean() < 0.06


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90, 135])
def test_the_angle_is_twice_that_of_the_gradient(angle_deg: float) -> None:
    x, y = np.meshgrid(np.arange(80.0), np.arange(80.0))
    turn = np.deg2rad(angle_deg)
    across = (x - 40) * np.cos(turn) + (y - 40) * np.sin(turn)
    grey = (128 + 100 * np.tanh(across / 2)).astype(np.float32)
    real, imaginary = oriented_edges(grey)[40, 40]
    assert np.hypot(real, imaginary) > 0.8
    np.testing.assert_allclose(
        [real, imaginary] / np.hypot(real, imaginary), [np.cos(2 * turn), np.sin(2 * turn)], atol=0.03
    )


@pytest.mark.parametrize("scale", [COARSE, FINE])
def test_magnitudes_lie_between_nought_and_two(scale: EdgeScale) -> None:
    edges = oriented_edges(_texture(), scale)
    magnitude = np.hypot(edges[..., 0], edges[..., 1])
    assert magnitude.max() <= 2 + 1e-5
    assert edges.dtype == np.float32


def test_a_constant_picture_has_no_edges_and_no_nan() -> None:
    assert not oriented_edges(np.full((40, 50), 77, np.float32)).any()


def test_colour_becomes_grey_as_opencv_makes_it() -> None:
    colour = scene(3, (64, 48))
    np.testing.assert_array_equal(grey_8bit(colour), cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))
    np.testing.assert_array_equal(grey_8bit(np.dstack([colour, colour[..., :1]])), grey_8bit(colour))


def test_sixteen_bit_counts_are_stretched_over_the_range_in_use() -> None:
    grey = cv2.cvtColor(scene(3, (160, 120)), cv2.COLOR_BGR2GRAY)
    counts = (grey.astype(np.uint16) * 11) + 21000
    stretched = grey_8bit(counts)
    assert stretched.min() == 0
    assert stretched.max() == 255
    low, high = np.percentile(grey, [0.5, 99.5])
    inside = (grey > low + 2) & (grey < high - 2)
    expected = (grey - low) * 255 / (high - low)
    assert np.abs(stretched - expected)[inside].max() < 6


def test_sixteen_bit_colour_keeps_its_order_of_greys() -> None:
    colour = scene(3, (64, 48))
    grey = grey_8bit(colour.astype(np.uint16) * 257)
    assert np.corrcoef(grey.ravel(), grey_8bit(colour).ravel())[0, 1] > 0.99


def test_a_constant_sixteen_bit_picture_is_constant() -> None:
    assert np.ptp(grey_8bit(np.full((20, 20), 30000, np.uint16))) == 0


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((0, 8), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_not_a_picture_is_an_error_that_says_so(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture has"):
        grey_8bit(picture)


def test_the_pyramid_sees_what_a_warp_of_the_full_picture_sees() -> None:
    grey = cv2.GaussianBlur(grey_8bit(scene(5, (800, 600))), (0, 0), 3)
    for width in (100, 200, 333):
        wh = (width, width * 3 // 4)
        expected = oriented_edges(resize_grey(grey, wh))
        seen = VisiblePyramid(grey).edges(resize_matrix((800, 600), wh), wh)
        inner = (slice(4, -4), slice(4, -4))
        a, b = seen[inner], expected[inner]
        assert (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) > 0.97


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (16, 16), (17, 2001)])
def test_a_pyramid_can_be_made_of_any_shape(shape: tuple[int, int]) -> None:
    pyramid = VisiblePyramid(np.ones(shape, np.float32))
    assert all(min(level.shape) >= 1 for level in pyramid.levels)
    assert pyramid.edges(np.eye(3), (20, 20)).shape == (20, 20, 2)


def test_beyond_the_picture_there_are_no_edges() -> None:
    pyramid = VisiblePyramid(np.full((60, 80), 200, np.float32))
    assert not pyramid.edges(np.array([[1, 0, 40], [0, 1, 40], [0, 0, 1.0]]), (200, 200)).any()
