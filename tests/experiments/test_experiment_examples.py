"""Pages of example pictures: labels and what was found stand where they belong, under every method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from experiment_inputs import KINDS, write_pictures, write_plan
from fgfusion_model.downstream.results import TaskResult, write_result
from fgfusion_model.experiments.cells import CellRecord, cell_folder, write_record
from fgfusion_model.experiments.example_pictures import FOUND, RESULTS_NAME, VISIBLE
from fgfusion_model.experiments.kinds import TaskKind
from fgfusion_model.experiments.plan import Plan, load_plan
from fgfusion_model.experiments.runner import RunOptions, run_experiment
from fgfusion_model.experiments.tables import write_tables
from vircraft.errors import DatasetError

POINTS = {**KINDS, "fake": TaskKind("fake_task", "Points", 2, ("score",), "score", "value", "keypoints")}
SIZE_WH = (120, 80)
BOX = (20.0, 20.0, 80.0, 40.0)  # 0.2 x 80 around it: the part from (4, 4) to (116, 76) is shown
LABEL, FOUND_AT = (40.0, 30.0), (80.0, 50.0)  # pixel edges


def make_labels(root: Path, keypoints: bool = True) -> Plan:
    stems = [f"test_00_{frame:06d}" for frame in (0, 10)]
    for base, folder in ((40, "dataset/visible"), (60, "fused/good"), (90, "fused/bad")):
        write_pictures(root / folder, stems, base, SIZE_WH)
    width, height = SIZE_WH
    category: dict[str, Any] = {"id": 1, "name": "aircraft"}
    records: list[dict[str, Any]] = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": list(BOX), "area": 900.0, "iscrowd": 0}
        for i in (1, 2)
    ]
    if keypoints:
        category["keypoints"] = ["Head", "Tail"]
        records[0]["keypoints"] = [*LABEL, 2, 0, 0, 0]
        records[1]["keypoints"] = [0, 0, 0, 0, 0, 0]  # nothing to show
    images = [
        {"id": i, "file_name": f"{s}.png", "width": width, "height": height} for i, s in enumerate(stems, 1)
    ]
    document = {"images": images, "categories": [category], "annotations": records}
    (root / "dataset/annotations").mkdir(parents=True)
    for split in ("train", "test"):
        path = root / f"dataset/annotations/person_keypoints_{split}.json"
        path.write_text(json.dumps(document))
    task = 'val = ""'
    return load_plan(write_plan(root, task=task), POINTS)


def make_cell(out: Path, method: str, seed: int) -> None:
    folder = cell_folder(out, "fake", method, seed)
    write_record(folder, CellRecord("fake", method, seed, "done", "x"))
    write_result(TaskResult("keypoints", "test", method, {"score": 0.5}, {}), folder)
    found = {"image_id": 1, "category_id": 1, "keypoints": [*FOUND_AT, 1.0, *FOUND_AT, 1.0], "score": 1.0}
    (folder / RESULTS_NAME).write_text(json.dumps([found]))


def test_rings_stand_at_labels_and_dots_at_what_was_found(tmp_path: Path) -> None:
    plan = make_labels(tmp_path)
    for method, seed in (("Visible", 0), ("Bad", 1)):  # Good has no cell
        make_cell(tmp_path / "out", method, seed)
    files = write_tables(plan, tmp_path / "out", POINTS)
    path = tmp_path / "out/tables/fake_pictures.png"
    assert path in files
    assert "![Points (fake)](fake_pictures.png)" in (tmp_path / "out/tables/tables.md").read_text()
    page = cv2.imread(str(path))
    dots = np.argwhere((page == FOUND).all(2))
    rings = np.argwhere((page == VISIBLE).all(2))
    scale = 400 / 112  # a cell's width over that of the part
    for column in (0, 1):
        left, right = 404 * column, 404 * (column + 1)
        dot = dots[(dots[:, 1] >= left) & (dots[:, 1] < right)].mean(0)
        ring = rings[(rings[:, 1] >= left) & (rings[:, 1] < right)]
        shift = (np.array(FOUND_AT) - LABEL) * scale
        middle = (ring.min(0) + ring.max(0)) / 2
        assert dot - middle == pytest.approx(shift[::-1], abs=1.0)
        assert middle[1] - left - 4 == pytest.approx((LABEL[0] - 4) * scale - 0.5, abs=1.0)
    assert page.shape[1] == 4 + 2 * 404, "a method without a cell has no column"


def test_labels_that_are_gone_leave_the_tables_without_the_page(tmp_path: Path) -> None:
    plan = make_labels(tmp_path)
    make_cell(tmp_path / "out", "Visible", 0)
    (tmp_path / "dataset/annotations/person_keypoints_test.json").unlink()
    names = {path.name for path in write_tables(plan, tmp_path / "out", POINTS)}
    assert "tables.md" in names
    assert "fake_pictures.png" not in names


def test_a_category_without_keypoints_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    plan = make_labels(tmp_path, keypoints=False)
    with pytest.raises(DatasetError, match=r"fake: .*no category has keypoints"):
        run_experiment(plan, tmp_path / "out", RunOptions(dry_run=True), kinds=POINTS)
