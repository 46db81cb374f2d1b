"""What a set of labels holds: visibility of each keypoint (the paper's Fig. 8), sizes, places of aircraft."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.annotation_masks import has_mask
from vircraft.annotation.clip_names import clip_of
from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.labelme import LabelFileError
from vircraft.annotation.picture import Annotation, PictureAnnotations

Grouping = Literal["clip", "split"]

ALL = "all"
NO_CLIP = "(no clip)"  # the file's name does not end in a frame number
NO_SPLIT = "(no split)"  # the clip is in none
SIZE_QUANTITIES = ("width_px", "height_px", "area_px", "share_of_picture", "mask_px")
GRID_WH = (16, 12)  # fields of the heat map; a picture of 4:3 has square ones


@dataclass(frozen=True)
class LabelledAircraft:
    """One aircraft that counts: no crowd, in a file that counts.

    Attributes:
        picture: name of the label file, without suffix.
        clip: of the picture; `NO_CLIP` when its name does not tell.
        split: of the clip; "" when no splits are given.
        group_id: as in the file.
        size_wh: of the picture in pixels.
        box_xyxy: in pixels, pixel centres at integers.
        mask_px: pixels of the mask; None when only a box is drawn.
        visibility: of the nine keypoints.
    """

    picture: str
    clip: str
    split: str
    group_id: int | None
    size_wh: tuple[int, int]
    box_xyxy: tuple[float, float, float, float]
    mask_px: float | None
    visibility: tuple[Visibility, ...]

    @property
    def box_wh(self) -> tuple[float, float]:
        """Width and height of the box in pixels."""
        x0, y0, x1, y1 = self.box_xyxy
        return x1 - x0, y1 - y0

    @property
    def box_share(self) -> float:
        """Area of the box over that of the picture."""
        return self.box_wh[0] * self.box_wh[1] / (self.size_wh[0] * self.size_wh[1])

    @property
    def centre_share(self) -> tuple[float, float]:
        """Centre of the box, (0, 0) the upper left and (1, 1) the lower right corner of the picture."""
        x0, y0, x1, y1 = self.box_xyxy
        return ((x0 + x1 + 1) / 2 / self.size_wh[0], (y0 + y1 + 1) / 2 / self.size_wh[1])

    def quantities(self) -> tuple[float | None, ...]:
        """Return the values of `SIZE_QUANTITIES`."""
        width, height = self.box_wh
        return width, height, width * height, self.box_share, self.mask_px


@dataclass(frozen=True)
class KeypointCounts:
    """How often each keypoint is visible, occluded and invisible in one group of aircraft.

    Attributes:
        group: name of a clip or split, or `ALL`.
        aircraft: how many were counted.
        counts: nine rows (visible, occluded, invisible) in the order of `KEYPOINTS`; each sums to `aircraft`.
    """

    group: str
    aircraft: int
    counts: tuple[tuple[int, int, int], ...]

    @property
    def total(self) -> tuple[int, int, int]:
        """Visible, occluded and invisible over all keypoints."""
        sums = np.sum(self.counts, axis=0)
        return int(sums[0]), int(sums[1]), int(sums[2])


@dataclass(frozen=True)
class Quartiles:
    """The spread of one quantity; `count` values, nan without any."""

    quantity: str
    count: int
    least: float
    lower: float
    median: float
    upper: float
    most: float


@dataclass(frozen=True)
class LeftOut:
    """A label file that breaks a rule: its name, the reason code, the shape at fault, what is wrong."""

    name: str
    reason: str
    shape: int | None
    message: str


@dataclass(frozen=True)
class LabelStatistics:
    """What the labels of a dataset or folder hold.

    Attributes:
        aircraft: those that count, in the order of the files.
        pictures: label files that count.
        empty: of these, how many say that nothing is in view.
        crowds: outlines of many aircraft; they have no keypoints and count nowhere else.
        unmarked: aircraft with an outline or box and no keypoint at all; their nine count as invisible.
        reviewed: of `pictures`, how many carry the flag.
        skipped, proposed: files left out because they carry that flag.
        failures: files left out because they break a rule.
        grouping: what `groups` are.
        groups: counts by clip or split, by name; empty without grouping.
    """

    aircraft: tuple[LabelledAircraft, ...]
    pictures: int
    empty: int
    crowds: int
    unmarked: int
    reviewed: int
    skipped: int
    proposed: int
    failures: tuple[LeftOut, ...] = ()
    grouping: Grouping | None = None
    groups: tuple[KeypointCounts, ...] = ()

    @property
    def everything(self) -> KeypointCounts:
        """Counts over all aircraft."""
        return count_keypoints(ALL, self.aircraft)

    @property
    def failures_by_reason(self) -> dict[str, int]:
        """How many files broke each rule, the most frequent first."""
        return dict(Counter(error.reason for error in self.failures).most_common())


def gather_statistics(
    files: Iterable[PictureAnnotations],
    failures: Sequence[LabelFileError] = (),
    *,
    by: Grouping | None = None,
    split_of: Mapping[str, str] | None = None,
    name_of: Callable[[Path], str] = lambda path: path.stem,
) -> LabelStatistics:
    """Count what label files say.

    Files flagged `skip` or `proposed` are counted apart and left out: the first nobody wants, the second
    nobody has looked at.

    Args:
        files: label files that follow the contract.
        failures: the errors of those that do not.
        by: also count the keypoints by clip or by split.
        split_of: clip -> split.
        name_of: what to call a label file.
    """
    files = list(files)
    counted = [f for f in files if not f.skipped and not f.proposed]
    aircraft = [
        _aircraft(file, annotation, name_of(file.path), split_of or {})
        for file in counted
        for annotation in file.annotations
        if not annotation.crowd
    ]
    groups: dict[str, list[LabelledAircraft]] = {}
    for one in aircraft if by else ():
        groups.setdefault(one.clip if by == "clip" else one.split or NO_SPLIT, []).append(one)
    names = sorted(groups) if by == "clip" else _in_order(groups, split_of or {})
    return LabelStatistics(
        aircraft=tuple(aircraft),
        pictures=len(counted),
        empty=sum(not file.annotations for file in counted),
        crowds=sum(a.crowd for file in counted for a in file.annotations),
        unmarked=sum(not any(one.visibility) for one in aircraft),
        reviewed=sum(bool(file.flags.get("reviewed")) for file in counted),
        skipped=sum(file.skipped for file in files),
        proposed=sum(f.proposed and not f.skipped for f in files),
        failures=tuple(
            LeftOut(name_of(e.path) if e.path else "", e.reason, e.shape, e.message) for e in failures
        ),
        grouping=by,
        groups=tuple(count_keypoints(name, groups[name]) for name in names),
    )


def count_keypoints(group: str, aircraft: Sequence[LabelledAircraft]) -> KeypointCounts:
    """Count visible, occluded and invisible keypoints; one that is absent is invisible."""
    seen = np.array([one.visibility for one in aircraft], int).reshape(len(aircraft), len(KEYPOINTS))
    columns = [(seen == v).sum(0) for v in (Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.INVISIBLE)]
    rows = tuple((int(v), int(o), int(i)) for v, o, i in zip(*columns, strict=True))
    return KeypointCounts(group, len(aircraft), rows)


def size_quartiles(aircraft: Sequence[LabelledAircraft]) -> tuple[Quartiles, ...]:
    """Return the spread of each of `SIZE_QUANTITIES`; `mask_px` only of those that have a mask."""
    columns = zip(*(one.quantities() for one in aircraft), strict=True) if aircraft else [()] * 5
    return tuple(
        _quartiles(name, [v for v in values if v is not None])
        for name, values in zip(SIZE_QUANTITIES, columns, strict=True)
    )


def centre_heat(aircraft: Sequence[LabelledAircraft]) -> NDArray[np.int64]:
    """Return how many box centres lie in each field of a grid over the picture, (rows, columns)."""
    columns, rows = GRID_WH
    heat = np.zeros((rows, columns), np.int64)
    for one in aircraft:
        x, y = one.centre_share
        heat[min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)] += 1
    return heat


def _aircraft(
    file: PictureAnnotations, annotation: Annotation, name: str, split_of: Mapping[str, str]
) -> LabelledAircraft:
    clip = clip_of(name)
    return LabelledAircraft(
        picture=name,
        clip=clip or NO_CLIP,
        split=split_of.get(clip, ""),
        group_id=annotation.group_id,
        size_wh=file.size_wh,
        box_xyxy=annotation.box_xyxy,
        mask_px=float(annotation.area) if has_mask(annotation) else None,
        visibility=tuple(Visibility(v) for _, _, v in annotation.keypoints),
    )


def _in_order(groups: Mapping[str, object], split_of: Mapping[str, str]) -> list[str]:
    """Return split names in the order of the split file (train before val), those without a split last."""
    given = [name for name in dict.fromkeys(split_of.values()) if name in groups]
    return given + [name for name in groups if name not in given]


def _quartiles(quantity: str, values: Sequence[float]) -> Quartiles:
    if not values:
        return Quartiles(quantity, 0, *[float("nan")] * 5)
    five = np.percentile(np.asarray(values, np.float64), (0, 25, 50, 75, 100))
    return Quartiles(quantity, len(values), *(float(v) for v in five))
