"""COCO files become Labelme files: polygons, masks with holes, crowds, boxes, keypoints with visibility."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vircraft.annotation.documents import MOST_BYTES, LabelFileError, RuleError
from vircraft.annotation.exchange.coco_shapes import shapes_of
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS
from vircraft.annotation.labelme import LabelFile, write_labels
from vircraft.annotation.pictures import Picture, PictureFinder
from vircraft.dataset import MANIFEST, label_path
from vircraft.errors import InputFileError, SettingsError
from vircraft.files import disk_error, refuse_link_out


class CocoFileError(InputFileError):
    """A COCO file cannot be read at all."""


@dataclass(frozen=True)
class ImportSummary:
    """What an import did.

    Attributes:
        written: label files.
        kept: label files that were there already; nothing was changed in them.
        aircraft: number of annotations in the written files.
        failures: pictures that could not be imported, each with its reason.
        other_categories: category -> annotations that were left out.
        unknown_keypoints: names in the category that are none of the nine.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    aircraft: int
    failures: tuple[LabelFileError, ...]
    other_categories: Mapping[str, int]
    unknown_keypoints: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A COCO file, checked as far as all of its pictures depend on it."""

    path: Path
    images: list[Any]
    annotations: dict[int, list[dict[str, Any]]]
    keypoint_names: tuple[str, ...]
    other_categories: dict[str, int] = field(default_factory=dict)


def import_coco(
    path: Path,
    root: Path,
    output: Path | None = None,
    *,
    category: str = AIRCRAFT,
    on_picture: Callable[[int, int], None] | None = None,
) -> ImportSummary:
    """Write a Labelme file for each picture of a COCO file; one that exists already is kept.

    Args:
        path: the COCO file.
        root: the folder that `file_name` is relative to.
        output: where the label files go, in the same subfolders; when not given, `labels/` of a dataset, or
            beside the pictures.
        category: the name of the category that holds aircraft.
        on_picture: is called with the number of pictures done and their total.

    Raises:
        CocoFileError: the file is no COCO file.
        SettingsError: it has no such category.
        DatasetError: a label file cannot be written.
    """
    source = _load(path, category)
    refuse_link_out(_first_folder(root, output), output or root)
    finder = PictureFinder(root)
    written: dict[Path, int] = {}
    kept: list[Path] = []
    failures: list[LabelFileError] = []
    for done, image in enumerate(source.images, 1):
        try:
            target, labels, count = _labels(image, source, root, output, finder)
        except RuleError as error:
            failures.append(
                LabelFileError(f"{_name(image)}: {error.message}", path=path, reason=error.reason)
            )
        else:
            if target in written:
                failures.append(
                    LabelFileError(
                        f"{_name(image)}: its labels would go to {target.name}, as those of another picture "
                        "do; rename one of the pictures, or list it once",
                        path=path,
                        reason="bad-type",
                    )
                )
            elif _write(target, labels):
                written[target] = count
            else:
                kept.append(target)
        if on_picture is not None:
            on_picture(done, len(source.images))
    strange = tuple(name for name in source.keypoint_names if name not in KEYPOINTS)
    return ImportSummary(
        tuple(written), tuple(kept), sum(written.values()), tuple(failures), source.other_categories, strange
    )


def _write(path: Path, labels: LabelFile) -> bool:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_labels(path, labels)
    except OSError as error:
        raise disk_error(path, error) from error


def _load(path: Path, category: str) -> _Source:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CocoFileError(f"{path.stat().st_size >> 20} MiB; split it", path=path, reason="too-large")
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise CocoFileError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (ValueError, RecursionError) as error:
        raise CocoFileError(f"is not JSON ({error})", path=path, reason="bad-json") from error
    if not isinstance(document, dict):
        raise CocoFileError(
            "is a list; is it a results file? Give the annotations", path=path, reason="bad-type"
        )
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise CocoFileError(f"has no list {key!r}; it is no COCO file", path=path, reason="bad-type")
    chosen, others = _category(document["categories"], category, path)
    annotations: dict[int, list[dict[str, Any]]] = {}
    other_categories: dict[str, int] = {}
    for annotation in document["annotations"]:
        if not isinstance(annotation, dict) or type(annotation.get("image_id")) is not int:
            raise CocoFileError(
                "holds an annotation without an integer image_id; repair it", path=path, reason="bad-type"
            )
        number = annotation.get("category_id")
        if type(number) is int and number == chosen["id"]:
            annotations.setdefault(annotation["image_id"], []).append(annotation)
        else:
            name = others.get(number if type(number) is int else None, f"category {number!r:.40}")
            other_categories[name] = other_categories.get(name, 0) + 1
    names = chosen.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CocoFileError("keypoints of the category are no names", path=path, reason="bad-type")
    return _Source(path, document["images"], annotations, tuple(names), other_categories)


def _category(categories: Sequence[Any], wanted: str, path: Path) -> tuple[dict[str, Any], dict[Any, str]]:
    """Return the category of that name, and the names of the others by id."""
    whole = (c for c in categories if isinstance(c, dict) and type(c.get("id")) is int)
    named = [c for c in whole if isinstance(c.get("name"), str)]
    chosen = [c for c in named if c["name"] == wanted]
    if len(chosen) != 1:
        names = ", ".join(repr(c["name"]) for c in named) or "none"
        raise SettingsError(
            f"{path}: has {len(chosen) or 'no'} categories named {wanted!r}, but {names}; "
            "name the one that holds aircraft with --category"
        )
    return chosen[0], {c["id"]: c["name"] for c in named if c is not chosen[0]}


def _name(image: Any) -> str:
    name = image.get("file_name") if isinstance(image, dict) else None
    return name if isinstance(name, str) else f"image {image!r:.60}"


def _labels(
    image: Any, source: _Source, root: Path, output: Path | None, finder: PictureFinder
) -> tuple[Path, LabelFile, int]:
    """Return where a picture's labels go, what they are, and the number of aircraft."""
    if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
        raise RuleError("bad-type", "an image has no file_name")
    if type(image.get("id")) is not int:
        raise RuleError("bad-type", f"the image has the id {image.get('id')!r:.40}; it must be an integer")
    picture = finder.find(root, image["file_name"])
    size_wh = image.get("width"), image.get("height")
    if size_wh != picture.size_wh:
        raise RuleError(
            "size-mismatch",
            f"width and height are {size_wh[0]} and {size_wh[1]}, but the picture is "
            f"{picture.size_wh[0]}x{picture.size_wh[1]}; is it the picture that was labelled?",
        )
    annotations = sorted(source.annotations.get(image["id"], []), key=_annotation_id)
    shapes = []
    groups = _group_ids(annotations)
    for group_id, annotation in zip(groups, annotations, strict=True):
        try:
            shapes += shapes_of(annotation, group_id, source.keypoint_names, picture.size_wh)
        except RuleError as error:
            number = annotation.get("id")
            raise RuleError(error.reason, f"annotation {number}: {error.message}") from error
    target = _target(picture, root, output)
    folder = os.path.realpath(target.parent)
    labels = LabelFile(
        image_path=os.path.relpath(root.resolve() / picture.file_name, folder).replace(os.sep, "/"),
        size_wh=picture.size_wh,
        shapes=tuple(shapes),
        extras={"coco": _noted(image, groups, annotations)},
    )
    return target, labels, len(annotations)


