"""Find keypoints in pictures without labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fgfusion_model.downstream.coco_labels import read_coco
from fgfusion_model.downstream.keypoints.crops import cut_patch
from fgfusion_model.downstream.keypoints.estimation import Estimator, Pose, estimate, load_estimator
from fgfusion_model.downstream.keypoints.labels import EDGE
from fgfusion_model.downstream.keypoints.scores import result_entry
from fgfusion_model.downstream.pictures import Rgb, list_pictures, read_rgb, write_rgb
from fgfusion_model.downstream.results import Predicted
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.training.runtime import Runtime
from vircraft.annotation.keypoints import KEYPOINTS, SKELETON
from vircraft.errors import DatasetError, PictureError
from vircraft.files import write_atomically

FOUND_NAME = "keypoints.json"
DRAWN = "drawn"
CATEGORY_ID = 1  # in results without labels
BONE, LEFT, RIGHT, MIDDLE = (255, 255, 255), (80, 220, 80), (255, 60, 60), (255, 200, 60)  # RGB
Box = tuple[float, float, float, float]  # left and top edge, width and height; pixel centres at integers


@dataclass(frozen=True)
class Found(Predicted):
    """What came of pictures without labels.

    Attributes:
        answers: the file with COCO's results.
        pictures: how many were looked at.
        failures: what was wrong with those that were left out.
        objects: number of objects in the file.
        drawn: the pictures drawn.
    """

    objects: int
    drawn: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class _Places:
    """Where to look: picture's stem -> id, size and boxes; None for the whole of every picture."""

    by_stem: dict[str, tuple[int, tuple[int, int], list[Box]]] | None = None
    category_id: int = CATEGORY_ID


def predict(
    weights: Path,
    sources: Path | Sequence[Path],
    output: Path,
    *,
    boxes: Path | None = None,
    draw: bool = False,
    runtime: Runtime | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Found:
    """Find keypoints in pictures and write them as COCO's results, with each picture's `file_name`.

    Args:
        weights: of `train`.
        sources: pictures, or folders of pictures.
        output: folder for `keypoints.json`, and `drawn/`.
        boxes: a COCO file with a box an object; None: each whole picture is one object's box.
        draw: also draw what was found.
        runtime: where it runs.
        on_file: is called with the number of pictures done and their total.

    Raises:
        DatasetError: there is no picture, two share a name, or one is not in the file of boxes.
        InputFileError: the weights or the boxes cannot be used. A picture that cannot be read is left out.
    """
    estimator = load_estimator(weights, choose_device((runtime or Runtime()).device))
    files = list(list_pictures([sources] if isinstance(sources, Path) else sources).values())
    places = _read_boxes(boxes, estimator.category) if boxes else _Places()
    _check_known(files, places, boxes)
    results: list[dict[str, Any]] = []
    failures: list[str] = []
    drawn: list[Path] = []
    for done, path in enumerate(files, 1):
        try:
            picture = read_rgb(path, infrared=estimator.infrared)
            number, found = _in_picture(estimator, picture, path, places, done)
        except PictureError as error:
            failures.append(str(error))
        else:
            entries = [
                {**result_entry(number, places.category_id, pose), "file_name": path.name} for pose in found
            ]
            results += entries
            if draw:
                drawn.append(output / DRAWN / f"{path.stem}.png")
                write_rgb(drawn[-1], draw_poses(picture, found, estimator))
        if on_file is not None:
            on_file(done, len(files))
    write_atomically(output / FOUND_NAME, json.dumps(results, ensure_ascii=False).encode())
    read = len(files) - len(failures)
    return Found(output / FOUND_NAME, read, tuple(failures), len(results), tuple(drawn))


def draw_poses(picture: Rgb, poses: Sequence[Pose], estimator: Estimator) -> Rgb:
    """Return a picture, (H, W, 3) RGB, with keypoints: left ones green, right ones red, others yellow."""
    drawn = picture.copy()
    radius = max(2, round(max(picture.shape[:2]) / 250))
    bones = SKELETON if estimator.keypoints == KEYPOINTS else ()
    for pose in poses:
        at = [(int(x), int(y)) for x, y in np.rint(pose.points)]
        for a, b in bones:
            cv2.line(drawn, at[a], at[b], BONE, 1, cv2.LINE_AA)
        for place, name in zip(at, estimator.keypoints, strict=True):
            side = LEFT if "left" in name.lower() else RIGHT if "right" in name.lower() else MIDDLE
            cv2.circle(drawn, place, radius, side, -1, cv2.LINE_AA)
    return drawn


def _in_picture(
    estimator: Estimator, picture: Rgb, path: Path, places: _Places, number: int
) -> tuple[int, list[Pose]]:
    """Return the picture's id and the keypoints of its objects.

    Raises:
        PictureError: it has another size than its boxes are for.
    """
    size = picture.shape[1], picture.shape[0]
    boxes: list[Box] = [(-EDGE, -EDGE, float(size[0]), float(size[1]))]
    if places.by_stem is not None:
        number, wanted, boxes = places.by_stem[path.stem]
        if wanted != size:
            raise PictureError(
                f"is {size[0]}x{size[1]}, its boxes are for {wanted[0]}x{wanted[1]}", path=path, reason="size"
            )
    patches = [cut_patch(picture, box, estimator.settings) for box in boxes]
    return number, list(estimate(estimator.network, patches, estimator.settings, estimator.flip_pairs))


def _read_boxes(path: Path, category: str) -> _Places:
    """Return the boxes of a COCO file: those of the network's category, or all where it has none of it."""
    coco = read_coco(path, "")
    wanted = {number for number, name in coco.categories.items() if name == category} or set(coco.categories)
    places: dict[int, tuple[int, tuple[int, int], list[Box]]] = {
        picture.id: (picture.id, picture.size_wh, []) for picture in coco.pictures
    }
    for record in coco.annotations:
        if record["category_id"] in wanted:
            x, y, width, height = map(float, record["bbox"])
            places[record["image_id"]][2].append((x - EDGE, y - EDGE, width, height))
    return _Places(
        {picture.stem: places[picture.id] for picture in coco.pictures}, min(wanted, default=CATEGORY_ID)
    )


def _check_known(files: Sequence[Path], places: _Places, boxes: Path | None) -> None:
    if places.by_stem is None:
        return
    unknown = [path.name for path in files if path.stem not in places.by_stem]
    if unknown:
        raise DatasetError(
            f"{boxes}: has no entry for {len(unknown)} of {len(files)} pictures, such as {unknown[0]}; give "
            "only pictures that it knows, or no boxes"
        )
