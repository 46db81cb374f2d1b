"""Example pictures of a keypoint task: the same aircraft under all methods, labels and what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.coco_labels import CocoSplit, find_coco, read_coco
from fgfusion_model.downstream.pictures import PictureSet, find_pictures
from fgfusion_model.experiments.cells import cell_folder, pictures_of
from fgfusion_model.experiments.kinds import Kinds
from fgfusion_model.experiments.plan import MethodPlan, Plan, TaskPlan, folder_name
from fgfusion_model.experiments.scores import collect
from fgfusion_model.sheet import SheetRow, SheetSettings, draw_page, spread
from vircraft.errors import DatasetError, VircraftError
from vircraft.files import encode_png, write_atomically

RESULTS_NAME = "keypoints_results.json"  # of a cell, in the form of COCO's results
EXAMPLES = 3  # pictures, evenly spread over the test split
MARGIN = 0.2  # around the labelled boxes, share of their longer side
CELL_PX, PAGE_PX = 400, 3200  # width of a cell at most, and of all of them
FOUND, VISIBLE, OCCLUDED, PALE = (60, 60, 255), (90, 255, 90), (60, 200, 255), (255, 255, 255)  # BGR
SHIFT = 4  # binary digits of a fraction of a pixel in what is drawn
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class _Column:
    """A method: its pictures and, by the number of the picture, what its network found on each."""

    title: str
    pictures: PictureSet
    found: Mapping[int, Sequence[Any]]


def write_example_pictures(plan: Plan, output: Path, kinds: Kinds) -> dict[str, Path]:
    """Write `tables/TASK_pictures.png` for each keypoint task: a row a picture, a column a method.

    Each method is shown with its first seed that is done. Rings are labels (green visible, yellow occluded),
    dots what was found. A task whose labels are gone has no such page, a method whose pictures are gone no
    column.

    Returns:
        task -> file.

    Raises:
        DatasetError: the folder cannot be written.
    """
    written: dict[str, Path] = {}
    for task in plan.task:
        if kinds[task.kind].labels == "keypoints" and (columns := _columns(plan, output, task)):
            try:
                labels = read_coco(find_coco(task.data, task.test, "person_keypoints"), task.test)
                page = draw_examples(labels, columns)
            except VircraftError:  # moved away since: the tables are what matters
                continue
            written[task.name] = output / "tables" / f"{folder_name(task.name)}_pictures.png"
            write_atomically(written[task.name], encode_png(page))
    return written


def draw_examples(labels: CocoSplit, columns: Sequence[_Column]) -> Picture:
    """Return a page, (H, W, 3) BGR.

    Raises:
        DatasetError: no picture has a labelled keypoint.
        PictureError: one cannot be decoded.
    """
    labelled: dict[int, list[Any]] = {}
    for record in labels.annotations:
        if any(record.get("keypoints", [])[2::3]):
            labelled.setdefault(record["image_id"], []).append(record)
    shown = [picture for picture in labels.pictures if picture.id in labelled]
    if not shown:
        raise DatasetError(f"{labels.path}: no picture has a labelled keypoint")
    width = min(CELL_PX, PAGE_PX // len(columns) - 8)
    rows = [
        SheetRow(
            picture.stem,
            [
                _cell(column.pictures.read(picture.stem), labelled[picture.id], found, width)
                for column in columns
                for found in [column.found.get(picture.id, ())]
            ],
        )
        for picture in (shown[k] for k in spread(len(shown), EXAMPLES))
    ]
    titles = [column.title for column in columns]
    return draw_page(titles, rows, SheetSettings(rows=EXAMPLES, cell_width_px=width))


def _columns(plan: Plan, output: Path, task: TaskPlan) -> list[_Column]:
    methods = {method.name: method for method in plan.methods}
    columns = [
        _column(plan, output, task, methods[scores.name], next(iter(scores.results)))  # in the plan's order
        for scores in collect(plan, output, task, plan.methods)
        if scores.results
    ]
    return [column for column in columns if column is not None]


def _column(plan: Plan, output: Path, task: TaskPlan, method: MethodPlan, seed: int) -> _Column | None:
    path = cell_folder(output, task.name, method.name, seed) / RESULTS_NAME
    try:
        records: list[Any] = json.loads(path.read_text(encoding="utf-8"))
        pictures = find_pictures(task.data, pictures_of(plan, output, method, task), task.test)
    except (OSError, ValueError, VircraftError):
        return None
    found: dict[int, list[Any]] = {}
    for record in records:
        found.setdefault(record["image_id"], []).append(record)
    return _Column(method.name, pictures, found)


def _cell(picture: Picture, labelled: Sequence[Any], found: Sequence[Any], width: int) -> Picture:
    """Return the part of a picture (RGB) around the labelled boxes, so many pixels wide, BGR, drawn on."""
    left, top, right, bottom = _part(labelled, (picture.shape[1], picture.shape[0]))
    scale = width / (right - left)
    size = width, max(1, round((bottom - top) * scale))
    cut = np.ascontiguousarray(picture[top:bottom, left:right, ::-1])
    cell = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def place(record: Any) -> NDArray[np.float64]:
        points = np.array(record["keypoints"], np.float64).reshape(-1, 3)
        points[:, :2] = (points[:, :2] - (left, top)) * scale - 0.5  # COCO counts edges
        return points

    for x, y, v in (point for record in labelled for point in place(record)):
        if v:
            cv2.circle(cell, _at(x, y), 6 << SHIFT, VISIBLE if v > 1 else OCCLUDED, 2, cv2.LINE_AA, SHIFT)
    for x, y, _ in (point for record in found for point in place(record)):
        cv2.circle(cell, _at(x, y), 3 << SHIFT, PALE, -1, cv2.LINE_AA, SHIFT)
        cv2.circle(cell, _at(x, y), 2 << SHIFT, FOUND, -1, cv2.LINE_AA, SHIFT)
    return cell


def _part(labelled: Sequence[Any], size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what is shown, whole pixels within the picture."""
    boxes = np.array([record["bbox"] for record in labelled], np.float64)
    low, high = boxes[:, :2].min(0), (boxes[:, :2] + boxes[:, 2:]).max(0)
    margin = MARGIN * float((high - low).max())
    left, top = np.clip(np.floor(low - margin), 0, np.array(size_wh) - 1).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), (left + 1, top + 1), size_wh).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _at(x: float, y: float) -> tuple[int, int]:
    one = 1 << SHIFT
    return round(float(np.clip(x, -4096, 4096)) * one), round(float(np.clip(y, -4096, 4096)) * one)
