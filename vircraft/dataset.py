"""The dataset on disk: its layout, its manifest, its journals, and `pairs.csv` as a view of them.

Everything inside is relative to the folder, so that it can be moved. `docs/formats.md` describes the files.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vircraft import __version__
from vircraft.errors import DatasetError
from vircraft.files import disk_error, hash_file, write_atomically
from vircraft.journal import Journal, PairRecord, read_journal
from vircraft.locks import FileLock

FORMAT_VERSION = 1
MANIFEST = "dataset.json"
LOCK = "dataset.lock"
PAIRS_CSV = "pairs.csv"
H_COLUMNS = tuple(f"h{row}{column}" for row in range(3) for column in range(3))
PAIR_COLUMNS = (
    *("id", "clip", "infrared_index", "visible_index", "infrared_time_s", "visible_time_s"),
    *("verdict", "reason", "predicted_error_px", *H_COLUMNS),
    *(
        "predicted_region_error_px",
        "tick",
        "infrared_width",
        "infrared_height",
        "visible_width",
        "visible_height",
    ),
    *("model", "probability", "score", "coarse_score", "inliers", "residual_px"),
    *("offset_frames", "sync_source", "sync_confidence"),
)
_SOFTWARE = ("numpy", "opencv-contrib-python-headless", "av")


@dataclass(frozen=True)
class Dataset:
    """A dataset folder.

    Attributes:
        root: the folder.
        name: what it was called when it was made.
        settings: the settings of the latest job, as plain values.
        software: versions of what made it.
    """

    root: Path
    name: str
    settings: dict[str, Any]
    software: dict[str, str]

    @classmethod
    def open(cls, root: Path) -> Dataset:
        """Open an existing dataset.

        Raises:
            DatasetError: there is none, or it is damaged or of a newer format.
        """
        path = root / MANIFEST
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            what = "is no vircraft dataset (no dataset.json)" if root.exists() else "does not exist"
            advice = "name the folder that 'vircraft register CLIPS -o DATASET' made"
            above = next((p for p in root.resolve().parents[:2] if (p / MANIFEST).is_file()), None)
            if above is not None:
                advice = f"name the dataset that it belongs to: {above}"
            raise DatasetError(f"{root}: {what}; {advice}") from error
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: cannot be read: {error}") from error
        version = values.get("format_version") if isinstance(values, dict) else None
        if not isinstance(version, int):
            raise DatasetError(f"{path}: has no format_version; it is no dataset of vircraft")
        if version > FORMAT_VERSION:
            raise DatasetError(
                f"{path}: format version {version}, this vircraft {__version__} knows up to "
                f"{FORMAT_VERSION}; install a newer one"
            )
        return cls(root, str(values["name"]), dict(values["settings"]), dict(values["software"]))

    def write_manifest(self) -> None:
        """Write `dataset.json`, unless it already says the same."""
        values = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "settings": self.settings,
            "software": self.software,
        }
        content = (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
        path = self.root / MANIFEST
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)

    def journals(self, on_damage: Callable[[DatasetError], None] | None = None) -> Iterator[Journal]:
        """Read the journals of all clips, by name.

        Args:
            on_damage: takes the error of a damaged journal, which is then left out.

        Raises:
            DatasetError: a journal is damaged before its last line, and `on_damage` is not given.
        """
        for path in sorted((self.root / "journal").glob("*.jsonl")):
            if path.name.startswith("."):
                continue
            try:
                journal = read_journal(path)
            except DatasetError as error:
                if on_damage is None:
                    raise
                on_damage(error)
            else:
                yield journal

    def pairs(self) -> Iterator[PairRecord]:
        """Return the records of all pairs, by clip and time."""
        for journal in self.journals():
            yield from journal.pairs

    def pair(self, pair_id: str) -> PairRecord:
        """Return the record of one pair.

        Raises:
            DatasetError: there is no such pair.
        """
        clip = pair_id.rpartition("_")[0]
        for record in read_journal(journal_path(self.root, clip)).pairs if clip else ():
            if record.id == pair_id:
                return record
        raise DatasetError(f"{self.root}: has no pair {pair_id!r}; pairs.csv lists them")


def journal_path(root: Path, clip: str) -> Path:
    """Return where the journal of a clip is."""
    return root / "journal" / f"{clip}.jsonl"


def picture_path(root: Path, modality: str, pair_id: str) -> Path:
    """Return where the `infrared` or `visible` picture of a pair is."""
    return root / modality / f"{pair_id}.png"


def label_path(root: Path, pair_id: str) -> Path:
    """Return where the labels of a pair are."""
    return root / "labels" / f"{pair_id}.json"


def lock_dataset(root: Path) -> FileLock:
    """Return the lock on a dataset: one job at a time writes to it."""
    return FileLock(root / LOCK, f"dataset {root}", wait_s=0.5)


def lock_clip(root: Path, clip: str) -> FileLock:
    """Return the lock on a clip: a worker that outlives its job for a moment must not meet the next job's."""
    return FileLock(root / "journal" / f"{clip}.lock", f"clip {clip} of dataset {root}", wait_s=30.0)


