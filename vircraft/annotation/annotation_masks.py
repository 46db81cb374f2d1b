"""The mask of one annotation, whatever it was drawn as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vircraft.annotation import masks
from vircraft.annotation.picture import Annotation, to_edges


def has_mask(annotation: Annotation) -> bool:
    """Say whether an outline was drawn, not only a box."""
    return bool(annotation.polygons) or annotation.rle is not None


def flat_polygons(annotation: Annotation) -> list[list[float]]:
    """Return the outline's pieces as COCO writes them: x0, y0, x1, y1, ... counted from pixel edges."""
    return [[to_edges(v) for point in piece for v in point] for piece in annotation.polygons]


def mask_rle(annotation: Annotation, size_wh: tuple[int, int]) -> Mapping[str, Any] | None:
    """Return the mask that the outline paints, as an RLE; None where only a box was drawn."""
    return masks.paint(flat_polygons(annotation), size_wh) if annotation.polygons else annotation.rle
