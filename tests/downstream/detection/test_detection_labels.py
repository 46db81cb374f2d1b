"""Boxes of M3FD and COCO folders, and what is refused; AP against pycocotools itself."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fgfusion_model.data.m3fd_layout import read_voc_boxes, read_voc_objects
from fgfusion_model.downstream.detection import M3FD_CLASSES, find_boxes
from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.detection.scores import MAP, box_scores, picture_scores
from vircraft.errors import DatasetError, InputFileError

CORNERS = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
SIZE = "<size><width>32</width><height>24</height><depth>3</depth></size>"


def write_xml(path: Path, *objects: str, size: str = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation>{size}{''.join(objects)}</annotation>")
    return path


def car(*corners: int, name: str = "Car") -> str:
    return f"<object><name>{name}</name><bndbox>{CORNERS.format(*corners)}</bndbox></object>"


def random_labels(rng: np.random.Generator, pictures: int, classes: int) -> dict[str, Any]:
    document: dict[str, Any] = {
        "images": [
            {"id": k, "file_name": f"{k}.png", "width": 100, "height": 80} for k in range(1, pictures + 1)
        ],
        "categories": [{"id": 3 * k, "name": f"c{k}"} for k in range(1, classes + 1)],
        "annotations": [],
    }
    for k in range(1, pictures):  # the last picture holds nothing
        for _ in range(int(rng.integers(1, 5))):
            x, y, w, h = (float(v) for v in rng.uniform((0, 0, 8, 8), (60, 40, 40, 40)))
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": k,
                    "category_id": 3 * int(rng.integers(1, classes + 1)),
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
    return document


def random_results(rng: np.random.Generator, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return boxes near the labelled ones, and some anywhere."""
    results = []
    for record in document["annotations"]:
        for _ in range(int(rng.integers(0, 3))):
            bbox = [float(v) for v in np.array(record["bbox"]) + rng.normal(0, 2, 4)]
            results.append({**{k: record[k] for k in ("image_id", "category_id")}, "bbox": bbox})
    for k in range(1, len(document["images"]) + 1):
        results.append({"image_id": k, "category_id": 3, "bbox": [1.0, 1.0, 20.0, 20.0]})
    return [{**result, "score": float(rng.random())} for result in results]


