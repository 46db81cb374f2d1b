"""Class maps in colour, over their pictures."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.pictures import Rgb
from fgfusion_model.downstream.segmentation.label_maps import IGNORED, LabelMap

_TURN = 0.618034  # of the colour circle between two classes: neighbours differ most
_SHARE = 0.55  # of a class's colour in an overlay
_GREY = (128, 128, 128)  # pixels without a class


def class_colours(count: int) -> NDArray[np.uint8]:
    """Return (256, 3) RGB colours of class ids: the background black, 255 grey."""
    table = np.zeros((256, 3), np.uint8)
    for number in range(1, count):
        value = 1.0 if number % 2 else 0.75
        colour = colorsys.hsv_to_rgb((number - 1) * _TURN % 1, 0.9, value)
        table[number] = np.rint(np.array(colour) * 255)
    table[IGNORED] = _GREY
    return table


def overlay(picture: Rgb, classes: LabelMap, count: int) -> Rgb:
    """Return a picture, (H, W, 3) RGB, with its classes painted over it; the background is left as it is."""
    colours = class_colours(count)[classes].astype(np.float32)
    painted = picture * (1 - _SHARE) + colours * _SHARE
    shown = np.where((classes > 0)[..., None], painted, picture)
    return np.asarray(np.rint(shown), np.uint8)
