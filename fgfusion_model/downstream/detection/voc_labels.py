"""M3FD's boxes (`Annotation/*.xml`) as COCO's, so that one judge serves both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fgfusion_model.data.folders import by_stem, find_folder
from fgfusion_model.data.m3fd_layout import ANNOTATIONS, Box, VocPicture, read_voc_objects
from fgfusion_model.data.pictures import read_size_wh
from fgfusion_model.downstream.coco_labels import CocoPicture, CocoSplit
from fgfusion_model.downstream.pictures import find_pictures
from fgfusion_model.downstream.stem_splits import choose_stems, has_stems
from vircraft.errors import DatasetError

M3FD_CLASSES = ("People", "Car", "Bus", "Motorcycle", "Lamp", "Truck")


def find_annotations(root: Path) -> Path | None:
    """Return the folder of XML files; None when there is none."""
    folder = find_folder(root, ANNOTATIONS)
    return folder if folder and by_stem(folder, {".xml"}) else None


def has_voc(root: Path, split: str) -> bool:
    """Say whether there is such a split of the XML files."""
    folder = find_annotations(root)
    return folder is not None and has_stems(root, split, by_stem(folder, {".xml"}))


def read_voc(root: Path, split: str) -> tuple[CocoSplit, tuple[str, ...]]:
    """Read the boxes of a split, and what should be known of it; ids count from 1 in the order of names.

    Classes are M3FD's six, or, where others occur, all names of the folder in alphabetical order. Boxes are
    cut at the picture's edges; one that lies outside is left out.

    Raises:
        DatasetError: there is no such split, or it holds nothing.
        InputFileError: a file cannot be read.
    """
    folder = find_annotations(root)
    assert folder is not None
    files = by_stem(folder, {".xml"})
    stems, remarks = choose_stems(root, split, files)
    found = {stem: read_voc_objects(path) for stem, path in files.items()}
    names = _classes(found)
    document: dict[str, Any] = {
        "info": {"description": f"boxes of {folder.name}, split {split}"},
        "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)],
        "images": [],
        "annotations": [],
    }
    numbers = {name: k for k, name in enumerate(names, 1)}
    sizes = _sizes(root, {stem: found[stem] for stem in stems}, files)
    outside = 0
    for number, stem in enumerate(stems, 1):
        width, height = sizes[stem]
        document["images"].append(
            {"id": number, "file_name": f"{stem}.png", "width": width, "height": height}
        )
        for name, box in zip(found[stem].names, found[stem].boxes_xyxy, strict=True):
            bbox = _cut(box, sizes[stem])
            outside += bbox is None
            if bbox is not None:
                _append(document["annotations"], number, numbers[name], bbox)
    if outside:
        remarks = (*remarks, f"{outside} boxes of the split {split!r} lie outside their pictures: left out")
    pictures = tuple(CocoPicture(k, stem, sizes[stem]) for k, stem in enumerate(stems, 1))
    return CocoSplit(folder, split, pictures, document), remarks


def _classes(found: Mapping[str, VocPicture]) -> tuple[str, ...]:
    names = {name for picture in found.values() for name in picture.names}
    return M3FD_CLASSES if names <= set(M3FD_CLASSES) else tuple(sorted(names))


def _sizes(
    root: Path, found: Mapping[str, VocPicture], files: Mapping[str, Path]
) -> dict[str, tuple[int, int]]:
    sizes = {stem: picture.size_wh for stem, picture in found.items()}
    if missing := [stem for stem, size in sizes.items() if size is None]:
        infrared = find_pictures(root, "infrared")
        for stem in missing:
            if stem not in infrared.paths:
                raise DatasetError(
                    f"{files[stem]}: has no <size>, and {infrared.folder} no picture of that name"
                )
            sizes[stem] = read_size_wh(infrared.paths[stem])
    return {stem: size for stem, size in sizes.items() if size is not None}


def _cut(box: Box, size_wh: tuple[int, int]) -> list[float] | None:
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    width, height = min(float(size_wh[0]), box[2]) - x0, min(float(size_wh[1]), box[3]) - y0
    return [x0, y0, width, height] if width > 0 and height > 0 else None


def _append(annotations: list[dict[str, Any]], picture: int, category: int, bbox: list[float]) -> None:
    annotations.append(
        {
            "id": len(annotations) + 1,
            "image_id": picture,
            "category_id": category,
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": 0,
        }
    )
