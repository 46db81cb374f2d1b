"""A small dataset of drawn aeroplanes with COCO keypoints, for tests of keypoint detection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aeroplane import project
from vircraft.annotation.keypoints import KEYPOINTS

WH = (160, 96)
SPLITS = {"train": 8, "val": 3, "test": 4}
SIGMAS = [0.05] * 9
WING_COLOURS = {"Left": (90, 200, 90), "Right": (90, 90, 220)}  # BGR: a mirror is not the same aeroplane
HIDDEN, ABSENT = "Tail", "Left_root"  # in every second and every third picture


def write_dataset(root: Path, splits: Mapping[str, int] = SPLITS, *, sigmas: bool = True) -> Path:
    """Write visible/, infrared/ and annotations/ of drawn aeroplanes; return the folder."""
    first = 1
    for split, count in splits.items():
        write_split(root, split, count, first, sigmas=sigmas)
        first += count
    return root


def write_split(root: Path, split: str, count: int, first: int, *, sigmas: bool = True) -> None:
    images, annotations = [], []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        points = project(
            random.uniform(30, 60), random.uniform(2, 12), 2.6, (80 + random.uniform(-8, 8), 48.0)
        )
        name = f"{split}_000{number:03d}.png"
        picture = draw(points, random)
        for folder, shown in (("visible", picture), ("infrared", cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(root / folder / name), shown)
        images.append({"id": number, "file_name": f"infrared/{name}", "width": WH[0], "height": WH[1]})
        annotations.append(annotation(number, points))
    document: dict[str, Any] = {
        "info": {"keypoint_sigmas": SIGMAS} if sigmas else {},
        "categories": [{"id": 1, "name": "aircraft", "keypoints": list(KEYPOINTS), "skeleton": []}],
        "images": images,
        "annotations": annotations,
    }
    write_labels(root, split, document)


def annotation(number: int, points: np.ndarray) -> dict[str, Any]:
    """Return an object's labels as COCO has them: counted from pixel edges."""
    edges = points + 0.5
    low, high = edges.min(0) - 1, edges.max(0) + 1
    v = [2] * 9
    v[KEYPOINTS.index(HIDDEN)] = 1 if number % 2 else 2
    v[KEYPOINTS.index(ABSENT)] = 0 if number % 3 == 0 else 2
    rows = [(x, y, seen) if seen else (0, 0, 0) for (x, y), seen in zip(edges, v, strict=True)]
    width, height = high - low
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "bbox": [float(low[0]), float(low[1]), float(width), float(height)],
        "area": float(width * height * 0.5),
        "iscrowd": 0,
        "num_keypoints": sum(seen > 0 for seen in v),
        "keypoints": [float(value) for row in rows for value in row],
    }


def draw(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a picture, BGR, of the aeroplane against a sky with some noise."""
    at = dict(zip(KEYPOINTS, points, strict=True))
    picture = np.full((WH[1], WH[0], 3), (200, 170, 140), np.float64) + random.normal(0, 4, (WH[1], WH[0], 1))
    shown = np.ascontiguousarray(picture.clip(0, 255).astype(np.uint8))
    for side, colour in WING_COLOURS.items():
        wing = np.array([at[f"{side}_{part}"] for part in ("root", "front", "behind")])
        cv2.fillPoly(shown, [np.rint(wing).astype(np.int32)], colour, cv2.LINE_AA)
    fin = np.array([at["Tail"], at["Vertical"], 0.8 * at["Tail"] + 0.2 * at["Head"]])
    cv2.fillPoly(shown, [np.rint(fin).astype(np.int32)], (40, 60, 60), cv2.LINE_AA)
    ends = [tuple(round(value) for value in at[name]) for name in ("Head", "Tail")]
    cv2.line(shown, ends[0], ends[1], (60, 40, 40), 4, cv2.LINE_AA)
    cv2.circle(shown, ends[0], 2, (255, 255, 255), -1, cv2.LINE_AA)
    return shown


def labels_path(root: Path, split: str) -> Path:
    return root / "annotations" / f"person_keypoints_{split}.json"


def write_labels(root: Path, split: str, document: Mapping[str, Any]) -> None:
    path = labels_path(root, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def change_labels(root: Path, split: str, **changes: Any) -> None:
    """Replace parts of a split's document."""
    document = json.loads(labels_path(root, split).read_text(encoding="utf-8"))
    write_labels(root, split, {**document, **changes})
