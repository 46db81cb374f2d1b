"""The files of the YOLO programs: pictures with boxes as text to train on, and their answers.

Only the format is served: the programs are AGPL, are started by their command and never imported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fgfusion_model.downstream.detection.boxes import BoxLabels, Detections
from fgfusion_model.downstream.pictures import PictureSet, check_pictures, write_rgb
from vircraft.errors import InputFileError
from vircraft.files import write_atomically

CONFIG = "data.yaml"


def write_yolo_split(
    folder: Path,
    part: str,
    labels: BoxLabels,
    pictures: PictureSet,
    classes: Sequence[str],
    on_file: Callable[[int, int], None],
) -> None:
    """Write `images/PART/000001.png` and `labels/PART/000001.txt`, numbered in the order of the labels.

    A line of text is class, centre x, centre y, width and height, shares of the picture from its edges.
    Pictures are written anew, so that the program sees the pixels that the detector built in would see.

    Raises:
        DatasetError: pictures are missing or of another size than their labels; the disk is full.
        InputFileError: a picture cannot be decoded, or an object has an unknown class.
    """
    check_pictures(pictures, labels.coco.sizes_wh)
    targets = labels.targets(classes)
    for k, (entry, (boxes, numbers)) in enumerate(zip(labels.coco.pictures, targets, strict=True), 1):
        name = numbered(k)
        write_rgb(folder / "images" / part / f"{name}.png", pictures.read(entry.stem))
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        shares = np.hstack([centres, sides]) / np.tile(entry.size_wh, 2)
        lines = [
            " ".join([str(int(number)), *(f"{value:.7g}" for value in row)])
            for number, row in zip(numbers, shares, strict=True)
        ]
        text = "".join(f"{line}\n" for line in lines)
        write_atomically(folder / "labels" / part / f"{name}.txt", text.encode())
        on_file(k, len(targets))


def write_yolo_config(folder: Path, parts: Mapping[str, str], classes: Sequence[str]) -> Path:
    """Write `data.yaml` and return its path.

    Args:
        folder: of the data; the program wants its whole path.
        parts: `train` and `val` -> the part whose pictures they are.
        classes: names by number.
    """
    lines = [f"path: {json.dumps(str(folder.resolve()))}"]  # JSON's texts are YAML's, too
    lines += [f"{name}: images/{part}" for name, part in parts.items()]
    lines += ["names:", *(f"  {k}: {json.dumps(name)}" for k, name in enumerate(classes))]
    write_atomically(folder / CONFIG, ("\n".join(lines) + "\n").encode())
    return folder / CONFIG


def read_yolo_answers(path: Path, size_wh: tuple[int, int], classes: int) -> Detections:
    """Read what a program wrote for a picture: class, centre, size (shares) and score a line, best first.

    Args:
        path: the text; where there is none, nothing was found on the picture.
        size_wh: of the picture.
        classes: how many there are.

    Raises:
        InputFileError: a line is no answer, or names an unknown class.
    """
    rows = list(_rows(path, classes)) if path.is_file() else []
    table = np.array(rows, np.float64).reshape(-1, 6)
    table = table[np.argsort(-table[:, 5], kind="stable")]
    half = table[:, 3:5] / 2
    corners = np.hstack([table[:, 1:3] - half, table[:, 1:3] + half])
    boxes = np.clip(corners, 0, 1) * np.tile(size_wh, 2)
    return Detections(boxes, table[:, 5], table[:, 0].astype(np.int64))


def numbered(number: int) -> str:
    """Return the name of a picture, without suffix: any name will do for any program."""
    return f"{number:06d}"


def _rows(path: Path, classes: int) -> Iterable[list[float]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot be read ({error})", path=path) from error
    for number, line in enumerate(lines, 1):
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        good = len(values) == 6 and all(map(math.isfinite, values)) and values[0] in range(classes)
        if not good:
            raise InputFileError(
                f"line {number} is {line[:80]!r}; it is class (0 to {classes - 1}), x, y, width, height and "
                "score, as save_conf=True gives them",
                path=path,
            )
        yield values
