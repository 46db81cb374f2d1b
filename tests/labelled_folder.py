"""Small folders of pictures with Labelme files, written as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS

WH = (160, 128)
Points = Mapping[str, Sequence[Any]]  # name -> x, y, and perhaps a flag; counted from pixel edges


def aircraft(
    box: Sequence[float], points: Points | None = None, group: int | None = 1, *, outline: bool = True
) -> list[dict[str, Any]]:
    """Return the shapes of one aircraft: its box, an outline as large, keypoints."""
    x0, y0, x1, y1 = box
    shapes = [shape("aircraft", "rectangle", [[x0, y0], [x1, y1]], group)]
    if outline:
        shapes.append(shape("aircraft", "polygon", [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], group))
    for name, (x, y, *flag) in (points or {}).items():
        shapes.append(shape(name, "point", [[x, y]], group, dict.fromkeys(flag, True)))
    return shapes


def shape(label: str, kind: str, points: list[Any], group: int | None, flags: Any = None) -> dict[str, Any]:
    return {
        "label": label,
        "shape_type": kind,
        "points": points,
        "group_id": group,
        "flags": flags or {},
    }


def all_nine(x: float, y: float, step: float = 8) -> dict[str, tuple[float, float]]:
    """Return nine keypoints in a row."""
    return {name: (x + step * n, y + 3 * (n % 2)) for n, name in enumerate(KEYPOINTS)}


def write_labelled(
    folder: Path,
    name: str,
    shapes: list[dict[str, Any]],
    flags: Mapping[str, bool] | None = None,
    *,
    wh: tuple[int, int] = WH,
    image: str | None = None,
    picture: np.ndarray | None = None,
) -> Path:
    """Write a label file and, unless it names another one, its picture beside it; return the former."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "version": "5.5.0",
        "flags": dict(flags or {}),
        "shapes": shapes,
        "imagePath": image or f"{path.stem}.png",
        "imageData": None,
        "imageHeight": wh[1],
        "imageWidth": wh[0],
    }
    path.write_text(json.dumps(document))
    if image is None:
        ground = np.full((wh[1], wh[0], 3), 120, np.uint8) if picture is None else picture
        cv2.imwrite(str(path.with_suffix(".png")), ground)
    return path
