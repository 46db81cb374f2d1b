"""`NAME.sync.toml`: an offset, and a drift, that somebody measured."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from vircraft.errors import ClipError

KEYS = ("offset_frames", "offset_s", "drift_ppm")


@dataclass(frozen=True)
class Sidecar:
    """The content of a sidecar: one of the two offsets, and a drift."""

    offset_frames: float | None
    offset_s: float | None
    drift_ppm: float


def read_sidecar(path: Path) -> Sidecar:
    """Read `offset_frames` (visible frames) or `offset_s`, and an optional `drift_ppm`.

    Raises:
        ClipError: `bad-sidecar`, naming the key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClipError(f"cannot be read: {error}", path=path, reason="bad-sidecar") from error
    for key, value in table.items():
        if key not in KEYS:
            raise ClipError(
                f"unknown key {key!r}; it may hold {', '.join(KEYS)}", path=path, reason="bad-sidecar"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ClipError(f"{key} is {value!r}; it is a number", path=path, reason="bad-sidecar")
    if ("offset_frames" in table) == ("offset_s" in table):
        raise ClipError("needs either offset_frames or offset_s", path=path, reason="bad-sidecar")
    frames, seconds = table.get("offset_frames"), table.get("offset_s")
    return Sidecar(
        None if frames is None else float(frames),
        None if seconds is None else float(seconds),
        float(table.get("drift_ppm", 0.0)),
    )
