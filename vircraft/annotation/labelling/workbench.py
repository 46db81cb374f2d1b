"""`DATASET/annotate/`: the folder that Labelme works in, and the way from there into `labels/`.

Labelme must not work in the dataset itself: it cannot open 16-bit pictures, both pictures of a pair would
share one file, and with a file there it shows the picture that the file names. So it gets a folder of its own
with the pictures to draw on and copies of the labels. What it saves is merged into `labels/` while it runs.

A run that is killed leaves the folder behind; the next one merges it first. Nothing that was drawn is lost.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vircraft.annotation.documents import RuleError, load_document
from vircraft.annotation.eight_bit import eight_bit_png
from vircraft.annotation.labelling.merging import (
    Entry,
    Ledger,
    fingerprint,
    fingerprint_file,
    human_labels,
    judge,
    placed,
)
from vircraft.annotation.labelling.offers import LeftOut, Offer
from vircraft.dataset import Dataset, label_path
from vircraft.errors import PictureError
from vircraft.files import disk_error, write_atomically

FOLDER = "annotate"
_SETTLED_S = 2.0  # a file this old when it was read cannot have changed within the same tick of the clock

Kind = Literal["merged", "conflict", "damaged", "stray", "removed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file of Labelme's folder.

    Attributes:
        kind: `merged` into labels/; kept beside because of a `conflict` with labels that somebody else wrote
            meanwhile, because it is `damaged`, or a `stray` that belongs to no pair; `removed` in Labelme.
        name: the pair, or the name of a stray file.
        path: where the labels are now.
        new: the pair had no labels before.
    """

    kind: Kind
    name: str
    path: Path
    new: bool = False


