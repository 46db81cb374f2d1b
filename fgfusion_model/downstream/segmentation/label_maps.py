"""Label maps of a split: where they lie, what their classes are called, and their pixels, checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fgfusion_model.data.folder_layout import MASKS
from fgfusion_model.data.folders import by_stem, find_folder
from fgfusion_model.downstream.coco_labels import find_coco, has_coco, read_coco, shared_remarks
from fgfusion_model.downstream.stem_splits import ALL, choose_stems, has_stems
from vircraft.dataset import MANIFEST
from vircraft.errors import DatasetError, InputFileError

LabelMap = NDArray[np.uint8]
IGNORED = 255  # pixels without a class; neither trained on nor judged
# Tab. 3 prints its header shifted by one: its first column is the background, its last the mean.
MSRS_CLASSES = (
    "background", "car", "person", "bike", "curve", "car stop", "guardrail", "colour cone", "bump",
)  # fmt: skip
AIRCRAFT_CLASSES = ("background", "aircraft")
NAMES_FILE = "classes.txt"
_FORMATS = ("PNG", "BMP", "TIFF")  # those that keep values as they are
_MOST_PIXELS = 1 << 28


@dataclass(frozen=True)
class LabelMaps:
    """The label maps of a split.

    Attributes:
        root: the dataset.
        split: its name.
        paths: stem -> file; None: nothing is on the picture, all of it is background.
        sizes_wh: of the pictures without a file.
        aircraft: the maps are masks of a vircraft dataset, 0 or 255.
        names: of the classes, as far as the folder says; else empty.
        everywhere: the maps of all splits, as far as they lie in folders of their own kind.
        remarks: what a user should know.
    """

    root: Path
    split: str
    paths: Mapping[str, Path | None]
    sizes_wh: Mapping[str, tuple[int, int]]
    aircraft: bool = False
    names: tuple[str, ...] = ()
    everywhere: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()

    def read(self, stem: str) -> LabelMap:
        """Return the class of each pixel, (H, W), 255 where there is none.

        Raises:
            InputFileError: it cannot be decoded, is a colour picture or holds values above 255.
        """
        path = self.paths[stem]
        if path is None:
            width, height = self.sizes_wh[stem]
            return np.zeros((height, width), np.uint8)
        found = read_label_map(path)
        return (found > 0).astype(np.uint8) if self.aircraft else found

    def checked(self, classes: int) -> Iterator[tuple[str, LabelMap]]:
        """Read one after another; yield stems and maps.

        Raises:
            InputFileError: a map holds a class id that is not below `classes`; or as `read`.
        """
        for stem in self.paths:
            found = self.read(stem)
            check_ids(found, classes, self.paths[stem] or self.root / stem)
            yield stem, found


def find_label_maps(root: Path, split: str) -> LabelMaps:
    """Find the label maps of a split.

    Known are MSRS (`SPLIT/Segmentation_labels`), one folder with lists of its splits (see `choose_stems`),
    and a dataset of vircraft (`masks/`, with the splits of its COCO export).

    Raises:
        DatasetError: there are none for that split; some are missing.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: is no folder; give a dataset with label maps")
    if _is_vircraft(root):
        return _vircraft_masks(root, split)
    place = find_folder(root, (split,)) if split else None
    folder = find_folder(place, MASKS) if place else None
    if place and folder:
        return _all_of(root, split, place, folder)
    folder = find_folder(root, MASKS)
    if folder is None:
        there = [place.name for place in _split_folders(root)]
        splits = f"; there are {', '.join(there)}" if there else ""
        raise DatasetError(
            f"{root}: has no label maps for the split {split!r} ({split}/Segmentation_labels/){splits}"
        )
    maps = by_stem(folder)
    stems, remarks = choose_stems(root, split, maps)
    everywhere = tuple(maps.values())
    return _non_empty(root, split, folder, {stem: maps[stem] for stem in stems}, everywhere, remarks)


def has_label_maps(root: Path, split: str) -> bool:
    """Say whether there are label maps of a split, whatever is wrong with them."""
    if not root.is_dir():
        return False
    if _is_vircraft(root):
        return has_coco(root, split, "instances")
    if split.lower() in (place.name.lower() for place in _split_folders(root)):
        return True
    folder = find_folder(root, MASKS)
    return folder is not None and has_stems(root, split, by_stem(folder))


def _is_vircraft(root: Path) -> bool:
    return (root / MANIFEST).is_file() or any((root / "annotations").glob("instances_*.json"))


def _split_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and find_folder(path, MASKS))


def class_names(given: Sequence[str], maps: LabelMaps) -> tuple[str, ...]:
    """Return the classes by id: those given, the folder's, or as many as the maps of all splits hold.

    Raises:
        InputFileError: a map cannot be read.
    """
    if given or maps.names:
        return tuple(given) or maps.names
    highest = 1
    for path in maps.everywhere:
        values = read_label_map(path)
        highest = max(highest, int(values[values != IGNORED].max(initial=0)))
    return ("background", *(f"class {k}" for k in range(1, highest + 1)))


