"""Labelme files: the shapes of one picture, written whole or not at all, and read back.

Labelme counts pixel edges: (0, 0) to (W, H) is the whole picture. Inside vircraft pixel centres are at
integers. Half a pixel is added when a file is written and taken away when it is read. Only the corners of a
mask are pixel indices in both, so nothing is added there.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from vircraft.annotation.documents import (
    LabelFileError,
    Point,
    RuleError,
    flags_field,
    integer_field,
    list_field,
    load_document,
    points_field,
    shown,
    text_field,
)
from vircraft.files import TEMPORARY_SUFFIX

__all__ = ["LabelFile", "LabelFileError", "Point", "Shape", "read_labels", "to_json", "write_labels"]

ShapeType = Literal[
    "polygon", "rectangle", "point", "oriented_rectangle", "circle", "mask", "line", "linestrip", "points"
]

FORMAT_VERSION = "5.5.0"  # Labelme 5 to 7 open it without a remark
_LEAST_POINTS = {"polygon": 3, "rectangle": 2, "oriented_rectangle": 4, "circle": 2, "mask": 2, "line": 2}
_MOST_POINTS = {"rectangle": 2, "point": 1, "oriented_rectangle": 4, "circle": 2, "mask": 2, "line": 2}


@dataclass(frozen=True)
class Shape:
    """One thing drawn on the picture.

    Attributes:
        label: `aircraft` or a keypoint's name.
        shape_type: `polygon`, `oriented_rectangle`, `circle` or `mask` outline, `rectangle` box, `point`
            keypoint; Labelme also draws `line`, `linestrip` and `points`.
        points: (x, y) in pixels, pixel centres at integers; two opposite corners for a rectangle, centre and
            a point on it for a circle, the first and the last pixel for a mask.
        group_id: one number per aircraft; None when the picture holds one aircraft only.
        flags: name -> set or not (`occluded`, `invisible`; `hole`, `crowd` on outlines).
        description: free text.
        mask_png: a mask's pixels as the bytes of a PNG.
    """

    label: str
    shape_type: ShapeType
    points: tuple[Point, ...]
    group_id: int | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    description: str = ""
    mask_png: bytes | None = None

    def __post_init__(self) -> None:
        if self.shape_type not in get_args(ShapeType):
            raise ValueError(f"shape type {self.shape_type!r}; it is one of {', '.join(get_args(ShapeType))}")
        count = len(self.points)
        if not _LEAST_POINTS.get(self.shape_type, 1) <= count <= _MOST_POINTS.get(self.shape_type, math.inf):
            raise ValueError(
                f"a {self.shape_type} labelled {self.label!r} has {count} points; "
                f"it needs {_LEAST_POINTS.get(self.shape_type, 1)}"
            )
        if not all(math.isfinite(v) for point in self.points for v in point):
            raise ValueError(
                f"a {self.shape_type} labelled {self.label!r} has a coordinate that is not finite"
            )


@dataclass(frozen=True)
class LabelFile:
    """Everything one Labelme file says.

    Attributes:
        image_path: the picture, relative to the folder of the file, with forward slashes.
        size_wh: the picture's width and height in pixels.
        shapes: in drawing order.
        flags: of the whole picture (`reviewed`, `skip`, `proposed`).
        extras: further fields, which Labelme keeps (`coco_image_id`, ...).
    """

    image_path: str
    size_wh: tuple[int, int]
    shapes: tuple[Shape, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.size_wh) < 1:
            raise ValueError(f"size_wh is {self.size_wh}; both are at least 1")
        if not self.image_path:
            raise ValueError("image_path is empty; it names the picture relative to the label file")


_OWN_FIELDS = ("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")


def to_json(labels: LabelFile) -> str:
    """Return the text of a Labelme file, the same for the same labels."""
    document = {
        "version": FORMAT_VERSION,
        "flags": dict(labels.flags),
        "shapes": [_shape_to_dict(shape) for shape in labels.shapes],
        "imagePath": labels.image_path,
        "imageData": None,
        "imageHeight": labels.size_wh[1],
        "imageWidth": labels.size_wh[0],
        **{name: value for name, value in labels.extras.items() if name not in _OWN_FIELDS},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_labels(path: Path, labels: LabelFile) -> bool:
    """Write a Labelme file beside its place and move it there; a file that is there already is kept.

    What a person drew is never overwritten, also not when two programs write at once. A run that is killed
    leaves at most a hidden `.NAME.PROCESS.tmp`.

    Returns:
        True when the file was written, False when there was one already.

    Raises:
        OSError: the folder is missing, read-only or full; nothing is left behind then.
    """
    if path.exists():
        return False
    # a name of its own, so that two programs that write at once share none
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.write_text(to_json(labels), encoding="utf-8", newline="\n")
        return _move_unless_present(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_labels(path: Path) -> LabelFile:
    """Read a Labelme file as it was drawn, whatever its labels; `rules.read_annotations` checks the contract.

    Raises:
        LabelFileError: with the contract's reason code (`bad-encoding`, `bad-json`, `bad-type`,
            `non-finite`, `out-of-range`, `wrong-shape-type`, `degenerate-shape`, `bad-mask`).
    """
    try:
        document = load_document(path)
        return LabelFile(
            image_path=text_field(document, "imagePath"),
            size_wh=(_size(document, "imageWidth"), _size(document, "imageHeight")),
            shapes=tuple(_numbered_shape(shape, n) for n, shape in enumerate(list_field(document, "shapes"))),
            flags=flags_field(document),
            extras={name: value for name, value in document.items() if name not in _OWN_FIELDS},
        )
    except RuleError as error:
        raise LabelFileError(error.message, path=path, reason=error.reason, shape=error.shape) from error
    except ValueError as error:
        raise LabelFileError(str(error), path=path, reason="bad-type") from error


def _size(document: Mapping[str, Any], key: str) -> int:
    value = integer_field(document, key)
    if value is None:
        raise RuleError("bad-type", f"{key} is missing; it must be an integer")
    return value


def _shape_to_dict(shape: Shape) -> dict[str, Any]:
    add = 0.0 if shape.shape_type == "mask" else 0.5
    return {
        "label": shape.label,
        "points": [[_written(x, add), _written(y, add)] for x, y in shape.points],
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.shape_type,
        "flags": dict(shape.flags),
        "mask": None if shape.mask_png is None else base64.b64encode(shape.mask_png).decode("ascii"),
    }


def _written(value: float, add: float) -> float:
    """Return a coordinate for the file: the shortest of the numbers that are read back as the same."""
    exact = float(value) + add
    for decimals in (3, 6, 9, 12):
        short = round(exact, decimals) + 0.0  # no -0.0
        if short - add == value:
            return short
    return exact


def _numbered_shape(shape: Any, number: int) -> Shape:
    try:
        return _shape_from_dict(shape)
    except RuleError as error:
        error.shape = number
        raise


def _shape_from_dict(shape: Any) -> Shape:
    if not isinstance(shape, dict):
        raise RuleError("bad-type", f"it is {shown(shape)}; it must be an object")
    label = text_field(shape, "label")
    kind: Any = "polygon" if shape.get("shape_type") is None else text_field(shape, "shape_type")
    if kind not in get_args(ShapeType):
        raise RuleError("wrong-shape-type", f"shape type {shown(kind)} is unknown")
    group_id, flags = integer_field(shape, "group_id"), flags_field(shape)
    take = 0.0 if kind == "mask" else 0.5
    points = tuple((x - take, y - take) for x, y in points_field(shape))
    try:
        mask_png = base64.b64decode(text_field(shape, "mask")) if kind == "mask" else None
    except (binascii.Error, ValueError) as error:
        raise RuleError("bad-mask", f"the mask is not base64 ({error})") from error
    try:
        return Shape(label, kind, points, group_id, flags, str(shape.get("description") or ""), mask_png)
    except ValueError as error:
        raise RuleError("degenerate-shape", str(error)) from error


def _move_unless_present(temporary: Path, path: Path) -> bool:
    """Give a finished file its name unless the name is taken; True when it was given."""
    try:
        os.link(temporary, path)  # unlike a rename, fails when the name is taken
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        temporary.replace(path)
    return True
