"""`vircraft stats` and the files that it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from labelled_folder import aircraft, shape, write_labelled
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft_cli.stats import command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "labelled"
    for n, (clip, flag) in enumerate((("a", ()), ("a", ("occluded",)), ("b", ("invisible",)))):
        points = {"Head": (20, 30, *flag), "Tail": (60, 35)}
        write_labelled(root, f"{clip}_{10 * n:06d}", aircraft((10, 20, 70 + 10 * n, 50), points))
    return root


def run(*arguments: object) -> Result:
    texts = [str(a) for a in arguments]
    return CliRunner().invoke(command, texts, catch_exceptions=False, standalone_mode=False)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_keypoints_csv_has_a_row_a_keypoint_and_group(folder: Path, tmp_path: Path):
    assert run(folder, "-o", tmp_path / "out", "--by", "clip").return_value == 0
    rows = table(tmp_path / "out" / "keypoints.csv")
    assert [r["group"] for r in rows] == ["all"] * 9 + ["a"] * 9 + ["b"] * 9
    assert [r["keypoint"] for r in rows[:9]] == list(KEYPOINTS)
    head = [
        tuple(r[k] for k in ("visible", "occluded", "invisible")) for r in rows if r["keypoint"] == "Head"
    ]
    assert head == [("1", "1", "1"), ("1", "1", "0"), ("0", "0", "1")]


def test_boxes_csv_counts_from_the_picture_s_edge_as_coco_does(folder: Path, tmp_path: Path):
    run(folder, "-o", tmp_path / "out")
    rows = table(tmp_path / "out" / "boxes.csv")
    first = {k: float(rows[0][k]) for k in ("x", "y", "width", "height", "area", "centre_x", "centre_y")}
    assert first == {
        "x": 10,
        "y": 20,
        "width": 60,
        "height": 30,
        "area": 1800,
        "centre_x": 40 / 160,
        "centre_y": pytest.approx(35 / 128, abs=1e-6),
    }
    assert [r["width"] for r in rows] == ["60.0", "70.0", "80.0"]
    assert sum(int(r["aircraft"]) for r in table(tmp_path / "out" / "places.csv")) == 3
    assert table(tmp_path / "out" / "sizes.csv")[0]["median"] == "70.0"


def test_figures_and_page_are_written_and_the_page_needs_nothing_else(folder: Path, tmp_path: Path):
    result = run(folder, "-o", tmp_path / "out", "--by", "clip")
    page = tmp_path / "out" / "stats.html"
    assert result.output.splitlines()[-1] == str(page)
    for name in ("keypoints", "groups", "sizes", "places"):
        assert cv2.imread(str(tmp_path / "out" / f"{name}.png")) is not None
        assert (tmp_path / "out" / f"{name}.svg").read_text().startswith("<svg xmlns=")
    # what names a part of the page itself, or the SVG standard, fetches nothing
    text = page.read_text().replace("http://www.w3.org/2000/svg", "").replace("url(#", "")
    assert text.count("<svg ") == 4
    for outside in ("<script", '<link rel="stylesheet', "<img", "url(", "http://", "https://"):
        assert outside not in text, outside


def test_splits_come_from_a_file(folder: Path, tmp_path: Path):
    (tmp_path / "splits.toml").write_text('train = ["b"]\nval = ["a"]\n')
    found = json.loads(run(folder, "--splits", tmp_path / "splits.toml", "--json").output)
    assert found["by"] == "split"
    assert {k: v["aircraft"] for k, v in found["groups"].items()} == {"train": 1, "val": 2}


def test_by_split_without_a_file_says_what_is_missing(folder: Path):
    result = CliRunner().invoke(command, [str(folder), "--by", "split"])
    assert (result.exit_code, "--splits FILE" in result.output) == (2, True)


def test_broken_files_are_named_by_reason_and_left_out(folder: Path, tmp_path: Path):
    write_labelled(folder, "deep/nose", [shape("<Nose>", "point", [[1, 1]], 1)])
    (folder / "torn.json").write_text("{")
    result = run(folder, "-o", tmp_path / "out")
    assert result.return_value == 3
    assert "unknown-label 1" in result.stderr
    assert "bad-json 1" in result.stderr
    assert {r["file"]: r["reason"] for r in table(tmp_path / "out" / "left_out.csv")} == {
        "deep/nose": "unknown-label",
        "torn": "bad-json",
    }
    page = (tmp_path / "out" / "stats.html").read_text()
    assert "deep/nose" in page
    assert "<Nose>" not in page


def test_a_folder_without_labels_says_what_to_do(tmp_path: Path):
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert "holds no label file" in str(result.exception)
    assert "vircraft annotate" in str(result.exception)


def test_labels_of_a_folder_inside_a_dataset_find_the_dataset_s_pictures(folder: Path, tmp_path: Path):
    dataset = tmp_path / "dataset"
    write_labelled(dataset / "infrared", "a_000000", [])
    (dataset / "dataset.json").write_text("{}")
    write_labelled(
        dataset / "second", "a_000000", aircraft((10, 20, 70, 50)), image="../infrared/a_000000.png"
    )
    assert json.loads(run(dataset / "second", "--json").output)["aircraft"] == 1


def test_the_same_labels_give_the_same_files(folder: Path, tmp_path: Path):
    for name in ("one", "two"):
        run(folder, "-o", tmp_path / name, "-q")
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