def read_label_map(path: Path) -> LabelMap:
    """Return the values of a label map, (H, W): grey values, or indices of a palette.

    Raises:
        InputFileError: it cannot be decoded, keeps no exact values (JPEG), is a colour picture or holds
            values above 255.
    """
    try:
        with warnings.catch_warnings(), Image.open(path, formats=_FORMATS) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > _MOST_PIXELS:
                raise InputFileError("has more than 2^28 pixels", path=path, reason="too-large")
            values = np.asarray(picture)
    except InputFileError:
        raise
    except Exception as error:  # decoders of damaged files fail in many ways
        kinds = ", ".join(_FORMATS)
        raise InputFileError(
            f"is no label map that can be read ({error}); it is {kinds}", path=path
        ) from error
    # two channels are grey and alpha; an alpha is no class
    if values.ndim == 3 and values.shape[2] > 2 and not (values[..., :1] == values[..., :3]).all():
        raise InputFileError(
            "is a colour picture; a label map holds a class number in each pixel, grey or with a palette",
            path=path,
            reason="colour",
        )
    values = values[..., 0] if values.ndim == 3 else values
    if values.dtype != np.uint8 and (values.min() < 0 or values.max() > IGNORED):
        raise InputFileError(
            f"holds values {values.min()} to {values.max()}; a label map holds 0 to 255",
            path=path,
            reason="ids",
        )
    return np.ascontiguousarray(values.astype(np.uint8))


def check_ids(found: LabelMap, classes: int, path: Path) -> None:
    """Make sure that a label map holds known classes only.

    Raises:
        InputFileError: it does not; the ids are named.
    """
    ids = np.flatnonzero(np.bincount(found.ravel(), minlength=IGNORED)[:IGNORED])
    if strange := [int(k) for k in ids if k >= classes]:
        raise InputFileError(
            f"holds the class ids {', '.join(map(str, strange[:10]))}, and there are {classes} classes (0 to "
            f"{classes - 1}; 255 is no class); name all classes with --classes or in {NAMES_FILE}",
            path=path,
            reason="ids",
        )


def _vircraft_masks(root: Path, split: str) -> LabelMaps:
    labels = read_coco(find_coco(root, split, "instances"), split)
    maps = by_stem(root / "masks") if (root / "masks").is_dir() else {}
    numbers = {a["image_id"] for a in labels.annotations}
    labelled = {picture.stem for picture in labels.pictures if picture.id in numbers}
    if missing := sorted(labelled - maps.keys()):
        raise DatasetError(
            f"{root / 'masks'}: {len(missing)} masks of the split {split!r} are missing "
            f"({', '.join(missing[:5])}); run `vircraft export coco` again"
        )
    paths = {picture.stem: maps.get(picture.stem) for picture in labels.pictures}
    remarks = shared_remarks(root, labels, "instances")
    return LabelMaps(
        root, split, paths, labels.sizes_wh, aircraft=True, names=AIRCRAFT_CLASSES, remarks=remarks
    )


def _all_of(root: Path, split: str, place: Path, folder: Path) -> LabelMaps:
    folders = [inside for path in _split_folders(root) if (inside := find_folder(path, MASKS))]
    everywhere = tuple(path for inside in folders for path in by_stem(inside).values())
    found = _non_empty(root, split, folder, by_stem(folder), everywhere, ())
    return found if found.names else LabelMaps(**{**vars(found), "names": _names(place, folder)})


def _non_empty(
    root: Path,
    split: str,
    folder: Path,
    paths: Mapping[str, Path],
    everywhere: tuple[Path, ...],
    remarks: tuple[str, ...],
) -> LabelMaps:
    if not paths:
        what = "label maps" if split in ALL else f"label maps for the split {split!r}"
        raise DatasetError(f"{folder}: holds no {what}")
    names = _names(root, folder)
    return LabelMaps(root, split, paths, {}, names=names, everywhere=everywhere, remarks=remarks)


def _names(root: Path, folder: Path) -> tuple[str, ...]:
    path = root / NAMES_FILE
    if path.is_file():
        return read_class_names(path)
    return MSRS_CLASSES if folder.name.lower() == "segmentation_labels" else ()


def read_class_names(path: Path, least: int = 2) -> tuple[str, ...]:
    """Return the names in a text file, one a line, the first for id 0.

    Raises:
        InputFileError: it cannot be read, holds fewer names than `least`, or one twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot be read ({error})", path=path) from error
    if len(names) < least or len(set(names)) < len(names):
        raise InputFileError(f"holds {len(names)} names; it needs {least} or more, each once", path=path)
    return names
