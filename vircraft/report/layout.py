"""Pieces of a picture for people: titled panels side by side, lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vircraft.report.drawing import Picture

GAP = 8
TITLE_HEIGHT = 26
GROUND = (27, 22, 18)
INK = (240, 234, 230)
MUTED = (182, 167, 154)
ALARM = (128, 138, 255)


def panel(title: str, picture: Picture) -> Picture:
    """Return a picture with a title above it."""
    bar = np.full((TITLE_HEIGHT, picture.shape[1], 3), GROUND, np.uint8)
    write_line(bar, title, (4, 18), 0.5, MUTED)
    return np.vstack([bar, picture]).astype(np.uint8)


def joined(parts: Sequence[Picture], axis: int) -> list[Picture]:
    """Return the parts with gaps between them."""
    spaced: list[Picture] = []
    for part in parts:
        shape = list(part.shape)
        shape[axis] = GAP
        spaced += [np.full(shape, GROUND, np.uint8)] if spaced else []
        spaced.append(part)
    return spaced


def write_line(
    canvas: Picture,
    text: str,
    at: tuple[int, int],
    size: float,
    colour: tuple[int, int, int],
    weight: int = 1,
) -> int:
    """Write one line, cut where the canvas ends; return its width. The font knows ASCII only."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    text = text.encode("ascii", "replace").decode()
    text = "".join(c if c.isprintable() else "?" for c in text)
    room = canvas.shape[1] - at[0] - 4
    if cv2.getTextSize(text, font, size, weight)[0][0] > room:
        while text and cv2.getTextSize(text + "...", font, size, weight)[0][0] > room:
            text = text[:-1]
        text += "..."
    cv2.putText(canvas, text, at, font, size, colour, weight, cv2.LINE_AA)
    return int(cv2.getTextSize(text, font, size, weight)[0][0])
