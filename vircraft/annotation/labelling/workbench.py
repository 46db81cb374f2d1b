"""`DATASET/annotate/`: the folder that Labelme works in, and the way from there into `labels/`.

Labelme must not work in the dataset itself: it cannot open 16-bit pictures, both pictures of a pair would
share one file, and with a file there it shows the picture that the file names. So it gets a folder of its own
with the pictures to draw on and copies of the labels. What it saves is merged into `labels/` while it runs.

A run that is killed leaves the folder behind; the next one merges it first. Nothing that was drawn is lost,
and nothing is removed that no run has put there.
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

from vircraft.annotation.documents import RuleError
from vircraft.annotation.eight_bit import eight_bit_png
from vircraft.annotation.labelling.folders import (
    CONFLICTS,
    FOLDER,
    PICTURES,
    REMOVED,
    check_folders,
    free_name,
)
from vircraft.annotation.labelling.merging import (
    Entry,
    Ledger,
    fingerprint,
    fingerprint_file,
    human_labels,
    judge,
    load_labels,
    placed,
)
from vircraft.annotation.labelling.offers import LeftOut, Offer
from vircraft.annotation.second_names import link_or_copy
from vircraft.dataset import Dataset, label_path
from vircraft.errors import PictureError
from vircraft.files import TEMPORARY_SUFFIX, disk_error, write_atomically

_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file managers leave in any folder
_SETTLED_S = 2.0  # a file this old when it was read cannot have changed within the same tick of the clock

Kind = Literal["merged", "conflict", "damaged", "stray", "removed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file of Labelme's folder.

    Attributes:
        kind: `merged` into labels/; kept beside because of a `conflict` with labels that somebody else wrote
            meanwhile, because it is `damaged`, or a `stray` that belongs to no pair or was not put there by a
            run; `removed` in Labelme.
        name: the pair, or the name of a stray.
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
    _given: frozenset[str] = frozenset()  # pairs whose files a run has put there
    _ours: bool = False  # the folder has our ledger

    @classmethod
    def open(cls, dataset: Dataset) -> Workbench:
        """Open the folder as it is: empty, or as a killed run left it.

        Raises:
            DatasetError: as `check_folders`, or the ledger or a journal is damaged.
        """
        check_folders(dataset.root)
        ids = frozenset(record.id for record in dataset.pairs())
        ledger = Ledger.read(dataset.root / FOLDER / "staged.jsonl")
        given = frozenset(ledger.entries)
        return cls(dataset.root, ids, ledger, _given=given, _ours=ledger.path.exists())

    @property
    def folder(self) -> Path:
        """Return `DATASET/annotate`."""
        return self.root / FOLDER

    @property
    def pictures(self) -> Path:
        """Return the folder that Labelme opens and saves in."""
        return self.folder / PICTURES

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
            self.ledger.write()  # without a torn last line, so that lines can follow
            outcomes = self.collect(final=True, left_behind=True)
        return outcomes + self.clear()

    def stage(
        self, offers: Iterable[Offer], on_staged: Callable[[Offer], object] = lambda offer: None
    ) -> tuple[list[Offer], list[LeftOut]]:
        """Fill the folder.

        Returns:
            The offers that are in it, and the pairs whose picture cannot be decoded.

        Raises:
            DatasetError: the disk is full or read-only.
        """
        offers = list(offers)
        self._given, self._ours = frozenset(offer.pair_id for offer in offers), True
        # First, so that a run that is killed now leaves a folder that is known as ours
        self.ledger.entries = {offer.pair_id: Entry() for offer in offers}
        self.ledger.write()
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
        self.ledger.write()  # without what it holds now, a later run knows that Labelme never started
        return staged, left_out

    def collect(self, *, final: bool = False, left_behind: bool = False) -> list[Outcome]:
        """Merge what was saved since the last call.

        Args:
            final: nothing writes any more: what cannot be read now is damaged.
            left_behind: by a killed run: copies that `labels/` does not have are kept.

        Raises:
            DatasetError: the disk is full or read-only; the next call tries again.
        """
        return [outcome for path in self._changed() for outcome in self._collect(path, final, left_behind)]

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

    def clear(self) -> list[Outcome]:
        """Remove what runs have put into the folder; move beside what else is in it.

        Everything must have been collected.

        Returns:
            What was moved.

        Raises:
            DatasetError: the disk is read-only.
        """
        try:
            inside = sorted(self.pictures.iterdir()) if self.pictures.is_dir() else []
            outcomes = [
                outcome for path in (*inside, self.config, self.log) for outcome in self._take_out(path)
            ]
            if self.pictures.is_dir():
                self.pictures.rmdir()
            self.ledger.path.unlink(missing_ok=True)  # last: it says that the rest is ours
        except OSError as error:
            raise disk_error(self.folder, error) from error
        self.ledger = Ledger(self.ledger.path)
        self._seen.clear()
        self._given, self._ours = frozenset(), False
        with suppress(OSError):  # not there, or something is in it
            self.folder.rmdir()
        return outcomes

    def _take_out(self, path: Path) -> Iterator[Outcome]:
        if self._can_go(path):
            path.unlink(missing_ok=True)
        elif os.path.lexists(path):
            yield self._keep("stray", path, path.stem if path.suffix == ".json" else path.name)

    def _can_go(self, path: Path) -> bool:
        """Say whether a file came from a run and nothing that was drawn is lost with it."""
        if path in (self.config, self.log):
            return self._ours
        if path.is_symlink() or not path.is_file():
            return False
        if path.suffix == ".json" and path.stem in self.pair_ids:
            if path.stem in self._given or path.stem in self._kept:
                return True
            return fingerprint_file(path) == fingerprint_file(label_path(self.root, path.stem))
        name = path.name
        if name.endswith(f".png{TEMPORARY_SUFFIX}"):  # its run was killed as it put a picture there
            name = name.removeprefix(".").removesuffix(TEMPORARY_SUFFIX)
        return name in _LITTER or (name.endswith(".png") and name.removesuffix(".png") in self._given)

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

    def _collect(self, path: Path, final: bool, left_behind: bool) -> Iterator[Outcome]:
        state, now_s = _state(path), time.time()
        try:
            saved = load_labels(path)
        except RuleError:  # Labelme 6 does not write atomically: it may be at it
            if final and path.exists():
                yield self._keep("damaged", path, path.stem)
            return
        entry = self.ledger.entries.get(path.stem, Entry())
        labels_now = fingerprint_file(label_path(self.root, path.stem))
        verdict = judge(entry, saved, labels_now, left_behind=left_behind)
        if verdict == "merge":
            yield self._merge(path.stem, entry, saved, labels_now)
        elif verdict == "conflict":
            yield self._keep_conflict(path, entry, saved)
        if now_s - state[0] / 1e9 > _SETTLED_S:
            self._seen[path.name] = state

    def _merge(self, pair_id: str, entry: Entry, saved: dict[str, object], labels_now: str) -> Outcome:
        """Write labels that Labelme saved; the ledger is told before and after, so a kill is harmless.

        They are on the disk before the ledger says so: after a power cut it would be believed.
        """
        labels = human_labels(entry, saved)
        path = label_path(self.root, pair_id)
        new = not path.exists()
        entry = replace(entry, labels=(labels_now, fingerprint(labels)))
        self.ledger.put(pair_id, entry)
        content = placed(labels, f"../infrared/{pair_id}.png", entry.size_wh)
        write_atomically(path, content, durable=True)
        self.ledger.put(pair_id, replace(entry, staged=fingerprint(saved)))
        return Outcome("merged", pair_id, path, new)

    def _keep(self, kind: Kind, path: Path, name: str) -> Outcome:
        """Move what cannot be merged, or was removed, beside."""
        target = free_name(self.folder / (REMOVED if kind == "removed" else CONFLICTS), path.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        except OSError as error:
            raise disk_error(target, error) from error
        return Outcome(kind, name, target)

    def _keep_conflict(self, path: Path, entry: Entry, saved: dict[str, object]) -> Outcome:
        """Keep labels beside whose pair somebody else labelled meanwhile; they open in Labelme from there.

        A pair has one such file a run.
        """
        pair_id = path.stem
        target = self._kept.get(pair_id) or free_name(self.folder / CONFLICTS, path.name)
        content = placed(saved, f"../../infrared/{pair_id}.png", entry.size_wh)
        write_atomically(target, content, durable=True)
        self._kept[pair_id] = target
        self.ledger.put(pair_id, replace(entry, staged=fingerprint(saved)))
        return Outcome("conflict", pair_id, target)


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:  # removed in Labelme this very moment
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
