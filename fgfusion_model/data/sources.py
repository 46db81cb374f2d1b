"""What training reads: one or several folders, each with its layout and its weight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fgfusion_model.data.folder_layout import find_folder_pairs
from fgfusion_model.data.folders import INFRARED, VISIBLE, find_folder
from fgfusion_model.data.m3fd_layout import ANNOTATIONS, find_m3fd_pairs
from fgfusion_model.data.pairs import FoundPairs, LeftOut
from fgfusion_model.data.vircraft_layout import find_dataset_pairs
from vircraft.dataset import MANIFEST
from vircraft.errors import DatasetError, SettingsError

Layout = Literal["auto", "vircraft", "msrs", "m3fd", "folders"]
MOST_WEIGHT = 1000.0


@dataclass(frozen=True)
class Source:
    """One folder to train on."""

    path: Path  # a dataset of vircraft, or a folder with infrared/ and visible/ (or ir/ and vi/) in it
    weight: float = 1.0  # how often each of its pairs comes up in an epoch; 0.5: every second epoch
    layout: Layout = "auto"  # how to read it; auto looks at what is there

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and 0 < self.weight <= MOST_WEIGHT):
            raise SettingsError(
                f"{self.path}: weight is {self.weight}; it is above 0 and at most {MOST_WEIGHT:.0f}"
            )


def parse_source(text: str) -> Source:
    """Read `PATH` or `PATH=WEIGHT`, as the command line takes it.

    Raises:
        SettingsError: the weight is no number above 0.
    """
    path, sign, weight = text.rpartition("=")
    if not sign or Path(text).exists():
        return Source(Path(text))
    try:
        return Source(Path(path), float(weight))
    except ValueError as error:
        raise SettingsError(
            f"{text!r}: {weight!r} is no weight; write a source as PATH or PATH=NUMBER"
        ) from error


def find_pairs(sources: Sequence[Source]) -> list[FoundPairs]:
    """Find the pairs of each source, in the order given.

    Raises:
        DatasetError: a source is not there, has no layout that is known, or holds no pair at all.
        SettingsError: none was given.
    """
    if not sources:
        raise SettingsError("no dataset was given; name at least one folder to train on")
    titles = _titles(sources)
    return [_find(source, titles[k], k) for k, source in enumerate(sources)]


def _find(source: Source, title: str, number: int) -> FoundPairs:
    root, layout = source.path, source.layout
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DatasetError(f"{root}: {what}; give a dataset, or a folder with infrared/ and visible/ in it")
    if layout == "vircraft" or (layout == "auto" and (root / MANIFEST).is_file()):
        found = find_dataset_pairs(root, title, number)
    else:
        root = _with_pictures(root)
        boxes = layout == "m3fd" or (layout == "auto" and find_folder(root, ANNOTATIONS) is not None)
        found = (find_m3fd_pairs if boxes else find_folder_pairs)(root, title, number)
    if not found.pairs:
        raise DatasetError(f"{source.path}: holds no pair to train on{_why(found.left_out)}")
    return found


def _with_pictures(root: Path) -> Path:
    """Return the folder that holds the two: the root itself, or its `train/` as in MSRS."""
    for folder in (root, find_folder(root, ("train",))):
        if folder is not None and find_folder(folder, INFRARED) and find_folder(folder, VISIBLE):
            return folder
    raise DatasetError(
        f"{root}: has no layout that is known; it needs dataset.json, or infrared/ and visible/ (also "
        "ir/ and vi/) with pictures of the same names"
    )


def _why(left_out: Sequence[LeftOut]) -> str:
    return f"; {len(left_out)} left out, the first: {left_out[0].message}" if left_out else ""


def _titles(sources: Sequence[Source]) -> list[str]:
    """Return a short name for each source; a number tells apart those of one folder name."""
    names = [source.path.resolve().name or "source" for source in sources]
    return [f"{name}{k + 1}" if names.count(name) > 1 else name for k, name in enumerate(names)]
