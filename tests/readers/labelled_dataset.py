"""The truth of a dataset from its Labelme files: polygons, boxes and points, as the simulator draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from truth import KEYPOINTS, Instance, Picture, extent, pixels_by_definition

Shape = dict[str, Any]


def read_truth(root: Path) -> list[Picture]:
    """Read every label file of a dataset, with nothing of the code under test."""
    return [_picture(path, root) for path in sorted((root / "labels").glob("*.json"))]


def _picture(path: Path, root: Path) -> Picture:
    document = json.loads(path.read_text(encoding="utf-8"))
    size = (document["imageWidth"], document["imageHeight"])
    name = (path.parent / document["imagePath"]).resolve().relative_to(root.resolve()).as_posix()
    groups: dict[int, list[Shape]] = {}
    for shape in document["shapes"]:
        groups.setdefault(shape["group_id"], []).append(shape)
    return Picture(name, size, tuple(_instance(groups[group], size) for group in sorted(groups)))


def _instance(shapes: list[Shape], size: tuple[int, int]) -> Instance:
    drawn = [(shape["shape_type"], tuple((x, y) for x, y in shape["points"])) for shape in shapes]
    polygons = tuple(points for kind, points in drawn if kind == "polygon")
    boxes = tuple(points for kind, points in drawn if kind == "rectangle")
    points = {shape["label"]: _point(shape) for shape in shapes if shape["shape_type"] == "point"}
    return Instance(
        extent(boxes or polygons),
        tuple(points.get(name, (0.0, 0.0, 0)) for name in KEYPOINTS),
        pixels_by_definition(polygons, size) if polygons else None,
        polygons,
    )


def _point(shape: Shape) -> tuple[float, float, int]:
    if shape["flags"].get("invisible"):
        return (0.0, 0.0, 0)
    x, y = shape["points"][0]
    return (x, y, 1 if shape["flags"].get("occluded") else 2)
