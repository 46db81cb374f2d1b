"""What networks see of a picture: so many pixels at most, ImageNet's mean and deviation taken out."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.pictures import Rgb

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, RGB in 0..1
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
FILL = (124, 116, 104)  # what lies outside a picture: the mean in 0..255, which networks see as 0


def shrunk(picture: Rgb, longest: int) -> Rgb:
    """Return a picture whose longer side has at most `longest` pixels (0: as it is), by area."""
    height, width = picture.shape[:2]
    if not longest or max(height, width) <= longest:
        return picture
    share = longest / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def normalised(levels: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return (3, H, W) with ImageNet's mean and deviation taken out.

    Args:
        levels: (H, W, 3) RGB, 0..1, 32-bit.
    """
    return np.ascontiguousarray(((levels - MEAN) / DEVIATION).transpose(2, 0, 1), np.float32)
