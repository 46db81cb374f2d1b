"""Check every label file of a dataset or folder: the contract's reason, and what is implausible.

Findings are warnings: they never change whether a file is good. A bad file never stops the others.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vircraft.annotation.checking.findings import BOX, Finding
from vircraft.annotation.checking.neighbours import LabelledFrame, find_in_clip
from vircraft.annotation.checking.plausibility import find_in_picture
from vircraft.annotation.checking.sides import View, find_wrong_view, view_of
from vircraft.annotation.documents import LabelFileError, RuleError, load_document
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS
from vircraft.annotation.label_files import LabelFiles, find_label_files, read_each
from vircraft.annotation.label_folder import find_labels
from vircraft.annotation.picture import Annotation, PictureAnnotations
from vircraft.dataset import PAIRS_CSV, Dataset
from vircraft.errors import DatasetError

# A dataset's cameras stand on the ground. In another folder the aircraft themselves tell from where they are
# seen: so many of them clearly, and this share of those at least.
LEAST_USUAL, USUAL_SHARE = 3, 0.8

Outcome = Literal["ok", "skip", "error"]
_Drawn = tuple[str, int | None, bool]  # label, group id, whether it is a rectangle
_NUMBERED = re.compile(
    r"(.*?)[ _.-]?(\d{1,12})"
)  # a frame's name and its number, in a folder that is no dataset


@dataclass(frozen=True)
class CheckedFile:
    """What is to say about one label file.

    Attributes:
        name: relative to the root, with forward slashes.
        outcome: `error` breaks the contract; `skip` is flagged so and not read further.
        reason: the contract's reason code; "" when there is none.
        shape: position of the shape that breaks the contract; None when it is the whole file.
        message: what is wrong and what to do; "" when nothing breaks the contract.
        warnings: what the contract allows but one should know (`clipped`, `no-mask`, ...).
        findings: what is implausible.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    shape: int | None = None
    message: str = ""
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The contract's warnings and the codes of the findings, each once."""
        return tuple(dict.fromkeys((*self.warnings, *(finding.code for finding in self.findings))))


@dataclass(frozen=True)
class CheckReport:
    """What is to say about a dataset or folder.

    Attributes:
        files: in the order of their names.
        pair_count: pairs of the dataset that were not rejected; None where the root is no dataset.
        unlabelled: ids of those that have no label file.
        remarks: what kept a part of the check from being made.
    """

    files: tuple[CheckedFile, ...]
    pair_count: int | None = None
    unlabelled: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def outcomes(self) -> Counter[str]:
        """Number of files by outcome."""
        return Counter(file.outcome for file in self.files)

    @property
    def codes(self) -> Counter[str]:
        """Number of files by reason, warning and finding."""
        counts = Counter(file.reason for file in self.files if file.reason)
        return counts + Counter(code for file in self.files for code in file.all_warnings)


def find_files_to_check(root: Path) -> LabelFiles:
    """Find the label files to check; a dataset may have none yet.

    Raises:
        DatasetError: the root is not there or no folder.
        InputFileError: a folder that is no dataset holds no label file (`no-labels`).
    """
    found = find_label_files(root)
    return find_labels(root) if found.files or not (found.is_dataset or found.unreadable) else found


def check_labels(found: LabelFiles, on_file: Callable[[Path], None] | None = None) -> CheckReport:
    """Check label files.

    Args:
        found: what to check.
        on_file: is called after each file, for a progress bar.
    """
    verdicts, remarks = _verdicts(found)
    work = _Work(found)
    for path, result in read_each(found, on_file):
        work.add(path, result, verdicts)
    work.compare()
    closed = [_closed(found, folder) for folder in found.unreadable]
    usable = {pair for pair, verdict in (verdicts or {}).items() if verdict != "rejected"}
    labelled = {path.stem for path in found.files}
    return CheckReport(
        files=tuple(sorted([*work.checked(), *closed], key=lambda file: file.name)),
        pair_count=None if verdicts is None else len(usable),
        unlabelled=tuple(sorted(usable - labelled)),
        remarks=tuple(remarks),
    )


