"""Pictures of a pair for people: displayable infrared, edges of one over the other, colours of labels."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.labelme import Point, Shape

Picture = NDArray[np.uint8]

EDGE_BGR = (0, 176, 255)  # amber: seen on sky, ground and snow alike
OUTLINE_BGR = (80, 220, 100)
BOX_BGR = (255, 200, 60)
BONE_BGR = (235, 235, 235)
# Left and right of the aircraft and its axis, so that swapped sides are seen at a glance.
_SIDE_BGR = {"Left": (80, 90, 255), "Right": (90, 220, 90)}
_AXIS_BGR = (255, 190, 70)


def displayable(picture: NDArray[np.generic]) -> Picture:
    """Return a grey or BGR picture as 8 bit; 16 bits are stretched between percentiles 0.5 and 99.5."""
    if picture.dtype == np.uint8:
        return np.asarray(picture, np.uint8)
    levels = np.asarray(picture, np.uint16)
    low, high = np.percentile(levels[::4, ::4], (0.5, 99.5))
    above = cv2.subtract(levels, np.full(levels.shape, round(low), np.uint16))  # stops at 0
    return np.asarray(cv2.convertScaleAbs(above, alpha=255 / max(high - low, 1.0)), np.uint8)


def lifted(picture: Picture) -> tuple[Picture, float]:
    """Return an 8-bit picture that is too dark to judge made brighter, and by which factor (1: as it was)."""
    brightest = float(np.percentile(grey(picture)[::4, ::4], 98))
    if brightest >= 90:
        return picture, 1.0
    factor = float(np.clip(150 / max(brightest, 1.0), 1.0, 4.0))
    return np.asarray(cv2.convertScaleAbs(picture, alpha=factor), np.uint8), factor


def grey(picture: NDArray[np.generic]) -> Picture:
    """Return a displayable picture with one channel."""
    shown = displayable(picture)
    return shown if shown.ndim == 2 else np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY), np.uint8)


def bgr(picture: NDArray[np.generic]) -> Picture:
    """Return a displayable picture with three channels."""
    shown = displayable(picture)
    return shown if shown.ndim == 3 else np.asarray(cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR), np.uint8)


def strong_edges(picture: NDArray[np.generic]) -> Picture:
    """Return the strongest edges of a picture, one pixel wide: 255 on an edge, 0 elsewhere.

    The thresholds follow the picture's own gradients, so that a dim night frame shows its edges too; a
    frame without structure shows its noise only where that exceeds a few grey levels.
    """
    smooth = cv2.GaussianBlur(grey(picture), (0, 0), 1.4)
    gx = cv2.Sobel(smooth, cv2.CV_16S, 1, 0)
    gy = cv2.Sobel(smooth, cv2.CV_16S, 0, 1)
    sample = np.hypot(gx[::3, ::3], gy[::3, ::3], dtype=np.float32)
    high = max(float(np.percentile(sample, 93)), 24.0)  # Sobel units: 24 is a step of 6 grey levels
    return np.asarray(cv2.Canny(gx, gy, 0.4 * high, high, L2gradient=True), np.uint8)


def edge_overlay(infrared: NDArray[np.generic], registered_visible: NDArray[np.generic]) -> Picture:
    """Return the registered visible picture in grey with the infrared edges in amber over it.

    A bright picture is dimmed so that the edges stand out, a dark one lifted so that it can be judged.
    """
    if infrared.shape[:2] != registered_visible.shape[:2]:
        raise ValueError(
            f"infrared is {infrared.shape[:2]} and registered visible {registered_visible.shape[:2]}; "
            "both are on the infrared grid"
        )
    shown = grey(registered_visible)
    brightest = float(np.percentile(shown[::4, ::4], 98))
    ground = bgr(cv2.convertScaleAbs(shown, alpha=float(np.clip(150 / max(brightest, 1), 0.75, 4))))
    ground[cv2.dilate(strong_edges(infrared), np.ones((2, 2), np.uint8)) > 0] = EDGE_BGR
    return ground


def checkerboard(first: Picture, second: Picture, fields: int = 8) -> Picture:
    """Return fields of two BGR pictures of one size in turn, so that contours can be followed across."""
    height, width = first.shape[:2]
    side = max(8, -(-max(width, height) // fields))
    y, x = np.arange(height) // side, np.arange(width) // side
    return np.where(((y[:, None] + x[None, :]) % 2 == 0)[..., None], first, second).astype(np.uint8)


def keypoint_bgr(name: str) -> tuple[int, int, int]:
    """Return the colour of a keypoint: red left, green right, blue on the axis."""
    return _SIDE_BGR.get(name.split("_", maxsplit=1)[0], _AXIS_BGR)


def keypoints_of(shapes: tuple[Shape, ...], group: int | None) -> Mapping[str, tuple[Point, Visibility]]:
    """Return the keypoints of one aircraft by name, invisible ones left out."""
    found = {}
    for shape in shapes:
        if shape.group_id == group and shape.shape_type == "point" and shape.label in KEYPOINTS:
            if shape.flags.get("invisible"):
                continue
            occluded = shape.flags.get("occluded", False)
            found[shape.label] = (shape.points[0], Visibility.OCCLUDED if occluded else Visibility.VISIBLE)
    return found
