"""`vircraft task keypoints` from its arguments on; in this process, which has torch loaded."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

pytest.importorskip("timm")

from fgfusion_model.downstream import keypoints
from keypoint_scenes import write_dataset
from vircraft.errors import DatasetError
from vircraft_cli.main import group
from vircraft_cli.task_options import PRESETS

CONFIG = """
network = "hrnet_tiny"
input_wh = [64, 32]
sigma = 1.0
fit = {batch = 4, validate_every = 0.0}
"""
CPU = ("--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = write_dataset(tmp_path_factory.mktemp("task"))
    (found / "tiny.toml").write_text(CONFIG)
    return found


def task(*arguments: object) -> int:
    """Run `vircraft task keypoints ARGUMENTS` and return its exit code."""
    code = group.main(["task", "keypoints", *map(str, arguments)], standalone_mode=False)
    return code if isinstance(code, int) else 0


def test_train_eval_and_predict_follow_each_other(folder: Path, capsys: pytest.CaptureFixture[str]):
    shown = ("--pictures", "infrared", *CPU)
    chosen = ("--config", folder / "tiny.toml", "--steps", 3, "--loss", "mse", "--json")
    assert task("train", folder, *shown, "-o", folder / "run", *chosen) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (end["event"], end["step"]) == ("end", 3)
    assert 'loss = "mse"' in (folder / "run" / "settings.toml").read_text()

    weights = ("--weights", end["weights"])
    assert task("eval", folder, *shown, *weights, "-o", folder / "eval") == 0
    told = capsys.readouterr()
    assert "mAP[50,95]" in told.out
    assert "share[OKS>0.75]" in told.out
    units = {line.split("  ")[0]: line.split()[-1] for line in told.out.splitlines()}
    assert (units["median error"], units["mean OKS"]) == ("px", "%")
    assert "note: top-down" in told.err
    assert task("eval", folder, *shown, *weights, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((folder / "eval" / "result.json").read_text())

    (folder / "infrared" / "broken.png").write_bytes(b"no picture")
    assert task("predict", folder / "infrared", *weights, *CPU, "-o", folder / "found") == 3
    told = capsys.readouterr()
    assert "keypoints of 15 objects in 15 pictures" in told.err
    assert "left out:" in told.err
    assert told.out.strip().endswith("keypoints.json")


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match="nowhere: does not exist"):
        task("train", folder, "--pictures", "nowhere", "-o", tmp_path, *CPU)
    with pytest.raises(click.UsageError, match="exclude each other"):
        task("train", folder, "--pictures", "visible", "-o", tmp_path, "--steps", 1, "--epochs", 1)


def test_the_presets_of_the_command_are_those_of_the_task():
    assert PRESETS == keypoints.PRESETS
