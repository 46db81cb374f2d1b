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
from fgfusion_model.downstream.coco_labels import find_coco, read_coco
from fgfusion_model.downstream.stem_splits import ALL, choose_stems
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
        remarks: what a user should know.
    """

    root: Path
    split: str
    paths: Mapping[str, Path | None]
    sizes_wh: Mapping[str, tuple[int, int]]
    aircraft: bool = False
    names: tuple[str, ...] = ()
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
    if (root / MANIFEST).is_file() or any((root / "annotations").glob("instances_*.json")):
        return _vircraft_masks(root, split)
    place = find_folder(root, (split,)) if split else None
    folder = find_folder(place, MASKS) if place else None
    if place and folder:
        return _all_of(root, split, place, folder)
    folder = find_folder(root, MASKS)
    if folder is None:
        there = sorted(p.name for p in root.iterdir() if p.is_dir() and find_folder(p, MASKS))
        splits = f"; there are {', '.join(there)}" if there else ""
        raise DatasetError(
            f"{root}: has no label maps for the split {split!r} ({split}/Segmentation_labels/){splits}"
        )
    maps = by_stem(folder)
    stems, remarks = choose_stems(root, split, maps)
    return _non_empty(root, split, folder, {stem: maps[stem] for stem in stems}, remarks)


def class_names(given: Sequence[str], maps: LabelMaps) -> tuple[str, ...]:
    """Return the classes by id: those given, the folder's, or as many as the maps hold.

    Raises:
        InputFileError: a map cannot be read.
    """
    if given or maps.names:
        return tuple(given) or maps.names
    highest = 1
    for stem in maps.paths:
        values = maps.read(stem)
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
    if values.ndim == 3 and not (values[..., :1] == values[..., : min(3, values.shape[2])]).all():
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
    return LabelMaps(root, split, paths, labels.sizes_wh, aircraft=True, names=AIRCRAFT_CLASSES)


def _all_of(root: Path, split: str, place: Path, folder: Path) -> LabelMaps:
    found = _non_empty(root, split, folder, by_stem(folder), ())
    return found if found.names else LabelMaps(**{**vars(found), "names": _names(place, folder)})


def _non_empty(
    root: Path, split: str, folder: Path, paths: Mapping[str, Path], remarks: tuple[str, ...]
) -> LabelMaps:
    if not paths:
        what = "label maps" if split in ALL else f"label maps for the split {split!r}"
        raise DatasetError(f"{folder}: holds no {what}")
    return LabelMaps(root, split, paths, {}, names=_names(root, folder), remarks=remarks)


def _names(root: Path, folder: Path) -> tuple[str, ...]:
    path = root / NAMES_FILE
    if path.is_file():
        return read_class_names(path)
    return MSRS_CLASSES if folder.name.lower() == "segmentation_labels" else ()


def read_class_names(path: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line, the first for id 0.

    Raises:
        InputFileError: it cannot be read, holds fewer than two names, or one twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot be read ({error})", path=path) from error
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputFileError(f"holds {len(names)} names; it needs two or more, each once", path=path)
    return names
