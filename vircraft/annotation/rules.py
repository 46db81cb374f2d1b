"""The contract of a label file: read what a person drew, or say which rule it breaks.

The order is fixed: the file, then the picture, then the shapes from first to last, then what they form
together. The first reason found is the file's. `docs/labels.md` has the rules.

Coordinates here count pixel edges, as in the file; half a pixel is taken away where an `Annotation` is made.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vircraft.annotation import masks
from vircraft.annotation.documents import (
    LabelFileError,
    RuleError,
    flags_field,
    integer_field,
    list_field,
    load_document,
    points_field,
    shown,
    text_field,
)
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, Visibility
from vircraft.annotation.outlines import (
    MOST_STEPS,
    OUTLINE_TYPES,
    Outline,
    clip_box,
    read_outline,
    sorted_box,
)
from vircraft.annotation.picture import ABSENT, Annotation, Keypoint, PictureAnnotations
from vircraft.annotation.pictures import Picture, PictureFinder

_LABELS = frozenset((AIRCRAFT, *KEYPOINTS))


@dataclass
class _Group:
    """What carries one group id, while the shapes are walked through."""

    shapes: list[int] = field(default_factory=list)
    outlines: list[Outline] = field(default_factory=list)
    outline_shapes: list[int] = field(default_factory=list)
    holes: list[Outline] = field(default_factory=list)
    boxes: list[tuple[int, masks.Box]] = field(default_factory=list)
    keypoints: list[tuple[int, str, Keypoint]] = field(default_factory=list)
    crowd: bool = False


def read_annotations(path: Path, root: Path | PictureFinder) -> PictureAnnotations:
    """Read a Labelme file by the rules.

    Args:
        path: the file, inside the root.
        root: the folder that neither the file nor its picture may lie outside of; a `PictureFinder` for it
            is quicker where many files are read.

    Raises:
        LabelFileError: with the reason code of the first rule that is broken, and the shape.
    """
    finder = root if isinstance(root, PictureFinder) else PictureFinder(root)
    try:
        return _read(path, finder)
    except RuleError as error:
        raise LabelFileError(error.message, path=path, reason=error.reason, shape=error.shape) from error


def _read(path: Path, finder: PictureFinder) -> PictureAnnotations:
    finder.guard(path)
    document = load_document(path)
    if "imagePath" not in document and {"images", "annotations", "categories"} <= document.keys():
        raise RuleError("bad-type", "is a COCO file; keep it out of the folder with the Labelme files")
    if not {"imagePath", "shapes"} & document.keys():
        raise RuleError("bad-type", "is no Labelme file (neither imagePath nor shapes); move it elsewhere")
    image_path = text_field(document, "imagePath")
    stated_wh = integer_field(document, "imageWidth"), integer_field(document, "imageHeight")
    flags = flags_field(document)
    shapes = list_field(document, "shapes")
    if flags.get("skip"):
        return PictureAnnotations(path, image_path, (0, 0), flags=flags, skipped=True)
    picture = finder.find(path.parent, image_path)
    _check_size(picture, stated_wh)
    warnings = ["exif-rotated"] if picture.turned else []
    groups = _collect(shapes, picture.size_wh, warnings)
    annotations = [
        _annotation(group_id, groups[group_id], picture.size_wh, warnings)
        for group_id in sorted(groups, key=lambda group_id: -1 if group_id is None else group_id)
    ]
    noted = document.get("coco")
    return PictureAnnotations(
        path,
        picture.file_name,
        picture.size_wh,
        tuple(annotations),
        flags,
        tuple(dict.fromkeys(warnings)),
        coco=noted if isinstance(noted, dict) else {},
    )


def _check_size(picture: Picture, stated_wh: tuple[int | None, int | None]) -> None:
    for name, found, stated in zip(("imageWidth", "imageHeight"), picture.size_wh, stated_wh, strict=True):
        if stated is not None and stated != found:
            turned = ", EXIF orientation applied" if picture.turned else ""
            raise RuleError(
                "size-mismatch",
                f"{name} is {shown(stated)}, but {picture.file_name} has {found}{turned}; "
                "is it the picture that was labelled?",
            )


def _collect(shapes: list[Any], size_wh: tuple[int, int], warnings: list[str]) -> dict[int | None, _Group]:
    """Check every shape by itself, sort them into groups, check the groups."""
    groups: dict[int | None, _Group] = {}
    steps = 0.0
    for number, shape in enumerate(shapes):
        try:
            steps += _add_shape(groups, number, shape, size_wh, warnings)
            if steps > MOST_STEPS:
                raise RuleError("out-of-range", "the outlines up to here are too many and too long to paint")
        except RuleError as error:
            error.shape = number
            raise
    if None in groups:
        _check_ungrouped(groups)
    for group_id, group in groups.items():
        _check_group(group_id, group)
    return groups


def _add_shape(
    groups: dict[int | None, _Group],
    number: int,
    shape: Any,
    size_wh: tuple[int, int],
    warnings: list[str],
) -> float:
    """Check a shape, put it into its group; return what it costs to paint, see MOST_STEPS."""
    if not isinstance(shape, dict):
        raise RuleError("bad-type", f"it is {shown(shape)}; it must be an object")
    label = text_field(shape, "label")
    kind = "polygon" if shape.get("shape_type") is None else text_field(shape, "shape_type")
    group_id = integer_field(shape, "group_id")
    flags = flags_field(shape)
    points = points_field(shape)
    if label not in _LABELS:
        raise RuleError("unknown-label", f"label {shown(label)}; {_suggestion(label)}")
    group = groups.get(group_id)
    if group is None:
        group = groups[group_id] = _Group()
    group.shapes.append(number)
    if label != AIRCRAFT:
        group.keypoints.append((number, label, _keypoint(label, kind, points, flags, size_wh)))
    elif kind == "rectangle":
        box = sorted_box(points)
        inside = clip_box(box, size_wh)
        if inside != box:
            warnings.append("clipped")
        group.boxes.append((number, inside))
        group.crowd |= flags.get("crowd", False)
    elif kind in OUTLINE_TYPES:
        outline = read_outline(kind, points, shape.get("mask"), size_wh)
        warnings.extend(["clipped"] * outline.clipped + ["self-crossing"] * outline.crossing)
        if flags.get("hole"):
            group.holes.append(outline)
        else:
            group.outlines.append(outline)
            group.outline_shapes.append(number)
        group.crowd |= flags.get("crowd", False)
        return outline.steps
    else:
        raise RuleError(
            "wrong-shape-type",
            f"{AIRCRAFT!r} is drawn as {shown(kind)}; draw the outline as {', '.join(OUTLINE_TYPES)}, "
            "the box as rectangle",
        )
    return 0.0


def _suggestion(label: str) -> str:
    plain = {re.sub("[^a-z]", "", known.lower()): known for known in (AIRCRAFT, *KEYPOINTS)}
    close = difflib.get_close_matches(re.sub("[^a-z]", "", label[:40].lower()), plain, 1, 0.75)
    if close:
        return f"did you mean {plain[close[0]]!r}? Labels are case-sensitive"
    return f"it must be {AIRCRAFT!r} or one of {', '.join(KEYPOINTS)}"


def _keypoint(
    label: str,
    kind: str,
    points: list[tuple[float, float]],
    flags: Mapping[str, bool],
    size_wh: tuple[int, int],
) -> Keypoint:
    if kind != "point":
        raise RuleError("wrong-shape-type", f"{label} is drawn as {shown(kind)}; a keypoint is a point")
    if len(points) != 1:
        raise RuleError("degenerate-shape", f"{label} has {len(points)} points; a keypoint is one")
    occluded, invisible = flags.get("occluded", False), flags.get("invisible", False)
    if occluded and invisible:
        raise RuleError("flag-conflict", f"{label} is flagged occluded and invisible; untick one of them")
    if invisible:
        return ABSENT
    x, y = points[0]
    if not (0 <= x <= size_wh[0] and 0 <= y <= size_wh[1]):
        raise RuleError(
            "keypoint-outside",
            f"{label} is at {x:g}, {y:g}, outside the picture of {size_wh[0]}x{size_wh[1]}; "
            "move it, or flag it invisible",
        )
    return x - 0.5, y - 0.5, Visibility.OCCLUDED if occluded else Visibility.VISIBLE


def _check_ungrouped(groups: Mapping[int | None, _Group]) -> None:
    ungrouped = groups[None]
    if len(groups) > 1:
        raise _at(
            ungrouped.shapes[0],
            RuleError(
                "missing-group",
                f"{len(ungrouped.shapes)} of the shapes have no group id, others have one; "
                "give every shape of an aircraft the same number",
            ),
        )
    if len(ungrouped.outlines) > 1:
        raise _at(
            ungrouped.outline_shapes[1],
            RuleError(
                "ambiguous-group",
                f"{len(ungrouped.outlines)} outlines without group ids may be parts of one aircraft or "
                "several aircraft; give every shape of an aircraft the same number",
            ),
        )


def _check_group(group_id: int | None, group: _Group) -> None:
    name = "the aircraft" if group_id is None else f"group {shown(group_id)}"
    if len(group.boxes) > 1:
        number = group.boxes[1][0]
        raise _at(number, RuleError("duplicate-box", f"{name} has {len(group.boxes)} boxes; keep one"))
    seen: set[str] = set()
    for number, label, _ in group.keypoints:
        if label in seen:
            raise _at(
                number, RuleError("duplicate-keypoint", f"{name} has {label} twice; keep one, or regroup it")
            )
        seen.add(label)
    if not group.outlines and not group.boxes:
        raise _at(
            group.shapes[0],
            RuleError("no-object", f"{name} has neither outline nor box; draw one, or regroup its shapes"),
        )


def _at(number: int, error: RuleError) -> RuleError:
    error.shape = number
    return error


def _annotation(
    group_id: int | None, group: _Group, size_wh: tuple[int, int], warnings: list[str]
) -> Annotation:
    polygons, rle = _segment(group, size_wh)
    if group.outlines:
        area = float(masks.area(rle))
        if not area:
            raise _at(group.shapes[0], RuleError("empty-mask", "the outline covers no pixel; draw it again"))
        box = masks.joined_extent(outline.box for outline in group.outlines)
    if group.boxes:
        box = group.boxes[0][1]
    if not group.outlines:
        warnings.append("no-mask")
        area = (box[2] - box[0]) * (box[3] - box[1])
    left, top, right, bottom = box
    found = {} if group.crowd else {label: keypoint for _, label, keypoint in group.keypoints}
    return Annotation(
        group_id=group_id,
        box_xyxy=(left - 0.5, top - 0.5, right - 0.5, bottom - 0.5),
        area=area,
        keypoints=tuple(found.get(label, ABSENT) for label in KEYPOINTS),
        polygons=tuple(_centred(piece) for piece in polygons),
        rle=rle if group.outlines and not polygons else None,
        crowd=group.crowd,
        shapes=tuple(group.shapes),
    )


def _segment(group: _Group, size_wh: tuple[int, int]) -> tuple[list[list[float]], masks.Rle]:
    """Return the polygons to write, if polygons say it all, and the mask that they paint."""
    pieces, painted = _pieces(group.outlines), [o.rle for o in group.outlines if o.rle is not None]
    if pieces:
        painted.append(masks.paint(pieces, size_wh))
    if not painted:
        return [], {}
    rle = masks.union(painted)
    if group.holes:
        hole_pieces = _pieces(group.holes)
        holes = [o.rle for o in group.holes if o.rle is not None]
        rle = masks.subtract(rle, holes + ([masks.paint(hole_pieces, size_wh)] if hole_pieces else []))
    plain = not group.holes and not group.crowd and len(painted) == 1 and pieces
    return (pieces if plain else []), rle


def _pieces(outlines: Iterable[Outline]) -> list[list[float]]:
    return [piece for outline in outlines for piece in outline.pieces]


def _centred(flat: list[float]) -> tuple[tuple[float, float], ...]:
    return tuple((x - 0.5, y - 0.5) for x, y in zip(flat[::2], flat[1::2], strict=True))
