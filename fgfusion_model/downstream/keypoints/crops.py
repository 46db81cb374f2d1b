"""The crop about an object: which transform takes a picture's pixels to the network's, and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.keypoints.settings import AugmentSettings, Settings
from fgfusion_model.downstream.network_input import FILL
from fgfusion_model.downstream.pictures import Rgb

Matrix = NDArray[np.float64]  # (3, 3), affine


@dataclass(frozen=True)
class Variation:
    """How one crop differs from the plain one.

    Attributes:
        mirrored: left and right change places.
        turn_deg: anticlockwise as one sees it.
        zoom: the object is so many times larger.
        shift: of the object, shares of the crop's width and height.
        gain, offset: of the grey levels about the middle of the range, 0..255.
    """

    mirrored: bool = False
    turn_deg: float = 0.0
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    offset: float = 0.0


PLAIN = Variation()


@dataclass(frozen=True, eq=False)
class Patch:
    """The part of a picture from which all crops of an object are taken, kept in memory.

    Attributes:
        pixels: (H, W, 3) RGB.
        from_picture: takes the picture's pixels to the patch's.
        plain: takes the picture's pixels to those of the plain crop.
    """

    pixels: Rgb
    from_picture: Matrix
    plain: Matrix


def draw_variation(settings: AugmentSettings, random: np.random.Generator) -> Variation:
    """Draw how a crop is varied; always as many random numbers."""
    flip, turn, zoom, right, down, light, contrast = random.random(7)
    return Variation(
        bool(flip < settings.flips),
        (2 * turn - 1) * settings.rotate_deg,
        (1 + settings.zoom) ** (2 * zoom - 1),
        ((2 * right - 1) * settings.shift, (2 * down - 1) * settings.shift),
        1 + (2 * contrast - 1) * settings.contrast,
        (2 * light - 1) * settings.brightness * 255,
    )


def input_from_picture(
    box_xywh: tuple[float, float, float, float],
    size_wh: tuple[int, int],
    padding: float,
    variation: Variation = PLAIN,
) -> Matrix:
    """Return the transform from a picture's pixels to those of the crop.

    The box is padded, then widened to the crop's aspect, and its middle comes to the crop's middle. Pixel
    centres are at integers on both sides.

    Args:
        box_xywh: left and top edge, width and height, in the picture.
        size_wh: of the crop.
        padding: sides of the crop over those of the box.
        variation: how it differs from the plain one.
    """
    x, y, width, height = box_xywh
    scale = variation.zoom * min(size_wh[0] / width, size_wh[1] / height) / padding
    turn = np.deg2rad(variation.turn_deg)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    middle = np.array([(size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2])
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    centre = np.array([x + width / 2, y + height / 2])
    matrix[:2, 2] = middle + np.asarray(variation.shift) * size_wh - matrix[:2, :2] @ centre
    if variation.mirrored:
        matrix = np.array([[-1.0, 0.0, size_wh[0] - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
    return matrix


def moved(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Return points, (..., 2), after an affine transform."""
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2], np.float64)


def inverted(matrix: Matrix) -> Matrix:
    """Return the transform that goes the other way."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def cut_patch(picture: Rgb, box_xywh: tuple[float, float, float, float], settings: Settings) -> Patch:
    """Cut out what the crops of an object can show; it is made smaller when no crop needs all its pixels.

    Args:
        picture: (H, W, 3) RGB.
        box_xywh: of the object; some of it lies inside the picture.
        settings: the crop's size and padding, and the widest variation.
    """
    plain = input_from_picture(box_xywh, settings.input_wh, settings.padding)
    inverse = inverted(plain)
    left, top, right, bottom = _reach(picture, inverse, settings)
    pixels = picture[top:bottom, left:right]
    scale = min(1.0, (1 + settings.augment.zoom) / float(inverse[0, 0]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    sx, sy = size[0] / pixels.shape[1], size[1] / pixels.shape[0]
    if scale < 1:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    shift_x, shift_y = (0.5 - left) * sx - 0.5, (0.5 - top) * sy - 0.5
    from_picture = np.array([[sx, 0.0, shift_x], [0.0, sy, shift_y], [0.0, 0.0, 1.0]])
    return Patch(np.ascontiguousarray(pixels).copy(), from_picture, plain)


def warp_patch(patch: Patch, matrix: Matrix, size_wh: tuple[int, int], variation: Variation = PLAIN) -> Rgb:
    """Return a crop, (H, W, 3) RGB.

    Args:
        patch: of the object.
        matrix: takes the picture's pixels to the crop's.
        size_wh: of the crop.
        variation: its grey levels.
    """
    direct = matrix @ inverted(patch.from_picture)
    pixels = patch.pixels
    if (variation.gain, variation.offset) != (1.0, 0.0):
        levels = np.arange(256, dtype=np.float64)
        table = np.clip((levels - 127.5) * variation.gain + 127.5 + variation.offset, 0, 255)
        pixels = np.rint(table).astype(np.uint8)[pixels]
    return np.asarray(
        cv2.warpAffine(
            pixels,
            direct[:2],
            size_wh,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=FILL,
        ),
        np.uint8,
    )


def _reach(picture: Rgb, inverse: Matrix, settings: Settings) -> tuple[int, int, int, int]:
    """Return the part of a picture that crops can show, in whole pixels."""
    height, width = picture.shape[:2]
    size = np.asarray(settings.input_wh, np.float64)
    centre = moved((size - 1) / 2, inverse)
    farthest = np.hypot(*size) / 2 * (1 + settings.augment.zoom) * (1 + 2 * settings.augment.shift)
    radius = float(farthest * inverse[0, 0]) + 2
    left, top = (
        int(np.clip(np.floor(c - radius), 0, m - 1)) for c, m in zip(centre, (width, height), strict=True)
    )
    right, bottom = (
        int(np.clip(np.ceil(c + radius) + 1, low + 1, m))
        for c, low, m in zip(centre, (left, top), (width, height), strict=True)
    )
    return left, top, right, bottom
