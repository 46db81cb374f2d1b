"""One COCO annotation as the shapes that a person would have drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vircraft.annotation import masks
from vircraft.annotation.documents import FARTHEST, RuleError, shown
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, Visibility
from vircraft.annotation.labelme import Shape
from vircraft.annotation.outlines import MOST_MASK_PIXELS
from vircraft.files import encode_png

_SAME = 1e-6  # px; a box this close to the outline's extent is not drawn, as it follows from the outline


def shapes_of(
    annotation: Mapping[str, Any],
    group_id: int | None,
    keypoint_names: Sequence[str],
    size_wh: tuple[int, int],
) -> list[Shape]:
    """Return outline, box (where it does not follow from the outline) and keypoints.

    Args:
        annotation: as COCO has it, polygons, RLE (compressed or not) or a box alone.
        group_id: for its shapes.
        keypoint_names: the category's, in their order; names that are none of the nine are passed over.
        size_wh: of the picture.

    Raises:
        RuleError: `bad-type`, `non-finite`, `out-of-range`, `degenerate-shape`, `bad-mask` or `empty-mask`.
    """
    crowd = annotation.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise RuleError("bad-type", f"iscrowd is {shown(crowd)}; it must be 0 or 1")
    flags = {"crowd": True} if crowd else {}
    segmentation = annotation.get("segmentation")
    shapes: list[Shape] = []
    extent: masks.Box | None = None
    if isinstance(segmentation, Mapping):
        shape, extent = _mask_shape(segmentation, group_id, flags, size_wh)
        shapes.append(shape)
    elif segmentation:
        shapes += _polygon_shapes(segmentation, group_id, flags)
        points = [point for shape in shapes for point in shape.points]
        xs, ys = [x + 0.5 for x, _ in points], [y + 0.5 for _, y in points]
        extent = (max(min(xs), 0), max(min(ys), 0), min(max(xs), size_wh[0]), min(max(ys), size_wh[1]))
    box = _box(annotation, required=extent is None)
    if box is not None and (
        extent is None or max(abs(a - b) for a, b in zip(box, extent, strict=True)) > _SAME
    ):
        corners = ((box[0] - 0.5, box[1] - 0.5), (box[2] - 0.5, box[3] - 0.5))
        shapes.append(Shape(AIRCRAFT, "rectangle", corners, group_id, flags if extent is None else {}))
    return shapes + list(_keypoint_shapes(annotation, group_id, keypoint_names))


def _mask_shape(
    rle: Mapping[str, Any], group_id: int | None, flags: Mapping[str, bool], size_wh: tuple[int, int]
) -> tuple[Shape, masks.Box]:
    """Return an RLE as a mask shape: a PNG of the mask's extent, and its first and last pixel."""
    toggles = _toggles(rle, size_wh)
    encoded = masks.from_toggles(toggles, size_wh)
    extent = masks.extent(encoded)
    if extent is None:
        raise RuleError("empty-mask", "no pixel of the RLE is set; delete the annotation")
    left, top, right, bottom = (int(v) for v in extent)
    if (right - left) * (bottom - top) > MOST_MASK_PIXELS:
        raise RuleError(
            "bad-mask", f"the RLE spans {right - left}x{bottom - top} pixels; too large for Labelme"
        )
    pixels = masks.decode(encoded)[top:bottom, left:right]
    png = encode_png(pixels.astype(np.uint8))
    corners = ((float(left), float(top)), (float(right - 1), float(bottom - 1)))
    return Shape(AIRCRAFT, "mask", corners, group_id, flags, mask_png=png), extent


def _toggles(rle: Mapping[str, Any], size_wh: tuple[int, int]) -> masks.Toggles:
    width, height = size_wh
    if rle.get("size") != [height, width]:
        raise RuleError(
            "size-mismatch", f"the RLE's size is {shown(rle.get('size'))}, not [{height}, {width}]"
        )
    counts = rle.get("counts")
    try:
        if isinstance(counts, str):
            runs = masks.run_lengths(counts)
            if runs.max(initial=0) > width * height:
                raise ValueError("a run is longer than the picture")
        elif isinstance(counts, list) and all(
            type(run) is int and 0 <= run <= width * height for run in counts
        ):
            runs = np.asarray(counts, np.int64)
        else:
            raise ValueError("counts is neither a string nor a list of run lengths")
        if int(runs.sum()) != width * height:
            raise ValueError(f"the runs add up to {int(runs.sum())} pixels, the picture has {width * height}")
    except ValueError as error:
        raise RuleError("bad-mask", f"the RLE cannot be read: {error}") from error
    return masks.toggles_of_runs(runs, (width, height))


def _polygon_shapes(segmentation: Any, group_id: int | None, flags: Mapping[str, bool]) -> list[Shape]:
    if not isinstance(segmentation, list):
        raise RuleError("bad-type", f"segmentation is {shown(segmentation)}; it must be polygons or an RLE")
    polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]  # some write one, flat
    shapes = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise RuleError("degenerate-shape", f"a polygon is {shown(polygon)}; it needs three x, y pairs")
        values = [_number(v, "a polygon's coordinate") - 0.5 for v in polygon]
        points = tuple(zip(values[::2], values[1::2], strict=True))
        shapes.append(Shape(AIRCRAFT, "polygon", points, group_id, flags))
    return shapes


def _box(annotation: Mapping[str, Any], *, required: bool) -> masks.Box | None:
    """Return left, top, right, bottom counted from pixel edges."""
    values = annotation.get("bbox")
    if values is None and not required:
        return None
    if not isinstance(values, list) or len(values) != 4:
        raise RuleError("bad-type", f"bbox is {shown(values)}; it must be left, top, width, height")
    left, top, width, height = (_number(v, "bbox") for v in values)
    if width <= 0 or height <= 0:
        raise RuleError("degenerate-shape", f"bbox is {width:g}x{height:g} pixels; it has no size")
    return left, top, left + width, top + height


def _keypoint_shapes(
    annotation: Mapping[str, Any], group_id: int | None, names: Sequence[str]
) -> Iterator[Shape]:
    values = annotation.get("keypoints")
    if values is None:
        return
    if not isinstance(values, list) or len(values) != 3 * len(names):
        raise RuleError(
            "bad-type",
            f"keypoints is {shown(values)}; the category has {len(names)}, so it needs {3 * len(names)}",
        )
    found = {name: values[3 * k : 3 * k + 3] for k, name in enumerate(names)}
    for name in KEYPOINTS:
        x, y, seen = found.get(name, (0, 0, 0))
        if type(seen) is not int or seen not in (0, 1, 2):
            raise RuleError("bad-type", f"{name} has the visibility {shown(seen)}; it must be 0, 1 or 2")
        if seen:
            point = _number(x, name) - 0.5, _number(y, name) - 0.5
            flags = {"occluded": seen == Visibility.OCCLUDED, "invisible": False}
            yield Shape(name, "point", (point,), group_id, flags)


def _number(value: Any, what: str) -> float:
    if type(value) not in (int, float):
        raise RuleError("bad-type", f"{what} is {shown(value)}; it must be a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise RuleError("non-finite", f"{what} is {value}")
    if not -FARTHEST <= value <= FARTHEST:
        raise RuleError("out-of-range", f"{what} is {shown(value)}; at most +-{FARTHEST:.0f} px are allowed")
    return float(value)
