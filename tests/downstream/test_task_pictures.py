"""Pictures, labels and results that all tasks share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fgfusion_model.downstream.coco_labels import find_coco, read_coco, shared_remarks
from fgfusion_model.downstream.detection.boxes import BoxLabels
from fgfusion_model.downstream.held_out import find_train_and_val
from fgfusion_model.downstream.pictures import check_pictures, find_pictures, read_rgb
from fgfusion_model.downstream.results import TaskResult, read_result, write_result
from fgfusion_model.downstream.trained import other_pictures
from vircraft.errors import DatasetError, InputFileError, PictureError

SIZE_WH = (8, 6)


def write(path: Path, value: Any = 100, size_wh: tuple[int, int] = SIZE_WH) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((size_wh[1], size_wh[0], *np.shape(value)), value, np.uint8)
    cv2.imwrite(str(path), picture)


@pytest.mark.parametrize(
    ("layout", "split"),
    [("visible", ""), ("vi", ""), ("Vis", ""), ("train/vi", "train"), ("Train/visible", "train")],
)
def test_the_visible_pictures_of_every_layout_are_found(tmp_path: Path, layout: str, split: str) -> None:
    write(tmp_path / layout / "a.png", (10, 20, 30))
    found = find_pictures(tmp_path, "visible", split)
    assert found.read("a")[0, 0].tolist() == [30, 20, 10]


def test_a_fused_folder_may_have_a_folder_for_each_split(tmp_path: Path) -> None:
    write(tmp_path / "fused/train/a.png")
    write(tmp_path / "flat/a.png")
    assert find_pictures(tmp_path, str(tmp_path / "fused"), "train").paths.keys() == {"a"}
    assert find_pictures(tmp_path, str(tmp_path / "flat"), "train").paths.keys() == {"a"}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no folder of infrared pictures \(infrared/, ir/"):
        find_pictures(tmp_path, "infrared")
    with pytest.raises(DatasetError, match="does not exist; pictures are 'visible', 'infrared' or a folder"):
        find_pictures(tmp_path, str(tmp_path / "fused"))
    (tmp_path / "fused").mkdir()
    with pytest.raises(DatasetError, match="holds no picture"):
        find_pictures(tmp_path, str(tmp_path / "fused"))


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.jpg and a\.png share a name"):
        find_pictures(tmp_path, str(tmp_path))


def test_missing_and_differently_sized_pictures_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "b.png", size_wh=(4, 6))
    (tmp_path / "c.png").write_bytes(b"no picture")
    found = find_pictures(tmp_path, str(tmp_path))
    check_pictures(found, {"a": SIZE_WH})
    with pytest.raises(DatasetError, match=r"2 of 3 pictures are missing \(x, y\)"):
        check_pictures(found, {"a": SIZE_WH, "x": SIZE_WH, "y": SIZE_WH})
    with pytest.raises(
        DatasetError, match=r"2 of 3 pictures do not fit .*b.png is 4x6, not 8x6, c.png is unr"
    ):
        check_pictures(found, {"a": SIZE_WH, "b": SIZE_WH, "c": SIZE_WH})


def test_every_kind_of_picture_becomes_8_bit_rgb(tmp_path: Path) -> None:
    write(tmp_path / "grey.png", 7)
    assert read_rgb(tmp_path / "grey.png").tolist() == [[[7, 7, 7]] * 8] * 6
    raw = np.linspace(1000, 1200, 48).reshape(6, 8).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "raw.png"), raw)
    spread = read_rgb(tmp_path / "raw.png", infrared=True)
    assert (spread.dtype, spread.shape, int(spread.min()), int(spread.max())) == (np.uint8, (6, 8, 3), 0, 255)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(PictureError):
        read_rgb(tmp_path / "bad.png")


def coco(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "infrared/a.png", "width": 8, "height": 6}],
        "categories": [{"id": 1, "name": "aircraft"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 3], "area": 12}],
    }
    return document | changes


def stored(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "annotations" / "instances_train.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_labels_of_a_split_are_found_and_read(tmp_path: Path) -> None:
    stored(tmp_path, coco())
    split = read_coco(find_coco(tmp_path, "train", "instances"), "train")
    assert split.sizes_wh == {"a": SIZE_WH}
    assert split.categories == {1: "aircraft"}
    with pytest.raises(DatasetError, match=r"no labels for the split 'val' .* there are train"):
        find_coco(tmp_path, "val", "instances")
    with pytest.raises(DatasetError, match="run `vircraft export coco` first"):
        find_coco(tmp_path, "val", "person_keypoints")


TWO = [{"id": k, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 3]} for k in (1, 1)]
IMAGE = {"id": 1, "file_name": "a.png", "width": 8, "height": 6}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "is not COCO"),
        ({}, "is not COCO"),
        (coco(images=[]), "holds no picture"),
        (coco(annotations=TWO), "object id 1 stands twice"),
        (coco(images=[IMAGE, {**IMAGE, "id": 2}]), "picture name 'a' stands twice"),
        (coco(annotations=[{**TWO[0], "id": 0}]), "ids start at 1"),
        (coco(annotations=[{**TWO[0], "image_id": 7}]), "on picture 7, which is not there"),
        (coco(annotations=[{**TWO[0], "category_id": 7}]), "category 7, which is not there"),
        (coco(images=[{**IMAGE, "width": "8"}]), "width is '8'; it is a whole number"),
        (coco(images=[{**IMAGE, "height": 0}]), "picture 1 is 8x0"),
        (coco(images=[{**IMAGE, "id": "1"}]), "id is '1'; it is a whole number"),
        (coco(annotations=[{**TWO[0], "iscrowd": "no"}]), "iscrowd 'no'; it is 0 or 1"),
        (coco(annotations=[{**TWO[0], "bbox": ["1", 1, 4, 3]}]), "box or an area that is no number"),
        (coco(annotations=[{**TWO[0], "bbox": [1, 1, 0, 3]}]), "width and height above 0"),
        (coco(annotations=[{**TWO[0], "bbox": [1, 1, 1e999, 3]}]), "width and height above 0"),
    ],
)
def test_labels_that_would_mislead_an_evaluator_are_refused(
    tmp_path: Path, document: Any, message: str
) -> None:
    with pytest.raises(InputFileError, match=message):
        read_coco(stored(tmp_path, document), "train")


def test_a_crowd_of_null_is_none(tmp_path: Path) -> None:
    document = coco(annotations=[{**TWO[0], "iscrowd": None}])
    assert read_coco(stored(tmp_path, document), "train").annotations[0]["iscrowd"] == 0


def test_pictures_that_were_trained_on_are_remarked(tmp_path: Path) -> None:
    path = stored(tmp_path, coco(images=[IMAGE, {**IMAGE, "id": 2, "file_name": "b.png"}]))
    test = path.with_name("instances_test.json")
    test.write_text(json.dumps(coco()))
    (remark,) = shared_remarks(tmp_path, read_coco(test, "test"), "instances")
    assert "1 of 1 pictures of the split 'test' are in 'train'" in remark
    assert shared_remarks(tmp_path, read_coco(path, "train"), "instances") == ()


def test_a_network_is_remarked_on_only_where_its_pictures_were_others() -> None:
    assert other_pictures("fused/a/", "fused/a") == other_pictures("", "visible") == ()
    assert "'fused/a/keypoints'" in other_pictures("fused/a/keypoints", "fused/b/keypoints")[0]


def test_only_a_split_that_nobody_named_may_be_missing() -> None:
    events: list[Any] = []
    find = {"train": BoxLabels(None, ("r",))}.__getitem__  # type: ignore[arg-type]
    there = {"train"}.__contains__
    assert find_train_and_val(find, there, "train", None, events.append)[1] is None
    assert [event.text[:26] for event in events] == ["the dataset has no split '", "r"]
    with pytest.raises(KeyError):
        find_train_and_val(find, there, "train", "val", events.append)
    with pytest.raises(KeyError):  # it is there, and something is wrong with it
        find_train_and_val(find, {"val"}.__contains__, "train", None, events.append)
    assert find_train_and_val(find, there, "train", "", events.append)[1] is None


def test_labels_that_are_no_json_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff{")
    with pytest.raises(InputFileError, match="cannot be read as JSON"):
        read_coco(path, "train")


def test_a_result_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    result = TaskResult("keypoints", "test", "visible", {"AP": 0.1, "x": None}, {"OKS": {"a": 1 / 3}}, ("r",))
    assert read_result(write_result(result, tmp_path)) == result
    (tmp_path / "result.json").write_text('{"task": "keypoints"}')
    with pytest.raises(InputFileError, match="no result of a task"):
        read_result(tmp_path / "result.json")
