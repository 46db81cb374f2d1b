"""Fused pictures on disk: PNG files that say what made them, so that a job that goes on knows its own."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from vircraft.files import encode_png, write_atomically

KEYWORD = b"vircraft-fused"  # of the text chunk
_SIGNATURE, _HEADER_END = b"\x89PNG\r\n\x1a\n", 33  # the signature (8 bytes) and the IHDR chunk (25)

FileState = Literal["absent", "done", "other"]


def write_fused(path: Path, picture: NDArray[Any], made_by: str) -> None:
    """Write a picture as PNG with a note of what made it, whole or not at all.

    Args:
        path: ends in `.png`.
        picture: (H, W) or (H, W, 3) BGR, 8 bit.
        made_by: fingerprint of weights and settings, ASCII.

    Raises:
        DatasetError: the disk is full or read-only.
    """
    png = encode_png(picture)
    text = b"tEXt" + KEYWORD + b"\0" + made_by.encode("ascii")
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    write_atomically(path, png[:_HEADER_END] + chunk + png[_HEADER_END:])


def read_made_by(path: Path) -> str:
    """Return the note of a PNG that `write_fused` wrote; "" when it has none."""
    with path.open("rb") as file:
        start = file.read(_HEADER_END + 256)
    chunk = start[_HEADER_END:]
    if not start.startswith(_SIGNATURE) or chunk[4:8] != b"tEXt" or not chunk[8:].startswith(KEYWORD + b"\0"):
        return ""
    (length,) = struct.unpack(">I", chunk[:4])
    return chunk[8 : 8 + length].partition(b"\0")[2].decode("ascii", "replace")


def file_state(path: Path, made_by: str, inputs: tuple[Path, ...]) -> FileState:
    """Say whether an output is there, and from the same weights, settings and inputs.

    Returns:
        `done`; `other` when something else made it or an input is newer; `absent`.
    """
    try:
        written_s = path.stat().st_mtime
        same = read_made_by(path) == made_by
    except FileNotFoundError:
        return "absent"
    newer = any(p.exists() and p.stat().st_mtime > written_s for p in inputs)
    return "done" if same and not newer else "other"
