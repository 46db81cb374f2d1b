"""What the report shows of a dataset, gathered from its journals and from the files that are there."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vircraft.annotation.labelme import LabelFileError, read_labels
from vircraft.dataset import Dataset, label_path
from vircraft.errors import DatasetError
from vircraft.journal import FailureRecord, Journal, PairRecord, read_journal
from vircraft.report.media import MEDIA, media_path
from vircraft.report.overlay import labels_svg

VERDICT_ORDER = ("rejected", "coarse_only", "accepted", "human")


@dataclass(frozen=True)
class PairView:
    """One pair with the pictures that exist of it.

    Attributes:
        record: from the journal.
        infrared, visible, edges: addresses relative to the report's folder, "" where there is no picture.
            `visible` is registered unless the pair was rejected.
        labelled: it has a label file.
        labels: what that says, as an SVG over the picture; "" when there is none or it cannot be read.
    """

    record: PairRecord
    infrared: str = ""
    visible: str = ""
    edges: str = ""
    labelled: bool = False
    labels: str = ""

    @property
    def registered(self) -> bool:
        """Say whether the visible picture lies on the infrared grid."""
        return self.record.verdict != "rejected"


@dataclass(frozen=True)
class ClipView:
    """One clip.

    Attributes:
        name: as in the journal.
        page: its page, relative to the report's folder, not yet quoted for an address.
        journal: what was read.
        pairs: in time order.
    """

    name: str
    page: str
    journal: Journal
    pairs: tuple[PairView, ...]

    @property
    def doubtful_first(self) -> tuple[PairView, ...]:
        """Return the pairs with those first that a person should look at."""
        return tuple(sorted(self.pairs, key=doubt))

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of pairs by verdict, worst verdict first, absent ones left out."""
        return count_verdicts(self.pairs)

    @property
    def median_error_px(self) -> float | None:
        """Return the median predicted error of the pairs that have one."""
        return median([p.record.predicted_error_px for p in self.pairs])

    @property
    def median_region_error_px(self) -> float | None:
        """Return the median predicted error over the structure that both pictures show."""
        return median([p.record.predicted_region_error_px for p in self.pairs])

    @property
    def sync(self) -> Mapping[str, Any]:
        """Return what synchronisation decided."""
        return self.journal.clip.sync if self.journal.clip else {}

    @property
    def skipped(self) -> dict[str, int]:
        """Return the ticks that gave no pair, by reason."""
        plan = self.journal.clip.plan if self.journal.clip else {}
        return {str(reason): int(count) for reason, count in table_of(plan, "skipped").items()}

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what is odd about the files and about their clocks, each once."""
        probe = self.journal.clip.probe if self.journal.clip else {}
        groups = [probe.get("remarks"), *(table_of(probe, k).get("remarks") for k in ("infrared", "visible"))]
        groups.append(self.sync.get("remarks"))
        return tuple(dict.fromkeys(_remark(remark) for group in groups for remark in group or ()))

    @property
    def unfinished(self) -> bool:
        """Say whether the job stopped before the clip was done."""
        return not self.journal.complete and not self.journal.failed


@dataclass(frozen=True)
class DatasetView:
    """The whole dataset.

    Attributes:
        dataset: name, settings and versions.
        clips: that have a clip record, by name.
        failures: of clips and of frames, in the order of the journals.
    """

    dataset: Dataset
    clips: tuple[ClipView, ...]
    failures: tuple[FailureRecord, ...]

    @property
    def name(self) -> str:
        """Return the name of the dataset."""
        return self.dataset.name

    @property
    def pairs(self) -> tuple[PairView, ...]:
        """Return the pairs of all clips."""
        return tuple(pair for clip in self.clips for pair in clip.pairs)

    @property
    def reasons(self) -> list[tuple[str, str, int]]:
        """Return (verdict, reason, count), worst verdict first, then the most frequent."""
        counts = Counter((p.record.verdict, p.record.reason) for p in self.pairs)
        rank = {verdict: n for n, verdict in enumerate(VERDICT_ORDER)}
        rows = [(verdict, reason, n) for (verdict, reason), n in counts.items()]
        return sorted(rows, key=lambda row: (rank[row[0]], -row[2], row[1]))

    @property
    def skipped(self) -> dict[str, int]:
        """Return the ticks of all clips that gave no pair, by reason."""
        total: Counter[str] = Counter()
        for clip in self.clips:
            total.update(clip.skipped)
        return dict(total.most_common())


def doubt(pair: PairView) -> tuple[float, ...]:
    """Return a sort key that puts the pair to look at first: rejected, large error, low probability, time."""
    record = pair.record
    error = record.predicted_error_px
    return (
        0 if record.verdict == "rejected" else 1,
        0.0 if record.verdict == "rejected" else -(math.inf if error is None else round(error, 2)),
        record.probability,
        record.tick,
    )


def count_verdicts(pairs: tuple[PairView, ...]) -> dict[str, int]:
    """Return the number of pairs by verdict, worst verdict first."""
    counts: Counter[str] = Counter(p.record.verdict for p in pairs)
    return {verdict: counts[verdict] for verdict in VERDICT_ORDER if counts[verdict]}


def median(values: list[float | None]) -> float | None:
    """Return the median of the values that there are."""
    known = sorted(v for v in values if v is not None)
    if not known:
        return None
    return (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2


def read_dataset_view(root: Path) -> DatasetView:
    """Read the journals of a dataset and look which pictures exist.

    A journal that is damaged becomes a failure of its clip; the others are shown all the same.

    Raises:
        DatasetError: there is no dataset in the folder, or its manifest is damaged.
    """
    dataset = Dataset.open(root)
    there = {f: _names(root / f) for f in ("infrared", "visible", "labels", f"report/{MEDIA}")}
    clips, failures = [], []
    for path in sorted((root / "journal").glob("[!.]*.jsonl")):
        try:
            journal = read_journal(path)
        except DatasetError as error:
            failures.append(
                FailureRecord(path.stem, "damaged-journal", str(error), file=f"journal/{path.name}")
            )
            continue
        failures += journal.failures
        if journal.clip is not None:
            name = journal.clip.clip
            pairs = tuple(_pair_view(root, record, there) for record in journal.pairs)
            clips.append(ClipView(name, f"clips/{page_stem(name)}.html", journal, pairs))
    return DatasetView(dataset, tuple(clips), tuple(failures))


def page_stem(name: str) -> str:
    """Return a file name for a clip's page: the clip's own where that is harmless in every address."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:100]
    if plain == name and plain.strip("."):
        return name
    return f"{plain.strip('.')}-{hashlib.blake2b(name.encode(errors='replace'), digest_size=4).hexdigest()}"


