"""The data of a training: pairs of all sources, split by clip, loaded, and what is to be said of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fgfusion_model.data import FoundPairs, LeftOut, Loaded, TrainingPair, count_masks, find_pairs, load_pairs
from fgfusion_model.training.events import Loading, OnEvent
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.settings import TrainingSettings
from vircraft.annotation.exchange.splits import make_splits
from vircraft.errors import DatasetError
from vircraft.settings import fingerprint

COLUMNS = ("name", "split", "mask", "foreground", "digest")
TRAIN, HELD_OUT = "train", "val"


@dataclass(frozen=True)
class TrainingData:
    """What a training works on.

    Attributes:
        loaded: pairs, those to train on first.
        train: how many of them are to train on; the others are kept aside.
        left_out: pairs of the sources that training goes without.
        remarks: what a user should know.
    """

    loaded: Loaded
    train: int
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of all pairs."""
        return [pair.name for pair in self.loaded.pairs]

    @property
    def sources(self) -> list[int]:
        """Number of the source of each pair to train on."""
        return [pair.source for pair in self.loaded.pairs[: self.train]]

    @property
    def held_out(self) -> range:
        """Numbers of the pairs kept aside."""
        return range(self.train, len(self.loaded.pairs))

    def digest(self) -> str:
        """Return a hash of every pixel, mask and assignment."""
        return fingerprint(self.rows())

    def rows(self) -> list[list[str]]:
        """Return a line of COLUMNS for each pair."""
        known = zip(self.loaded.pairs, self.loaded.foreground, self.loaded.digests, strict=True)
        return [
            [
                pair.name,
                TRAIN if number < self.train else HELD_OUT,
                pair.mask.kind,
                f"{share:.4f}",
                digest,
            ]
            for number, (pair, share, digest) in enumerate(known)
        ]

    def table(self) -> bytes:
        """Return the lines as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *self.rows()])
        return text.getvalue().encode()


def load_training_data(
    settings: TrainingSettings, runtime: Runtime, device: torch.device, on_event: OnEvent
) -> TrainingData:
    """Find, split and decode the pairs of all sources.

    Raises:
        DatasetError: a source cannot be used, or nothing is left to train on.
        SettingsError: no source was given.
    """
    found = find_pairs(settings.data.sources)
    pairs = [pair for entry in found for pair in entry.pairs]
    held_out = _held_out_groups(found, settings)
    ordered = [p for p in pairs if p.group not in held_out] + [p for p in pairs if p.group in held_out]
    loaded = load_pairs(
        ordered,
        runtime.cache,
        device,
        stand_in=settings.data.unlabelled == "saliency",
        threads=runtime.threads,
        on_pair=lambda done, total: on_event(Loading(done, total)),
    )
    train = sum(pair.group not in held_out for pair in loaded.pairs)
    left_out = tuple(entry for source in found for entry in source.left_out) + loaded.left_out
    if not train:
        first = f", such as {left_out[0].message}" if left_out else ""
        raise DatasetError(f"no pair is left to train on: {len(left_out)} cannot be used{first}")
    remarks = [remark for entry in found for remark in entry.remarks]
    return TrainingData(loaded, train, left_out, (*remarks, *_remarks(loaded.pairs, train, settings)))


def compare_tables(old: Path, new: TrainingData) -> str:
    """Return in words how the data of a run differ from what a table of it says."""
    try:
        with old.open(encoding="utf-8", newline="") as file:
            before = {row[0]: row for row in csv.reader(file) if row[:1] != [COLUMNS[0]] and row}
    except OSError:
        return "its table data.csv is gone"
    after = {row[0]: row for row in new.rows()}
    lists = {
        "missing": [name for name in before if name not in after],
        "new": [name for name in after if name not in before],
        "changed": [name for name in after if name in before and after[name] != before[name]],
    }
    return "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in lists.items() if names)


def _held_out_groups(found: Sequence[FoundPairs], settings: TrainingSettings) -> set[str]:
    """Choose clips to judge by, of each source by itself so that each is judged where it can be."""
    ratio = settings.data.val_ratio
    held_out: set[str] = set()
    for entry in found:
        splits = make_splits(
            (pair.group for pair in entry.pairs), {TRAIN: 1 - ratio, HELD_OUT: ratio}, settings.seed
        )
        held_out |= {group for group, split in splits.items() if split == HELD_OUT}
    return held_out


def _remarks(pairs: Sequence[TrainingPair], train: int, settings: TrainingSettings) -> list[str]:
    remarks = []
    masks = count_masks(pairs)
    bare = masks.get("saliency", 0)
    if bare and settings.data.unlabelled == "saliency":
        who = "no pair has labels" if bare == len(pairs) else f"{bare} of {len(pairs)} pairs have no labels"
        remarks.append(f"{who}: infrared saliency stands in for their foreground; it is no label")
    elif bare == len(pairs):
        remarks.append("no pair has labels: the foreground branch is off, every pixel weighs the same")
    elif bare:
        remarks.append(f"{bare} of {len(pairs)} pairs have no labels and teach the foreground branch nothing")
    if boxes := masks.get("boxes", 0):
        remarks.append(f"{boxes} of {len(pairs)} pairs have boxes only, painted as their foreground")
    if train == len(pairs) and settings.data.val_ratio:
        remarks.append("there is only one clip, so that none can be kept aside to judge by")
    return remarks


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
