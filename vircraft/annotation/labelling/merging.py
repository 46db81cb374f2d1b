"""What was drawn in Labelme's folder, against what it was given and what `labels/` holds now.

Labels are compared by a fingerprint of what they say, so a file that a program merely wrote anew, with other
spaces, version or unset flags, counts as unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vircraft.annotation.documents import RuleError, load_document
from vircraft.files import disk_error, hash_file, write_atomically

Verdict = Literal["unchanged", "merge", "conflict"]

_NO_LABELS = ""  # the fingerprint of a file that is not there
# Where the picture is and who wrote the file says nothing about the labels.
_IGNORED = frozenset({"version", "imagePath", "imageData", "imageHeight", "imageWidth", "flags", "shapes"})
_EXACT = 1 << 53  # integers up to here are floats without loss


@dataclass(frozen=True)
class Entry:
    """What is known of the labels of one pair while they are in Labelme's folder.

    Attributes:
        staged: fingerprint of what Labelme was given, or of what was last merged; "" for no labels.
        labels: fingerprints that `labels/ID.json` may have: as it was, and as the last merge left it, or
            was about to. Empty when nothing is known.
        proposal: Labelme was given a proposal that nobody had touched.
        size_wh: of the infrared picture; (0, 0) when unknown.
    """

    staged: str = _NO_LABELS
    labels: tuple[str, ...] = ()
    proposal: bool = False
    size_wh: tuple[int, int] = (0, 0)


@dataclass
class Ledger:
    """The entries of all pairs, on disk so that a killed run loses nothing.

    One JSON object a line; later lines of a pair replace earlier ones, a torn last line is ignored.
    """

    path: Path
    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read what a run left behind; empty when there is none, which means that Labelme never started."""
        ledger = cls(path)
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return ledger
        for line in lines:
            try:
                values = json.loads(line)
                ledger.entries[values["id"]] = Entry(
                    str(values["staged"]),
                    tuple(values["labels"]),
                    bool(values["proposal"]),
                    (int(values["size_wh"][0]), int(values["size_wh"][1])),
                )
            except (ValueError, KeyError, TypeError, IndexError):
                continue  # torn by a kill, or by a hand: the pair is then handled as an unknown one
        return ledger

    def write(self) -> None:
        """Write all entries, each once."""
        text = "".join(_line(pair_id, entry) for pair_id, entry in self.entries.items())
        write_atomically(self.path, text.encode())

    def put(self, pair_id: str, entry: Entry) -> None:
        """Replace an entry; it is on the disk when this returns."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(pair_id, entry))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from error
        self.entries[pair_id] = entry


def _line(pair_id: str, entry: Entry) -> str:
    return json.dumps({"id": pair_id, **asdict(entry)}) + "\n"


def judge(entry: Entry, saved: Mapping[str, Any], labels_now: str) -> Verdict:
    """Say what to do with a file that Labelme saved.

    Args:
        entry: what Labelme was given.
        saved: what it saved.
        labels_now: fingerprint of `labels/ID.json` as it is.
    """
    if not entry.labels and _is_proposed(saved):
        return "unchanged"  # its run was killed while it set up the folder, before Labelme started
    if fingerprint(saved) == entry.staged:
        return "unchanged"
    if labels_now == fingerprint(human_labels(entry, saved)):
        return "unchanged"  # a run was killed right after it had merged this
    return "merge" if labels_now in (entry.labels or (_NO_LABELS,)) else "conflict"


def human_labels(entry: Entry, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels without the flag `proposed` when a proposal was touched."""
    document = dict(saved)
    if entry.proposal and isinstance(document.get("flags"), dict):
        document["flags"] = {k: v for k, v in document["flags"].items() if k != "proposed"}
    return document


def placed(
    document: Mapping[str, Any], image_path: str, size_wh: tuple[int, int], *, as_labelme: bool = False
) -> bytes:
    """Return a label file for a picture; shapes, flags and extra keys stay as they are.

    Args:
        document: a Labelme document.
        image_path: the picture, relative to the folder of the file.
        size_wh: its size; (0, 0) keeps what the document says.
        as_labelme: fill in what Labelme 6 misses in files of version 3.
    """
    values = {**document, "imagePath": image_path, "imageData": None}
    if min(size_wh) > 0:
        values |= {"imageHeight": size_wh[1], "imageWidth": size_wh[0]}
    if as_labelme:
        shapes = values.get("shapes") or []
        values["shapes"] = [_with_type(shape) if isinstance(shape, dict) else shape for shape in shapes]
    indent = None if as_labelme else 2  # nobody reads what Labelme is given, and it is quicker
    text = json.dumps(values, indent=indent, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can carry
        return (json.dumps(values, indent=indent) + "\n").encode()


def fingerprint(document: Mapping[str, Any] | None) -> str:
    """Return a hash of what a Labelme document says about its picture; "" for None."""
    if document is None:
        return _NO_LABELS
    shapes = document.get("shapes")
    essence = {
        "shapes": [_shape_essence(shape) for shape in shapes] if isinstance(shapes, list) else shapes,
        "flags": _set_flags(document.get("flags")),
        "more": {key: value for key, value in document.items() if key not in _IGNORED},
    }
    return hashlib.blake2b(json.dumps(essence, sort_keys=True).encode(), digest_size=16).hexdigest()


def fingerprint_file(path: Path) -> str:
    """Return the fingerprint of a label file; "" when there is none, of its bytes when it is damaged."""
    if not path.exists():
        return _NO_LABELS
    try:
        return fingerprint(load_document(path))
    except RuleError:
        return f"damaged-{hash_file(path)}"


def _with_type(shape: dict[str, Any]) -> dict[str, Any]:
    return shape if shape.get("shape_type") else {**shape, "shape_type": "polygon"}


def _shape_essence(shape: Any) -> Any:
    if not isinstance(shape, dict):
        return shape
    values = {
        key: value for key, value in shape.items() if not (value is None or value is False or value == "")
    }
    values["shape_type"] = shape.get("shape_type") or "polygon"
    values["flags"] = _set_flags(shape.get("flags"))
    values["points"] = _as_floats(shape.get("points"))
    return values


def _set_flags(flags: Any) -> Any:
    if not isinstance(flags, dict):
        return flags or []
    return sorted(name for name, value in flags.items() if value)


def _as_floats(value: Any) -> Any:
    """Return a list of points with its integers as floats: Labelme writes 7.0 where others write 7."""
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    return float(value) if type(value) is int and abs(value) < _EXACT else value


def _is_proposed(document: Mapping[str, Any]) -> bool:
    flags = document.get("flags")
    return isinstance(flags, dict) and flags.get("proposed") is True
