"""`vircraft task segmentation` as a user runs it: train, eval, predict, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result

from in_process import in_this_process
from torch_threads import one_torch_thread
from vircraft.errors import InputFileError
from vircraft_cli.task_options import PRESETS, listed_classes
from vircraft_cli.task_segmentation import command

CONFIG = """
encoder = "mobilenet_v2"
channels = 16
longest = 48
crop_wh = [48, 32]
[fit]
steps = 1
batch = 2
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def run(*words: object) -> Result:
    return in_this_process(command, *words)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for folder in ("vi", "Segmentation_labels"):
            (tmp_path / "MSRS" / split / folder).mkdir(parents=True)
        for k in range(2):
            label = rng.integers(0, 9, (32, 48)).astype(np.uint8)
            folder = tmp_path / "MSRS" / split
            cv2.imwrite(str(folder / "Segmentation_labels" / f"{k}.png"), label)
            cv2.imwrite(str(folder / "vi" / f"{k}.png"), np.dstack([label * 25] * 3))
    return tmp_path / "MSRS"


def test_a_network_is_trained_judged_and_used(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG)
    options = ("--pictures", "visible", "--device", "cpu")
    trained = run("train", root, *options, "-o", tmp_path / "run", "--config", tmp_path / "tiny.toml")
    assert trained.return_value == 0
    assert "no split 'val'" in trained.stderr
    weights = tmp_path / "run" / "weights.safetensors"
    assert trained.stdout.strip() == str(weights)
    judged = run("eval", root, *options, "--weights", weights, "-o", tmp_path / "out")
    names = [line.split("  ")[0].strip() for line in judged.stdout.splitlines()]
    assert (names[0], names[8], names[9]) == ("IoU background", "IoU bump", "mIoU")  # as Tab. 3, put right
    assert [line.split()[-1] for line in judged.stdout.splitlines()] == ["%"] * 10
    assert f"are in {tmp_path / 'out'}" in judged.stderr
    assert "-o DIR would also write" in run("eval", root, *options, "--weights", weights).stderr
    as_json = json.loads(run("eval", root, *options, "--weights", weights, "--json").stdout)
    assert as_json == json.loads((tmp_path / "out" / "result.json").read_text())
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = run(
        "predict", root / "test" / "vi", tmp_path / "bad.png", "--weights", weights, "-o", tmp_path / "p",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert found.return_value == 3
    assert (json.loads(found.stdout)["pictures"], len(json.loads(found.stdout)["failures"])) == (2, 1)
    assert cv2.imread(str(tmp_path / "p" / "labels" / "0.png"), cv2.IMREAD_UNCHANGED).shape == (32, 48)


def test_classes_come_from_a_list_or_a_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\n")
    for classes in ("a,b", tmp_path / "names.txt"):
        with pytest.raises(InputFileError, match="and there are 2 classes"):
            run("train", root, "--pictures", "visible", "-o", tmp_path / "run", "--classes", classes)


def test_a_file_of_classes_that_is_not_there_is_no_class(tmp_path: Path) -> None:
    for missing in ("clases.txt", str(tmp_path / "names")):
        with pytest.raises(InputFileError, match="cannot be read"):
            listed_classes(missing)
    (tmp_path / "one.txt").write_text("aircraft\n")
    assert listed_classes(str(tmp_path / "one.txt"), least=1) == ("aircraft",)
    with pytest.raises(InputFileError, match="it needs 2 or more"):
        listed_classes(str(tmp_path / "one.txt"))


def test_the_presets_are_those_of_the_library() -> None:
    from fgfusion_model.downstream import segmentation

    assert segmentation.PRESETS == PRESETS
