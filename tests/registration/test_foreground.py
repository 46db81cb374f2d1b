from __future__ import annotations

import cv2
import numpy as np
import pytest

from binocular import scene
from vircraft.registration.edges import grey_8bit
from vircraft.registration.foreground import WORK_WIDTH, target_mask, work_picture

TARGET = (slice(90, 150), slice(120, 210))  # rows, columns of the work picture


def _frame(step: float, *, target_moves: float = 0.0, background_moves: float = 9.0) -> np.ndarray:
    """Return a work picture: a textured body before a background that streams by."""
    ground = grey_8bit(scene(5, (900, 500)))
    move = np.array([[1, 0, -200 - background_moves * step], [0, 1, -100 - 0.4 * background_moves * step]])
    picture = cv2.warpAffine(ground, move, (320, 256), flags=cv2.INTER_LINEAR)
    body = grey_8bit(scene(6, (320, 256)))
    shift = np.array([[1, 0, target_moves * step], [0, 1, 0]], float)
    inside = np.zeros((256, 320), np.float32)
    inside[TARGET] = 1
    inside = cv2.warpAffine(inside, shift, (320, 256))
    moved = cv2.warpAffine(body, shift, (320, 256))
    return work_picture((picture * (1 - inside) + moved * inside).astype(np.float32))


@pytest.mark.parametrize("target_moves", [0.0, 2.0])
def test_before_a_moving_background_the_mask_lies_on_the_target(target_moves: float) -> None:
    mask = target_mask(_frame(0), _frame(1, target_moves=target_moves, background_moves=30))
    assert mask is not None
    assert mask.shape == (256, 320)
    assert 0 <= mask.min() <= mask.max() <= 1 + 1e-6
    inside = np.zeros(mask.shape, bool)
    inside[TARGET] = True
    near = cv2.dilate(inside.astype(np.uint8), np.ones((31, 31), np.uint8)) > 0
    assert mask[inside].mean() > 0.3  # there are discs around its corners, nothing where it is plain
    assert mask[near].sum() > 0.9 * mask.sum()


def test_a_still_scene_has_no_target() -> None:
    assert target_mask(_frame(0), _frame(0)) is None
    rng = np.random.default_rng(0)
    noisy = np.clip(_frame(0) + rng.normal(0, 2, (256, 320)), 0, 255).astype(np.uint8)
    assert target_mask(_frame(0), noisy) is None


def test_nothing_that_stays_has_no_target() -> None:
    one, other = (work_picture(grey_8bit(scene(seed, (320, 256)))) for seed in (1, 2))
    assert target_mask(one, other) is None


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_constant_picture_has_no_target(value: int) -> None:
    flat = np.full((256, 320), value, np.uint8)
    assert target_mask(flat, flat) is None
    assert target_mask(_frame(0), flat) is None


@pytest.mark.parametrize("shape", [(512, 640), (16, 128), (128, 16), (24, 32)])
def test_a_work_picture_has_the_width_it_should(shape: tuple[int, int]) -> None:
    small = work_picture(np.zeros(shape, np.float32))
    assert small.dtype == np.uint8
    assert small.shape[1] == WORK_WIDTH
    assert target_mask(small, small) is None
