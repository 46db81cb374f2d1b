"""The YOLO pose format: shares of the picture, a line an aircraft."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from labelled import SQUARE, WH, keypoints, make_dataset, shape, write_labelled, write_picture
from vircraft.annotation.exchange.export import export_coco
from vircraft.annotation.exchange.selection import ExportSettings
from vircraft.annotation.exchange.yolo import export_yolo_pose
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.errors import DatasetError

OUTLINE = shape("aircraft", "polygon", SQUARE)


def test_a_line_holds_box_and_keypoints_as_shares(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE, *keypoints()])
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    (line,) = (tmp_path / "out/labels/all/a.txt").read_text().splitlines()
    values = [float(v) for v in line.split()]
    assert values[0] == 0
    assert values[1:5] == pytest.approx([20 / WH[0], 17 / WH[1], 20 / WH[0], 10 / WH[1]])
    points = np.reshape(values[5:], (9, 3))
    assert points[:, 0] * WH[0] == pytest.approx(11.25 + np.arange(9), abs=1e-4)
    assert points[:, 1] * WH[1] == pytest.approx(13.5 + np.arange(9) / 2, abs=1e-4)
    assert points[2, 2] == 1


def test_every_picture_has_its_text_file_and_crowds_have_no_line(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [])
    write_labelled(tmp_path / "in", "b", [shape("aircraft", "polygon", SQUARE, flags={"crowd": True})])
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    for name in "ab":
        assert (tmp_path / f"out/images/all/{name}.png").is_file()
        assert (tmp_path / f"out/labels/all/{name}.txt").read_text() == ""


def test_the_config_tells_what_mirroring_swaps(tmp_path: Path):
    root = make_dataset(tmp_path / "d", {f"{clip}_000000": [OUTLINE] for clip in "abc"})
    config = export_yolo_pose(root, root / "yolo").config.read_text().splitlines()
    for split in ("train", "val", "test"):
        assert f"{split}: images/{split}" in config
    flipped = next(line for line in config if line.startswith("flip_idx"))
    order = [int(v) for v in flipped.partition("[")[2].strip("]").split(",")]
    assert KEYPOINTS[order[KEYPOINTS.index("Left_root")]] == "Right_root"
    assert KEYPOINTS[order[KEYPOINTS.index("Head")]] == "Head"


def test_deep_pictures_become_8_bit(tmp_path: Path):
    label = write_labelled(tmp_path / "in", "a", [OUTLINE])
    write_picture(label.with_suffix(".png"), dtype=np.uint16)
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    assert cv2.imread(str(tmp_path / "out/images/all/a.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint8


def test_a_picture_that_cannot_be_decoded_is_named_and_stops_no_other(tmp_path: Path):
    for name in "ab":
        label = write_labelled(tmp_path / "in", name, [OUTLINE])
        write_picture(label.with_suffix(".png"), dtype=np.uint16)
    path = tmp_path / "in" / "a.png"
    path.write_bytes(path.read_bytes()[:60])
    summary = export_yolo_pose(tmp_path / "in", tmp_path / "out")
    assert [(f.path.name, f.reason) for f in summary.selection.failures if f.path] == [
        ("a.json", "bad-image")
    ]
    assert summary.pictures == {"all": 1}
    assert [p.name for p in (tmp_path / "out/labels/all").iterdir()] == ["b.txt"]


def test_exporting_again_moves_a_clip_and_leaves_nothing_behind(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    write_labelled(tmp_path / "in", "b", [OUTLINE])
    for suffix in (".json", ".png"):
        (tmp_path / "in" / f"a{suffix}").unlink()
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out/images/all").iterdir()] == ["b.png"]


def test_what_others_put_there_stays(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    extra = tmp_path / "out/images/all/extra.png"
    extra.touch()
    export_yolo_pose(tmp_path / "in", tmp_path / "out")
    assert extra.is_file()


def test_a_missing_split_has_a_stand_in_that_is_told(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    summary = export_yolo_pose(tmp_path / "in", tmp_path / "out")
    assert summary.stand_ins == {"train": "all", "val": "all"}
    assert "no split 'val': all stands in" in summary.config.read_text()


def test_the_splits_are_those_of_the_coco_export(tmp_path: Path):
    root = make_dataset(tmp_path / "d", {f"{clip}_000000": [OUTLINE] for clip in "abcdef"})
    settings = ExportSettings(ratios={"train": 0.5, "val": 0.5}, seed=4)
    export_coco(root, settings=settings)
    images = json.loads((root / "annotations/person_keypoints_val.json").read_text())["images"]
    export_yolo_pose(root, root / "yolo", ExportSettings(ratios={"train": 0.5, "val": 0.5}))
    found = {p.stem for p in (root / "yolo/images/val").iterdir()}
    assert found == {image["pair_id"] for image in images}


def test_folders_of_somebody_else_are_not_touched(tmp_path: Path):
    write_labelled(tmp_path / "labels", "a", [OUTLINE])
    with pytest.raises(DatasetError, match="labels"):
        export_yolo_pose(tmp_path, tmp_path)
    assert (tmp_path / "labels" / "a.json").is_file()