def _pair_view(root: Path, record: PairRecord, there: Mapping[str, frozenset[str]]) -> PairView:
    png = f"{record.id}.png"

    def address(kind: str) -> str:
        own = media_path(root, record.id, kind).name
        if own in there[f"report/{MEDIA}"]:
            return quote(f"{MEDIA}/{own}")
        if kind in there and png in there[kind] and record.verdict != "rejected":
            return quote(f"../{kind}/{png}")
        return ""

    labelled = f"{record.id}.json" in there["labels"]
    labels = _labels(label_path(root, record.id)) if labelled else ""
    return PairView(record, address("infrared"), address("visible"), address("edges"), labelled, labels)


def _labels(path: Path) -> str:
    try:
        return labels_svg(read_labels(path))
    except (LabelFileError, OSError):  # the tag says that there is a file; 'show' says what is wrong with it
        return ""


def _names(folder: Path) -> frozenset[str]:
    return frozenset(p.name for p in folder.iterdir()) if folder.is_dir() else frozenset()


def _remark(remark: Any) -> str:
    """Return a remark's message, with the file that it is about before it."""
    if not isinstance(remark, Mapping):
        return str(remark)
    message = str(remark.get("message", ""))
    name = Path(str(remark.get("path") or "")).name
    return message if not name or name in message else f"{name}: {message}"


def table_of(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a nested table of a record, {} where there is none."""
    table = values.get(key)
    return table if isinstance(table, Mapping) else {}
