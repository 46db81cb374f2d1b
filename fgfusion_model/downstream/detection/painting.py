"""Boxes drawn on pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.pictures import Rgb

SHOWN_SCORE = 0.3  # boxes with a lower one are not drawn
_TURN = 0.618034  # of the colour circle between two classes: neighbours differ most


def draw(picture: Rgb, found: Detections, classes: Sequence[str], *, scored: bool = True) -> Rgb:
    """Return a picture, (H, W, 3) RGB, with the boxes that are likely enough, their classes and scores.

    Args:
        picture: to draw on; it is left as it is.
        found: the boxes.
        classes: names by number.
        scored: write scores, too; not for labels.
    """
    shown = picture.copy()
    for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True):
        if score < SHOWN_SCORE:
            continue
        colour = [round(255 * v) for v in colorsys.hsv_to_rgb(int(label) * _TURN % 1, 0.9, 1.0)]
        left, top, right, bottom = (int(np.floor(v)) for v in box)
        cv2.rectangle(shown, (left, top), (right, bottom), colour, 1)
        text = f"{classes[int(label)]} {score:.2f}" if scored else classes[int(label)]
        cv2.putText(
            shown, text, (left, max(10, top - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA
        )
    return shown
