"""`vircraft check` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from command_line import json_lines, vircraft
from vircraft.annotation.documents import REASONS

KEYS = ["file", "outcome", "reason", "shape", "message", "warnings", "findings"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a good file, one to skip, one to look at and two bad ones."""
    root = tmp_path_factory.mktemp("labelled")
    picture = bytes(cv2.imencode(".png", np.zeros((100, 120), np.uint8))[1])
    outline = {"label": "aircraft", "points": [[10, 40], [110, 40], [110, 60]], "shape_type": "polygon"}
    head = {"label": "Head", "points": [[12.0, 41.0]], "shape_type": "point"}
    contents = {
        "good": {"shapes": [outline, head]},
        "left": {"shapes": [], "flags": {"skip": True}},
        "odd": {"shapes": [outline, {**head, "points": [[60.0, 95.0]]}]},
        "wrong": {"shapes": [outline, {**head, "label": "Nose"}]},
    }
    for name, content in contents.items():
        (root / f"{name}.png").write_bytes(picture)
        values = {"imagePath": f"{name}.png", "imageHeight": 100, "imageWidth": 120, **content}
        (root / f"{name}.json").write_text(json.dumps(values))
    (root / "sub").mkdir()
    (root / "sub" / "b\u00e4d.json").write_text("{")
    return root


def test_json_is_one_line_a_file_and_nothing_else(folder: Path) -> None:
    done = vircraft("check", folder, "--json")
    assert done.returncode == 3
    lines = json_lines(done.stdout)
    assert [list(line) for line in lines] == [KEYS] * 5
    assert {line["file"]: (line["outcome"], line["reason"], line["shape"]) for line in lines} == {
        "good.json": ("ok", "", None),
        "left.json": ("skip", "", None),
        "odd.json": ("ok", "", None),
        "wrong.json": ("error", "unknown-label", 1),
        "sub/b\u00e4d.json": ("error", "bad-json", None),
    }
    odd = next(line for line in lines if line["file"] == "odd.json")
    assert odd["warnings"] == ["keypoint-off-outline"]
    assert [(f["code"], f["shape"]) for f in odd["findings"]] == [("keypoint-off-outline", 1)]


def test_people_get_a_block_a_file_and_a_summary(folder: Path) -> None:
    done = vircraft("check", folder)
    assert done.returncode == 3
    assert "wrong.json\n  error    unknown-label (shape 1): " in done.stdout
    assert "odd.json\n  warning  keypoint-off-outline (shape 1): Head lies " in done.stdout
    assert "good.json" not in done.stdout
    assert "3 label files" not in done.stdout
    assert f"5 label files in {folder}: 2 good, 1 skipped, 2 with an error" in done.stdout
    assert "\x1b" not in done.stdout  # no colours where there is no terminal


def test_the_output_can_be_narrowed(folder: Path) -> None:
    assert "odd.json" not in vircraft("check", folder, "--errors-only").stdout
    narrow = vircraft("check", folder, "--code", "keypoint-off-outline")
    assert narrow.returncode == 3
    assert "odd.json" in narrow.stdout
    assert "wrong.json" not in narrow.stdout
    quiet = vircraft("check", folder, "-q")
    assert quiet.stdout == ""
    assert len(quiet.stderr.splitlines()) == 2
    assert "good.json  ok" in vircraft("check", folder, "-v").stdout


def test_warnings_alone_are_no_failure(folder: Path, tmp_path: Path) -> None:
    for name in ("good.json", "good.png", "odd.json", "odd.png"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    done = vircraft("check", tmp_path)
    assert done.returncode == 0
    assert "2 good, 0 with an error" in done.stdout


def test_a_root_that_is_not_there_and_wrong_usage_are_told_apart(tmp_path: Path) -> None:
    missing = vircraft("check", tmp_path / "nowhere")
    assert missing.returncode == 1
    assert "does not exist" in missing.stderr
    assert vircraft("check").returncode == 2
    assert vircraft("check", tmp_path, "--no-such-option").returncode == 2


def test_a_code_that_is_none_is_refused_with_the_closest(tmp_path: Path) -> None:
    done = vircraft("check", tmp_path, "--code", "pointjumps")
    assert done.returncode == 2
    assert "did you mean point-jumps?" in done.stderr


def test_every_reason_is_in_the_rules(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if f"`{reason}`" not in text] == []
