"""Which pictures of a folder without an official split belong to which: a list, else a hash of the name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from fgfusion_model.data.folders import SUFFIXES, group_of
from vircraft.errors import DatasetError, InputFileError

ALL = ("", "all")  # splits that hold everything
SHARES = (("train", 0.7), ("val", 0.85), ("test", 1.0))  # split -> upper end of its share of the hashes
LISTS = (".txt", ".json")
_FOLDERS = ("", "meta", "ImageSets/Main")
HASHED = (
    "there is no list of the split (train.txt, val.txt, test.txt): pictures were divided 0.70, 0.15, 0.15 by "
    "a hash of their names; neighbouring frames may lie in different splits, unless they are named by clip "
    "(CLIP_000120)"
)


def choose_stems(root: Path, split: str, stems: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the stems of a split in order, and remarks.

    Lists are `SPLIT.txt` (a name a line, with or without a suffix) or `SPLIT.json` (a list of names) in the
    folder, in its `meta/` or `ImageSets/Main/`. Without any list, a hash of the name divides them; frames of
    one clip (CLIP_000120) stay together.

    Args:
        root: the folder.
        split: `all` or nothing for everything.
        stems: what is there.

    Raises:
        DatasetError: there is no such split, it holds nothing, a list names what is not there, or two lists
            share pictures.
    """
    there = sorted(stems)
    if split in ALL:
        return there, ()
    lists = {p.stem: p for p in _lists(root)}
    if split in lists:
        _check_apart(lists)
        return _listed(lists[split], there), ()
    if lists.keys() & {name for name, _ in SHARES}:
        raise DatasetError(
            f"{root}: has no list of the split {split!r}; there are {', '.join(sorted(lists))}"
        )
    if split not in dict(SHARES):
        raise DatasetError(f"{root}: has no split {split!r}; add {split}.txt with the names of its pictures")
    chosen = [stem for stem in there if hashed_split(stem) == split]
    if not chosen:
        raise DatasetError(
            f"{root}: the split {split!r} of its {len(there)} pictures is empty; add {split}.txt with names"
        )
    return chosen, (HASHED,)


def has_stems(root: Path, split: str, stems: Iterable[str]) -> bool:
    """Say whether there is such a split: a list, or without any list a share that holds something."""
    lists = {p.stem for p in _lists(root)}
    if split in ALL or split in lists:
        return True
    return not lists & dict(SHARES).keys() and any(hashed_split(stem) == split for stem in stems)


def hashed_split(stem: str) -> str:
    """Return `train`, `val` or `test`, always the same for a name."""
    digest = hashlib.blake2b(group_of(stem).encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return next(split for split, end in SHARES if share < end)


def _lists(root: Path) -> Iterable[Path]:
    for folder in _FOLDERS:
        place = root / folder
        if place.is_dir():
            names = (p for p in sorted(place.iterdir()) if p.suffix in LISTS and p.is_file())
            yield from (p for p in names if p.stem in (*dict(SHARES), "trainval"))


def _check_apart(lists: Mapping[str, Path]) -> None:
    """Make sure that no picture is trained on and judged on.

    Raises:
        DatasetError: two lists share pictures; `trainval` may share those of train and val.
    """
    stems = {split: {_stem(name) for name in _names(path)} for split, path in lists.items()}
    for one, other in combinations(sorted(stems), 2):
        shared = sorted(stems[one] & stems[other])
        if shared and ("trainval" not in (one, other) or "test" in (one, other)):
            raise DatasetError(
                f"{lists[one]}: shares {len(shared)} pictures with {lists[other].name} "
                f"({', '.join(shared[:5])}); a picture belongs to one split"
            )


def _listed(path: Path, there: list[str]) -> list[str]:
    known = set(there)
    stems = list(dict.fromkeys(_stem(name) for name in _names(path)))
    missing = [stem for stem in stems if stem not in known]
    if missing or not stems:
        what = f"{len(missing)} pictures without labels ({', '.join(missing[:5])})" if missing else "nothing"
        raise DatasetError(f"{path}: names {what}; correct the list")
    return stems


def _names(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".txt":
            return [words[0] for line in text.splitlines() if (words := line.split())]
        names: Any = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputFileError(f"cannot be read as a list of names ({error})", path=path) from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputFileError("is no list of names", path=path)
    return names


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in {*SUFFIXES, ".xml"} else path.name
