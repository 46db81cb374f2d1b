"""COCO -> Labelme -> COCO is the same; what cannot be is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from labelled import WH, make_dataset, write_labelled, write_picture
from vircraft.annotation.exchange.coco_import import CocoFileError, import_coco
from vircraft.annotation.exchange.export import export_coco
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.labelme import read_labels
from vircraft.annotation.rules import read_annotations
from vircraft.errors import DatasetError, SettingsError

CATEGORY = {"id": 7, "name": "aircraft", "keypoints": list(KEYPOINTS)}


def coco_file(folder: Path, annotations: list[dict], **more) -> Path:
    """Write a COCO file of one picture, a.png, with defaults for what an annotation leaves out."""
    write_picture(folder / "a.png")
    defaults = {"image_id": 5, "category_id": 7, "iscrowd": 0}
    values = {
        "images": [{"id": 5, "file_name": "a.png", "width": WH[0], "height": WH[1]}],
        "annotations": [{"id": k, **defaults, **a} for k, a in enumerate(annotations, 11)],
        "categories": [CATEGORY],
        **more,
    }
    path = folder / "annotations" / "instances_given.json"
    path.parent.mkdir()
    path.write_text(json.dumps(values))
    return path


def again(folder: Path) -> dict:
    """Export what was imported."""
    export_coco(folder, folder / "out", paint=False, strict=True)
    return json.loads((folder / "out/annotations/person_keypoints_all.json").read_text())


def encoded(pixels: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


coordinate_x, coordinate_y = st.floats(0, WH[0]), st.floats(0, WH[1])


@st.composite
def triangles(draw) -> list[float]:
    left, top = draw(st.floats(0, WH[0] - 6)), draw(st.floats(0, WH[1] - 6))
    dx, dy = draw(st.floats(3, 6)), draw(st.floats(3, 6))
    return [left, top, left + dx, top, left + dx / 3, top + dy]


@st.composite
def outlines(draw) -> dict:
    kind = draw(st.sampled_from(["polygon", "polygons", "rle", "crowd", "runs"]))
    if kind.startswith("polygon"):
        return {"segmentation": [draw(triangles()) for _ in range(1 + (kind == "polygons"))]}
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    pixels = rng.random((WH[1], WH[0])) < draw(st.sampled_from([0.01, 0.3, 1.0]))
    pixels[0, 0] = draw(st.booleans())
    pixels[20, 30] = True
    return {"segmentation": encoded(pixels), "iscrowd": int(kind == "crowd")}


@st.composite
def annotations(draw) -> dict:
    values = draw(outlines())
    if values.get("iscrowd"):
        return values
    points: list[float] = []
    for _ in KEYPOINTS:
        seen = draw(st.sampled_from([0, 1, 2]))
        points += [draw(coordinate_x), draw(coordinate_y), seen] if seen else [0, 0, 0]
    return {**values, "keypoints": points}


@settings(max_examples=60, deadline=None)
@given(wanted=st.lists(annotations(), min_size=1, max_size=3), with_boxes=st.booleans())
def test_the_way_there_and_back_changes_nothing(tmp_path_factory, wanted: list[dict], with_boxes: bool):
    folder = tmp_path_factory.mktemp("coco")
    if with_boxes:
        wanted = [{**w, "bbox": [3.25, 4.5, 20.125, 10.75]} for w in wanted]
    import_coco(coco_file(folder, wanted), folder)
    document = again(folder)
    assert document["images"][0]["id"] == 5
    assert [a["id"] for a in document["annotations"]] == list(range(11, 11 + len(wanted)))
    for found, want in zip(document["annotations"], wanted, strict=True):
        segmentation = want["segmentation"]
        if isinstance(segmentation, dict):
            assert found["segmentation"] == segmentation
        else:
            for a, b in zip(found["segmentation"], segmentation, strict=True):
                assert a == pytest.approx(b, abs=1e-9)
            assert found["area"] == coco_mask.area(
                coco_mask.merge(coco_mask.frPyObjects(segmentation, WH[1], WH[0]))
            )
        assert found["keypoints"] == pytest.approx(want.get("keypoints", [0] * 27), abs=1e-9)
        assert found["iscrowd"] == want.get("iscrowd", 0)
        if with_boxes:
            assert found["bbox"] == pytest.approx(want["bbox"], abs=1e-9)


def test_run_lengths_as_a_list_are_read_too(tmp_path: Path):
    pixels = np.zeros((WH[1], WH[0]), bool)
    pixels[3:9, 5:12] = True
    pixels[5, 7] = False
    flat = np.concatenate([[0], pixels.T.ravel().astype(int), [2]])
    edges = np.flatnonzero(np.diff(flat[:-1]))
    counts = np.diff(np.concatenate([[0], edges, [pixels.size]])).tolist()
    path = coco_file(tmp_path, [{"segmentation": {"size": [WH[1], WH[0]], "counts": counts}}])
    import_coco(path, tmp_path)
    assert again(tmp_path)["annotations"][0]["segmentation"] == encoded(pixels)


def test_group_ids_of_our_own_export_come_back(tmp_path: Path):
    boxes = [{"bbox": [4, 5, 20, 10], "group_id": 7}, {"bbox": [30, 5, 20, 10], "group_id": 3}]
    import_coco(coco_file(tmp_path, boxes), tmp_path)
    assert [(a["id"], a["group_id"]) for a in again(tmp_path)["annotations"]] == [(12, 3), (11, 7)]


def test_a_single_aircraft_without_group_id_stays_so(tmp_path: Path):
    import_coco(coco_file(tmp_path, [{"bbox": [4, 5, 20, 10], "group_id": None}]), tmp_path)
    (annotation,) = again(tmp_path)["annotations"]
    assert (annotation["id"], annotation["group_id"]) == (11, None)


def test_two_pictures_with_one_place_for_labels_are_told_apart(tmp_path: Path):
    write_picture(tmp_path / "a.bmp")
    images = [
        {"id": n, "file_name": name, "width": WH[0], "height": WH[1]}
        for n, name in ((5, "a.png"), (6, "a.bmp"))
    ]
    summary = import_coco(coco_file(tmp_path, [], images=images), tmp_path)
    assert [("a.bmp" in str(f), "another picture" in str(f)) for f in summary.failures] == [(True, True)]


def test_nothing_is_written_behind_a_link_out(tmp_path: Path):
    root = make_dataset(tmp_path / "d", {})
    path = coco_file(root, [])
    (root / "labels").rmdir()
    (tmp_path / "outside").mkdir()
    (root / "labels").symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetError, match="link that leads out"):
        import_coco(path, root)


def test_a_mask_can_be_edited_in_labelme(tmp_path: Path):
    pixels = np.zeros((WH[1], WH[0]), bool)
    pixels[3:9, 5:12] = True
    import_coco(coco_file(tmp_path, [{"segmentation": encoded(pixels)}]), tmp_path)
    (shape,) = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert (shape["shape_type"], shape["points"]) == ("mask", [[5, 3], [11, 8]])


def test_a_box_alone_becomes_a_rectangle(tmp_path: Path):
    import_coco(coco_file(tmp_path, [{"bbox": [4, 5, 20, 10], "segmentation": []}]), tmp_path)
    (shape,) = read_labels(tmp_path / "a.json").shapes
    assert (shape.shape_type, shape.points) == ("rectangle", ((3.5, 4.5), (23.5, 14.5)))
    assert again(tmp_path)["annotations"][0]["bbox"] == [4, 5, 20, 10]


def test_labels_that_are_there_are_kept(tmp_path: Path):
    path = coco_file(tmp_path, [{"bbox": [4, 5, 20, 10]}])
    (tmp_path / "a.json").write_text("drawn by a person")
    summary = import_coco(path, tmp_path)
    assert (summary.written, summary.kept) == ((), (tmp_path / "a.json",))
    assert (tmp_path / "a.json").read_text() == "drawn by a person"


def test_other_categories_and_keypoints_are_counted(tmp_path: Path):
    bird = {"id": 8, "name": "bird"}
    plane = {"id": 7, "name": "airplane", "keypoints": ["Head", "nose"]}
    annotations = [
        {"bbox": [4, 5, 20, 10], "keypoints": [6, 7, 2, 1, 1, 2]},
        {"bbox": [4, 5, 20, 10], "category_id": 8},
    ]
    path = coco_file(tmp_path, annotations, categories=[plane, bird])
    summary = import_coco(path, tmp_path, category="airplane")
    assert summary.other_categories == {"bird": 1}
    assert summary.unknown_keypoints == ("nose",)
    assert {s.label for s in read_labels(tmp_path / "a.json").shapes} == {"aircraft", "Head"}


def test_the_category_that_is_missing_is_named(tmp_path: Path):
    path = coco_file(tmp_path, [], categories=[{"id": 1, "name": "airplane"}])
    with pytest.raises(SettingsError, match=r"'airplane'.*--category"):
        import_coco(path, tmp_path)


def test_label_files_can_go_elsewhere(tmp_path: Path):
    path = coco_file(tmp_path, [{"bbox": [4, 5, 20, 10]}])
    import_coco(path, tmp_path, tmp_path / "labels")
    assert read_annotations(tmp_path / "labels" / "a.json", tmp_path).file_name == "a.png"


def test_ids_that_cannot_be_are_given_anew(tmp_path: Path):
    import_coco(coco_file(tmp_path, [{"bbox": [4, 5, 20, 10], "id": 0}]), tmp_path)
    assert again(tmp_path)["annotations"][0]["id"] == 1


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"segmentation": {"size": [1, 2], "counts": "0"}}, "size-mismatch"),
        ({"segmentation": {"size": [WH[1], WH[0]], "counts": "~~"}}, "bad-mask"),
        ({"segmentation": {"size": [WH[1], WH[0]], "counts": [5]}}, "bad-mask"),
        ({"segmentation": {"size": [WH[1], WH[0]], "counts": [-1, WH[0] * WH[1] + 1]}}, "bad-mask"),
        ({"segmentation": {"size": [WH[1], WH[0]], "counts": [WH[0] * WH[1]]}}, "empty-mask"),
        ({"segmentation": [[1, 2, 3, 4]]}, "degenerate-shape"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "non-finite"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e9]]}, "out-of-range"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "bad-type"),
        ({"segmentation": "x"}, "bad-type"),
        ({}, "bad-type"),
        ({"bbox": [1, 2, 0, 4]}, "degenerate-shape"),
        ({"bbox": [1, 2, 3, 4], "keypoints": [1, 2, 2]}, "bad-type"),
        ({"bbox": [1, 2, 3, 4], "keypoints": [1, 2, 3] * 9}, "bad-type"),
        ({"bbox": [1, 2, 3, 4], "iscrowd": 2}, "bad-type"),
        ({"bbox": [1, 2, 3, 4], "id": "x"}, "bad-type"),
    ],
)
def test_what_cannot_be_imported_is_named_and_stops_no_other(tmp_path: Path, annotation: dict, reason: str):
    write_picture(tmp_path / "b.png")
    images = [
        {"id": n, "file_name": f"{name}.png", "width": WH[0], "height": WH[1]}
        for n, name in ((5, "a"), (6, "b"))
    ]
    good = {"image_id": 6, "bbox": [1, 2, 3, 4]}
    summary = import_coco(coco_file(tmp_path, [annotation, good], images=images), tmp_path)
    assert [failure.reason for failure in summary.failures] == [reason]
    assert "a.png" in str(summary.failures[0])
    assert summary.written == (tmp_path / "b.json",)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"file_name": "../a.png"}, "unsafe-path"),
        ({"file_name": "none.png"}, "missing-image"),
        ({"file_name": 3}, "bad-type"),
        ({"width": 3}, "size-mismatch"),
        ({"id": "5"}, "bad-type"),
    ],
)
def test_a_picture_that_does_not_fit_is_named(tmp_path: Path, image: dict, reason: str):
    (tmp_path / "in").mkdir()
    write_picture(tmp_path / "a.png")
    values = {"id": 5, "file_name": "a.png", "width": WH[0], "height": WH[1], **image}
    summary = import_coco(coco_file(tmp_path / "in", [], images=[values]), tmp_path / "in")
    assert [failure.reason for failure in summary.failures] == [reason]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"images": {}, "annotations": [], "categories": []}',
        "[" * 100_000,
        '{"images": [], "annotations": [3], "categories": [{"id": 1, "name": "aircraft"}]}',
    ],
)
def test_what_is_no_coco_file_is_an_error(tmp_path: Path, content: str):
    path = tmp_path / "coco.json"
    path.write_text(content)
    with pytest.raises(CocoFileError, match=r"coco\.json"):
        import_coco(path, tmp_path)


def test_the_ids_survive_an_edit_that_adds_an_aircraft(tmp_path: Path):
    import_coco(coco_file(tmp_path, [{"bbox": [4, 5, 20, 10]}, {"bbox": [30, 5, 20, 10]}]), tmp_path)
    document = json.loads((tmp_path / "a.json").read_text())
    added = {**document["shapes"][0], "group_id": 9, "points": [[1, 1], [3, 3]]}
    document["shapes"].insert(0, added)
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert [a["id"] for a in again(tmp_path)["annotations"]] == [11, 12, 13]


def test_pictures_of_others_are_imported_with_their_folders(tmp_path: Path):
    label = write_labelled(tmp_path / "sub", "x", [])
    label.unlink()
    images = [{"id": 1, "file_name": "sub/x.png", "width": WH[0], "height": WH[1]}]
    summary = import_coco(coco_file(tmp_path, [], images=images), tmp_path)
    assert summary.written == (tmp_path / "sub" / "x.json",)