def test_scores_equal_pycocotools_own_run_on_the_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    document = random_labels(rng, 12, 3)
    results = random_results(rng, document)
    (tmp_path / "labels.json").write_text(json.dumps(document))
    (tmp_path / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO(str(tmp_path / "labels.json"))
        judge = COCOeval(labels, labels.loadRes(str(tmp_path / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    before = json.dumps(document)
    scores = box_scores(document, results)
    assert [scores[name] for name in (MAP, "AP50", "AP75")] == list(judge.stats[:3])
    assert np.mean([scores[f"AP50 c{k}"] for k in (1, 2, 3)]) == pytest.approx(scores["AP50"])
    assert json.dumps(document) == before  # pycocotools writes into what it is given


def test_a_pictures_ap50_is_that_of_a_file_with_that_picture_alone() -> None:
    rng = np.random.default_rng(2)
    document = random_labels(rng, 6, 2)
    results = random_results(rng, document)
    values = picture_scores(document, results)
    assert 6 not in values  # nothing to find on it
    for number in range(1, 6):
        alone = {
            **document,
            "images": [record for record in document["images"] if record["id"] == number],
            "annotations": [record for record in document["annotations"] if record["image_id"] == number],
        }
        here = [result for result in results if result["image_id"] == number]
        assert values.get(number) == pytest.approx(box_scores(alone, here)["AP50"])


def test_no_detection_at_all_is_a_score_of_zero_and_no_object_none() -> None:
    document = random_labels(np.random.default_rng(3), 4, 1)
    assert box_scores(document, []) == {"AP50": 0, "AP75": 0, MAP: 0}
    assert box_scores({**document, "annotations": []}, []) == {"AP50": None, "AP75": None, MAP: None}


def test_voc_counts_pixels_from_one_and_both_ends(tmp_path: Path) -> None:
    path = write_xml(tmp_path / "a.xml", car(1, 2, 32, 24), car(5, 5, 8, 9, name="People"))
    found = read_voc_objects(path)
    assert (found.size_wh, found.names) == ((32, 24), ("Car", "People"))
    assert found.boxes_xyxy == ((0, 1, 32, 24), (4, 4, 8, 9)) == read_voc_boxes(path)
    assert read_voc_objects(write_xml(path, size="")).size_wh is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<object><bndbox/></object>", "object 1 has no name"),
        ("<object><name>Car</name></object>", "object 1 has no box"),
        (car(9, 9, 3, 3), "has a box of no size"),
        ("<size><width>x</width></size>", "is not two whole numbers"),
    ],
)
def test_a_broken_annotation_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = write_xml(tmp_path / "a.xml", content, size="")
    with pytest.raises(InputFileError, match=words):
        read_voc_objects(path)
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
    with pytest.raises(InputFileError, match="declares a document type"):
        read_voc_objects(path)


def test_m3fd_has_six_classes_and_its_lists_divide_it(tmp_path: Path) -> None:
    write_xml(tmp_path / "Annotation" / "00000.xml", car(1, 1, 8, 8))
    write_xml(
        tmp_path / "Annotation" / "00001.xml",
        car(3, 3, 40, 30),
        car(50, 1, 60, 9),
        car(2, 2, 3, 3, name="Lamp"),
    )
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "train.txt").write_text("00000.png\n")
    (tmp_path / "meta" / "val.txt").write_text("00001.png\n")
    labels = find_boxes(tmp_path, "val")
    assert labels.names == M3FD_CLASSES
    boxes, numbers = labels.targets(M3FD_CLASSES)[0]
    assert boxes.tolist() == [[2, 2, 32, 24], [1, 1, 3, 3]]  # cut at the edges; one lies outside
    assert [M3FD_CLASSES[k] for k in numbers] == ["Car", "Lamp"]
    assert "1 boxes of the split 'val' lie outside" in labels.remarks[0]
    with pytest.raises(DatasetError, match="no list of the split 'test'; there are train, val"):
        find_boxes(tmp_path, "test")
    with pytest.raises(InputFileError, match="holds objects of the classes Lamp, and the detector knows Car"):
        labels.targets(("Car",))


def test_m3fd_without_lists_is_divided_by_a_hash_and_says_so(tmp_path: Path) -> None:
    for k in range(40):
        write_xml(tmp_path / "Annotation" / f"{k:05d}.xml", car(1, 1, 8, 8))
    parts = [find_boxes(tmp_path, split) for split in ("train", "val", "test")]
    stems = [picture.stem for labels in parts for picture in labels.coco.pictures]
    assert sorted(stems) == [f"{k:05d}" for k in range(40)]
    assert all("hash" in labels.remarks[0] for labels in parts)
    assert len(find_boxes(tmp_path, "all").coco.pictures) == 40


def test_a_size_that_the_annotation_lacks_is_read_from_the_infrared_picture(tmp_path: Path) -> None:
    write_xml(tmp_path / "Annotation" / "a.xml", car(1, 1, 8, 8), size="")
    (tmp_path / "Ir").mkdir()
    cv2.imwrite(str(tmp_path / "Ir" / "a.png"), np.zeros((20, 30), np.uint8))
    assert find_boxes(tmp_path, "all").coco.sizes_wh == {"a": (30, 20)}


def test_coco_boxes_are_cut_and_crowds_are_not_trained_on(tmp_path: Path) -> None:
    document = {
        "images": [{"id": 7, "file_name": "visible/a.png", "width": 20, "height": 10}],
        "categories": [{"id": 2, "name": "aircraft"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [-2, 1, 8, 20]},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        ],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train.json").write_text(json.dumps(document))
    labels = find_boxes(tmp_path, "train")
    boxes, numbers = labels.targets(("other", "aircraft"))[0]
    assert (boxes.tolist(), numbers.tolist()) == ([[0, 1, 6, 10]], [1])
    assert labels.coco.annotations[0]["area"] == 160  # pycocotools needs one
    found = Detections(np.array([[1.0, 2, 4, 8]] * 2), np.array([0.9, 0.8]), np.array([1, 0]))
    assert labels.results({"a": found}, ("other", "aircraft")) == [
        {"image_id": 7, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.9}
    ]
    with pytest.raises(DatasetError, match="no labels for the split 'test'"):
        find_boxes(tmp_path, "test")
    with pytest.raises(DatasetError, match="has no boxes"):
        find_boxes(tmp_path / "annotations", "train")
