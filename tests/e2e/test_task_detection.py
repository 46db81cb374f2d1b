"""`vircraft task detection` as a user runs it: train, eval, predict, exit codes."""

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
from vircraft.errors import SettingsError
from vircraft_cli.task_detection import command
from vircraft_cli.task_options import PRESETS

CONFIG = """
backbone = "resnet18"
channels = 64
head_convs = 1
longest = 64
[fit]
steps = 1
batch = 2
ema = 0.0
"""
BOX = "<xmin>9</xmin><ymin>9</ymin><xmax>30</xmax><ymax>30</ymax>"
CAR = f"<object><name>Car</name><bndbox>{BOX}</bndbox></object>"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def run(*words: object) -> Result:
    return in_this_process(command, *words)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "M3FD"
    for name in ("Vis", "Annotation"):
        (folder / name).mkdir(parents=True)
    for k in range(3):
        picture = np.full((48, 64, 3), 60, np.uint8)
        picture[8:30, 8:30] = 200
        cv2.imwrite(str(folder / "Vis" / f"{k:05d}.png"), picture)
        size = "<size><width>64</width><height>48</height></size>"
        (folder / "Annotation" / f"{k:05d}.xml").write_text(f"<annotation>{size}{CAR}</annotation>")
    (folder / "train.txt").write_text("00000\n00001\n")
    (folder / "test.txt").write_text("00002\n")
    return folder


def test_a_detector_is_trained_judged_and_used(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG)
    options = ("--pictures", "visible", "--device", "cpu")
    trained = run("train", root, *options, "-o", tmp_path / "run", "--config", tmp_path / "tiny.toml")
    assert trained.return_value == 0
    weights = tmp_path / "run" / "weights.safetensors"
    assert trained.stdout.strip() == str(weights)
    judged = run("eval", root, *options, "--weights", weights, "-o", tmp_path / "out")
    assert [line.split()[0] for line in judged.stdout.splitlines()][:3] == ["AP50", "AP75", "mAP[50,95]"]
    assert "holds no People, Bus, Motorcycle, Lamp, Truck" in judged.stderr
    assert (tmp_path / "out" / "detections_test.json").is_file()
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = run(
        "predict", root / "Vis", tmp_path / "bad.png", "--weights", weights, "-o", tmp_path / "p",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert found.return_value == 3
    assert (json.loads(found.stdout)["pictures"], len(json.loads(found.stdout)["failures"])) == (3, 1)
    assert (tmp_path / "p" / "overlays" / "00001.png").is_file()


def test_yolo_without_its_program_says_how_to_get_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ("--pictures", "visible", "--detector", "yolo", "--yolo-program", "yolov5")
    with pytest.raises(SettingsError, match="'yolov5' is not on the PATH"):
        run("train", root, *options, "-o", tmp_path / "run")


def test_the_presets_are_those_of_the_library() -> None:
    from fgfusion_model.downstream import detection

    assert detection.PRESETS == PRESETS
