"""Label maps: the layouts that are known, their classes, and what is refused; IoU against scikit-learn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score

from fgfusion_model.downstream.segmentation import MSRS_CLASSES, find_label_maps
from fgfusion_model.downstream.segmentation.confusion import class_ious, confusion, mean_iou, picture_iou
from fgfusion_model.downstream.segmentation.label_maps import (
    check_ids,
    class_names,
    has_label_maps,
    read_label_map,
)
from fgfusion_model.downstream.stem_splits import choose_stems, hashed_split
from vircraft.errors import DatasetError, InputFileError


def write(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)
    return path


def label(value: int = 1) -> np.ndarray:
    found = np.zeros((12, 16), np.uint8)
    found[3:7, 4:9] = value
    return found


def test_iou_equals_scikit_learns_on_random_maps() -> None:
    rng = np.random.default_rng(0)
    counts = np.zeros((6, 6), np.int64)
    truths, answers = [], []
    for _ in range(5):  # one matrix over all pictures, not a mean of pictures
        truth, answer = rng.integers(0, 6, (2, 40, 30)).astype(np.uint8)
        counts += confusion(truth, answer, 6)
        truths.append(truth.ravel())
        answers.append(answer.ravel())
    expected = jaccard_score(np.concatenate(truths), np.concatenate(answers), average=None)
    assert class_ious(counts) == pytest.approx(list(expected))
    assert mean_iou(counts) == pytest.approx(expected.mean())


def test_pixels_without_a_class_do_not_count() -> None:
    truth = np.array([[0, 1, 255, 255]], np.uint8)
    assert class_ious(confusion(truth, np.array([[0, 1, 0, 1]], np.uint8), 2)) == [1.0, 1.0]


def test_a_class_that_never_occurs_has_no_iou_and_one_wrongly_answered_has_zero() -> None:
    counts = confusion(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 3, 1, 1]], np.uint8), 4)
    assert class_ious(counts) == [0.5, 1.0, None, 0.0]
    assert mean_iou(counts) == pytest.approx(0.5)
    assert picture_iou(counts) == pytest.approx(0.75)  # of the classes in the label


def test_msrs_has_its_nine_classes_background_first(tmp_path: Path) -> None:
    for split, stem in (("train", "00001D"), ("test", "00002N")):
        write(tmp_path / split / "Segmentation_labels" / f"{stem}.png", label(8))
    maps = find_label_maps(tmp_path, "test")
    assert list(maps.paths) == ["00002N"]
    assert class_names((), maps) == MSRS_CLASSES
    assert (MSRS_CLASSES[0], MSRS_CLASSES[-1], len(MSRS_CLASSES)) == ("background", "bump", 9)
    with pytest.raises(DatasetError, match=r"no label maps for the split 'val'.*there are test, train"):
        find_label_maps(tmp_path, "val")


def test_a_single_folder_is_divided_by_its_lists(tmp_path: Path) -> None:
    for stem in "abc":
        write(tmp_path / "labels" / f"{stem}.png", label(3))
    (tmp_path / "train.txt").write_text("c.png\na\n")
    (tmp_path / "test.txt").write_text("b\n")
    maps = find_label_maps(tmp_path, "train")
    assert list(maps.paths) == ["c", "a"]
    assert class_names((), maps) == ("background", "class 1", "class 2", "class 3")
    (tmp_path / "classes.txt").write_text("road\ncar\nbus\ntree\n")
    maps = find_label_maps(tmp_path, "test")
    assert class_names((), maps) == ("road", "car", "bus", "tree")
    (tmp_path / "test.txt").write_text("b\nz\n")
    with pytest.raises(DatasetError, match=r"1 pictures without labels \(z\)"):
        find_label_maps(tmp_path, "test")


def test_lists_that_share_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a\nb.png\n")
    (tmp_path / "trainval.txt").write_text("a\nb\nc\n")
    assert choose_stems(tmp_path, "train", "abc")[0] == ["a", "b"]
    (tmp_path / "test.txt").write_text("b\nd\n")
    with pytest.raises(
        DatasetError, match=r"shares 1 pictures with .* \(b\); a picture belongs to one split"
    ):
        choose_stems(tmp_path, "train", "abcd")


def test_classes_are_counted_over_all_splits(tmp_path: Path) -> None:
    for split, highest in (("train", 1), ("test", 3)):
        write(tmp_path / split / "labels" / "a.png", label(highest))
    assert len(class_names((), find_label_maps(tmp_path, "train"))) == 4


def test_a_split_is_there_whatever_is_wrong_with_it(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / split / "Segmentation_labels" / "a.png", label())
    (tmp_path / "val" / "Segmentation_labels" / "a.png").unlink()
    assert [has_label_maps(tmp_path, split) for split in ("train", "val", "test")] == [True, True, False]
    annotations = tmp_path / "x" / "annotations"
    annotations.mkdir(parents=True)
    (annotations / "instances_val.json").write_text("{")
    assert [has_label_maps(tmp_path / "x", split) for split in ("train", "val")] == [False, True]


def test_without_a_list_names_divide_it_and_a_clip_stays_whole(tmp_path: Path) -> None:
    stems = [f"clip{k}_{n:06d}" for k in range(60) for n in (0, 10)]
    parts = {split: choose_stems(tmp_path, split, stems)[0] for split in ("train", "val", "test")}
    assert sorted(stem for part in parts.values() for stem in part) == sorted(stems)
    assert all(hashed_split(a) == hashed_split(b) for a, b in zip(stems[::2], stems[1::2], strict=True))
    assert 0.5 < len(parts["train"]) / len(stems) < 0.9
    assert "hash" in choose_stems(tmp_path, "train", stems)[1][0]


def test_masks_of_a_vircraft_dataset_have_two_classes(tmp_path: Path) -> None:
    write(tmp_path / "masks" / "x_000000.png", label(255))
    images = [{"id": k, "file_name": f"infrared/x_{k:06d}.png", "width": 16, "height": 12} for k in (1, 2)]
    images[0]["file_name"] = "infrared/x_000000.png"
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 3, 5, 4]}
    document = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "aircraft"}]}
    path = tmp_path / "annotations" / "instances_train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    maps = find_label_maps(tmp_path, "train")
    assert class_names((), maps) == ("background", "aircraft")
    assert np.array_equal(maps.read("x_000000"), label(1))
    assert maps.read("x_000002").shape == (12, 16)  # nothing on it, hence no mask
    assert not maps.read("x_000002").any()
    (tmp_path / "masks" / "x_000000.png").unlink()
    with pytest.raises(DatasetError, match=r"1 masks of the split 'train' are missing \(x_000000\)"):
        find_label_maps(tmp_path, "train")


def test_grey_with_alpha_is_a_label_map(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.full((12, 16), 255, np.uint8))
    Image.merge("LA", (Image.fromarray(label(2)), alpha)).save(tmp_path / "a.png")
    assert np.array_equal(read_label_map(tmp_path / "a.png"), label(2))


def test_class_ids_outside_the_map_are_named_with_the_picture(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.png", label(11))
    with pytest.raises(InputFileError, match=r"odd\.png: holds the class ids 11, and there are 9 classes"):
        check_ids(read_label_map(path), 9, path)


def test_a_palette_picture_gives_its_indices_and_a_colour_picture_is_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(label(2)).convert("P")
    picture.putdata(label(2).ravel().tolist())
    picture.putpalette([7, 7, 7, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "palette.png")
    assert np.array_equal(read_label_map(tmp_path / "palette.png"), label(2))
    colour = write(tmp_path / "colour.png", np.dstack([label(1), label(2), label(3)]))
    with pytest.raises(InputFileError, match="is a colour picture"):
        read_label_map(colour)
    assert np.array_equal(read_label_map(write(tmp_path / "grey.png", np.dstack([label(4)] * 3))), label(4))


@pytest.mark.parametrize(("name", "content"), [("a.png", b"no picture"), ("a.jpg", None)])
def test_what_is_no_exact_label_map_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    if content is None:
        write(path, label(2))
    else:
        path.write_bytes(content)
    with pytest.raises(InputFileError, match="is no label map that can be read"):
        read_label_map(path)


def test_sixteen_bit_maps_are_read_up_to_255(tmp_path: Path) -> None:
    assert np.array_equal(read_label_map(write(tmp_path / "a.png", label(5).astype(np.uint16))), label(5))
    with pytest.raises(InputFileError, match="holds values 0 to 1000"):
        read_label_map(write(tmp_path / "b.png", label(1).astype(np.uint16) * 1000))
