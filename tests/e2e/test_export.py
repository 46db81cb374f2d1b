"""`vircraft export` and `vircraft import` as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import json_lines, vircraft
from labelled import SQUARE, keypoints, make_dataset, shape, write_labelled

OUTLINE = shape("aircraft", "polygon", SQUARE)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    ids = [f"{clip}_{tick:06d}" for clip in "abc" for tick in (0, 10)]
    return make_dataset(tmp_path / "dataset", {pair_id: [OUTLINE, *keypoints()] for pair_id in ids})


def test_a_dataset_becomes_coco_in_place(dataset: Path):
    done = vircraft("export", "coco", dataset)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 pictures" in done.stdout
    assert "6 masks" in done.stdout
    names = {p.name for p in (dataset / "annotations").iterdir()}
    assert names - {"ids.json"} == {
        f"{kind}_{split}.json"
        for kind in ("person_keypoints", "instances")
        for split in ("train", "val", "test")
    }


def test_coco_comes_back_as_the_same_labels(dataset: Path, tmp_path: Path):
    vircraft("export", "coco", dataset, "--ratios", "train=1")
    path = dataset / "annotations" / "person_keypoints_train.json"
    before = path.read_text()
    for label in (dataset / "labels").iterdir():
        label.unlink()
    done = vircraft("import", "coco", path)
    assert done.returncode == 0, done.stderr
    assert "6 label files with 6 aircraft" in done.stdout
    assert vircraft("export", "coco", dataset, "--ratios", "train=1").returncode == 0
    assert path.read_text() == before


def test_a_folder_that_is_no_dataset_becomes_one_split(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    done = vircraft("export", "coco", "--root", tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    (values,) = json_lines(done.stdout)
    assert values["pictures"] == {"all": 1}
    assert (tmp_path / "out/annotations/instances_all.json").is_file()


def test_a_bad_file_is_named_and_ends_in_code_3(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    write_labelled(tmp_path / "in", "b", [shape("Nose", "point", [[1, 1]])])
    arguments = ("export", "coco", "--root", tmp_path / "in", "-o", tmp_path / "out")
    done = vircraft(*arguments)
    assert done.returncode == 3
    assert "b.json: shape 0" in done.stderr
    assert "[unknown-label]" in done.stderr
    (values,) = json_lines(vircraft(*arguments, "--json").stdout)
    assert [(f["file"], f["shape"], f["reason"]) for f in values["failures"]] == [
        ("b.json", 0, "unknown-label")
    ]
    assert vircraft(*arguments, "--strict").returncode == 1


def test_yolo_is_one_of_the_formats(dataset: Path):
    done = vircraft("export", "coco", dataset, "--format", "yolo-pose")
    assert done.returncode == 0, done.stderr
    assert (dataset / "yolo-pose" / "data.yaml").is_file()
    assert vircraft("export", "yolo-pose", dataset, "-o", dataset / "y").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["export", "coco"], 2, "name a DATASET"),
        (["export", "coco", "--root", "."], 2, "--output"),
        (["export", "coco", "."], 2, "--root"),
        (["export", "coco", "nowhere"], 1, "does not exist"),
        (["export", "coco", "--root", "nowhere", "-o", "o"], 1, "does not exist"),
        (["export", "coco", "--root", ".", "-o", "o", "--seed", "3"], 2, "--seed does nothing"),
        (["export", "coco", "DATASET", "--format", "yolo-pose", "--masks"], 2, "--masks does nothing"),
        (["export", "coco", "DATASET", "--ratios", "train"], 2, "NAME=NUMBER"),
        (["export", "coco", "DATASET", "--ratios", "a=1", "--splits", "x"], 2, "exclude"),
        (["export", "coco", "DATASET", "--splits", "nowhere.json"], 2, "cannot be read"),
        (["export", "coco", "DATASET", "--sigmas", "nowhere.json"], 2, "cannot be read"),
        (["import", "coco", "nowhere.json"], 1, "cannot be read"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    dataset: Path, tmp_path: Path, arguments: list[str], code: int, complaint: str
):
    given = [str(dataset) if part == "DATASET" else part for part in arguments]
    done = vircraft(*given, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_shows_an_example():
    for command in (["export"], ["export", "coco"], ["export", "yolo-pose"], ["import", "coco"]):
        assert "Example:" in vircraft(*command, "--help").stdout


def test_sigmas_reach_the_info(dataset: Path, tmp_path: Path):
    (tmp_path / "sigmas.json").write_text('{"Head": 0.03}')
    done = vircraft("export", "coco", dataset, "--sigmas", tmp_path / "sigmas.json")
    assert done.returncode == 0, done.stderr
    info = json.loads((dataset / "annotations/person_keypoints_val.json").read_text())["info"]
    assert info["keypoint_sigmas"][0] == 0.03
