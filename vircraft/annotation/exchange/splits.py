"""Splits of a dataset by clip, never by frame: neighbouring frames look alike."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from vircraft.errors import SettingsError

DEFAULT_RATIOS: Mapping[str, float] = {"train": 0.7, "val": 0.15, "test": 0.15}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def make_splits(
    clips: Iterable[str], ratios: Mapping[str, float], seed: int, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Assign clips to splits, the same for the same clips and seed; who has a split already keeps it.

    Clips are ordered by a hash of seed and name, then dealt out so that the number of clips in each split
    comes closest to its ratio; every split with a ratio gets a clip as long as there are enough.

    Args:
        clips: names.
        ratios: split -> share; they need not add up to 1.
        seed: another one gives another order.
        known: clip -> split of an earlier time, which holds for the splits that there still are.

    Returns:
        clip -> split.

    Raises:
        SettingsError: no ratio is positive, one is negative, or a name is no split's.
    """
    _check_ratios(ratios)
    names = set(clips)
    kept = {c: s for c, s in (known or {}).items() if c in names and ratios.get(s, 0) > 0}
    ordered = sorted(
        names - kept.keys(), key=lambda clip: hashlib.blake2b(f"{seed}:{clip}".encode()).digest()
    )
    free = _counts(len(names), ratios)
    for split in kept.values():
        free[split] -= 1
    dealt = [name for name, count in free.items() for _ in range(max(count, 0))]
    return kept | dict(zip(ordered, dealt, strict=False))


def _counts(total: int, ratios: Mapping[str, float]) -> dict[str, int]:
    """Return how many clips each split gets: largest remainders, none empty while there are enough."""
    wanted = {name: ratio for name, ratio in ratios.items() if ratio > 0}
    exact = {name: total * ratio / sum(wanted.values()) for name, ratio in wanted.items()}
    counts = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(wanted, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    for name in wanted:
        largest = max(counts, key=lambda other: counts[other])
        if not counts[name] and counts[largest] > 1:
            counts[largest] -= 1
            counts[name] += 1
    return counts


def parse_ratios(text: str) -> dict[str, float]:
    """Read ratios such as `train=0.7,val=0.15,test=0.15`.

    Raises:
        SettingsError: it is not of that form.
    """
    ratios: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() in ratios:
            raise SettingsError(f"ratios {text!r}: {name.strip()} is there twice; keep one")
        try:
            ratios[name.strip()] = float(value)
        except ValueError as error:
            raise SettingsError(
                f"ratios {text!r}: {part!r} is not NAME=NUMBER; write them like train=0.7,val=0.15,test=0.15"
            ) from error
    _check_ratios(ratios)
    return ratios


def _check_ratios(ratios: Mapping[str, float]) -> None:
    for name, ratio in ratios.items():
        if not _NAME.fullmatch(name):
            raise SettingsError(f"split {name!r}: use letters, digits, - and _")
        if not 0 <= ratio < float("inf"):
            raise SettingsError(f"split {name!r} has a ratio of {ratio}; it must be 0 or more")
    if not any(ratios.values()):
        raise SettingsError("all ratios are 0; give at least one split a positive one")


def read_splits(path: Path) -> dict[str, str]:
    """Read which clip belongs to which split, from JSON or TOML: `{"train": ["a", "b"], "val": ["c"]}`.

    Returns:
        clip -> split.

    Raises:
        SettingsError: the file cannot be read, is of another form, or names a clip twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    example = '{"train": ["clip_a", "clip_b"], "val": ["clip_c"]}'
    if not isinstance(values, dict) or not values:
        raise SettingsError(f"{path}: names no splits; write them like {example}")
    splits: dict[str, str] = {}
    for split, clips in values.items():
        if not _NAME.fullmatch(split):
            raise SettingsError(f"{path}: split {split!r}: use letters, digits, - and _")
        if not isinstance(clips, list) or not all(isinstance(clip, str) for clip in clips):
            raise SettingsError(f"{path}: {split} must be a list of clip names; write it like {example}")
        for clip in clips:
            if clip in splits:
                raise SettingsError(f"{path}: clip {clip!r} is in {splits[clip]} and in {split}; keep one")
            splits[clip] = split
    return splits


def check_splits(
    splits: Mapping[str, str], clips: Iterable[str], path: Path, others: Iterable[str] = ()
) -> None:
    """Make sure that a file of splits knows every clip, and none that is not there.

    Args:
        splits: clip -> split.
        clips: those that need a split.
        path: of the file, for messages.
        others: clips that may be named but need not.

    Raises:
        SettingsError: it does not.
    """
    needed = set(clips)
    if missing := sorted(needed - splits.keys()):
        raise SettingsError(f"{path}: does not say where clip {_listed(missing)} belongs; add it to a split")
    if strange := sorted(splits.keys() - needed - set(others)):
        raise SettingsError(f"{path}: there is no clip {_listed(strange)}; take it out, or correct the name")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
