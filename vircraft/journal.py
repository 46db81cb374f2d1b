"""A clip's journal: one JSON line for each fact, appended and synced to disk, the single source of truth.

A journal holds, in order: a `clip` record, a `pair` record for each sampled pair, a `failure` record for each
frame or file that could not be used, and an `end` record once the clip is done. A clip that was given up
ends with a `failure` instead. No record holds a time of day or a duration of work, so that a job that was
killed and run again writes the same bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vircraft.errors import DatasetError
from vircraft.files import disk_error
from vircraft.registration.result import Registration, Status
from vircraft.settings import plain

Verdict = Literal["accepted", "coarse_only", "rejected", "human"]
VERDICTS: dict[Status, Verdict] = {"fine": "accepted", "coarse": "coarse_only", "refused": "rejected"}

# Files are named after clips and pairs, so a journal from a stranger must not name a path.
_NAME = re.compile(r"(?!\.)[\w.-]+")


def is_name(text: object) -> bool:
    """Say whether a text can name a clip or a pair: letters, digits, `_`, `-`, `.`, no `.` in front."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class ClipRecord:
    """What is known of a clip before its pairs are registered.

    Attributes:
        clip: its name.
        inputs: for each input (`infrared`, `visible`, `sidecar`, `truth`): file name relative to the clips
            folder, size in bytes and hash.
        inputs_hash: hash over all of those that decide the pictures.
        settings: the settings as plain values, and their hash.
        sync_hash: hash of the inputs and settings that the synchronisation depends on.
        probe: facts of both streams and remarks.
        sync: the synchronisation with its correlation curve.
        plan: count of planned pairs, and of skipped ones by reason.
        software: versions of what made it.
    """

    clip: str
    inputs: dict[str, dict[str, Any]]
    inputs_hash: str
    settings: dict[str, Any]
    settings_hash: str
    sync_hash: str
    probe: dict[str, Any]
    sync: dict[str, Any]
    plan: dict[str, Any]
    software: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairRecord:
    """One sampled pair and what became of it; indices count the frames that the files really hold.

    Attributes:
        id: CLIP_000120; the number is the tick of the clip's common clock.
        clip, tick: what the id is made of.
        infrared_index, visible_index, infrared_time_s, visible_time_s: the two frames.
        infrared_wh, visible_wh: their sizes.
        sync: offset in visible frames, where it came from and how sure it is.
        verdict, reason: `accepted`, `coarse_only`, `rejected` or `human`, and why.
        h_ir_from_vis: 3 rows of 3, visible pixels to infrared pixels; None when rejected.
        predicted_error_px: expected mean error of the infrared corners; None when rejected.
        predicted_region_error_px: the same over the structure that both pictures show; None when unknown.
        model, probability, score, coarse_score, inliers, residual_px: as in `Registration`.
        files: hash of each written file by its path inside the dataset.
        inputs_hash, settings_hash: what it was made from.
    """

    id: str
    clip: str
    tick: int
    infrared_index: int
    visible_index: int
    infrared_time_s: float
    visible_time_s: float
    infrared_wh: tuple[int, int]
    visible_wh: tuple[int, int]
    sync: dict[str, Any]
    verdict: Verdict
    reason: str
    h_ir_from_vis: list[list[float]] | None
    predicted_error_px: float | None
    model: str
    probability: float
    score: float
    coarse_score: float
    inliers: int
    residual_px: float | None
    inputs_hash: str
    settings_hash: str
    files: dict[str, str] = field(default_factory=dict)
    predicted_region_error_px: float | None = None

    def __post_init__(self) -> None:
        for name in (self.id, self.clip):
            if not is_name(name):
                raise DatasetError(f"{name!r:.80} names no pair or clip: letters, digits, _, - and . only")
        if (self.verdict == "rejected") != (self.h_ir_from_vis is None):
            raise DatasetError(f"pair {self.id}: a rejected pair has no homography, any other has one")

    @property
    def homography(self) -> NDArray[np.float64] | None:
        """Return h_ir_from_vis as a (3, 3) array; None when rejected."""
        return None if self.h_ir_from_vis is None else np.array(self.h_ir_from_vis, np.float64)

    def registration(self) -> Registration:
        """Return what the registration had answered."""
        status: Status = {"coarse_only": "coarse", "rejected": "refused"}.get(self.verdict, "fine")  # type: ignore[assignment]
        return Registration(
            status=status,
            h_ir_from_vis=self.homography,
            predicted_error_px=self.predicted_error_px,
            reason=self.reason,
            probability=self.probability,
            score=self.score,
            coarse_score=self.coarse_score,
            inliers=self.inliers,
            residual_px=float("nan") if self.residual_px is None else self.residual_px,
            model=self.model,  # type: ignore[arg-type]
            predicted_region_error_px=self.predicted_region_error_px,
        )


