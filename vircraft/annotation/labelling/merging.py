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
from vircraft.errors import DatasetError
from vircraft.files import disk_error, hash_file, write_atomically
from vircraft.journal import is_name

Verdict = Literal["unchanged", "merge", "conflict"]

_NO_LABELS = ""  # the fingerprint of a file that is not there
_BLANK = "blank"  # of one that a power cut left without content; nobody's labels are in it
_DAMAGED = "damaged-"  # begins that of one that cannot be read
_DEEPEST = 50  # levels of lists and objects in a label file; a mask of Labelme's has 4
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

    It is also the mark by which the folder is known as ours: it is there before anything else and goes last.
    One JSON object a line; later lines of a pair replace earlier ones, a torn last line is ignored.
    """

    path: Path
    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read what a run left behind; empty when there is none.

        Raises:
            DatasetError: it cannot be read.
        """
        ledger = cls(path)
        if not path.exists():
            return ledger
        try:
            if not path.is_file():
                raise OSError("no regular file")  # a pipe would be waited for
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise DatasetError(
                f"{path}: cannot be read: {error.strerror or error}; move it away, and look into the folder "
                "beside it for what was drawn"
            ) from error
        for line in lines:
            try:
                values = json.loads(line)
                if not is_name(values["id"]):
                    continue
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
        """Write all entries, each once; they are on the disk when this returns."""
        text = "".join(_line(pair_id, entry) for pair_id, entry in self.entries.items())
        write_atomically(self.path, text.encode(), durable=True)

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


def judge(entry: Entry, saved: Mapping[str, Any], labels_now: str, *, left_behind: bool = False) -> Verdict:
    """Say what to do with a file that Labelme saved.

    Args:
        entry: what Labelme was given.
        saved: what it saved.
        labels_now: fingerprint of `labels/ID.json` as it is.
        left_behind: by a run that was killed; `saved` may then be all that is left of what was merged.
    """
    if not entry.labels and _is_proposed(saved):
        return "unchanged"  # its run was killed while it set up the folder, before Labelme started
    if labels_now == fingerprint(human_labels(entry, saved)):
        return "unchanged"  # a run was killed right after it had merged this
    if fingerprint(saved) == entry.staged:
        if not (left_behind and _may_be_lost(entry, labels_now)):
            return "unchanged"
        return "merge" if labels_now == _BLANK else "conflict"
    return "merge" if labels_now in (*(entry.labels or (_NO_LABELS,)), _BLANK) else "conflict"


def _may_be_lost(entry: Entry, labels_now: str) -> bool:
    """Say whether labels that Labelme holds unchanged, and `labels/ID.json` does not, are worth keeping.

    What was merged always is. What Labelme was merely given is where nothing stands in its place.
    """
    if len(entry.labels) > 1:
        return True
    return not entry.proposal and (labels_now in (_NO_LABELS, _BLANK) or labels_now.startswith(_DAMAGED))


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


def load_labels(path: Path) -> dict[str, Any]:
    """Read a Labelme file as JSON that can be compared and written again.

    Raises:
        RuleError: as `load_document`; `bad-json` also where lists or objects are nested deeper than in any
            file of Labelme's, though JSON allows it.
    """
    document = load_document(path)
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        inner = (node.values() if isinstance(node, dict) else node for node in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return document
    raise RuleError("bad-json", f"nested more than {_DEEPEST} deep; restore it from a backup or label again")


def fingerprint(document: Mapping[str, Any] | None) -> str:
    """Return a hash of what a Labelme document, nested as `load_labels` allows, says; "" for None."""
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
        return fingerprint(load_labels(path))
    except RuleError:
        return _fingerprint_damaged(path)


def _fingerprint_damaged(path: Path) -> str:
    if not path.is_file():
        return f"{_DAMAGED}no-file"  # a pipe would be waited for
    try:
        with path.open("rb") as file:
            if not file.read(1 << 20).strip(b"\0") and not file.read(1):
                return _BLANK
        return f"{_DAMAGED}{hash_file(path)}"
    except OSError:
        return f"{_DAMAGED}unreadable"


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
