"""Register still pictures listed in a CSV file: read the list and the pictures, write the answers."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.errors import InputFileError, PictureError
from vircraft.files import write_atomically
from vircraft.palettes import undo_palette
from vircraft.registration import register_pair, register_rig
from vircraft.registration.result import Registration
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import warp_visible

H_COLUMNS = tuple(f"h{r}{c}" for r in range(3) for c in range(3))
COLUMNS = ("id", "status", *H_COLUMNS, "predicted_error_px", "reason", "ms")
MOST_PIXELS = 2**28  # of one picture
_UNREADABLE = "unreadable"

Picture = NDArray[Any]


@dataclass(frozen=True)
class StillPair:
    """One row of the list: two pictures, and the rig they share with others ("" for none)."""

    id: str
    visible: Path
    infrared: Path
    rig: str = ""


@dataclass(frozen=True)
class Answer:
    """What came out for one row.

    Attributes:
        id: of the row.
        registration: the answer.
        ms: CPU time of this pair on one thread, reading files left out, milliseconds; a rig's shared work is
            divided among its pairs.
        failure: why the pictures could not be read, else "".
    """

    id: str
    registration: Registration
    ms: float
    failure: str = ""

    @property
    def status(self) -> str:
        """`fine`, `coarse` or `refused`."""
        return self.registration.status

    def record(self) -> dict[str, object]:
        """Return the row of the answers' table."""
        r = self.registration
        h = [""] * 9 if r.h_ir_from_vis is None else [float(x) for x in r.h_ir_from_vis.ravel()]
        known = r.predicted_error_px is not None and np.isfinite(r.predicted_error_px)
        error = round(float(r.predicted_error_px or 0), 3) if known else ""
        return {
            "id": self.id,
            "status": r.status,
            **dict(zip(H_COLUMNS, h, strict=True)),
            "predicted_error_px": error,
            "reason": r.reason,
            "ms": round(self.ms, 1),
        }


def read_pairs_csv(path: Path) -> list[StillPair]:
    """Read the list of pairs; columns id, visible, infrared and optionally rig, others are ignored.

    Raises:
        InputFileError: not a UTF-8 CSV, a column is missing, a field is empty, an id stands twice or cannot
            be a file name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot be read as UTF-8 text ({error})", path=path) from error
    table = csv.DictReader(io.StringIO(text))
    try:
        columns = table.fieldnames or []
    except csv.Error as error:
        raise InputFileError(f"line 1: is not CSV ({error})", path=path) from error
    missing = [c for c in ("id", "visible", "infrared") if c not in columns]
    if missing:
        raise InputFileError(
            f"has no column {', '.join(missing)}; the first line must name id, visible, infrared", path=path
        )
    rows: list[StillPair] = []
    seen: set[str] = set()
    for row in _checked(table, path):
        line = table.line_num
        values = {k: (row.get(k) or "").strip() for k in ("id", "visible", "infrared", "rig")}
        empty = [k for k in ("id", "visible", "infrared") if not values[k]]
        if empty:
            raise InputFileError(f"line {line}: {', '.join(empty)} is empty", path=path)
        name = values["id"]
        if name in seen:
            raise InputFileError(f"line {line}: id {name!r} stands twice; ids must differ", path=path)
        if "/" in name or "\\" in name or "\0" in name or name.startswith("."):
            raise InputFileError(
                f"line {line}: id {name!r} cannot name a file; leave out slashes and leading dots", path=path
            )
        seen.add(name)
        root = path.parent
        rows.append(StillPair(name, root / values["visible"], root / values["infrared"], values["rig"]))
    return rows


def _checked(table: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from table
    except csv.Error as error:
        raise InputFileError(f"line {table.reader.line_num}: is not CSV ({error})", path=path) from error


def align_pairs(
    rows: Sequence[StillPair], settings: RegistrationSettings, warp_dir: Path | None = None
) -> Iterator[Answer]:
    """Register the pairs one after another, those of one rig together when its first one comes.

    Args:
        rows: the list; pairs of one rig need not stand together.
        settings: of the registration.
        warp_dir: where to write the visible pictures on the infrared grid, when wanted.

    Yields:
        An answer for every row; pictures that cannot be read give a refusal with a failure.
    """
    done: set[str] = set()
    for row in rows:
        if row.id in done:
            continue
        group = [r for r in rows if r.rig == row.rig] if row.rig else [row]
        done.update(r.id for r in group)
        yield from _align_group(group, settings, warp_dir)


def write_answers(answers: Iterable[Answer], path: Path) -> None:
    """Write the answers' table, atomically."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(a.record() for a in answers)
    write_atomically(path, out.getvalue().encode())


def read_picture(path: Path, *, infrared: bool) -> Picture:
    """Read a still: visible as (H, W, 3) BGR uint8, infrared as (H, W) uint8 or uint16.

    A false-colour palette that is known is undone; of other colour the luminance is taken.

    Raises:
        PictureError: missing, not a picture, pixels of floating point, or larger than 2^28 pixels.
    """
    if not path.is_file():
        raise PictureError("is not there; paths are relative to the CSV file", path=path, reason="missing")
    try:
        content = np.fromfile(path, np.uint8)
        flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR if infrared else cv2.IMREAD_COLOR
        picture = cv2.imdecode(content, flags) if content.size else None
    except (OSError, cv2.error) as error:
        raise PictureError(f"cannot be read ({error})", path=path, reason=_UNREADABLE) from error
    if picture is None:
        raise PictureError("is not a picture that OpenCV can read", path=path, reason=_UNREADABLE)
    if picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        raise PictureError("has more than 2^28 pixels", path=path, reason="too-large")
    if not infrared:
        return picture
    if picture.dtype not in (np.uint8, np.uint16):
        raise PictureError(
            f"has pixels of type {picture.dtype}; 8 or 16 bit is needed", path=path, reason="pixel-type"
        )
    if picture.ndim == 2:
        return picture
    if picture.dtype == np.uint8:
        return undo_palette(np.asarray(picture, np.uint8))
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def _align_group(
    group: list[StillPair], settings: RegistrationSettings, warp_dir: Path | None
) -> Iterator[Answer]:
    readable: list[tuple[StillPair, Picture, Picture]] = []
    for row in group:
        try:
            readable.append(
                (row, read_picture(row.visible, infrared=False), read_picture(row.infrared, infrared=True))
            )
        except PictureError as error:
            yield Answer(row.id, Registration("refused", reason=error.reason), 0.0, str(error))
    together: dict[tuple[tuple[int, ...], tuple[int, ...]], list[tuple[StillPair, Picture, Picture]]] = {}
    for entry in readable:
        together.setdefault((entry[1].shape[:2], entry[2].shape[:2]), []).append(entry)
    for entries in together.values():
        started = time.process_time()
        pairs = [(v, i) for _, v, i in entries]
        if len(pairs) > 1:
            answers = register_rig(pairs, settings)
        else:
            answers = [register_pair(v, i, settings) for v, i in pairs]
        ms = (time.process_time() - started) * 1000 / len(pairs)
        for (row, visible, infrared), answer in zip(entries, answers, strict=True):
            if warp_dir is not None and answer.h_ir_from_vis is not None:
                size = (infrared.shape[1], infrared.shape[0])
                _, png = cv2.imencode(".png", warp_visible(visible, answer.h_ir_from_vis, size))
                write_atomically(warp_dir / f"{row.id}.png", png.tobytes())
            yield Answer(row.id, answer, ms)
