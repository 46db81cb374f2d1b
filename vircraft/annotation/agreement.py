"""Two sets of labels of the same pictures: which aircraft correspond, and how well they agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation import masks
from vircraft.annotation.annotation_masks import has_mask, mask_rle
from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.picture import Annotation, PictureAnnotations
from vircraft.annotation.sigmas import KeypointAgreement, measure_sigmas

Box = tuple[float, float, float, float]

LEAST_IOU = 0.1  # boxes that overlap less are of two aircraft
SAME_GROUP_BONUS = 0.2  # one group id decides between near equals, never against a clear overlap


@dataclass(frozen=True)
class MatchedAircraft:
    """One aircraft that both annotators labelled.

    Attributes:
        picture: name of the label files.
        first, second: what each of them drew.
        box_iou: intersection over union of the boxes.
        mask_iou: of the masks, in pixels as COCO counts them; None unless both drew one.
        distance_px: (9,) distance of the keypoints; nan where not both placed it.
    """

    picture: str
    first: Annotation
    second: Annotation
    box_iou: float
    mask_iou: float | None
    distance_px: NDArray[np.float64]

    @property
    def scale_px(self) -> float:
        """Root of the object's area: the mean of both masks; of both boxes where neither drew a mask."""
        areas = [a.area for a in (self.first, self.second) if has_mask(a)]
        return float(np.sqrt(np.mean(areas or [self.first.area, self.second.area])))


@dataclass(frozen=True)
class VisibilityAgreement:
    """Do two annotators call keypoints visible, occluded and invisible alike?

    Attributes:
        keypoint: its name; "all" over the nine.
        confusion: rows the first annotator's word, columns the second's: visible, occluded, invisible.
    """

    keypoint: str
    confusion: tuple[tuple[int, int, int], ...]

    @property
    def count(self) -> int:
        """How many were compared."""
        return int(np.sum(self.confusion))

    @property
    def share(self) -> float:
        """Share on which they agree; nan when nothing was compared."""
        return float(np.trace(self.confusion) / self.count) if self.count else float("nan")

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where both always say the same one thing, or nothing was compared."""
        table = np.asarray(self.confusion, np.float64)
        if not self.count:
            return None
        chance = float(table.sum(0) @ table.sum(1)) / self.count**2
        return None if chance >= 1 else (self.share - chance) / (1 - chance)


@dataclass(frozen=True)
class Agreement:
    """What two annotators make of the same pictures.

    Attributes:
        pictures: how many both labelled.
        matches: aircraft that both labelled.
        only_first, only_second: (picture, group id) of aircraft that one of them alone labelled.
        keypoints: distances and sigmas, nine.
        visibility: of all keypoints together, then the nine.
        missing_first, missing_second: names of pictures that only the other labelled.
        other_size: names of pictures whose size differs, so that they are not the same; left out.
    """

    pictures: int
    matches: tuple[MatchedAircraft, ...]
    only_first: tuple[tuple[str, int | None], ...]
    only_second: tuple[tuple[str, int | None], ...]
    keypoints: tuple[KeypointAgreement, ...]
    visibility: tuple[VisibilityAgreement, ...]
    missing_first: tuple[str, ...] = ()
    missing_second: tuple[str, ...] = ()
    other_size: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Say whether every point that both placed is at the very same place: one is a copy of the other."""
        d = np.array([m.distance_px for m in self.matches])
        return bool(d.size and (~np.isnan(d)).any() and not np.nan_to_num(d).any())


def compare(first: Mapping[str, PictureAnnotations], second: Mapping[str, PictureAnnotations]) -> Agreement:
    """Compare two annotators picture by picture.

    Files flagged `skip` or `proposed` count as not labelled. Crowds are left out.

    Args:
        first, second: name of a label file -> what it says.
    """
    first, second = _usable(first), _usable(second)
    shared = [name for name in first if name in second]
    same = [name for name in shared if first[name].size_wh == second[name].size_wh]
    matches: list[MatchedAircraft] = []
    only_first: list[tuple[str, int | None]] = []
    only_second: list[tuple[str, int | None]] = []
    for name in same:
        a, b = _single(first[name]), _single(second[name])
        pairs = match_aircraft(a, b)
        matches += [_matched(name, a[i], b[j], first[name].size_wh) for i, j in pairs]
        paired_a, paired_b = {i for i, _ in pairs}, {j for _, j in pairs}
        only_first += [(name, one.group_id) for i, one in enumerate(a) if i not in paired_a]
        only_second += [(name, one.group_id) for j, one in enumerate(b) if j not in paired_b]
    number = {name: n for n, name in enumerate(same)}
    return Agreement(
        pictures=len(same),
        matches=tuple(matches),
        only_first=tuple(only_first),
        only_second=tuple(only_second),
        keypoints=measure_sigmas(
            np.array([m.distance_px for m in matches], np.float64).reshape(-1, len(KEYPOINTS)),
            np.array([m.scale_px for m in matches], np.float64),
            np.array([number[m.picture] for m in matches], np.intp),
        ),
        visibility=visibility_agreement(matches),
        missing_first=tuple(name for name in second if name not in first),
        missing_second=tuple(name for name in first if name not in second),
        other_size=tuple(name for name in shared if name not in number),
    )


