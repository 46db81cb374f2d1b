"""Find the pairs to fuse: those of a dataset, of two folders matched by name, or two files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fgfusion_model.data.folders import INFRARED, SUFFIXES, VISIBLE, find_folder
from vircraft.clips import VIDEO_SUFFIXES, modality_of
from vircraft.dataset import MANIFEST, Dataset, picture_path
from vircraft.errors import DatasetError, InputFileError
from vircraft.journal import PairRecord

PICTURE_SUFFIXES = SUFFIXES | {".pgm", ".ppm", ".jp2", ".tif", ".tiff"}


@dataclass(frozen=True)
class PicturePair:
    """Two registered pictures of one size.

    Attributes:
        name: of the fused picture, without suffix: the infrared file's.
        infrared, visible: the files.
    """

    name: str
    infrared: Path
    visible: Path


@dataclass(frozen=True)
class PairFailure:
    """A pair that could not be fused.

    Attributes:
        name: of the pair, or of the file without a partner.
        reason: short stable code: `unpaired`, `ambiguous`, `size-mismatch`, `unreadable`, ...
        message: what was wrong, where, and what to try next.
    """

    name: str
    reason: str
    message: str


@dataclass(frozen=True)
class FoundPictures:
    """What there is to fuse, and what cannot be.

    Attributes:
        pairs: by name.
        failures: files without a partner or with too many.
    """

    pairs: tuple[PicturePair, ...]
    failures: tuple[PairFailure, ...] = ()


def is_video(path: Path) -> bool:
    """Tell from its name whether a file is a video."""
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES and suffix not in PICTURE_SUFFIXES


def find_dataset_pairs(root: Path) -> FoundPictures:
    """Find the pairs of a dataset of `vircraft register`, or of a folder with a folder for each modality.

    Raises:
        DatasetError: it is neither, or the dataset is damaged as a whole.
        InputFileError: the folders hold no picture.
    """
    failures: list[PairFailure] = []
    is_dataset = (root / MANIFEST).is_file()
    pairs = tuple(_registered(root, failures)) if is_dataset else ()
    if pairs:
        return FoundPictures(pairs, tuple(failures))
    infrared, visible = find_folder(root, INFRARED), find_folder(root, VISIBLE)
    if is_dataset and (failures or infrared is None or visible is None):
        why = failures[0].message if failures else f"see {root / 'report' / 'index.html'}"
        raise DatasetError(f"{root}: holds no registered pair; {why}")
    if infrared is None or visible is None:
        lacks = "is no dataset and has no folders infrared/ and visible/"
        what = lacks if root.is_dir() else "does not exist"
        raise DatasetError(f"{root}: {what}; name two folders or files with --infrared and --visible")
    return match_folders(infrared, visible)


def match_folders(infrared: Path, visible: Path) -> FoundPictures:
    """Match the pictures of two folders by name; a word such as `_ir` or `_visible` in it may differ.

    Raises:
        InputFileError: there is no such folder, or no picture in one.
    """
    # A name that stands in both folders is a pair as it is: RoadScene's FLIR_00006 names no modality.
    shared = _stems(infrared) & _stems(visible) if infrared.resolve() != visible.resolve() else frozenset()
    kinds = ((infrared, "infrared"), (visible, "visible"))
    left, right = (_pictures(folder, kind, shared) for folder, kind in kinds)
    pairs: list[PicturePair] = []
    failures: list[PairFailure] = []
    for key in sorted(left.keys() | right.keys()):
        files = left.get(key, []), right.get(key, [])
        if not all(files):
            have, lack = (files[0], visible) if files[0] else (files[1], infrared)
            message = f"{have[0]}: has no partner of that name in {lack}; add it, or take this one away"
            failures.append(PairFailure(have[0].stem, "unpaired", message))
        elif max(map(len, files)) > 1:
            twice = max(files, key=len)
            names = ", ".join(path.name for path in twice)
            failures.append(
                PairFailure(key, "ambiguous", f"{twice[0].parent}: {names} share a name; keep one of them")
            )
        else:
            pairs.append(PicturePair(files[0][0].stem, files[0][0], files[1][0]))
    return FoundPictures(tuple(pairs), tuple(failures))


def pair_files(infrared: Path, visible: Path) -> FoundPictures:
    """Return two files as the one pair there is.

    Raises:
        InputFileError: one is not there.
    """
    for path in (infrared, visible):
        if not path.is_file():
            raise InputFileError("there is no such file", path=path, reason="missing")
    return FoundPictures((PicturePair(infrared.stem, infrared, visible),))


def _registered(root: Path, failures: list[PairFailure]) -> Iterator[PicturePair]:
    def note(error: DatasetError) -> None:
        failures.append(PairFailure("", "damaged-journal", str(error)))

    for journal in Dataset.open(root).journals(on_damage=note):
        yield from (_as_pair(root, record) for record in journal.pairs if record.verdict != "rejected")


def _as_pair(root: Path, record: PairRecord) -> PicturePair:
    infrared, visible = (picture_path(root, modality, record.id) for modality in ("infrared", "visible"))
    return PicturePair(record.id, infrared, visible)


def _stems(folder: Path) -> frozenset[str]:
    return frozenset(path.stem for path in folder.iterdir()) if folder.is_dir() else frozenset()


def _pictures(folder: Path, kind: str, shared: frozenset[str]) -> dict[str, list[Path]]:
    """Return the pictures of a folder by their name without the word for the modality."""
    if not folder.is_dir():
        raise InputFileError("there is no such folder", path=folder, reason="missing")
    found: dict[str, list[Path]] = defaultdict(list)
    names = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in names:
        named = None if path.stem in shared else modality_of(path.stem)
        modality, rest = named or (kind, path.stem)
        if path.suffix.lower() in PICTURE_SUFFIXES and modality == kind:
            found[rest or path.stem].append(path)
    if not found:
        videos = any(is_video(path) for path in names)
        hint = (
            "; of videos, name two files" if videos else f"; {', '.join(sorted(PICTURE_SUFFIXES))} are read"
        )
        raise InputFileError(f"holds no {kind} picture{hint}", path=folder, reason="no-pictures")
    return found
