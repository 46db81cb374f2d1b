"""`vircraft experiment`: what it prints and what it ends with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import experiment_as_command
import experiment_inputs
from command_line import vircraft
from experiment_inputs import make_inputs, write_plan
from fgfusion_model.experiments import kinds
from vircraft.errors import SettingsError, VircraftError
from vircraft_cli.experiment import command


@pytest.fixture(autouse=True)
def _fake_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "KINDS", experiment_inputs.KINDS)
    monkeypatch.syspath_prepend(str(experiment_as_command.TESTS.parent))


def experiment(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_run_prints_its_cells_and_the_tables(tmp_path: Path) -> None:
    result = experiment("run", make_inputs(tmp_path), "-o", tmp_path / "out", "--only", "*/*/seed-0")
    assert result.return_value == 0, result.output
    assert "3 cells: 3 to make" in result.stderr
    assert "fake/Good/seed-0: done 0.3451" in result.stderr
    assert result.stdout.splitlines()[0] == str(tmp_path / "out/tables/tables.md")
    again = experiment("run", tmp_path / "plan.toml", "-o", tmp_path / "out", "--json", "--only", "fake/Good")
    *events, end = lines(again)
    assert [event["cell"] for event in events if event["event"] == "kept"] == ["fake/Good/seed-0"]
    assert (end["kept"], end["cells"], end["exit_code"]) == (1, {"done": 2}, 0)
    (tmp_path / "out/tables/tables.md").unlink()
    tables = experiment("tables", tmp_path / "out", "--paper", "--json")
    assert tables.return_value == 0
    assert all(Path(path).is_file() for path in lines(tables)[0]["files"])
    assert "The paper's figures are multiples of 1/68" in (tmp_path / "out/tables/tables.md").read_text()


def test_a_failing_cell_is_told_and_the_code_is_3(tmp_path: Path) -> None:
    make_inputs(tmp_path)
    plan = write_plan(tmp_path, task='settings = {fail = "bad"}')
    result = experiment("run", plan, "-o", tmp_path / "out", "-q", "--only", "*/*/seed-1")
    assert result.return_value == 3
    [line] = result.stderr.splitlines()
    assert line.startswith("fake/Bad/seed-1: failed")
    assert "cannot be learnt" in line
    assert len(result.stdout.splitlines()) == 2  # the summary and the table


def test_a_dry_run_lists_every_cell(tmp_path: Path) -> None:
    result = experiment("run", make_inputs(tmp_path), "-o", tmp_path / "out", "--dry-run")
    assert result.return_value == 0
    assert result.stdout.splitlines() == [
        f"fake/{method}/seed-{seed}: to make" for seed in (0, 1) for method in ("Visible", "Good", "Bad")
    ]
    assert not (tmp_path / "out").exists()


def test_bad_input_is_an_error_with_its_code(tmp_path: Path) -> None:
    plan = make_inputs(tmp_path)
    wrong = experiment("run", plan, "-o", tmp_path / "out", "--only", "fake/None")
    assert isinstance(wrong.exception, SettingsError)
    assert wrong.exception.exit_code == 2
    nothing = experiment("tables", tmp_path / "none")
    assert isinstance(nothing.exception, VircraftError)
    assert nothing.exception.exit_code == 1


def test_a_gpu_that_is_not_there_is_told_before_anything_is_made(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    result = experiment("run", make_inputs(tmp_path), "-o", tmp_path / "out", "--device", "cuda")
    assert isinstance(result.exception, SettingsError)
    assert "use --device cpu" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_the_installed_command_prints_the_papers_plan() -> None:
    result = vircraft("experiment", "plan", "paper")
    assert result.returncode == 0
    plan = tomllib.loads(result.stdout)
    names = ["Visible", "Infrared", "CDDFuse", "PSFusion", "TarDAL", "MRFS", "GIFNet", "FGFusion"]
    assert [method["name"] for method in plan["method"]][:8] == names
    assert [task["kind"] for task in plan["task"]] == ["keypoints", "segmentation", "detection"]