@dataclass
class _Work:
    """What is kept while the files are read one after the other; no outlines, which would fill the memory."""

    found: LabelFiles
    files: list[tuple[Path, CheckedFile]] = field(default_factory=list)
    findings: dict[int, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    clips: dict[str, list[LabelledFrame]] = field(default_factory=lambda: defaultdict(list))
    pictures: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    views: list[tuple[int, Annotation, View]] = field(default_factory=list)

    def add(
        self,
        path: Path,
        result: PictureAnnotations | LabelFileError,
        verdicts: Mapping[str, str] | None,
    ) -> None:
        """Take in one file."""
        key, name = len(self.files), self.found.name(path)
        found = self.findings[key]
        if verdicts is not None:
            found += _find_pair_gone(path.stem, verdicts)
        if isinstance(result, LabelFileError):
            checked = CheckedFile(name, "error", result.reason, result.shape, result.message)
        elif result.skipped:
            checked = CheckedFile(name, "skip", warnings=result.warnings)
        else:
            checked = CheckedFile(name, "ok", warnings=result.warnings)
            found += [*_find_unfinished(result), *_find_in_crowds(result), *find_in_picture(result)]
            self.pictures[result.file_name].append(key)
            self._add_frame(path, key, name, result)
        self.files.append((path, checked))

    def _add_frame(self, path: Path, key: int, name: str, result: PictureAnnotations) -> None:
        """Keep the points for the comparison with the neighbouring frames."""
        match = _NUMBERED.fullmatch(path.stem)
        single = tuple(
            Annotation(one.group_id, one.box_xyxy, one.area, one.keypoints)  # without its outline
            for one in result.annotations
            if not one.crowd
        )
        self.views += [(key, one, view) for one in single if (view := view_of(one)) is not None]
        if match and single:
            clip = f"{path.parent}/{match[1]}"
            self.clips[clip].append(LabelledFrame(key, path.name, int(match[2]), single))

    def compare(self) -> None:
        """Compare the files with each other."""
        for keys in self.pictures.values():
            for key in keys if len(keys) > 1 else ():
                others = ", ".join(self.files[other][1].name for other in keys[:4] if other != key)
                text = f"{others} names the same picture; keep one of the files"
                self.findings[key].append(Finding("two-files-one-picture", text))
        for frames in self.clips.values():
            for located, finding in find_in_clip(frames):
                assert isinstance(located, int)
                self.findings[located].append(finding)
        expected = 1 if self.found.is_dataset else _usual_side(view for _, _, view in self.views)
        known: dict[int, set[int | None]] = {}
        for key, one, view in self.views if expected else ():
            if key not in known:
                found = self.findings[key]
                known[key] = {f.group_id for f in found if f.code == "left-right-swapped"}
            if one.group_id not in known[key]:
                self.findings[key] += find_wrong_view(one, view, expected)

    def checked(self) -> list[CheckedFile]:
        """Return the files with all that was found; shapes are looked up where something was."""
        return [
            replace(file, findings=_with_shapes(path, self.findings[key])) if self.findings[key] else file
            for key, (path, file) in enumerate(self.files)
        ]


def _usual_side(views: Iterable[View]) -> int:
    """Return 1 where nearly all aircraft are seen from below, -1 from above, 0 where nothing is usual."""
    sides = Counter(view.side for view in views)
    clear = sides[1] + sides[-1]
    for side in (1, -1):
        if sides[side] >= LEAST_USUAL and sides[side] >= USUAL_SHARE * clear:
            return side
    return 0


def _find_unfinished(labels: PictureAnnotations) -> list[Finding]:
    if labels.proposed:
        text = "the labels are a proposal; look at them and take away the flag 'proposed'"
        return [Finding("not-confirmed", text)]
    if labels.annotations or labels.flags.get("reviewed"):
        return []
    text = (
        "nothing is labelled; label it, flag it 'reviewed' if there is no aircraft, or 'skip' to leave it out"
    )
    return [Finding("no-labels", text)]


def _find_pair_gone(pair_id: str, verdicts: Mapping[str, str]) -> list[Finding]:
    verdict = verdicts.get(pair_id)
    if verdict is None:
        return [Finding("pair-gone", f"the dataset has no pair {pair_id}; rename the file or move it away")]
    if verdict == "rejected":
        text = (
            "its pair was rejected, so it has no registered picture; move the labels away or register again"
        )
        return [Finding("pair-rejected", text)]
    return []


def _find_in_crowds(labels: PictureAnnotations) -> list[Finding]:
    """Find keypoints that a crowd carries; the reader has dropped them, so the file is asked again."""
    crowds = [one for one in labels.annotations if one.crowd and len(one.shapes) > 1]
    if not crowds:
        return []
    shapes = _shapes(labels.path)
    findings = []
    for crowd in crowds:
        numbers = [n for n in crowd.shapes if n < len(shapes) and shapes[n].get("label") in KEYPOINTS]
        if numbers:
            text = (
                f"the crowd has {len(numbers)} keypoints, which are dropped; take away the flag 'crowd' from "
                "a single aircraft, or delete the points"
            )
            label = str(shapes[numbers[0]]["label"])
            findings.append(Finding("keypoints-in-crowd", text, crowd.group_id, label, numbers[0]))
    return findings


def _with_shapes(path: Path, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Say at which position in the file the shape of each finding is."""
    found = list(findings)
    if not any(f.label and f.shape is None for f in found):
        return tuple(found)
    places = _places(_shapes(path))
    return tuple(f if f.shape is not None else replace(f, shape=_position(places, f)) for f in found)


def _shapes(path: Path) -> list[dict[str, Any]]:
    """Return the shapes of a file that was read before; none when it has changed since."""
    try:
        shapes = load_document(path).get("shapes")
    except RuleError:
        return []
    good = isinstance(shapes, list) and all(isinstance(shape, dict) for shape in shapes)
    return shapes if good else []  # type: ignore[return-value]


def _places(shapes: Sequence[Mapping[str, Any]]) -> dict[_Drawn, int]:
    """Return the position of the first shape of each label and group, rectangles and others apart."""
    places: dict[_Drawn, int] = {}
    for number, shape in enumerate(shapes):
        label, group_id = shape.get("label"), shape.get("group_id")
        if isinstance(label, str) and isinstance(
            group_id, int | None
        ):  # else it has changed since it was read
            places.setdefault((label, group_id, shape.get("shape_type") == "rectangle"), number)
    return places


def _position(places: Mapping[_Drawn, int], finding: Finding) -> int | None:
    """Return where the shape of a finding is; the outline stands for a box that is not drawn."""
    is_box = finding.label == BOX
    label = AIRCRAFT if is_box else finding.label
    wanted = places.get((label, finding.group_id, is_box))
    return places.get((label, finding.group_id, not is_box)) if wanted is None else wanted


def _verdicts(found: LabelFiles) -> tuple[dict[str, str] | None, list[str]]:
    """Return each pair's verdict, from `pairs.csv` or the journals; None if there is no dataset."""
    if not found.is_dataset:
        return None, []
    try:
        with (found.root / PAIRS_CSV).open(encoding="utf-8", newline="") as file:
            return {row["id"]: row["verdict"] for row in csv.DictReader(file)}, []
    except (OSError, KeyError, ValueError, csv.Error):
        pass
    try:
        return {pair.id: pair.verdict for pair in Dataset.open(found.root).pairs()}, []
    except DatasetError as error:
        return None, [f"labels are not compared with the pairs: {error}"]


def _closed(found: LabelFiles, folder: Path) -> CheckedFile:
    text = "the folder cannot be listed; make it readable"
    return CheckedFile(found.name(folder), "error", "unreadable", message=text)
