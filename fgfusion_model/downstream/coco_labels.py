"""COCO labels of a split, read once and checked, for keypoints and for detection."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vircraft.errors import DatasetError, InputFileError

Kind = Literal["person_keypoints", "instances"]
TRAINING = "train"  # the split that the others are compared with


@dataclass(frozen=True)
class CocoPicture:
    """One picture of a split.

    Attributes:
        id: as COCO counts.
        stem: its name without folder and suffix, the same for all kinds of pictures.
        size_wh: width and height, pixels.
    """

    id: int
    stem: str
    size_wh: tuple[int, int]


@dataclass(frozen=True)
class CocoSplit:
    """The labels of a split.

    Attributes:
        path: of the file.
        split: its name.
        pictures: in the file's order; all stems differ.
        document: the whole file, whose annotations have a known picture and category, a finite box with a
            size, and an `iscrowd` of 0 or 1 or none; for `pycocotools`.
    """

    path: Path
    split: str
    pictures: tuple[CocoPicture, ...]
    document: Mapping[str, Any]

    @property
    def sizes_wh(self) -> dict[str, tuple[int, int]]:
        """Return stem -> width and height."""
        return {picture.stem: picture.size_wh for picture in self.pictures}

    @property
    def categories(self) -> dict[int, str]:
        """Return id -> name, by id."""
        return {int(c["id"]): str(c["name"]) for c in sorted(self.document["categories"], key=_id)}

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Return all objects, as COCO has them."""
        found: list[dict[str, Any]] = self.document["annotations"]
        return found


def has_coco(root: Path, split: str, kind: Kind) -> bool:
    """Say whether there is a COCO file of a split."""
    return _coco_file(root, split, kind) is not None


def find_coco(root: Path, split: str, kind: Kind) -> Path:
    """Return the COCO file of a split, as `vircraft export coco` names it (or `SPLIT.json`).

    Raises:
        DatasetError: there is none; those that there are, are named.
    """
    found = _coco_file(root, split, kind)
    if found is not None:
        return found
    files = (root / "annotations").glob(f"{kind}_*.json")
    there = sorted(path.stem.removeprefix(f"{kind}_") for path in files)
    splits = f"there are {', '.join(there)}" if there else "run `vircraft export coco` first"
    raise DatasetError(f"{root}: has no labels for the split {split!r} ({kind}_{split}.json); {splits}")


def shared_remarks(root: Path, labels: CocoSplit, kind: Kind) -> tuple[str, ...]:
    """Return a remark where pictures of a split are in the training split, too."""
    if labels.split == TRAINING or not has_coco(root, TRAINING, kind):
        return ()
    try:
        trained = read_coco(find_coco(root, TRAINING, kind), TRAINING).sizes_wh
    except InputFileError:  # not what was asked for; whoever trains on it is told
        return ()
    shared = labels.sizes_wh.keys() & trained.keys()
    if not shared:
        return ()
    return (
        f"{len(shared)} of {len(labels.pictures)} pictures of the split {labels.split!r} are in {TRAINING!r} "
        "too: scores on them say nothing about new pictures",
    )


def read_coco(path: Path, split: str) -> CocoSplit:
    """Read and check a COCO file.

    Raises:
        InputFileError: unreadable, no COCO, an object without a picture, a category or a box with a size,
            ids or picture names that stand twice, ids below 1, sizes or ids that are no whole numbers.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputFileError(f"cannot be read as JSON ({error})", path=path) from error
    try:
        return CocoSplit(path, split, _checked(document), document)
    except InputFileError as error:
        raise InputFileError(str(error), path=path, reason=error.reason) from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        message = f"is not COCO ({type(error).__name__}: {error}); export the labels again"
        raise InputFileError(message, path=path) from error


def _checked(document: Any) -> tuple[CocoPicture, ...]:
    pictures = tuple(
        CocoPicture(_whole(record, "id"), Path(record["file_name"]).stem, _size(record))
        for record in document["images"]
    )
    checked: tuple[tuple[str, list[Any]], ...] = (
        ("picture id", [p.id for p in pictures]),
        ("picture name", [p.stem for p in pictures]),
        ("category id", [_whole(c, "id") for c in document["categories"]]),
        ("object id", [_whole(a, "id") for a in document["annotations"]]),
    )
    for what, values in checked:
        if len(set(values)) != len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise InputFileError(f"{what} {twice!r} stands twice; each must be unique", reason="twice")
    if low := [record["id"] for record in document["annotations"] if record["id"] < 1]:
        raise InputFileError(f"object id is {low[0]}; ids start at 1", reason="bad-id")  # COCOeval breaks
    if not pictures:
        raise InputFileError("holds no picture", reason="empty")
    known = {p.id for p in pictures}, {c["id"] for c in document["categories"]}
    for record in document["annotations"]:
        _check_object(record, *known)
        if "iscrowd" in record:
            record["iscrowd"] = _crowd(record)
    return pictures


def _check_object(record: Mapping[str, Any], pictures: set[int], categories: set[int]) -> None:
    number = record["id"]
    if record["image_id"] not in pictures:
        raise InputFileError(f"object {number} is on picture {record['image_id']}, which is not there")
    if record["category_id"] not in categories:
        raise InputFileError(f"object {number} has category {record['category_id']}, which is not there")
    if not all(map(_is_number, [*record["bbox"], record.get("area") or 0])):
        raise InputFileError(
            f"object {number} has a box or an area that is no number; export the labels again"
        )
    box = [float(value) for value in record["bbox"]]
    if len(box) != 4 or not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
        raise InputFileError(f"object {number} has the box {box}; it needs x, y, width and height above 0")


def _crowd(record: Mapping[str, Any]) -> int:
    """Return 0 or 1; null, as some programs write it, is 0."""
    value = record["iscrowd"]
    if value not in (None, 0, 1):
        raise InputFileError(f"object {record['id']} has iscrowd {value!r}; it is 0 or 1")
    return int(value or 0)


def _size(record: Mapping[str, Any]) -> tuple[int, int]:
    size = _whole(record, "width"), _whole(record, "height")
    if min(size) < 1:
        raise InputFileError(f"picture {record['id']} is {size[0]}x{size[1]}; both are 1 at least")
    return size


def _whole(record: Mapping[str, Any], name: str) -> int:
    value = record[name]
    if not _is_number(value) or value != int(value):
        raise InputFileError(f"{name} is {value!r}; it is a whole number", reason="no-number")
    return int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _coco_file(root: Path, split: str, kind: Kind) -> Path | None:
    names = (f"{kind}_{split}.json", f"{split}.json")
    return next((path for name in names if (path := root / "annotations" / name).is_file()), None)


def _id(record: Mapping[str, Any]) -> int:
    return int(record["id"])
