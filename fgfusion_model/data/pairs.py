"""A pair of pictures to train on, where its foreground comes from, and what had to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MaskKind = Literal["outlines", "boxes", "classes", "saliency"]
MASK_KINDS: Mapping[MaskKind, str] = {
    "outlines": "drawn outlines",
    "boxes": "boxes, painted as masks",
    "classes": "class maps or masks, any class",
    "saliency": "no labels: infrared saliency stands in",
}


@dataclass(frozen=True)
class MaskSource:
    """Where the foreground of a pair comes from.

    Attributes:
        kind: `outlines` or `boxes` (labels), `classes` (a picture whose pixels above 0 are foreground), or
            `saliency` (there are no labels; bright, rare infrared pixels stand in for them).
        path: the class map.
        rle: the labels' outlines and boxes as one of COCO's RLEs.
        boxes_xyxy: left, top, right, bottom, counted from pixel edges.
    """

    kind: MaskKind
    path: Path | None = None
    rle: Mapping[str, Any] | None = None
    boxes_xyxy: tuple[tuple[float, float, float, float], ...] = ()


SALIENCY = MaskSource("saliency")


@dataclass(frozen=True)
class TrainingPair:
    """Two registered pictures of one instant.

    Attributes:
        name: unique over all sources, for messages and records: `SOURCE/STEM`.
        group: what a split never divides: the clip, or the pair itself where there are no clips.
        source: number of the source in the order given.
        infrared, visible: the files.
        mask: where the foreground comes from.
    """

    name: str
    group: str
    source: int
    infrared: Path
    visible: Path
    mask: MaskSource


@dataclass(frozen=True)
class LeftOut:
    """A pair that training goes without.

    Attributes:
        name: of the pair.
        reason: `unpaired`, `ambiguous`, `size-mismatch`, `unreadable`, or a reason code of its labels.
        message: what is wrong, where, and what to do.
    """

    name: str
    reason: str
    message: str


@dataclass(frozen=True)
class FoundPairs:
    """What a source holds.

    Attributes:
        layout: `vircraft`, `msrs`, `m3fd` or `folders`.
        pairs: sorted by name.
        left_out: what is wrong with others.
        remarks: what a user should know although nothing is wrong.
    """

    layout: str
    pairs: tuple[TrainingPair, ...]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()


def count_masks(pairs: Iterable[TrainingPair]) -> dict[MaskKind, int]:
    """Return the number of pairs by where their foreground comes from, most telling first."""
    counts = Counter(pair.mask.kind for pair in pairs)
    return {kind: counts[kind] for kind in MASK_KINDS if counts[kind]}
