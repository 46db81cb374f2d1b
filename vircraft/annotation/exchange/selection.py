"""What an export takes: label files read by the rules, chosen, and assigned to splits by clip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vircraft.annotation.documents import LabelFileError, RuleError
from vircraft.annotation.exchange.splits import DEFAULT_RATIOS, check_splits, make_splits, read_splits
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.label_files import LabelFiles, find_label_files, read_each
from vircraft.annotation.picture import PROPOSED, PictureAnnotations
from vircraft.annotation.pictures import PictureFinder
from vircraft.errors import DatasetError, SettingsError

ALL = "all"  # the one split of a folder that is no dataset
Modality = Literal["infrared", "visible"]


@dataclass(frozen=True)
class ExportSettings:
    """What decides an export beside the labels; stored in the `info` of what is written.

    Attributes:
        ratios: split -> share of the clips.
        seed: of the split.
        splits_file: says which clip belongs to which split, instead of ratios and seed.
        sigmas: OKS sigma by keypoint, where it was measured.
        on: the pictures of a dataset that `file_name` names.
        proposals: take labels that were proposed and that nobody has confirmed.
    """

    ratios: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_RATIOS))
    seed: int = 0
    splits_file: Path | None = None
    sigmas: Mapping[str, float] = field(default_factory=dict)
    on: Modality = "infrared"
    proposals: bool = False

    def __post_init__(self) -> None:
        for name, sigma in self.sigmas.items():
            if name not in KEYPOINTS:
                raise SettingsError(f"sigma of {name!r}: there is no such keypoint; {', '.join(KEYPOINTS)}")
            if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma < float("inf"):
                raise SettingsError(f"the sigma of {name} is {sigma!r}; it must be a number above 0")


@dataclass(frozen=True)
class LabelledPicture:
    """One picture of an export.

    Attributes:
        label_file: relative to the root, with forward slashes.
        clip: "" where the root is no dataset.
        split: where it goes.
        found: what its labels say; `file_name` is the picture of the chosen modality.
    """

    label_file: str
    clip: str
    split: str
    found: PictureAnnotations


@dataclass(frozen=True)
class Selection:
    """What was found.

    Attributes:
        root: the dataset or folder.
        is_dataset: whether it is a dataset.
        pictures: sorted by label file.
        clips: clip -> split, of all clips of the dataset.
        splits: names of all splits, also empty ones.
        failures: files that break a rule; they are left out.
        skipped: number of files flagged `skip`.
        proposed: number of files left out because nobody has confirmed them.
        warnings: name -> number of files.
    """

    root: Path
    is_dataset: bool
    pictures: tuple[LabelledPicture, ...]
    clips: Mapping[str, str]
    splits: tuple[str, ...]
    failures: tuple[LabelFileError, ...]
    skipped: int
    proposed: int
    warnings: Mapping[str, int]

    def of(self, split: str) -> list[LabelledPicture]:
        """Return the pictures of a split."""
        return [picture for picture in self.pictures if picture.split == split]


def read_sigmas(path: Path) -> dict[str, float]:
    """Read OKS sigmas by keypoint, as `vircraft sigmas` writes them: `{"Head": 0.03, ...}`.

    Raises:
        SettingsError: it cannot be read or is no such object; `ExportSettings` checks the values.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f'{path}: must be an object of keypoints and sigmas, such as {{"Head": 0.03}}')
    return values


def select(
    root: Path,
    settings: ExportSettings,
    *,
    known_splits: Mapping[str, str] | None = None,
    strict: bool = False,
    on_file: Callable[[int, int], None] | None = None,
) -> Selection:
    """Read the labels of a dataset or folder.

    Args:
        root: what `find_label_files` takes.
        settings: what to take.
        known_splits: clip -> split of an earlier export, which is kept; new clips fill up.
        strict: raise the first broken rule instead of leaving the file out.
        on_file: is called with the number of files read and their total.

    Raises:
        LabelFileError: a file breaks a rule, with `strict`.
        SettingsError: the splits do not fit the clips.
        DatasetError: the root is no folder.
    """
    label_files = find_label_files(root)
    if not label_files.files and not label_files.unreadable and not label_files.is_dataset:
        raise DatasetError(f"{root}: holds no Labelme file (*.json); name the folder that does")
    finder = PictureFinder(root)
    taken: list[tuple[Path, PictureAnnotations]] = []
    failures = [
        LabelFileError("cannot be listed; make it readable, or move it away", path=path)
        for path in label_files.unreadable
    ]
    if strict and failures:
        raise failures[0]
    counts: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    for done, (path, result) in enumerate(read_each(label_files), 1):
        if on_file is not None:
            on_file(done, len(label_files.files))
        if isinstance(result, LabelFileError):
            if strict:
                raise result
            failures.append(result)
        elif result.skipped:
            counts["skip"] += 1
        elif result.proposed and not settings.proposals:
            counts[PROPOSED] += 1
        else:
            try:
                taken.append((path, _on(label_files, finder, path, result, settings.on)))
            except LabelFileError as error:
                if strict:
                    raise
                failures.append(error)
            else:
                warnings.update(result.warnings)
    assigned = _assign(label_files, [path for path, _ in taken], settings, known_splits)
    return Selection(
        root=root,
        is_dataset=label_files.is_dataset,
        pictures=tuple(
            LabelledPicture(
                label_files.name(path), label_files.clip(path), assigned[label_files.clip(path)], found
            )
            for path, found in taken
        ),
        clips=assigned,
        splits=_names(assigned, settings) if label_files.is_dataset else (ALL,),
        failures=tuple(failures),
        skipped=counts["skip"],
        proposed=counts[PROPOSED],
        warnings=dict(warnings),
    )


def _assign(
    label_files: LabelFiles,
    paths: list[Path],
    settings: ExportSettings,
    known: Mapping[str, str] | None,
) -> dict[str, str]:
    """Return clip -> split, over all clips of the dataset, so that labelling one more moves none."""
    if not label_files.is_dataset:
        return {"": ALL}
    clips = {label_files.clip(path) for path in paths}
    if settings.splits_file is None:
        return make_splits(clips | label_files.all_clips(), settings.ratios, settings.seed, known)
    splits = read_splits(settings.splits_file)
    check_splits(splits, clips, settings.splits_file, label_files.all_clips())
    return splits


def _names(assigned: Mapping[str, str], settings: ExportSettings) -> tuple[str, ...]:
    if settings.splits_file is not None:
        return tuple(dict.fromkeys(assigned.values()))
    return tuple(name for name, ratio in settings.ratios.items() if ratio > 0)


def _on(
    label_files: LabelFiles, finder: PictureFinder, path: Path, found: PictureAnnotations, on: Modality
) -> PictureAnnotations:
    """Let a dataset's labels name the chosen picture of their pair, whichever they were drawn on."""
    file_name = f"{on}/{path.stem}.png"
    if not label_files.is_dataset or found.file_name == file_name:
        return found
    try:
        picture = finder.find(label_files.root, file_name)
        if picture.size_wh != found.size_wh:
            raise RuleError(
                "size-mismatch",
                f"{file_name} is {picture.size_wh[0]}x{picture.size_wh[1]}, but {found.file_name}, "
                f"which was labelled, {found.size_wh[0]}x{found.size_wh[1]}; register the clip again",
            )
    except RuleError as error:
        raise LabelFileError(error.message, path=path, reason=error.reason) from error
    return replace(found, file_name=picture.file_name)
