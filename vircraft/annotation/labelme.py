"""Labelme files: the shapes of one picture, written whole or not at all, and read back.

Labelme counts pixel edges: (0, 0) to (W, H) is the whole picture. Inside vircraft pixel centres are at
integers. Half a pixel is added when a file is written and taken away when it is read, here and nowhere else.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from vircraft.errors import InputFileError
from vircraft.files import TEMPORARY_SUFFIX

ShapeType = Literal["polygon", "rectangle", "point"]
Point = tuple[float, float]

FORMAT_VERSION = "5.5.0"  # Labelme 5 to 7 open it without a remark
_LEAST_POINTS = {"polygon": 3, "rectangle": 2, "point": 1}
_MOST_POINTS = {"polygon": math.inf, "rectangle": 2, "point": 1}


class LabelFileError(InputFileError):
    """A Labelme file cannot be read or breaks the convention."""


@dataclass(frozen=True)
class Shape:
    """One thing drawn on the picture.

    Attributes:
        label: `aircraft` or a keypoint's name.
        shape_type: `polygon` outline, `rectangle` box, `point` keypoint.
        points: (x, y) in pixels, pixel centres at integers; two opposite corners for a rectangle.
        group_id: one number per aircraft; None when the picture holds one aircraft only.
        flags: name -> set or not (`occluded`, `invisible`; `hole`, `crowd` on outlines).
        description: free text.
    """

    label: str
    shape_type: ShapeType
    points: tuple[Point, ...]
    group_id: int | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        if self.shape_type not in get_args(ShapeType):
            raise ValueError(f"shape type {self.shape_type!r}; it is one of {', '.join(get_args(ShapeType))}")
        count = len(self.points)
        if not _LEAST_POINTS[self.shape_type] <= count <= _MOST_POINTS[self.shape_type]:
            raise ValueError(
                f"a {self.shape_type} labelled {self.label!r} has {count} points; "
                f"it needs {_LEAST_POINTS[self.shape_type]}"
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
        flags: of the whole picture (`reviewed`, `skip`).
    """

    image_path: str
    size_wh: tuple[int, int]
    shapes: tuple[Shape, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.size_wh) < 1:
            raise ValueError(f"size_wh is {self.size_wh}; both are at least 1")
        if not self.image_path:
            raise ValueError("image_path is empty; it names the picture relative to the label file")


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
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_labels(path: Path, labels: LabelFile) -> bool:
    """Write a Labelme file beside its place and move it there; a file that is there already is kept.

    What a person drew is never overwritten, also not when two programs write at once. A run that is killed
    leaves at most `.NAME.tmp`, which the next one removes.

    Returns:
        True when the file was written, False when there was one already.

    Raises:
        OSError: the folder is missing, read-only or full; nothing is left behind then.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    if path.exists():
        temporary.unlink(missing_ok=True)
        return False
    try:
        temporary.write_text(to_json(labels), encoding="utf-8", newline="\n")
        return _move_unless_present(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_labels(path: Path) -> LabelFile:
    """Read a Labelme file that follows vircraft's convention: polygons, rectangles and points.

    The contract's full check (other shape types, pictures, groups) is a reader of its own; this one is for
    files that vircraft wrote and that people edited since.

    Raises:
        LabelFileError: with the contract's reason code (`bad-encoding`, `bad-json`, `bad-type`,
            `non-finite`, `wrong-shape-type`, `degenerate-shape`).
    """
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise LabelFileError("not UTF-8; save it again as UTF-8", path=path, reason="bad-encoding") from error
    except (ValueError, RecursionError) as error:
        raise LabelFileError(f"not JSON ({error})", path=path, reason="bad-json") from error
    try:
        return LabelFile(
            image_path=_typed(document, "imagePath", str),
            size_wh=(_typed(document, "imageWidth", int), _typed(document, "imageHeight", int)),
            shapes=tuple(
                _shape_from_dict(shape, n) for n, shape in enumerate(_typed(document, "shapes", list))
            ),
            flags=_flags(document),
        )
    except _ReadError as error:
        raise LabelFileError(error.message, path=path, reason=error.reason) from error
    except ValueError as error:
        raise LabelFileError(str(error), path=path, reason="bad-type") from error


class _ReadError(Exception):
    def __init__(self, message: str, reason: str = "bad-type") -> None:
        super().__init__(message)
        self.message, self.reason = message, reason


def _typed(document: Any, key: str, kind: type) -> Any:
    """Return a field of a JSON object that must be of one type (a bool is no number)."""
    if not isinstance(document, dict):
        raise _ReadError(f"expected an object, found {type(document).__name__}")
    value = document.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _ReadError(f"{key} is {value!r:.60}; it must be {kind.__name__}")
    return value


def _flags(document: Mapping[str, Any]) -> dict[str, bool]:
    flags = document.get("flags") or {}
    if not isinstance(flags, dict) or not all(isinstance(value, bool) for value in flags.values()):
        raise _ReadError(f"flags is {flags!r:.60}; it must map names to true or false")
    return flags


def _shape_to_dict(shape: Shape) -> dict[str, Any]:
    return {
        "label": shape.label,
        "points": [[_to_edges(x), _to_edges(y)] for x, y in shape.points],
        "group_id": shape.group_id,
        "description": shape.description,
        "shape_type": shape.shape_type,
        "flags": dict(shape.flags),
        "mask": None,
    }


def _to_edges(value: float) -> float:
    """Return a coordinate counted from the pixel edge, to a millionth of a pixel."""
    return round(float(value) + 0.5, 6) + 0.0


def _shape_from_dict(shape: Any, number: int) -> Shape:
    try:
        label = _typed(shape, "label", str)
        kind: Any = shape.get("shape_type") or "polygon"
        if kind not in get_args(ShapeType):
            raise _ReadError(f"shape type {kind!r:.40} is not read here", "wrong-shape-type")
        group_id = shape.get("group_id")
        if group_id is not None:
            group_id = _typed(shape, "group_id", int)
        points = _points(_typed(shape, "points", list))
        try:
            return Shape(label, kind, points, group_id, _flags(shape), str(shape.get("description") or ""))
        except ValueError as error:
            raise _ReadError(str(error), "degenerate-shape") from error
    except _ReadError as error:
        raise _ReadError(f"shape {number}: {error.message}", error.reason) from error


def _points(values: Iterable[Any]) -> tuple[Point, ...]:
    points = []
    for value in values:
        if not (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        ):
            raise _ReadError(f"a point is {value!r:.60}; it must be two numbers")
        try:
            x, y = (float(v) - 0.5 for v in value)
        except OverflowError as error:
            raise _ReadError("a coordinate is too large for a float", "out-of-range") from error
        if not (math.isfinite(x) and math.isfinite(y)):
            raise _ReadError("a coordinate is not finite", "non-finite")
        points.append((x, y))
    return tuple(points)


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