def prepare_folder(root: Path) -> None:
    """Make the folder of a dataset, or accept one that holds a dataset or nothing.

    Raises:
        DatasetError: it is a file, holds something else, or cannot be made.
    """
    try:
        if root.exists() and not root.is_dir():
            raise DatasetError(f"{root}: is a file; give the dataset a folder of its own")
        root.mkdir(parents=True, exist_ok=True)
        strange = sorted(p.name for p in root.iterdir() if not p.name.endswith((".lock", ".tmp", ".log")))
    except OSError as error:
        raise disk_error(root, error) from error
    if strange and not (root / MANIFEST).is_file():
        raise DatasetError(
            f"{root}: is not empty ({strange[0]}, ...) and no vircraft dataset; choose a new or empty folder"
        )


def clip_files(clip: str, suffix: str) -> re.Pattern[str]:
    """Return a pattern for the names of a clip's files, which another clip's name never matches."""
    return re.compile(re.escape(clip) + r"_\d{6,}" + re.escape(suffix))


def files_match(root: Path, record: PairRecord) -> bool:
    """Say whether the files of a pair are there, unchanged."""
    return all(hash_file(root / path) == digest for path, digest in record.files.items())


def write_pairs_csv(dataset: Dataset) -> None:
    """Write `pairs.csv` from the journals; what stands in a damaged journal is left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PAIR_COLUMNS)
    for journal in dataset.journals(on_damage=lambda error: None):
        writer.writerows(csv_row(record) for record in journal.pairs)
    content = text.getvalue().encode()
    path = dataset.root / PAIRS_CSV
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)


def csv_row(record: PairRecord) -> list[Any]:
    """Return a pair as the cells of PAIR_COLUMNS; unknown numbers are empty."""
    h = [None] * 9 if record.h_ir_from_vis is None else [cell for row in record.h_ir_from_vis for cell in row]
    sync = record.sync
    return [
        *(record.id, record.clip, record.infrared_index, record.visible_index),
        *(record.infrared_time_s, record.visible_time_s),
        *(record.verdict, record.reason, record.predicted_error_px, *h),
        *(record.predicted_region_error_px, record.tick, *record.infrared_wh, *record.visible_wh),
        *(record.model, record.probability, record.score, record.coarse_score),
        *(record.inliers, record.residual_px),
        *(sync.get("offset_frames"), sync.get("source"), sync.get("confidence")),
    ]


def software_versions() -> dict[str, str]:
    """Return the versions of what decides a dataset's bytes."""
    versions = {"vircraft": __version__, "python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # such as another build of OpenCV
            versions[name] = "unknown"
    return versions
