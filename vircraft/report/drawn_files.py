"""Drawn pictures as files that know where they come from, so that none is written over a picture of a person.

A PNG carries the line `Software: vircraft show`. Only an empty file or one with that line is written over.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from vircraft.dataset import MANIFEST
from vircraft.errors import DatasetError
from vircraft.files import encode_png, write_atomically
from vircraft.report.drawing import Picture

_PICTURE_FOLDERS = ("infrared", "visible")
_PAIR_NAME = re.compile(r".+_\d{6,}")
_TEXT = b"tEXtSoftware\0vircraft show"
_CHUNK = (len(_TEXT) - 4).to_bytes(4, "big") + _TEXT + zlib.crc32(_TEXT).to_bytes(4, "big")
_HEADER = 8 + 25  # bytes of a PNG's signature and IHDR chunk, which come first


def write_drawn(path: Path, picture: Picture, sources: Iterable[Path] = ()) -> None:
    """Write a drawn picture as PNG.

    Args:
        path: where; its folder is made when missing.
        picture: (H, W, 3) uint8 BGR.
        sources: the pictures that it was drawn from.

    Raises:
        DatasetError: something else is there, or belongs there; or the disk is full or read-only.
    """
    reason = _why_not(path, sources)
    if reason:
        raise DatasetError(f"{path}: {reason}; nothing is written there: name another file or folder with -o")
    content = encode_png(picture)
    write_atomically(path, content[:_HEADER] + _CHUNK + content[_HEADER:])


def _why_not(path: Path, sources: Iterable[Path]) -> str:
    """Say why a drawn picture must not go there; "" when it may."""
    folder = path.parent.resolve()
    in_dataset = folder.name in _PICTURE_FOLDERS and (folder.parent / MANIFEST).is_file()
    if in_dataset and _PAIR_NAME.fullmatch(path.stem):
        return "is where the dataset keeps the picture of a pair"
    if not path.exists():
        return ""
    if any(source.exists() and path.samefile(source) for source in sources):
        return "is the picture that labels are drawn on"
    if path.with_suffix(".json").exists():
        return f"is labelled in {path.with_suffix('.json').name}"
    return "" if _is_drawn(path) else "was not drawn by 'vircraft show'"


def _is_drawn(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_HEADER + len(_CHUNK))
    return not start or start[_HEADER:] == _CHUNK
