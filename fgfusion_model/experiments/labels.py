"""A split's labels, found as its task finds them: which pictures it needs, and a hash of what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fgfusion_model.data.pictures import read_size_wh
from fgfusion_model.downstream.coco_labels import CocoSplit, find_coco, has_coco, read_coco
from fgfusion_model.experiments.kinds import LabelKind
from vircraft.settings import fingerprint, plain

Sizes = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class SplitLabels:
    """The labels of a split.

    Attributes:
        sizes_wh: stem -> width and height of the pictures that are needed.
        said: hash of what was read; "" where the files count.
        files: whose content counts.
    """

    sizes_wh: Sizes
    said: str = ""
    files: tuple[Path, ...] = field(default=())


def find_labels(kind: LabelKind, root: Path, split: str, category: str = "") -> SplitLabels:
    """Find the labels of a split; `category` is the one whose keypoints are wanted, "" the only one.

    Raises:
        DatasetError: there are none.
        InputFileError: they cannot be read.
    """
    return _keypoints(root, split, category) if kind == "keypoints" else FINDERS[kind](root, split)


def has_labels(kind: LabelKind, root: Path, split: str) -> bool:
    """Say whether there are labels of a split, whatever is wrong with them."""
    from fgfusion_model.downstream.detection.boxes import has_boxes
    from fgfusion_model.downstream.segmentation.label_maps import has_label_maps

    if kind == "label_maps":
        return has_label_maps(root, split)
    if kind == "boxes":
        return has_boxes(root, split)
    return has_coco(root, split, "person_keypoints" if kind == "keypoints" else "instances")


def _keypoints(root: Path, split: str, category: str) -> SplitLabels:
    from fgfusion_model.downstream.keypoints.labels import read_keypoint_labels

    coco = read_coco(find_coco(root, split, "person_keypoints"), split)
    read_keypoint_labels(coco, category)  # a category without keypoints is told before anything is trained
    return _of_coco(coco)


def _coco(root: Path, split: str) -> SplitLabels:
    return _of_coco(read_coco(find_coco(root, split, "instances"), split))


def _boxes(root: Path, split: str) -> SplitLabels:
    from fgfusion_model.downstream.detection.boxes import find_boxes

    return _of_coco(find_boxes(root, split).coco)


def _label_maps(root: Path, split: str) -> SplitLabels:
    from fgfusion_model.downstream.segmentation.label_maps import find_label_maps

    maps = find_label_maps(root, split)
    there = {stem: path for stem, path in maps.paths.items() if path is not None}
    sizes = {stem: read_size_wh(there[stem]) if stem in there else maps.sizes_wh[stem] for stem in maps.paths}
    said = fingerprint(plain([maps.aircraft, maps.names, sorted(maps.paths)]))
    return SplitLabels(sizes, said, tuple(there.values()))


def _of_coco(labels: CocoSplit) -> SplitLabels:
    return SplitLabels(dict(labels.sizes_wh), fingerprint(plain(labels.document)))


FINDERS: Mapping[LabelKind, Callable[[Path, str], SplitLabels]] = {
    "label_maps": _label_maps,
    "boxes": _boxes,
    "coco": _coco,
}
