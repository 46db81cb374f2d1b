"""Oriented edges: maps that an infrared and a visible picture of one scene share (paper Sec. 3.1).

A contrast that is reversed between the modalities turns a gradient g into -g, so edges are kept as
g^2 / |g|, whose angle is doubled and whose sign is therefore lost. Dividing by the local mean magnitude
makes faint and strong contours count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.warp import Matrix, resize_matrix

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EdgeScale:
    """How oriented edges are made: `COARSE` finds the place, `FINE` the last pixels."""

    blur_px: float  # before the gradient; takes off sensor noise
    local_px: float  # sigma of the neighbourhood whose mean magnitude normalises an edge
    floor: float  # grey levels per pixel that count as half an edge
    global_share: float  # share of the whole map's mean magnitude added to that floor


_ADD_CHANNELS = np.ones((1, 2), np.float32)

COARSE = EdgeScale(blur_px=1.0, local_px=8.0, floor=0.5, global_share=1.0)
FINE = EdgeScale(blur_px=0.7, local_px=3.0, floor=1.0, global_share=0.0)


def oriented_edges(grey: Floats, scale: EdgeScale = FINE) -> Floats:
    """Return the double-angle edge map of a grey picture.

    Args:
        grey: (H, W) float32 on the scale 0..255.
        scale: width of the filters and the floor of the normalisation.

    Returns:
        (H, W, 2) float32: real and imaginary part of g^2 / |g|, its magnitude |g| replaced by
        2 |g| / (|g| + local mean of |g| + floor), which lies in 0..2 and is about 1 on an average contour.
    """
    smooth = cv2.GaussianBlur(grey, (0, 0), scale.blur_px)
    gx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 16)
    gy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 16)
    xx, yy = gx * gx, gy * gy
    magnitude = np.sqrt(xx + yy)  # cv2.magnitude's last bit depends on where its input lies in memory
    local = cv2.GaussianBlur(magnitude, (0, 0), scale.local_px)
    floor = scale.floor + scale.global_share * cv2.mean(magnitude)[0]
    gain = 2.0 / np.maximum(magnitude * (magnitude + local + np.float32(floor)), 1e-6)
    return np.asarray(cv2.merge([(xx - yy) * gain, 2.0 * gx * gy * gain]), np.float32)


def per_pixel(a: Floats, b: Floats) -> Floats:
    """Return the product of two edge maps (H, W, 2) at every pixel, (H, W): their agreement, or an energy."""
    return np.asarray(cv2.transform(a * b, _ADD_CHANNELS), np.float32)


def grey_8bit(picture: NDArray[np.generic]) -> Floats:
    """Return a picture as grey float32 on the scale 0..255.

    Colour is BGR or BGRA. 16-bit (thermal counts) is stretched between its 0.5 and 99.5 percentiles, since
    only a small part of that range is in use.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16.

    Raises:
        ValueError: another shape or type.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a picture has pixels of type {picture.dtype}; uint8 or uint16 is needed")
    colours = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or colours not in (1, 3, 4) or not picture.size:
        raise ValueError(f"a picture has shape {picture.shape}; (H, W) or (H, W, 1, 3 or 4) is needed")
    if colours > 1:
        code = cv2.COLOR_BGR2GRAY if colours == 3 else cv2.COLOR_BGRA2GRAY
        picture = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), code))
    values = picture.reshape(picture.shape[:2]).astype(np.float32)
    if picture.dtype == np.uint8:
        return values
    low, high = np.percentile(values[::4, ::4], [0.5, 99.5])
    stretched = (values - np.float32(low)) * np.float32(255.0 / max(float(high - low), 1.0))
    return np.asarray(np.clip(stretched, 0, 255), np.float32)


def resize_grey(grey: Floats, size_wh: tuple[int, int]) -> Floats:
    """Resize by area averaging when it gets smaller, linearly when larger."""
    smaller = size_wh[0] < grey.shape[1]
    return np.asarray(
        cv2.resize(grey, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.float32
    )


class VisiblePyramid:
    """A visible picture halved again and again, so that any reduced view of it is cheap and anti-aliased."""

    def __init__(self, grey: Floats, smallest_width: int = 200) -> None:
        self.size_wh = (grey.shape[1], grey.shape[0])
        self.levels = [grey]
        while self.levels[-1].shape[1] > smallest_width:
            height, width = self.levels[-1].shape
            self.levels.append(resize_grey(self.levels[-1], (width // 2, max(1, height // 2))))

    def edges(self, h_grid_from_vis: Matrix, size_wh: tuple[int, int], scale: EdgeScale = FINE) -> Floats:
        """Return the oriented edges of the visible picture seen on another grid.

        Args:
            h_grid_from_vis: (3, 3), full-size visible pixels to grid pixels.
            size_wh: size of the grid.
            scale: as in `oriented_edges`.

        Returns:
            (H, W, 2) float32 on the grid; beyond the picture its border is repeated, which has no edges.
        """
        a = h_grid_from_vis[:2, :2] / h_grid_from_vis[2, 2]
        reduction = 1.0 / max(float(np.sqrt(abs(np.linalg.det(a)))), 1e-6)
        level = 0
        while level + 1 < len(self.levels) and reduction > 1.7:
            reduction /= 2
            level += 1
        source = self.levels[level]
        h = h_grid_from_vis @ resize_matrix((source.shape[1], source.shape[0]), self.size_wh)
        grey = cv2.warpPerspective(
            source, h, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return oriented_edges(np.asarray(grey, np.float32), scale)
