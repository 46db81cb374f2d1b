"""`vircraft align` as a user runs it."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose, scene
from command_line import json_lines, vircraft
from vircraft.registration.warp import corner_error_px

TRUTH = pose(0.5, rotation_deg=1.0)
COLUMNS = "id,status,h00,h01,h02,h10,h11,h12,h20,h21,h22,predicted_error_px,reason,ms"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A list of a good pair and one of different scenes."""
    for name, seed in (("a", 1), ("b", 2)):
        visible, infrared = pair(seed, TRUTH)
        cv2.imwrite(str(tmp_path / f"{name}_v.png"), visible if name == "a" else scene(90))
        cv2.imwrite(str(tmp_path / f"{name}_i.png"), infrared)
    (tmp_path / "pairs.csv").write_text("id,visible,infrared\na,a_v.png,a_i.png\nb,b_v.png,b_i.png\n")
    return tmp_path


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_refusal_is_an_answer(folder: Path) -> None:
    done = vircraft("align", folder / "pairs.csv", "-o", folder / "out" / "est.csv", "--warp", folder / "w")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "1 fine, 0 coarse, 1 refused" in done.stdout
    assert (folder / "out" / "est.csv").read_text().splitlines()[0] == COLUMNS
    good, refused = _rows(folder / "out" / "est.csv")
    h = np.array([float(good[f"h{r}{c}"]) for r in range(3) for c in range(3)]).reshape(3, 3)
    assert corner_error_px(TRUTH, h, INFRARED_WH) < 1
    assert float(good["ms"]) > 0
    assert (refused["status"], refused["h00"], refused["reason"]) == ("refused", "", "low-score")
    assert [p.name for p in (folder / "w").iterdir()] == ["a.png"]
    assert cv2.imread(str(folder / "w" / "a.png")).shape == (256, 320, 3)


def test_pictures_that_cannot_be_read_are_failures_and_the_rest_is_done(folder: Path) -> None:
    (folder / "b_v.png").write_bytes(b"broken")
    with (folder / "pairs.csv").open("a") as file:
        file.write("c,c_v.png,a_i.png\n")
    done = vircraft("align", folder / "pairs.csv", "-o", folder / "est.csv")
    assert done.returncode == 3
    assert "b_v.png" in done.stderr
    assert "c_v.png" in done.stderr
    rows = _rows(folder / "est.csv")
    assert [(r["id"], r["status"], r["reason"]) for r in rows] == [
        ("a", "fine", ""),
        ("b", "refused", "unreadable"),
        ("c", "refused", "missing"),
    ]


def test_json_has_one_object_a_pair_and_quiet_says_nothing(folder: Path) -> None:
    done = vircraft("align", folder / "pairs.csv", "-o", folder / "est.csv", "--json", "--recipe", "paper")
    assert done.returncode == 0
    records = json_lines(done.stdout)
    assert [r["id"] for r in records] == ["a", "b"]
    assert list(records[0]) == COLUMNS.split(",")
    quiet = vircraft("align", folder / "pairs.csv", "-o", folder / "est.csv", "-q", "--recipe", "paper")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("pairs.csv",), 2, "--out"),
        (("none.csv", "-o", "e.csv"), 2, "none.csv"),
        (("pairs.csv", "-o", "e.csv", "--scale-min", "0.9", "--scale-max", "0.5"), 2, "scale"),
        (("pairs.csv", "-o", "e.csv", "--recipe", "magic"), 2, "magic"),
        (("twice.csv", "-o", "e.csv"), 1, "line 3: id 'a' stands twice"),
        (("pairs.csv", "-o", "pairs.csv/e.csv", "-q"), 1, "cannot be written"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    folder: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (folder / "twice.csv").write_text("id,visible,infrared\na,b,c\na,b,c\n")
    done = vircraft("align", *arguments, cwd=folder)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "e.csv").exists()


def test_help_has_an_example(folder: Path) -> None:
    done = vircraft("align", "--help")
    assert done.returncode == 0
    assert "vircraft align pairs.csv -o est.csv" in done.stdout
