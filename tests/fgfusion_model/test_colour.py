"""Luminance by its formula; colour comes back without a shift of hue or of luminance."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from fgfusion_model.colour import luminance, with_colour
from vircraft.errors import PictureError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_luminance_is_the_weighted_sum(dtype: Any, top: int) -> None:
    picture = RNG.integers(0, top + 1, (5, 7, 3)).astype(dtype)
    blue, green, red = (picture[..., i] / top for i in range(3))
    has = luminance(picture)
    assert has.dtype == np.float32
    np.testing.assert_allclose(has, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_a_grey_picture_is_its_own_luminance(shape: tuple[int, ...]) -> None:
    picture = RNG.integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_allclose(luminance(picture), picture.reshape(5, 7) / 255, atol=1e-6)


def test_stretching_spreads_raw_counts_over_the_range() -> None:
    counts = RNG.normal(7000, 100, (100, 100)).astype(np.uint16)
    assert luminance(counts).std() < 0.01
    spread = luminance(counts, stretch=True)
    assert spread.min() == 0
    assert spread.max() == 1
    assert spread.std() > 0.1
    flat = luminance(np.full((4, 4), 300, np.uint16), stretch=True)
    assert flat.max() == flat.min()


def test_the_same_luminance_gives_the_same_picture_back() -> None:
    for dtype in (np.uint8, np.uint16):
        picture = RNG.integers(0, np.iinfo(dtype).max, (9, 8, 3)).astype(dtype)
        back = with_colour(luminance(picture), picture)
        assert back.dtype == dtype
        assert np.abs(back.astype(int) - picture).max() <= (1 if dtype == np.uint8 else 2)


def test_colour_keeps_cb_and_cr_where_there_is_room() -> None:
    picture = RNG.integers(110, 146, (16, 16, 3)).astype(np.uint8)
    fused = RNG.uniform(0.4, 0.6, (16, 16)).astype(np.float32)
    wanted = cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)
    wanted[..., 0] = np.rint(fused * 255)
    expected = cv2.cvtColor(wanted, cv2.COLOR_YCrCb2BGR).astype(int)
    assert np.abs(with_colour(fused, picture) - expected).max() <= 2  # OpenCV rounds Cb and Cr


def test_the_luminance_is_the_fused_one_even_where_colour_has_no_room() -> None:
    picture = RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    fused = RNG.uniform(0, 1, (64, 64)).astype(np.float32)
    assert np.abs(luminance(with_colour(fused, picture)) - fused).max() < 1.1 / 255


def test_no_hue_shifts_where_colour_is_paled() -> None:
    red = np.full((1, 1, 3), (10, 10, 200), np.uint8)
    blue, green, has_red = (int(x) for x in with_colour(np.full((1, 1), 0.9, np.float32), red)[0, 0])
    assert blue == green < has_red <= 255


def test_grey_stays_grey() -> None:
    fused = np.array([[0.0, 0.5, 1.2]], np.float32)
    for shape in ((1, 3), (1, 3, 1)):
        np.testing.assert_array_equal(with_colour(fused, np.zeros(shape, np.uint8)), [[0, 128, 255]])
    assert with_colour(fused, np.zeros((1, 3, 4), np.uint8)).shape == (1, 3, 3)


def test_pictures_that_are_none_are_refused() -> None:
    for picture in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(PictureError):
            luminance(picture)
    with pytest.raises(PictureError, match="4x3"):
        with_colour(np.zeros((3, 4), np.float32), np.zeros((3, 5, 3), np.uint8))
