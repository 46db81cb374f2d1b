"""The pose format of the YOLO trainers: pictures and text files side by side, and a data.yaml.

Every number is a share of the picture's width or height, counted from its edges. Only the format is served;
no such trainer is part of this project.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.eight_bit import eight_bit_png
from vircraft.annotation.exchange.selection import ExportSettings, LabelledPicture, Selection, select
from vircraft.annotation.keypoints import AIRCRAFT, FLIP_PAIRS, KEYPOINTS
from vircraft.annotation.picture import Annotation
from vircraft.annotation.second_names import link_or_copy
from vircraft.errors import DatasetError, PictureError
from vircraft.files import write_atomically

CONFIG = "data.yaml"
_FIRST_LINE = "# Nine aircraft keypoints for the YOLO pose trainers; written by vircraft."


@dataclass(frozen=True)
class YoloSummary:
    """What an export did.

    Attributes:
        config: the data.yaml.
        pictures: split -> number of pictures.
        selection: what was read, and what was left out.
    """

    config: Path
    pictures: Mapping[str, int]
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
    selection = select(root, settings, strict=strict, on_file=on_file)
    _clear(output)
    # first, so that an export that is stopped is known as ours
    config = output / CONFIG
    write_atomically(config, _config(selection).encode())
    pictures = dict.fromkeys(selection.splits, 0)
    failures = list(selection.failures)
    for picture in selection.pictures:
        try:
            _write_picture(picture, root, output)
        except PictureError as error:
            path = root / picture.label_file
            failures.append(LabelFileError(f"its picture: {error}", path=path, reason=error.reason))
            if strict:
                raise failures[-1] from error
        else:
            pictures[picture.split] += 1
    return YoloSummary(config, pictures, replace(selection, failures=tuple(failures)))


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
    relative = Path(picture.label_file).with_suffix("")
    if picture.clip:
        relative = Path(relative.name)
    source = root / picture.found.file_name
    target = output / "images" / picture.split / f"{relative}{source.suffix}"
    if _is_deep(source):
        write_atomically(target.with_suffix(".png"), eight_bit_png(source))
    else:
        link_or_copy(source, target)
    lines = [label_line(a, picture.found.size_wh) for a in picture.found.annotations if not a.crowd]
    text = "".join(f"{line}\n" for line in lines)
    write_atomically(output / "labels" / picture.split / f"{relative}.txt", text.encode())


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


def _clear(output: Path) -> None:
    """Remove what an earlier export left, so that no picture stays in two splits; and nothing else.

    Raises:
        DatasetError: there are pictures or labels that no such export wrote.
    """
    folders = [output / name for name in ("images", "labels") if (output / name).exists()]
    try:
        ours = (output / CONFIG).read_text(encoding="utf-8").startswith(_FIRST_LINE)
    except (OSError, ValueError):
        ours = False
    for folder in folders:
        if not ours or folder.is_symlink():
            raise DatasetError(
                f"{folder}: is there already, and not from here; choose an empty folder with -o"
            )
        shutil.rmtree(folder)


def _config(selection: Selection) -> str:
    flipped = list(range(len(KEYPOINTS)))
    for left, right in FLIP_PAIRS:
        flipped[left], flipped[right] = right, left
    splits = {split: f"images/{split}" for split in selection.splits}
    splits.setdefault("train", next(iter(splits.values()), "images"))
    splits.setdefault("val", splits["train"])
    lines = [
        _FIRST_LINE,
        *(f"{split}: {folder}" for split, folder in splits.items()),
        f"kpt_shape: [{len(KEYPOINTS)}, 3]",
        f"flip_idx: {flipped}",
        "names:",
        f"  0: {AIRCRAFT}",
        "kpt_names:",
        f"  0: {json.dumps(list(KEYPOINTS))}",
    ]
    return "\n".join(lines) + "\n"
