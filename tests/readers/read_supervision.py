"""supervision: no keypoints; paints a polygon with its border, which lies half a pixel outside COCO's."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from reading import Reading, SeenInstance, SeenPicture
from truth import Mask


def read(annotations: Path, root: Path) -> Reading:
    """Read as a detection dataset, masks included."""
    from supervision.dataset.formats.coco import load_coco_annotations

    classes, _, found = load_coco_annotations(str(root), str(annotations), use_iscrowd=True)
    borders = _borders(json.loads(annotations.read_text(encoding="utf-8")))
    pictures = {}
    for path, detections in found.items():
        name = str(Path(path).relative_to(root.resolve()))
        instances = []
        for index in range(len(detections)):
            x0, y0, x1, y1 = (float(v) for v in detections.xyxy[index])
            mask = None if detections.mask is None else detections.mask[index]
            if mask is not None and not mask.any():
                mask = None  # it stands for an aircraft without an outline
            known = ~borders[name][index] if mask is not None else None
            crowd, area = bool(detections.data["iscrowd"][index]), float(detections.data["area"][index])
            instances.append(SeenInstance((x0, y0, x1 - x0, y1 - y0), None, mask, known, None, crowd, area))
        pictures[name] = SeenPicture(path, None, tuple(instances))
    cannot = {
        "keypoints": "its COCO reader leaves them out",
        "polygons": "it keeps outlines as masks",
        "size": "it does not give the picture's size",
    }
    return Reading("supervision", pictures, tuple(classes), cannot=cannot)


def _borders(document: dict) -> dict[str, list[Mask]]:
    """Return the pixels on the border of each annotation's polygons, which supervision paints as inside.

    It rounds vertices to whole pixels and fills with OpenCV, which counts pixel centres and adds the line
    itself: the border is one pixel wide where vertices are whole, five where they were rounded.
    """
    names = {image["id"]: image for image in document["images"]}
    borders = {image["file_name"]: [] for image in document["images"]}
    for annotation in document["annotations"]:
        image = names[annotation["image_id"]]
        border = np.zeros((image["height"], image["width"]), np.uint8)
        segmentation = annotation.get("segmentation")
        for polygon in segmentation if isinstance(segmentation, list) else []:
            vertices = np.reshape(polygon, (-1, 2))
            whole = np.round(vertices).astype(np.int32)
            cv2.polylines(border, [whole], True, 1, 1 if (whole == vertices).all() else 5)
        borders[image["file_name"]].append(border > 0)
    return borders
