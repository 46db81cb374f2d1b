"""pycocotools and its two relatives: xtcocotools, which MMPose reads with, and faster-coco-eval (C++)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from reading import Reading, SeenInstance, SeenPicture


def open_with(package: str, annotations: Path) -> Any:
    """Load a COCO file; the three packages share pycocotools' interface."""
    module = importlib.import_module({"faster_coco_eval": package}.get(package, f"{package}.coco"))
    return module.COCO(str(annotations))


def read(package: str, annotations: Path, root: Path) -> Reading:
    """Read by the package's own index (images, annotations of an image, category) and mask decoder."""
    coco = open_with(package, annotations)
    pictures = {}
    for image in coco.loadImgs(coco.getImgIds()):
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        pictures[image["file_name"]] = SeenPicture(
            str(root / image["file_name"]),
            (image["width"], image["height"]),
            tuple(_instance(coco, annotation) for annotation in found),
        )
    categories = coco.loadCats(coco.getCatIds())
    names = tuple(categories[0].get("keypoints", ())) or None
    bones = None
    if names:
        bones = frozenset(frozenset(names[end - 1] for end in bone) for bone in categories[0]["skeleton"])
    return Reading(package, pictures, tuple(category["name"] for category in categories), names, bones)


def _instance(coco: Any, annotation: dict[str, Any]) -> SeenInstance:
    points = annotation.get("keypoints")
    segmentation = annotation.get("segmentation")
    polygons = None
    if isinstance(segmentation, list):
        polygons = tuple(tuple(zip(p[::2], p[1::2], strict=True)) for p in segmentation)
    return SeenInstance(
        tuple(annotation["bbox"]),
        tuple(zip(points[::3], points[1::3], points[2::3], strict=True)) if points else None,
        np.asarray(coco.annToMask(annotation), bool) if segmentation else None,
        polygons=polygons,
        crowd=bool(annotation["iscrowd"]),
        area=annotation["area"],
    )
