"""Labelme files for the tests of the contract: one good file to change, PNGs chunk by chunk, readers."""

from __future__ import annotations

import base64
import json
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.exchange.coco import instance_record, keypoint_record
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.picture import Annotation, PictureAnnotations
from vircraft.annotation.rules import read_annotations

W, H = 160, 128
SQUARE = [[20, 20], [100, 20], [100, 100], [20, 100]]  # 80 x 80 pixels
BOX = [[20, 30], [60, 90]]
REASONS = frozenset(
    [
        *("ambiguous-group", "bad-encoding", "bad-image", "bad-json"),
        *("bad-mask", "bad-type", "degenerate-shape", "duplicate-box"),
        *("duplicate-keypoint", "empty-mask", "flag-conflict", "image-too-large"),
        *("keypoint-outside", "missing-group", "missing-image", "no-object"),
        *("non-finite", "out-of-range", "size-mismatch", "unknown-label"),
        *("unsafe-path", "wrong-shape-type"),
    ]
)

Document = dict[str, Any]
Change = Callable[[Document], object]


def shape(
    label: str = "aircraft", points: Any = None, group: Any = 1, kind: Any = "polygon", **more
) -> Document:
    return {
        "label": label,
        "points": [list(point) for point in SQUARE] if points is None else points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
        **more,
    }


def keypoint(label: str = "Head", at: Any = (60, 60), group: Any = 1, **flags: Any) -> Document:
    return shape(label, [list(at)], group, "point", flags=flags)


def document(*shapes: Document, **more: Any) -> Document:
    return {
        "version": "6.3.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "im.png",
        "imageData": None,
        "imageHeight": H,
        "imageWidth": W,
        **more,
    }


def rectangle(points: Any = None, **more: Any) -> Document:
    return shape(points=BOX if points is None else points, kind="rectangle", **more)


def square(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def good() -> Document:
    """An outline and nine keypoints, shape 0 and shapes 1 to 9."""
    points = [keypoint(label, (30 + 5 * k, 40 + k)) for k, label in enumerate(KEYPOINTS)]
    return document(shape(), *points)


def changed(change: Change) -> Document:
    found = good()
    change(found)
    return found


def write(root: Path, content: Document | str | bytes, name: str = "a.json", picture: str = "im.png") -> Path:
    """Write a label file and, where it is missing, the picture of 160 x 128."""
    if picture and not (root / picture).exists():
        cv2.imwrite(str(root / picture), np.zeros((H, W), np.uint8))
    path = root / name
    text = json.dumps(content) if isinstance(content, dict | list) else content
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(root: Path, content: Document | str | bytes) -> PictureAnnotations:
    return read_annotations(write(root, content), root)


def records(root: Path, *shapes: Document) -> tuple[list[dict[str, Any]], set[str]]:
    """Return what COCO says of the aircraft, and the warnings."""
    found = read(root, document(*shapes))
    return [annotation_record(a) for a in found.annotations], set(found.warnings)


def only(root: Path, *shapes: Document) -> tuple[dict[str, Any], set[str]]:
    (record,), warnings = records(root, *shapes)
    return record, warnings


def painted(record: dict[str, Any]) -> NDArray[np.bool_]:
    """Return the pixels that pycocotools paints for a segmentation."""
    outline = record["segmentation"]
    if isinstance(outline, list):
        outline = coco_mask.merge(coco_mask.frPyObjects(outline, H, W))
    return decoded(outline)


def refusal(root: Path, content: Document | str | bytes) -> LabelFileError:
    """Return the error of a file that breaks a rule; it names the file and the shape."""
    path = write(root, content)
    with pytest.raises(LabelFileError) as caught:
        read_annotations(path, root)
    error = caught.value
    assert error.reason in REASONS
    assert path.name in str(error)
    assert error.shape is None or f"shape {error.shape}" in str(error)
    return error


def chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(
    size_wh: tuple[int, int], rows: bytes | None, depth: int = 8, colour: int = 0, extra: bytes = b""
) -> bytes:
    """Return a PNG of filtered rows (None: the picture data is empty), with chunks after the header."""
    header = struct.pack(">IIBBBBB", *size_wh, depth, colour, 0, 0, 0)
    data = zlib.compress(b"" if rows is None else rows)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def decoded(rle: Any) -> NDArray[np.bool_]:
    """Return the pixels of an RLE as pycocotools decodes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 with NumPy 2
        return coco_mask.decode(rle).astype(bool)


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def mask(pixels: NDArray[Any], at: tuple[int, int], group: Any = 1, **more: Any) -> Document:
    """Return a mask shape whose first pixel lies on the picture's pixel `at`; pixels are what PNG stores."""
    rows, columns = pixels.shape[:2]
    _, content = cv2.imencode(".png", pixels)
    corners = [list(at), [at[0] + columns - 1, at[1] + rows - 1]]
    return shape("aircraft", corners, group, "mask", **{"mask": in_base64(bytes(content)), **more})


def annotation_record(annotation: Annotation) -> dict[str, Any]:
    """Return all that COCO says of an aircraft, without ids."""
    return {**instance_record(annotation), **keypoint_record(annotation)}
