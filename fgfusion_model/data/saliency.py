"""A stand-in for foreground masks where nothing is labelled: what is bright and rare in infrared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

DEVIATIONS = 1.5  # a pixel this many standard deviations above the picture's mean stands out
LARGEST_SHARE = 0.25  # of a picture; more is no foreground, and the threshold rises until it is less
SMALLEST_SHARE = 2e-4  # of a picture; smaller spots are noise
BLUR_SHARE = 0.004  # of the longer side: sigma of the blur before
STEP = 0.25  # deviations by which the threshold rises


def saliency_mask(infrared: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 1 where infrared stands out, (H, W), and 0 elsewhere.

    Hot objects (people, vehicles, engines) are brighter than most of a scene; ground and sky are not rare.
    A constant picture has no foreground. This is no label: trainings that use it say so.

    Args:
        infrared: (H, W).
    """
    sigma = max(0.5, BLUR_SHARE * max(infrared.shape))
    smooth = cv2.GaussianBlur(infrared, (0, 0), sigma).astype(np.float32)
    mean, deviation = float(smooth.mean()), float(smooth.std())
    if deviation < 1:  # grey levels; nothing but noise
        return np.zeros(infrared.shape, np.uint8)
    above = DEVIATIONS
    mask = smooth > mean + above * deviation
    while mask.mean() > LARGEST_SHARE:
        above += STEP
        mask = smooth > mean + above * deviation
    return _without_spots(mask.astype(np.uint8))


def _without_spots(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= SMALLEST_SHARE * mask.size
    keep[0] = False  # the background
    return keep[labels].astype(np.uint8) if count > 1 else mask
