"""`vircraft fuse score` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from command_line import json_lines, vircraft
from report_dataset import build
from scored_folders import damage, make_folders, picture, write

NAMES = ["a", "b", "c"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return make_folders(tmp_path, NAMES, ["clean", "noisy"], masks=True)


def run(root: Path, *arguments: object):
    return vircraft(
        "fuse",
        "score",
        "clean",
        "noisy",
        "--infrared",
        "infrared",
        "--visible",
        "visible",
        *arguments,
        cwd=root,
    )


def test_a_table_of_all_methods_and_the_baselines(folders: Path):
    done = run(folders, "--masks", "masks", "-o", "out")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["Average", "Max", "Laplacian", "clean", "noisy"]
    rows = {line.split()[0]: line for line in lines if "[" in line}
    assert {"VIF", "Qabf", "SCD", "SSIM", "Nabf", "contrast"} <= rows.keys()
    assert "Nabf (lower)" in done.stdout
    assert "3 pictures, convention cddfuse" in done.stdout
    written = {path.name for path in (folders / "out").iterdir()}
    assert written == {"scores.csv", "scores.md", "sheet_01.png"}


def test_json_holds_means_intervals_and_places(folders: Path):
    arguments = ("clean", "noisy", "--names", "Ours,Theirs", "--convention", "tang", "--json")
    (values,) = json_lines(vircraft("fuse", "score", "--dataset", ".", *arguments, cwd=folders).stdout)
    assert values["convention"] == "tang"
    assert values["pictures"] == NAMES
    assert list(values["methods"]) == ["Average", "Max", "Laplacian", "Ours", "Theirs"]
    ours, theirs = (values["methods"][name] for name in ("Ours", "Theirs"))
    assert ours["SSIM"]["mean"] > theirs["SSIM"]["mean"]
    assert ours["SSIM"]["low"] <= ours["SSIM"]["mean"] <= ours["SSIM"]["high"]
    assert {scores["VIF"]["place"] for scores in values["methods"].values()} == {1, 2, 3, 4, 5}
    assert values["exit_code"] == 0


def test_a_corrupt_picture_in_the_middle_is_named_and_ends_in_code_3(folders: Path):
    damage(folders / "infrared" / "b.png")
    (folders / "noisy" / "c.png").unlink()
    done = run(folders)
    assert done.returncode == 3
    assert "1 picture, convention" in done.stdout
    assert "b.png" in done.stderr
    assert "left out in all: 2 (unreadable 1, missing-fused 1)" in done.stderr


def test_a_dataset_stands_for_the_two_folders(tmp_path: Path):
    build(tmp_path / "dataset", {"clip": ["accepted", "rejected", "accepted"]}, bits=16, media=False)
    infrared = tmp_path / "dataset" / "infrared"
    for path in infrared.iterdir():
        write(tmp_path / "fused" / path.name, picture(1, (160, 128)))
        write(tmp_path / "dataset" / "masks" / path.name, np.eye(128, 160, dtype=np.uint8))
    (values,) = json_lines(vircraft("fuse", "score", "dataset", "fused", "--json", cwd=tmp_path).stdout)
    assert values["pictures"] == ["clip_000000", "clip_000020"]
    assert values["methods"]["fused"]["contrast"]["pictures"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["clean"], 2, "--infrared DIR"),
        (["clean", "--infrared", "infrared"], 2, "--visible DIR"),
        (["clean", "--dataset", ".", "--infrared", "infrared"], 2, "not both"),
        (["clean", "clean", "--dataset", "."], 2, "share a name"),
        (["clean", "--dataset", ".", "--names", "a,b"], 2, "2 names for 1"),
        (["nowhere", "--dataset", "."], 1, "no such folder"),
        (["clean", "--dataset", ".", "--convention", "matlab"], 2, "tang"),
    ],
)
def test_wrong_use_says_what_to_do(folders: Path, arguments: list[str], code: int, complaint: str):
    done = vircraft("fuse", "score", *arguments, cwd=folders)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
