"""The pose format of the YOLO trainers: pictures and text files side by side, and a data.yaml.

Every number is a share of the picture's width or height, counted from its edges. Only the format is served;
no such trainer is part of this project.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.eight_bit import eight_bit_png
from vircraft.annotation.exchange.coco_ids import CocoIds
from vircraft.annotation.exchange.selection import ExportSettings, LabelledPicture, Selection, select
from vircraft.annotation.keypoints import AIRCRAFT, FLIP_PAIRS, KEYPOINTS
from vircraft.annotation.picture import Annotation
from vircraft.annotation.second_names import link_or_copy
from vircraft.errors import DatasetError, PictureError
from vircraft.files import refuse_link_out, write_atomically

CONFIG = "data.yaml"
WRITTEN = "written.txt"  # what is there of ours


@dataclass(frozen=True)
class YoloSummary:
    """What an export did.

    Attributes:
        config: the data.yaml.
        pictures: split -> number of pictures.
        aircraft: split -> number of aircraft.
        stand_ins: `train` or `val`, where there is no such split -> the split that data.yaml names instead.
        selection: what was read, and what was left out.
    """

    config: Path
    pictures: Mapping[str, int]
    aircraft: Mapping[str, int]
    stand_ins: Mapping[str, str]
    selection: Selection


def export_yolo_pose(
    root: Path,
    output: Path,
    settings: ExportSettings | None = None,
    *,
    strict: bool = False,
    on_file: Callable[[int, int], None] | None = None,
) -> YoloSummary:
    """Write `images/SPLIT/ID.png`, `labels/SPLIT/ID.txt` and `data.yaml`.

    Pictures are hard links where the file system has them, else copies; 16-bit ones become 8-bit copies,
    since these trainers read 8 bits. Crowds are left out: the format has none.

    Args:
        root: a dataset, or a folder of Labelme files, which becomes the one split `all`.
        output: a folder for it.
        settings: what to write.
        strict: raise the first broken rule instead of leaving the file out; nothing is written then.
        on_file: is called with the number of files read and their total.

    Raises:
        LabelFileError, SettingsError: as `select`.
        DatasetError: the root is no folder, or a file cannot be written.
    """
    settings = settings or ExportSettings()
    known = CocoIds.of_earlier_exports(root / "annotations").clips
    selection = select(root, settings, known_splits=known, strict=strict, on_file=on_file)
    _clear(output)
    failures = list(selection.failures)
    written: list[LabelledPicture] = []
    try:
        for picture in selection.pictures:
            try:
                _write_picture(picture, root, output)
            except PictureError as error:
                path = root / picture.label_file
                failures.append(LabelFileError(f"its picture: {error}", path=path, reason=error.reason))
                if strict:
                    raise failures[-1] from error
            else:
                written.append(picture)
    finally:  # also when it is stopped: what is there is known as ours
        _note(output, written)
    write_atomically(output / CONFIG, _config(selection).encode())  # last: who finds it finds the rest
    chosen = {split: [p for p in written if p.split == split] for split in selection.splits}
    return YoloSummary(
        config=output / CONFIG,
        pictures={split: len(chosen[split]) for split in chosen},
        aircraft={split: sum(len(p.found.annotations) for p in chosen[split]) for split in chosen},
        stand_ins=_stand_ins(selection.splits),
        selection=replace(selection, failures=tuple(failures)),
    )


def label_line(annotation: Annotation, size_wh: tuple[int, int]) -> str:
    """Return class, centre and size of the box, and nine of x, y, visibility, as shares of the picture."""
    width, height = size_wh
    left, top, right, bottom = annotation.box_xyxy
    shares = [
        (left + right + 1) / 2 / width,
        (top + bottom + 1) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    ]
    numbers = [f"{share:.7g}" for share in shares]
    for x, y, seen in annotation.keypoints:
        place = ((x + 0.5) / width, (y + 0.5) / height) if seen else (0.0, 0.0)
        numbers += [f"{place[0]:.7g}", f"{place[1]:.7g}", str(int(seen))]
    return " ".join(["0", *numbers])


def _write_picture(picture: LabelledPicture, root: Path, output: Path) -> None:
    image, label = _targets(picture)
    source, target = root / picture.found.file_name, output / image
    if _is_deep(source):
        write_atomically(target.with_suffix(".png"), eight_bit_png(source))
    else:
        link_or_copy(source, target)
    lines = [label_line(a, picture.found.size_wh) for a in picture.found.annotations if not a.crowd]
    text = "".join(f"{line}\n" for line in lines)
    write_atomically(output / label, text.encode())


def _is_deep(path: Path) -> bool:
    """Say whether a picture has more than 8 bits, from its header."""
    with path.open("rb") as file:
        start = file.read(25)
    if start[:8] == b"\x89PNG\r\n\x1a\n":
        return start[24] > 8
    if start[:2] not in (b"II", b"MM"):  # of the other formats only TIFF is deep
        return False
    with Image.open(path) as picture:
        return picture.mode.startswith(("I", "F"))


def _targets(picture: LabelledPicture) -> tuple[Path, Path]:
    """Return where picture and text go, relative to the output; the picture's suffix may become .png."""
    name = Path(picture.label_file).with_suffix("")
    if picture.clip:
        name = Path(name.name)
    suffix = Path(picture.found.file_name).suffix
    return Path("images", picture.split, f"{name}{suffix}"), Path("labels", picture.split, f"{name}.txt")