@dataclass(frozen=True)
class FailureRecord:
    """A clip, or one frame of it, that could not be used.

    Attributes:
        clip: name of the clip; of the file when it belongs to none.
        reason: stable code in kebab case.
        message: what was wrong, where, and what to try next.
        file: the file, relative to the clips folder; "" when it is not about one.
        frame: index of the frame in that file; None when it is about the whole.
    """

    clip: str
    reason: str
    message: str
    file: str = ""
    frame: int | None = None


@dataclass(frozen=True)
class EndRecord:
    """The clip is done: counts by verdict, and of failures."""

    clip: str
    counts: dict[str, int]


Record = ClipRecord | PairRecord | FailureRecord | EndRecord
_TYPES: dict[str, type[Any]] = {
    "clip": ClipRecord,
    "pair": PairRecord,
    "failure": FailureRecord,
    "end": EndRecord,
}
_NAMES = {kind: name for name, kind in _TYPES.items()}


@dataclass(frozen=True)
class Journal:
    """A journal that was read.

    Attributes:
        path: the file.
        records: every whole record, in order.
        offsets: byte at which each record starts, and after the last one the byte at which it ends.
        torn_bytes: bytes of a last line that was never finished.
    """

    path: Path
    records: tuple[Record, ...] = ()
    offsets: tuple[int, ...] = (0,)
    torn_bytes: int = 0

    @property
    def clip(self) -> ClipRecord | None:
        """Return the record of the clip; None when it failed before it had one."""
        first = self.records[0] if self.records else None
        return first if isinstance(first, ClipRecord) else None

    @property
    def pairs(self) -> tuple[PairRecord, ...]:
        """Return the records of the pairs, in order."""
        return tuple(r for r in self.records if isinstance(r, PairRecord))

    @property
    def failures(self) -> tuple[FailureRecord, ...]:
        """Return the records of what failed, in order."""
        return tuple(r for r in self.records if isinstance(r, FailureRecord))

    @property
    def complete(self) -> bool:
        """Say whether the clip was worked through to its end."""
        return bool(self.records) and isinstance(self.records[-1], EndRecord)

    @property
    def failed(self) -> bool:
        """Say whether the clip was given up."""
        return bool(self.records) and isinstance(self.records[-1], FailureRecord) and not self.complete