@dataclass
class Workbench:
    """Labelme's folder while it is in use.

    Attributes:
        root: the dataset.
        pair_ids: of all pairs of the dataset, offered or not.
        ledger: what Labelme was given.
    """

    root: Path
    pair_ids: frozenset[str]
    ledger: Ledger
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # file -> time and size when last read
    _kept: dict[str, Path] = field(default_factory=dict)  # pair -> file kept beside, one a run

    @classmethod
    def open(cls, dataset: Dataset) -> Workbench:
        """Open the folder as it is: empty, or as a killed run left it."""
        ids = frozenset(record.id for record in dataset.pairs())
        return cls(dataset.root, ids, Ledger.read(dataset.root / FOLDER / "staged.jsonl"))

    @property
    def folder(self) -> Path:
        """Return `DATASET/annotate`."""
        return self.root / FOLDER

    @property
    def pictures(self) -> Path:
        """Return the folder that Labelme opens and saves in."""
        return self.folder / "pictures"

    @property
    def config(self) -> Path:
        """Return where Labelme's configuration is."""
        return self.folder / "labelme.yaml"

    @property
    def log(self) -> Path:
        """Return where what Labelme says is written."""
        return self.folder / "labelme.log"

    def recover(self) -> list[Outcome]:
        """Merge what a killed run left behind, and clear the folder for a new one.

        Raises:
            DatasetError: the disk is full or read-only; everything is still there.
        """
        outcomes: list[Outcome] = []
        if self.pictures.is_dir():
            if self.ledger.entries:
                self.ledger.write()  # without a torn last line, so that lines can follow
            outcomes = self.collect(final=True)
        self.clear()
        return outcomes

    def stage(
        self, offers: Iterable[Offer], on_staged: Callable[[Offer], object] = lambda offer: None
    ) -> tuple[list[Offer], list[LeftOut]]:
        """Fill the folder.

        Returns:
            The offers that are in it, and the pairs whose picture cannot be decoded.

        Raises:
            DatasetError: the disk is full or read-only.
        """
        staged, left_out = [], []
        try:
            self.pictures.mkdir(parents=True, exist_ok=True)
            for offer in offers:
                try:
                    self._stage(offer)
                    staged.append(offer)
                except PictureError as error:
                    left_out.append(LeftOut(offer.pair_id, error.reason, str(error)))
                on_staged(offer)
        except OSError as error:
            raise disk_error(self.pictures, error) from error
        self.ledger.write()  # last: without it, a later run knows that Labelme never started
        return staged, left_out

    def collect(self, *, final: bool = False) -> list[Outcome]:
        """Merge what was saved since the last call.

        Args:
            final: nothing writes any more: what cannot be read now is damaged.

        Raises:
            DatasetError: the disk is full or read-only; the next call tries again.
        """
        outcomes = [outcome for path in self._changed() for outcome in self._collect(path, final)]
        if final:
            outcomes += [self._keep("stray", path, path.stem) for path in self._strays()]
        return outcomes

    def take_away_removed(self) -> list[Outcome]:
        """Move labels that a person deleted in Labelme to `annotate/removed/`, unless somebody changed them.

        Only for a run that ended by itself: in a folder that was left behind, files may be missing for many
        reasons.
        """
        outcomes = []
        for pair_id, entry in self.ledger.entries.items():
            path = label_path(self.root, pair_id)
            deleted = (self.pictures / f"{pair_id}.png").exists() and not self._saved(pair_id).exists()
            if deleted and entry.staged and path.exists() and fingerprint_file(path) in entry.labels:
                outcomes.append(self._keep("removed", path, pair_id))
        return outcomes

    def clear(self) -> None:
        """Remove the folder but what was kept beside in it."""
        if self.pictures.exists():
            shutil.rmtree(self.pictures)
        for path in (self.ledger.path, self.config, self.log):
            path.unlink(missing_ok=True)
        self.ledger = Ledger(self.ledger.path)
        self._seen.clear()
        with suppress(OSError):  # not there, or something was kept
            self.folder.rmdir()

    def _saved(self, pair_id: str) -> Path:
        return self.pictures / f"{pair_id}.json"

    def _stage(self, offer: Offer) -> None:
        """Put one picture and its labels into the folder."""
        target = self.pictures / f"{offer.pair_id}.png"
        if offer.bit_depth == 16:
            target.write_bytes(eight_bit_png(offer.picture))
        else:
            link_or_copy(offer.picture, target)
        if offer.document is not None:
            saved = self._saved(offer.pair_id)
            saved.write_bytes(placed(offer.document, target.name, offer.size_wh, as_labelme=True))
            self._seen[saved.name] = _state(saved)
        given = fingerprint(offer.document)
        self.ledger.entries[offer.pair_id] = Entry(
            given, (given if offer.labelled else "",), offer.proposed, offer.size_wh
        )

    def _changed(self) -> Iterator[Path]:
        """Return the label files of pairs that are new or changed since they were read."""
        for path in sorted(self.pictures.glob("*.json")):
            if path.stem in self.pair_ids and _state(path) != self._seen.get(path.name):
                yield path

    def _collect(self, path: Path, final: bool) -> Iterator[Outcome]:
        state, now_s = _state(path), time.time()
        try:
            saved = load_document(path)
        except RuleError:  # Labelme 6 does not write atomically: it may be at it
            if final and path.exists():
                yield self._keep("damaged", path, path.stem)
            return
        entry = self.ledger.entries.get(path.stem, Entry())
        labels_now = fingerprint_file(label_path(self.root, path.stem))
        verdict = judge(entry, saved, labels_now)
        if verdict == "merge":
            yield self._merge(path.stem, entry, saved, labels_now)
        elif verdict == "conflict":
            yield self._keep_conflict(path, entry, saved)
        if now_s - state[0] / 1e9 > _SETTLED_S:
            self._seen[path.name] = state

    def _merge(self, pair_id: str, entry: Entry, saved: dict[str, object], labels_now: str) -> Outcome:
        """Write labels that Labelme saved; the ledger is told before and after, so a kill is harmless."""
        labels = human_labels(entry, saved)
        path = label_path(self.root, pair_id)
        new = not path.exists()
        entry = replace(entry, labels=(labels_now, fingerprint(labels)))
        self.ledger.put(pair_id, entry)
        write_atomically(path, placed(labels, f"../infrared/{pair_id}.png", entry.size_wh))
        self.ledger.put(pair_id, replace(entry, staged=fingerprint(saved)))
        return Outcome("merged", pair_id, path, new)

    def _keep(self, kind: Kind, path: Path, name: str) -> Outcome:
        """Keep a file that cannot be merged, or was removed, beside; a pair's conflict has one file a run."""
        folder = self.folder / ("removed" if kind == "removed" else "conflicts")
        target = self._kept.get(f"{kind} {name}") or _free_name(folder, name)
        try:
            write_atomically(target, path.read_bytes())
            if kind == "removed":
                path.unlink()
        except OSError as error:
            raise disk_error(target, error) from error
        self._kept[f"{kind} {name}"] = target
        return Outcome(kind, name, target)

    def _keep_conflict(self, path: Path, entry: Entry, saved: dict[str, object]) -> Outcome:
        """Keep labels beside whose pair somebody else labelled meanwhile; they open in Labelme from there."""
        outcome = self._keep("conflict", path, path.stem)
        write_atomically(outcome.path, placed(saved, f"../../infrared/{path.stem}.png", entry.size_wh))
        self.ledger.put(path.stem, replace(entry, staged=fingerprint(saved)))
        return outcome

    def _strays(self) -> Iterator[Path]:
        """Return label files that belong to no pair, such as one saved under another name."""
        for path in sorted(self.pictures.rglob("*.json")):
            if path.parent != self.pictures or path.stem not in self.pair_ids:
                yield path


def link_or_copy(source: Path, target: Path) -> None:
    """Give a picture a second name, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _free_name(folder: Path, name: str) -> Path:
    number = 1
    while (folder / f"{name}-{number}.json").exists():
        number += 1
    return folder / f"{name}-{number}.json"


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:  # removed in Labelme this very moment
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
