"""The COCO export: label files of a dataset or folder become two JSON files a split, and masks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vircraft.annotation import masks
from vircraft.annotation.annotation_masks import mask_rle
from vircraft.annotation.exchange import coco
from vircraft.annotation.exchange.coco_ids import CocoIds
from vircraft.annotation.exchange.selection import ExportSettings, LabelledPicture, Selection, select
from vircraft.annotation.keypoints import KEYPOINTS, WEIGHTS
from vircraft.annotation.sigmas import DEFAULT_SIGMA
from vircraft.dataset import software_versions
from vircraft.files import disk_error, refuse_link_out, write_atomically
from vircraft.locks import FileLock

KINDS = ("person_keypoints", "instances")


@dataclass(frozen=True)
class ExportSummary:
    """What an export did.

    Attributes:
        files: the JSON files.
        removed: what an earlier export left that is true no more: files of other splits (a clip would be in
            two of them), masks of labels that give none by now.
        pictures: split -> number of pictures.
        aircraft: split -> number of aircraft.
        masks: number of masks painted.
        without_mask: pictures that got no mask because an aircraft has only a box.
        selection: what was read, and what was left out.
    """

    files: tuple[Path, ...]
    removed: tuple[Path, ...]
    pictures: Mapping[str, int]
    aircraft: Mapping[str, int]
    masks: int
    without_mask: int
    selection: Selection


def export_coco(
    root: Path,
    output: Path | None = None,
    settings: ExportSettings | None = None,
    *,
    paint: bool = True,
    strict: bool = False,
    on_file: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Write `annotations/person_keypoints_SPLIT.json`, `annotations/instances_SPLIT.json` and masks.

    Args:
        root: a dataset, or a folder of Labelme files, which becomes the one split `all`.
        output: where `annotations/` and `masks/` go; the root when not given.
        settings: what to write.
        paint: write masks.
        strict: raise the first broken rule instead of leaving the file out; nothing is written then.
        on_file: is called with the number of files read and their total.

    Raises:
        LabelFileError: a file breaks a rule, with `strict`.
        SettingsError: the splits do not fit the clips.
        DatasetError: the root is no folder, or a file cannot be written; the old one is whole then.
    """
    settings, output = settings or ExportSettings(), output or root
    folder, mask_folder = output / "annotations", output / "masks"
    for target in (folder, mask_folder):
        refuse_link_out(target, output)
    before = CocoIds.of_earlier_exports(folder)
    selection = select(root, settings, known_splits=before.clips, strict=strict, on_file=on_file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(folder, error) from error
    with FileLock(folder / "export.lock", f"the export {folder}", wait_s=5.0):
        ids = _ids(selection, before)
        pictures = selection.pictures if paint else ()
        painted = [_write_mask(picture, selection, mask_folder) for picture in pictures]
        files = _write_splits(selection, folder, settings, ids)
        ids.clips, ids.files = dict(selection.clips), tuple(path.name for path in files)
        ids.write(folder)
        removed = _remove_stale(folder, before.files, ids.files)
        if paint:
            removed += _remove_stale_masks(selection, painted, mask_folder, ids)
    chosen = {split: selection.of(split) for split in selection.splits}
    return ExportSummary(
        files=tuple(files),
        removed=tuple(removed),
        pictures={split: len(pictures) for split, pictures in chosen.items()},
        aircraft={split: sum(len(p.found.annotations) for p in chosen[split]) for split in chosen},
        masks=sum(painted),
        without_mask=len(painted) - sum(painted),
        selection=selection,
    )


def _write_splits(selection: Selection, folder: Path, settings: ExportSettings, ids: CocoIds) -> list[Path]:
    written: list[Path] = []
    for split in selection.splits:
        pictures = selection.of(split)
        images = [coco.dump(_image_record(picture, selection, ids)) for picture in pictures]
        instances, keypoints = _annotation_lines(pictures, ids)
        info = _info(selection, split, settings)
        for kind, lines in zip(KINDS, (keypoints, instances), strict=True):
            path = folder / f"{kind}_{split}.json"
            write_atomically(path, coco.document(info, images, lines, with_keypoints=kind == KINDS[0]))
            written.append(path)
    return written


def _remove_stale(folder: Path, before: Iterable[str], now: Collection[str]) -> list[Path]:
    """Remove what the last export wrote for splits that are none any more."""
    kinds = re.compile(rf"({'|'.join(KINDS)})_[\w-]+\.json")
    stale = [folder / name for name in before if name not in now and kinds.fullmatch(name)]
    stale = [path for path in stale if path.is_file()]
    for path in stale:
        path.unlink()
    return stale


def _remove_stale_masks(selection: Selection, painted: list[bool], folder: Path, ids: CocoIds) -> list[Path]:
    """Remove masks of labels that are gone, broken, left out, or have only a box by now."""
    current = {p.label_file for p, done in zip(selection.pictures, painted, strict=True) if done}
    known = (name for name, _ in ids.pictures.items() if name not in current)
    stale = [path for name in known if (path := _mask_path(name, selection, folder)).is_file()]
    for path in stale:
        path.unlink()
    return stale


def _ids(selection: Selection, before: CocoIds) -> CocoIds:
    """Give every picture and aircraft its id, over all splits, so that moving a clip changes none."""
    ids = CocoIds()
    for picture in selection.pictures:
        ids.claim_imported(picture.label_file, picture.found)
    ids.merge(before)
    for picture in selection.pictures:
        ids.pictures.number(picture.label_file)
        for annotation in picture.found.annotations:
            ids.aircraft.number((picture.label_file, annotation.group_id))
    return ids


def _image_record(picture: LabelledPicture, selection: Selection, ids: CocoIds) -> dict[str, Any]:
    width, height = picture.found.size_wh
    record: dict[str, Any] = {
        "id": ids.pictures.number(picture.label_file),
        "file_name": picture.found.file_name,
        "width": width,
        "height": height,
        "label_file": picture.label_file,
    }
    if selection.is_dataset:
        record["clip"] = picture.clip
        record["pair_id"] = Path(picture.label_file).stem
    return record


def _annotation_lines(pictures: list[LabelledPicture], ids: CocoIds) -> tuple[list[str], list[str]]:
    """Return the records of all aircraft, as instances and with keypoints."""
    instances, keypoints = [], []
    for picture in pictures:
        image_id = ids.pictures.number(picture.label_file)
        for annotation in picture.found.annotations:
            number = ids.aircraft.number((picture.label_file, annotation.group_id))
            record = {"id": number, "image_id": image_id, **coco.instance_record(annotation)}
            instances.append(coco.dump(record))
            # the same text with more at its end, which saves writing the outline twice
            more = coco.dump(coco.keypoint_record(annotation))
            keypoints.append(f"{instances[-1][:-1]}, {more[1:]}")
    return instances, keypoints


def _info(selection: Selection, split: str, settings: ExportSettings) -> dict[str, Any]:
    splits: dict[str, Any] = {"split": split}
    if selection.is_dataset and settings.splits_file is None:
        splits |= {"ratios": dict(settings.ratios), "seed": settings.seed}
    return {
        "description": f"aircraft keypoints and outlines, split {split}",
        "version": "1.0",
        "software": software_versions(),
        "settings": {**splits, "pictures": settings.on, "proposals": settings.proposals},
        "keypoint_sigmas": [settings.sigmas.get(name, DEFAULT_SIGMA) for name in KEYPOINTS],
        "keypoint_sigmas_measured": [name in settings.sigmas for name in KEYPOINTS],
        "keypoint_weights": {seen.name.lower(): weight for seen, weight in WEIGHTS.items()},
    }


def _write_mask(picture: LabelledPicture, selection: Selection, folder: Path) -> bool:
    """Paint what any aircraft covers; False when that is not known of each."""
    found = picture.found
    rles = [mask_rle(annotation, found.size_wh) for annotation in found.annotations]
    known = [rle for rle in rles if rle is not None]
    if len(known) < len(rles):
        return False
    empty = masks.from_toggles(masks.NO_TOGGLES, found.size_wh)
    pixels = masks.decode(masks.union(known) if known else empty)
    write_atomically(_mask_path(picture.label_file, selection, folder), masks.encode_mask_png(pixels))
    return True


def _mask_path(label_file: str, selection: Selection, folder: Path) -> Path:
    """Return where a picture's mask goes: named after the label file, in the same folders."""
    relative = Path(label_file).with_suffix(".png")
    return folder / (relative.name if selection.is_dataset else relative)