def _note(output: Path, written: list[LabelledPicture]) -> None:
    """List what was written, so that the next export removes that and nothing else."""
    names: list[str] = []
    for picture in written:
        image, text = _targets(picture)
        names += [image.as_posix(), image.with_suffix(".png").as_posix(), text.as_posix()]
    content = "".join(f"{name}\n" for name in dict.fromkeys(names))
    write_atomically(output / WRITTEN, content.encode("utf-8", "surrogateescape"))


def _clear(output: Path) -> None:
    """Remove what an earlier export wrote, so that no picture stays in two splits.

    Raises:
        DatasetError: there are pictures or labels, and no list of an earlier export.
    """
    for name in ("images", "labels"):
        if (output / name).exists():
            refuse_link_out(output / name, output)
            if not (output / WRITTEN).is_file():
                raise DatasetError(
                    f"{output / name}: is there already, and not from here; choose an empty folder with -o"
                )
    if (output / WRITTEN).is_file():
        (output / CONFIG).unlink(missing_ok=True)
        for line in (output / WRITTEN).read_bytes().decode("utf-8", "surrogateescape").splitlines():
            if line.startswith(("images/", "labels/")) and ".." not in Path(line).parts:
                (output / line).unlink(missing_ok=True)


def _stand_ins(splits: Sequence[str]) -> dict[str, str]:
    """Return which split a trainer is given for a missing `train` or `val`."""
    first = next(iter(splits), "train")
    missing = {} if "train" in splits else {"train": first}
    if "val" not in splits:
        missing["val"] = next(
            (s for s in splits if s != "test" and s != missing.get("train", "train")), first
        )
    return missing


def _config(selection: Selection) -> str:
    flipped = list(range(len(KEYPOINTS)))
    for left, right in FLIP_PAIRS:
        flipped[left], flipped[right] = right, left
    splits = {split: f"images/{split}" for split in selection.splits}
    stand_ins = _stand_ins(selection.splits)
    splits |= {missing: f"images/{split}" for missing, split in stand_ins.items()}
    remarks = [f"# there is no split {missing!r}: {split} stands in" for missing, split in stand_ins.items()]
    lines = [
        "# Nine aircraft keypoints for the YOLO pose trainers; written by vircraft.",
        *remarks,
        *(f"{split}: {folder}" for split, folder in splits.items()),
        f"kpt_shape: [{len(KEYPOINTS)}, 3]",
        f"flip_idx: {flipped}",
        "names:",
        f"  0: {AIRCRAFT}",
        "kpt_names:",
        f"  0: {json.dumps(list(KEYPOINTS))}",
    ]
    return "\n".join(lines) + "\n"