def match_aircraft(first: Sequence[Annotation], second: Sequence[Annotation]) -> list[tuple[int, int]]:
    """Return which aircraft of two lists are the same: pairs of positions, by the first list.

    The pair whose boxes overlap most goes first, then the next among those left; one group id adds
    `SAME_GROUP_BONUS`. Boxes that overlap by less than `LEAST_IOU` are never paired.
    """
    candidates = []
    boxes = np.array([b.box_xyxy for b in second], np.float64).reshape(-1, 4)
    for i, a in enumerate(first):
        ious = _box_ious(a.box_xyxy, boxes)
        for j in np.flatnonzero(ious >= LEAST_IOU).tolist():
            same_group = a.group_id is not None and a.group_id == second[j].group_id
            candidates.append((-(float(ious[j]) + SAME_GROUP_BONUS * same_group), i, j))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(candidates):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return sorted(pairs.items())


def box_iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom)."""
    return float(_box_ious(a, np.array([b], np.float64))[0])


def _box_ious(box: Box, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of a box with each of (N, 4) boxes."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.maximum(sides, 0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2] - box[0]) * (box[3] - box[1])
    return np.asarray(shared / (areas - shared), np.float64)


def mask_iou(a: Annotation, b: Annotation, size_wh: tuple[int, int]) -> float | None:
    """Return the intersection over union of two masks in pixels; None unless both have one."""
    first, second = mask_rle(a, size_wh), mask_rle(b, size_wh)
    if first is None or second is None:
        return None
    both = masks.area(masks.union([first, second]))
    return (masks.area(first) + masks.area(second) - both) / both if both else None


def visibility_agreement(matches: Iterable[MatchedAircraft]) -> tuple[VisibilityAgreement, ...]:
    """Return the confusion of all keypoints together and of each of the nine."""
    tables = np.zeros((len(KEYPOINTS), 3, 3), int)
    for match in matches:
        for n, ((_, _, v), (_, _, w)) in enumerate(
            zip(match.first.keypoints, match.second.keypoints, strict=True)
        ):
            tables[n, 2 - int(v), 2 - int(w)] += 1  # visible (2) comes first

    def agreement(name: str, table: NDArray[np.int_]) -> VisibilityAgreement:
        rows = tuple((int(a), int(b), int(c)) for a, b, c in table)
        return VisibilityAgreement(name, rows)

    nine = [agreement(name, table) for name, table in zip(KEYPOINTS, tables, strict=True)]
    return (agreement("all", tables.sum(0)), *nine)


def _usable(files: Mapping[str, PictureAnnotations]) -> dict[str, PictureAnnotations]:
    return {n: f for n, f in files.items() if not f.skipped and not f.proposed}


def _single(file: PictureAnnotations) -> list[Annotation]:
    return [one for one in file.annotations if not one.crowd]


def _matched(name: str, a: Annotation, b: Annotation, size_wh: tuple[int, int]) -> MatchedAircraft:
    points_a, points_b = (np.array([(x, y) for x, y, _ in one.keypoints], np.float64) for one in (a, b))
    placed = np.array(
        [
            Visibility.INVISIBLE not in (v, w)
            for (_, _, v), (_, _, w) in zip(a.keypoints, b.keypoints, strict=True)
        ]
    )
    distance_px = np.where(placed, np.hypot(*(points_a - points_b).T), np.nan)
    return MatchedAircraft(name, a, b, box_iou(a.box_xyxy, b.box_xyxy), mask_iou(a, b, size_wh), distance_px)


def by_name(files: Iterable[PictureAnnotations], names: Mapping[Path, str]) -> dict[str, PictureAnnotations]:
    """Return label files by what they are called, see `matched_names`."""
    return {names[file.path]: file for file in files}
