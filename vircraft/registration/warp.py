"""Homographies between the two pictures: apply, compare, resample (pixel centres at integers)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Picture = NDArray[Any]


def corners(size_wh: tuple[int, int]) -> Matrix:
    """Return the (4, 2) centres of the corner pixels of a picture, clockwise from the top left."""
    w, h = size_wh
    return np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float64)


def apply_homography(h: NDArray[np.floating], points: NDArray[np.floating]) -> Matrix:
    """Map (N, 2) points by a (3, 3) homography; nan where a point goes to infinity."""
    p = np.c_[np.asarray(points, np.float64), np.ones(len(points))] @ np.asarray(h, np.float64).T
    w = np.where(np.abs(p[:, 2:]) < 1e-12, np.nan, p[:, 2:])
    return np.asarray(p[:, :2] / w)


def resize_matrix(src_wh: tuple[int, int], dst_wh: tuple[int, int]) -> Matrix:
    """Return the homography of `cv2.resize` from one size to another: (x + 0.5) scales, not x."""
    sx, sy = dst_wh[0] / src_wh[0], dst_wh[1] / src_wh[1]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1.0]])


def unit_matrix(size_wh: tuple[int, int]) -> Matrix:
    """Return (3, 3): pixels to coordinates in which the picture's centre is 0 and half its width is 1."""
    w, h = size_wh
    return np.array([[2 / w, 0, (1 - w) / w], [0, 2 / w, (1 - h) / w], [0, 0, 1.0]])


def corner_error_px(
    h: NDArray[np.floating], h_other: NDArray[np.floating], infrared_wh: tuple[int, int]
) -> float:
    """Return the mean distance of the four infrared corners between two homographies, infrared pixels.

    The corners go to the visible picture by `h` and come back by `h_other`; inf when that fails.
    """
    c = corners(infrared_wh)
    try:
        back = apply_homography(h_other, apply_homography(np.linalg.inv(h), c))
    except np.linalg.LinAlgError:
        return float("inf")
    distance = np.linalg.norm(back - c, axis=1)
    return float(distance.mean()) if np.isfinite(distance).all() else float("inf")


def warp_visible(
    visible: Picture, h_ir_from_vis: NDArray[np.floating], infrared_wh: tuple[int, int]
) -> Picture:
    """Resample a visible picture onto the infrared grid, anti-aliased where it is reduced.

    Args:
        visible: (H, W) or (H, W, 3), 8 or 16 bit.
        h_ir_from_vis: (3, 3), visible pixels to infrared pixels.
        infrared_wh: size of the result.

    Returns:
        The picture of size `infrared_wh`, same type; black where the visible picture ends.

    Raises:
        ValueError: the homography is not finite or sends the visible origin to infinity.
    """
    if not np.isfinite(h_ir_from_vis).all() or abs(h_ir_from_vis[2, 2]) < 1e-12:
        raise ValueError(f"h_ir_from_vis cannot be used to resample: {h_ir_from_vis!r}")
    a = h_ir_from_vis[:2, :2] / h_ir_from_vis[2, 2]
    reduction = 1.0 / max(float(np.sqrt(abs(np.linalg.det(a)))), 1e-6)  # visible pixels per infrared pixel
    height, width = visible.shape[:2]
    reduction = min(reduction, float(max(width, height)))
    h = h_ir_from_vis
    if reduction > 1.25:
        # A Gaussian of this width leaves as much detail as area averaging; only the part in view is blurred.
        seen = np.nan_to_num(apply_homography(np.linalg.pinv(h), corners(infrared_wh)))
        pad = 4 + int(3 * reduction)
        last = [width - 1, height - 1]
        x0, y0 = np.clip(np.floor(seen.min(0)) - pad, 0, last).astype(int)
        x1, y1 = np.clip(np.ceil(seen.max(0)) + pad + 1, [x0 + 1, y0 + 1], [width, height]).astype(int)
        sigma = 0.45 * float(np.sqrt(max(reduction**2 - 0.8, 0.04)))
        visible = np.asarray(cv2.GaussianBlur(np.ascontiguousarray(visible[y0:y1, x0:x1]), (0, 0), sigma))
        h = h @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1.0]])
    return np.asarray(
        cv2.warpPerspective(visible, h, infrared_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    )