def _annotation_id(annotation: Mapping[str, Any]) -> int:
    number = annotation.get("id")
    if type(number) is not int:
        raise RuleError("bad-type", f"an annotation has the id {number!r:.40}; it must be an integer")
    return number


def _group_ids(annotations: Sequence[Mapping[str, Any]]) -> list[int | None]:
    """Return the group ids that our own export noted, so that identities along a clip stay; else 1, 2, ..."""
    given = [annotation.get("group_id", "") for annotation in annotations]
    whole = all(type(number) is int for number in given) and len(set(given)) == len(given)
    if whole or given == [None]:
        return given
    return list(range(1, len(annotations) + 1))


def _noted(
    image: Mapping[str, Any], groups: Sequence[int | None], annotations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the ids to give again on export; Labelme keeps fields that it does not know."""
    ids = {str(number): annotation["id"] for number, annotation in zip(groups, annotations, strict=True)}
    return {"image_id": image["id"], "annotation_ids": ids}


def _first_folder(root: Path, output: Path | None) -> Path:
    if output is None and (root / MANIFEST).is_file():
        return label_path(root, "x").parent
    return output or root


def _target(picture: Picture, root: Path, output: Path | None) -> Path:
    if output is None and (root / MANIFEST).is_file():
        return label_path(root, Path(picture.file_name).stem)
    return (output or root) / Path(picture.file_name).with_suffix(".json")
