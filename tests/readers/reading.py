"""What one reader says about one COCO file, in the same words for all readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from truth import Instance, Mask, Point


@dataclass(frozen=True)
class SeenInstance:
    """One annotation; None is what the reader does not keep.

    Attributes:
        box_xywh: left, top, width, height in pixels.
        keypoints: nine of (x, y, v).
        mask: (H, W).
        known: pixels of the mask that the reader can know; None where it knows them all.
        polygons: the outline's pieces.
    """

    box_xywh: tuple[float, float, float, float]
    keypoints: tuple[tuple[float, float, int], ...] | None = None
    mask: Mask | None = None
    known: Mask | None = None
    polygons: tuple[tuple[Point, ...], ...] | None = None
    crowd: bool | None = None
    area: float | None = None


@dataclass(frozen=True)
class SeenPicture:
    """One picture: where the reader looks for it, its size, and the annotations on it."""

    path: str
    size_wh: tuple[int, int] | None
    instances: tuple[SeenInstance, ...]


@dataclass(frozen=True)
class Reading:
    """One COCO file as a reader gives it.

    Attributes:
        reader: its name.
        pictures: by file name, relative to the root.
        classes: names of the categories.
        keypoint_names: in order.
        bones: pairs of keypoint names.
        cannot: what the reader has no room for (`keypoints`, `masks`, ...) -> why.
    """

    reader: str
    pictures: Mapping[str, SeenPicture]
    classes: tuple[str, ...]
    keypoint_names: tuple[str, ...] | None = None
    bones: frozenset[frozenset[str]] | None = None
    cannot: Mapping[str, str] = field(default_factory=dict)


def distance(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the largest difference between two tuples of numbers."""
    return max(abs(a - b) for a, b in zip(box, other, strict=True))


def seen_for(instance: Instance, picture: SeenPicture) -> SeenInstance:
    """Return what the reader saw of one aircraft: the annotation whose box is the nearest."""
    return min(picture.instances, key=lambda seen: distance(seen.box_xywh, instance.box_xywh))
