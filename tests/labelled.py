"""Small labelled folders and datasets for tests, and independent views of their labels."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS

WH = (64, 48)
# A square whose corners lie on pixel edges: pixels 10..29 x 12..21, 200 of them.
SQUARE = [[10, 12], [30, 12], [30, 22], [10, 22]]
SQUARE_PIXELS = (slice(12, 22), slice(10, 30))


def shape(label: str, kind: str, points: list, group: int | None = 1, **more: Any) -> dict[str, Any]:
    """Return one shape of a Labelme file; coordinates as in the file."""
    values = {"label": label, "points": points, "group_id": group, "description": "", "shape_type": kind}
    return {**values, "flags": {}, "mask": None, **more}


def keypoints(offset: float = 0.0, group: int | None = 1, occluded: str = "Tail") -> list[dict[str, Any]]:
    """Return the nine keypoints, one of them occluded."""
    return [
        shape(
            name, "point", [[11.25 + k + offset, 13.5 + k / 2]], group, flags={"occluded": name == occluded}
        )
        for k, name in enumerate(KEYPOINTS)
    ]


def mask_shape(pixels: np.ndarray, corner_xy: tuple[int, int], group: int | None = 1, **more: Any) -> dict:
    """Return a mask shape with the given pixels."""
    png = cv2.imencode(".png", pixels.astype(np.uint8) * 255)[1].tobytes()
    x, y = corner_xy
    corners = [[x, y], [x + pixels.shape[1] - 1, y + pixels.shape[0] - 1]]
    return shape("aircraft", "mask", corners, group, mask=base64.b64encode(png).decode(), **more)


def document(shapes: list[dict], image_path: str = "a.png", wh: tuple[int, int] = WH, **more: Any) -> dict:
    """Return a Labelme document."""
    return {
        "version": "6.3.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": wh[1],
        "imageWidth": wh[0],
        **more,
    }


def write_picture(path: Path, wh: tuple[int, int] = WH, dtype: type = np.uint8) -> Path:
    """Write a grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(wh[0] * wh[1]).reshape(wh[1], wh[0]) % 200
    path.write_bytes(cv2.imencode(path.suffix, values.astype(dtype))[1].tobytes())
    return path


def write_labelled(folder: Path, name: str, shapes: list[dict], **more: Any) -> Path:
    """Write NAME.png and NAME.json; return the label file."""
    write_picture(folder / f"{name}.png")
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document(shapes, f"{name}.png", **more)), encoding="utf-8")
    return path


def make_dataset(root: Path, labels: dict[str, list[dict]], **more: Any) -> Path:
    """Make a dataset with a pair for each id; its labels are drawn on the infrared picture."""
    (root / "labels").mkdir(parents=True)
    manifest = {"format_version": 1, "name": "test", "settings": {}, "software": {}}
    (root / "dataset.json").write_text(json.dumps(manifest))
    for pair_id, shapes in labels.items():
        write_picture(root / "infrared" / f"{pair_id}.png")
        write_picture(root / "visible" / f"{pair_id}.png")
        text = json.dumps(document(shapes, f"../infrared/{pair_id}.png", **more))
        (root / "labels" / f"{pair_id}.json").write_text(text)
    return root
