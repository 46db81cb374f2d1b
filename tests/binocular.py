"""Still pairs with an exact pose: one textured scene, seen by an infrared camera in other greys."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

VISIBLE_WH, INFRARED_WH = (640, 480), (320, 256)

Colour = NDArray[np.uint8]
Grey = NDArray[np.uint8]
Matrix = NDArray[np.float64]


def scene(seed: int, size_wh: tuple[int, int] = VISIBLE_WH) -> Colour:
    """Draw a visible picture with structure at several scales, (H, W, 3) BGR."""
    rng = np.random.default_rng(seed)
    w, h = size_wh
    picture = np.full((h, w, 3), 120, np.uint8)
    for _ in range(90):
        centre = tuple(int(c) for c in rng.integers(0, size_wh))
        half = rng.integers(max(3, w // 100), max(6, w // 12), 2)
        colour = tuple(int(c) for c in rng.integers(20, 236, 3))
        if rng.random() < 0.6:
            corner = (int(centre[0] + half[0]), int(centre[1] + half[1]))
            cv2.rectangle(picture, centre, corner, colour, -1)
        else:
            cv2.circle(picture, centre, int(half[0] // 2 + 2), colour, -1)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (h, w)).astype(np.float32), (0, 0), 2) * 60
    return np.clip(picture + noise[..., None], 0, 255).astype(np.uint8)


def pose(
    share: float,
    *,
    rotation_deg: float = 0.0,
    shift_px: tuple[float, float] = (0.0, 0.0),
    perspective: tuple[float, float] = (0.0, 0.0),
    visible_wh: tuple[int, int] = VISIBLE_WH,
    infrared_wh: tuple[int, int] = INFRARED_WH,
) -> Matrix:
    """Return h_ir_from_vis of an infrared view in the middle of the visible one.

    Args:
        share: width of the infrared field of view as a share of the visible picture's.
        rotation_deg: roll.
        shift_px: of the middle, infrared pixels.
        perspective: over half the infrared width.
        visible_wh: size.
        infrared_wh: size.
    """
    scale = infrared_wh[0] / (share * visible_wh[0])
    turn = np.deg2rad(rotation_deg)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    to_middle = np.array([[1, 0, (1 - visible_wh[0]) / 2], [0, 1, (1 - visible_wh[1]) / 2], [0, 0, 1.0]])
    half = infrared_wh[0] / 2
    bend = np.array([[1, 0, 0], [0, 1, 0], [perspective[0] / half, perspective[1] / half, 1.0]])
    back = np.array(
        [
            [1, 0, (infrared_wh[0] - 1) / 2 + shift_px[0]],
            [0, 1, (infrared_wh[1] - 1) / 2 + shift_px[1]],
            [0, 0, 1.0],
        ]
    )
    h = back @ bend @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ to_middle
    return np.asarray(h / h[2, 2])


def infrared_of(
    visible: Colour,
    h_ir_from_vis: Matrix,
    infrared_wh: tuple[int, int] = INFRARED_WH,
    *,
    seed: int = 0,
    noise: float = 3.0,
) -> Grey:
    """Return what the infrared camera records: contrast reversed, gamma, blurred, noisy, (H, W).

    Sampled four times as finely and averaged, so that nothing but geometry ties it to the library's warp.
    """
    fine = 4
    w, h = infrared_wh
    finer = np.array([[fine, 0, (fine - 1) / 2], [0, fine, (fine - 1) / 2], [0, 0, 1.0]])
    big = cv2.warpPerspective(visible, finer @ h_ir_from_vis, (w * fine, h * fine), flags=cv2.INTER_LINEAR)
    small = cv2.resize(big, infrared_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
    mixed = 0.2 * small[..., 0] + 0.3 * small[..., 1] + 0.5 * small[..., 2]
    warm = 255 * ((255 - mixed) / 255) ** 1.6
    warm = cv2.GaussianBlur(warm, (0, 0), 0.8)
    warm += np.random.default_rng(seed).normal(0, noise, warm.shape).astype(np.float32)
    return np.clip(warm, 0, 255).astype(np.uint8)


def pair(seed: int, h_ir_from_vis: Matrix) -> tuple[Colour, Grey]:
    """Return a visible and an infrared picture of one scene under a pose, of the sizes above."""
    visible = scene(seed)
    return visible, infrared_of(visible, h_ir_from_vis, seed=seed)
