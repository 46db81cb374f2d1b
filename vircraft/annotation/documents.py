"""The bytes of a Labelme file as a JSON document: typed fields, bounded size, a reason for each error."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vircraft.errors import InputFileError

Point = tuple[float, float]

# A document may take some thirty times its text in memory, so what is parsed is bounded; embedded pictures
# are cut out before. The largest hand-made file known has 0.2 MB without its picture.
MOST_BYTES = 256 << 20
MOST_PARSED_BYTES = 16 << 20
FARTHEST = 1e6  # of a coordinate, px; pycocotools 2.0.11 takes all memory or crashes far outside a picture

# why a file can be left out, see docs/labels.md
REASONS = (
    *("bad-encoding", "bad-json", "bad-type", "unsafe-path", "missing-image", "bad-image", "image-too-large"),
    *("size-mismatch", "non-finite", "out-of-range", "unknown-label", "wrong-shape-type", "degenerate-shape"),
    *("bad-mask", "empty-mask", "keypoint-outside", "flag-conflict", "missing-group", "ambiguous-group"),
    *("duplicate-keypoint", "duplicate-box", "no-object", "wrong-picture", "unreadable", "internal-error"),
)

# Quotes inside a JSON string are escaped, so this never matches in the middle of one.
_EMBEDDED_PICTURE = re.compile(rb'(?<!\\)"imageData"\s*:\s*"[^"\\]*"')
_LONGEST_INTEGER = 400  # digits; a float ends at 309
_TOO_LONG = 10**400  # stands for an integer that no float can hold


class LabelFileError(InputFileError):
    """A Labelme file cannot be read or breaks the convention; `shape` is the position of what is wrong."""

    def __init__(
        self, message: str, *, path: Path | None = None, reason: str = "unreadable", shape: int | None = None
    ) -> None:
        where = "" if shape is None else f"shape {shape}: "
        super().__init__(where + message, path=path, reason=reason)
        self.message = message
        self.shape = shape


class RuleError(Exception):
    """A rule is broken; becomes a `LabelFileError` where file and shape are known."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
        self.shape: int | None = None


def load_document(path: Path) -> dict[str, Any]:
    """Read a Labelme file as JSON; embedded pictures are dropped unread.

    Raises:
        RuleError: `bad-encoding`, `bad-json` (also too large, nested too deep, or no regular file) or
            `bad-type` (not an object).
    """
    document = _parse(_read(path))
    if not isinstance(document, dict):
        raise RuleError("bad-type", f"expected an object, found {_kind(document)}; is it a Labelme file?")
    return document


def _read(path: Path) -> bytes:
    """Return the content of a regular file; pipes and devices are never opened for reading."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RuleError("bad-json", "not a regular file; move it out of the folder")
            if status.st_size > MOST_BYTES:
                raise RuleError(
                    "bad-json", f"{status.st_size >> 20} MiB; at most {MOST_BYTES >> 20} MiB are read"
                )
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RuleError("bad-json", f"cannot be read: {error.strerror or error}") from error


def _parse(content: bytes) -> Any:
    if len(content) > MOST_PARSED_BYTES:
        content = _EMBEDDED_PICTURE.sub(b'"imageData":null', content)
    if len(content) > MOST_PARSED_BYTES:
        raise RuleError(
            "bad-json",
            f"{len(content) >> 20} MiB without its picture; at most {MOST_PARSED_BYTES >> 20} MiB are read",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuleError("bad-encoding", f"byte {error.start} is not UTF-8; save it again as UTF-8") from error
    try:
        return _load(text)
    except RecursionError as error:
        raise RuleError("bad-json", "nested too deep to be a Labelme file") from error
    except json.JSONDecodeError as error:
        what = "is empty" if not text.strip() else f"not JSON, or cut off ({error})"
        raise RuleError("bad-json", f"{what}; restore it from a backup or label the picture again") from error


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of thousands of digits
        return json.loads(text, parse_int=_bounded_integer)


def _bounded_integer(digits: str) -> int:
    return int(digits) if len(digits) < _LONGEST_INTEGER else _TOO_LONG


def text_field(document: Mapping[str, Any], key: str) -> str:
    """Return a field that must be a string."""
    value = document.get(key)
    if not isinstance(value, str):
        found = shown(value) if key in document else "missing"
        raise RuleError("bad-type", f"{key} is {found}; it must be a string")
    return value


def list_field(document: Mapping[str, Any], key: str) -> list[Any]:
    """Return a field that must be a list."""
    value = document.get(key)
    if not isinstance(value, list):
        raise RuleError("bad-type", f"{key} is {shown(value)}; it must be a list")
    return value


def integer_field(document: Mapping[str, Any], key: str) -> int | None:
    """Return a field that is an integer, null or absent (a bool is no integer)."""
    value = document.get(key)
    if value is not None and type(value) is not int:
        raise RuleError("bad-type", f"{key} is {shown(value)}; it must be an integer or null")
    return value


def flags_field(document: Mapping[str, Any]) -> dict[str, bool]:
    """Return the flags of a file or shape; none when absent or null."""
    flags = document.get("flags")
    if flags is None:
        return {}
    if not isinstance(flags, dict) or not all(isinstance(value, bool) for value in flags.values()):
        raise RuleError("bad-type", f"flags is {shown(flags)}; it must map names to true or false")
    return flags


def points_field(shape: Mapping[str, Any]) -> list[Point]:
    """Return the points of a shape as the file has them: finite, within +-1e6."""
    points = []
    for value in list_field(shape, "points"):
        if type(value) is not list or len(value) != 2:
            raise RuleError("bad-type", f"a point is {shown(value)}; it must be two numbers")
        x, y = value
        if type(x) not in _NUMBERS or type(y) not in _NUMBERS:
            raise RuleError("bad-type", f"a point is {shown(value)}; it must be two numbers")
        if not (-FARTHEST <= x <= FARTHEST and -FARTHEST <= y <= FARTHEST):
            raise _far(x, y)
        points.append((float(x), float(y)))
    return points


_NUMBERS = (int, float)


def _far(x: float, y: float) -> RuleError:
    for value in (x, y):
        if isinstance(value, float) and not math.isfinite(value):
            # infinity written as 1e999 is one, too
            return RuleError("non-finite", f"a coordinate is {value}; draw the shape again")
    return RuleError(
        "out-of-range", f"a coordinate is {shown(x)}, {shown(y)}; at most +-{FARTHEST:.0f} px are allowed"
    )


def shown(value: Any) -> str:
    """Return a value for a message, short whatever it is."""
    if type(value) is int and abs(value) >= _TOO_LONG:
        return "an integer of hundreds of digits"
    if isinstance(value, list | dict) and len(value) > 4:
        return f"{_kind(value)} of {len(value)}"
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:40]!r}..."
    text = _repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _repr(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, default=repr)
    except (RecursionError, ValueError):
        return _kind(value)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a bool", type(None): "null"}
    return kinds.get(type(value), "a number")
