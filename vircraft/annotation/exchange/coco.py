"""Annotations as COCO: one category with nine keypoints, boxes, and masks as polygons or RLE.

COCO counts pixel edges, (0, 0) to (W, H). Ids start at 1: COCOeval takes 0 for "no match".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vircraft.annotation.annotation_masks import flat_polygons
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, SKELETON, WEIGHTS
from vircraft.annotation.picture import DECIMALS, Annotation, to_edges

CATEGORY_ID = 1


def instance_record(annotation: Annotation) -> dict[str, Any]:
    """Return what COCO's instances say of an aircraft, without ids.

    `segmentation` is a list of polygons, an RLE, or an empty list where only a box was drawn.
    """
    left, top, right, bottom = (to_edges(v) for v in annotation.box_xyxy)
    return {
        "category_id": CATEGORY_ID,
        "bbox": [left, top, _difference(right, left), _difference(bottom, top)],
        "area": annotation.area,
        "iscrowd": int(annotation.crowd),
        "segmentation": annotation.rle if annotation.rle is not None else flat_polygons(annotation),
        "group_id": annotation.group_id,
    }


def keypoint_record(annotation: Annotation) -> dict[str, Any]:
    """Return what COCO's person keypoints say beyond the instance: keypoints, their number, their weights."""
    flat: list[float] = []
    for x, y, seen in annotation.keypoints:
        flat += (to_edges(x), to_edges(y), int(seen)) if seen else (0, 0, 0)
    return {
        "num_keypoints": annotation.visible_count,
        "keypoints": flat,
        "keypoint_weights": [WEIGHTS[seen] for _, _, seen in annotation.keypoints],
    }


def category(with_keypoints: bool) -> dict[str, Any]:
    """Return the one category; its skeleton counts keypoints from 1."""
    values: dict[str, Any] = {"id": CATEGORY_ID, "name": AIRCRAFT, "supercategory": "vehicle"}
    if with_keypoints:
        values["keypoints"] = list(KEYPOINTS)
        values["skeleton"] = [[a + 1, b + 1] for a, b in SKELETON]
    return values


def document(
    info: Mapping[str, Any], images: Iterable[str], annotations: Iterable[str], with_keypoints: bool
) -> bytes:
    """Return a COCO file, a record a line so that versions can be compared.

    Args:
        info: what the file says of itself.
        images: records as JSON.
        annotations: records as JSON.
        with_keypoints: whether the category describes keypoints.
    """
    lines = [
        f'{{"info": {dump(info)},',
        '"licenses": [],',
        f'"categories": [{dump(category(with_keypoints))}],',
        f'"images": [{_rows(images)}],',
        f'"annotations": [{_rows(annotations)}]}}',
    ]
    # a file name that is not UTF-8 holds lone surrogates, which JSON can only write as an escape
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def dump(record: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return a record as JSON on one line."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _rows(records: Iterable[str]) -> str:
    text = ",\n".join(records)
    return f"\n{text}\n" if text else ""


def _difference(high: float, low: float) -> float:
    return round(high - low, DECIMALS)