def encode(record: Record) -> bytes:
    """Return a record as one line of JSON."""
    values = {"type": _NAMES[type(record)], **plain(record)}
    return json.dumps(values, ensure_ascii=False, separators=(", ", ": "), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Record:
    """Return the record of one line.

    Raises:
        ValueError: the line is no record.
        DatasetError: it is a record that says what cannot be.
    """
    values = json.loads(line)
    if not isinstance(values, Mapping) or values.get("type") not in _TYPES:
        raise ValueError("not a record")
    kind = _TYPES[values["type"]]
    values = {key: value for key, value in values.items() if key != "type"}
    if kind is PairRecord:
        values["infrared_wh"], values["visible_wh"] = (
            tuple(values["infrared_wh"]),
            tuple(values["visible_wh"]),
        )
    try:
        record = kind(**values)
    except TypeError as error:
        raise ValueError(str(error)) from error
    assert isinstance(record, ClipRecord | PairRecord | FailureRecord | EndRecord)
    return record


def read_journal(path: Path) -> Journal:
    """Read a journal; a last line that was torn by a crash is left out and counted.

    Raises:
        DatasetError: a line before the last is damaged, any line says what cannot be (such as a pair whose id
            is a path), or the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Journal(path)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error
    records: list[Record] = []
    offsets = [0]
    position = 0
    while position < len(content):
        end = content.find(b"\n", position)
        if end < 0:
            break
        try:
            record = decode(content[position:end])
        except (ValueError, KeyError, TypeError, DatasetError) as error:
            whole = isinstance(error, DatasetError)  # a crash does not leave that behind
            if whole or content[end + 1 :].strip(b"\0\n"):
                what = str(error) if whole else "no whole record"
                raise DatasetError(
                    f"{path}: line {len(records) + 1} is damaged ({what}); restore the file from "
                    "a copy, or have the clip made again with --force all"
                ) from error
            break  # a power cut may leave a last block of zeros or rubbish
        records.append(record)
        position = end + 1
        offsets.append(position)
    return Journal(path, tuple(records), tuple(offsets), len(content) - position)


class JournalWriter:
    """Continues a journal: keeps what still holds, cuts off what does not, appends what is new.

    Records are offered in order with `put`. As long as they equal those on disk nothing is written; from the
    first that differs on, the rest of the old file is cut off.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept = 0
        self._fd: int | None = None

    def close(self) -> None:
        """Close the file; what was put stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def finish(self) -> None:
        """Cut off what is left of the old journal: the last record was put."""
        if self._fd is None and (self._kept < len(self._journal.records) or self._journal.torn_bytes):
            self._open()

    def expected(self) -> Record | None:
        """Return the record on disk that the next `put` would confirm; None past the end."""
        if self._fd is not None or self._kept >= len(self._journal.records):
            return None
        return self._journal.records[self._kept]

    def put(self, record: Record) -> bool:
        """Confirm or append one record; return whether it was written.

        Raises:
            DatasetError: the disk is full or read-only; the journal ends with the last whole record.
        """
        line = encode(record)
        expected = self.expected()
        if expected is not None and encode(expected) == line:
            self._kept += 1
            return False
        if self._fd is None:
            self._open()
        assert self._fd is not None
        before = os.fstat(self._fd).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._fd, line[written:])
            os.fsync(self._fd)
        except OSError as error:
            os.ftruncate(self._fd, before)
            raise disk_error(self._journal.path, error) from error
        return True

    def _open(self) -> None:
        path = self._journal.path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            os.ftruncate(self._fd, self._journal.offsets[self._kept])
        except OSError as error:
            raise disk_error(path, error) from error


def pair_record(
    frames: Mapping[str, Any], registration: Registration, files: Mapping[str, str] | None = None
) -> PairRecord:
    """Join what is known of a pair's frames with its registration.

    Args:
        frames: every field of PairRecord that does not come from the registration.
        registration: the answer.
        files: hashes of the files written for it, by path inside the dataset.
    """
    h = registration.h_ir_from_vis
    record = PairRecord(
        **frames,
        verdict=VERDICTS[registration.status],
        reason=registration.reason,
        h_ir_from_vis=None if h is None else plain(h),
        predicted_error_px=plain(registration.predicted_error_px),
        model=registration.model,
        probability=float(registration.probability),
        score=float(registration.score),
        coarse_score=float(registration.coarse_score),
        inliers=int(registration.inliers),
        residual_px=plain(float(registration.residual_px)),
        predicted_region_error_px=plain(registration.predicted_region_error_px),
    )
    return replace(record, files=dict(files or {}))
