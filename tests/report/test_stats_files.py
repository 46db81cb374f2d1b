"""`vircraft stats` and the files that it writes."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

import labelled
from labelled_folder import aircraft, shape, write_labelled
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.statistics import NO_SPLIT
from vircraft.errors import SettingsError
from vircraft_cli.export import command as export_command
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


def test_splits_that_do_not_fit_the_clips_are_refused(folder: Path, tmp_path: Path):
    splits = tmp_path / "splits.json"
    for text, named in (
        ('{"train": ["a"], "val": ["c"]}', "clip b"),
        ('{"train": ["a", "b"], "val": ["c"]}', "clip c"),
    ):
        splits.write_text(text)
        with pytest.raises(SettingsError, match=named):
            run(folder, "--splits", splits)


def test_a_clip_that_nobody_counts_may_stand_in_the_splits_or_not(folder: Path, tmp_path: Path):
    (folder / "c_000000.json").write_text("{")
    write_labelled(folder, "d_000000", [], {"skip": True})
    write_labelled(folder, "loose", aircraft((10, 20, 70, 50)))  # of no clip
    for more in ([], ["c", "d"]):
        (tmp_path / "splits.json").write_text(json.dumps({"train": ["a"], "val": ["b", *more]}))
        result = run(folder, "--splits", tmp_path / "splits.json", "--json")
        groups = json.loads(result.stdout)["groups"]
        assert {k: v["aircraft"] for k, v in groups.items()} == {"train": 2, "val": 1, NO_SPLIT: 1}


def labelled_dataset(root: Path) -> Path:
    clips = [f"clip{n}" for n in range(7)]
    shapes = [
        labelled.shape("aircraft", "polygon", [[2 * n + 1, 5], [2 * n + 31, 5], [2 * n + 31, 25]])
        for n in range(7)
    ]
    labels = {f"{clip}_{10 * k:06d}": [shapes[n]] for n, clip in enumerate(clips) for k in range(n + 1)}
    return labelled.make_dataset(root, labels)


@pytest.mark.parametrize("options", [(), ("--seed", 3), ("--ratios", "train=0.5,val=0.5")])
def test_without_a_file_a_dataset_is_split_as_the_export_splits_it(tmp_path: Path, options: tuple):
    root = labelled_dataset(tmp_path / "dataset")
    result = run(root, "--by", "split", "--json", *options)
    found = json.loads(result.stdout)
    exported = CliRunner().invoke(
        export_command, ["coco", str(root), "--json", *map(str, options)], standalone_mode=False
    )
    expected = {k: v for k, v in json.loads(exported.stdout)["pictures"].items() if v}
    assert {k: v["aircraft"] for k, v in found["groups"].items()} == expected
    assert found["splits"]["seed"] == (3 if "--seed" in options else 0)
    assert "as 'vircraft export coco' makes them: train=" in run(root, "--by", "split", *options).stdout


@pytest.mark.parametrize(
    "options",
    [("--ratios", "train=1", "--by", "clip"), ("--seed", "3"), ("--ratios", "train=1", "--splits", "x")],
)
def test_ratios_and_seed_without_a_split_to_make_are_refused(folder: Path, options: tuple):
    assert CliRunner().invoke(command, [str(folder), *options]).exit_code == 2


def test_names_that_are_no_utf_8_are_written_and_printed(tmp_path: Path):
    name = os.fsdecode(b"b\xff_000000")
    folder = tmp_path / os.fsdecode(b"f\xfe")
    write_labelled(tmp_path / "plain", "b", aircraft((10, 20, 70, 50))).rename(
        tmp_path / "plain" / f"{name}.json"
    )
    (tmp_path / "plain").rename(folder)
    (folder / f"{name}1.json").write_text("{")
    result = run(folder, "-o", tmp_path / "out", "--by", "clip")
    assert result.return_value == 3
    assert "b\\udcff" in result.stdout
    assert table(tmp_path / "out" / "boxes.csv")[0]["picture"] == "b\\udcff_000000"
    assert "b\\udcff" in (tmp_path / "out" / "groups.svg").read_text()
    assert "b\\udcff" in (tmp_path / "out" / "stats.html").read_text()
    found = json.loads(run(folder, "--by", "clip", "--json").stdout)
    assert list(found["groups"]) == [os.fsdecode(b"b\xff")]
    assert run(folder, "-q", "-o", folder / "out").return_value == 3
    assert run(folder, "-o", folder / "out").return_value == 3


def test_a_folder_that_cannot_be_listed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run(folder, "--json")
    assert result.return_value == 3
    assert [(f["file"], f["reason"]) for f in json.loads(result.stdout)["failures"]] == [
        ("closed", "unreadable")
    ]
