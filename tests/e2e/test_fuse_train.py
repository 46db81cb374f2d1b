"""`vircraft fuse train` as a user runs it: options, exit codes, signals, kills, several processes."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training_pairs
from command_line import INSTALLED, json_lines, vircraft


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return training_pairs.folders(tmp_path / "pairs", 5, ("infrared", "visible", "masks"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(training_pairs.TINY_TOML)
    return path


def command(*arguments: object) -> list[str]:
    return [str(part) for part in (INSTALLED, "fuse", "train", "--device", "cpu", *arguments)]


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a training on one thread, so that killing it is fair to the machine."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def steps_of(run: Path) -> int:
    """Return how many whole lines the curve of a run has."""
    path = run / "log.csv"
    return max(0, path.read_text().count("\n") - 1) if path.exists() else 0


def wait_for_step(process: subprocess.Popen[str], run: Path, step: int) -> None:
    while steps_of(run) < step and process.poll() is None:
        time.sleep(0.01)


def assert_same_weights(a: Path, b: Path) -> None:
    ours, theirs = (load_file(run / "weights.safetensors") for run in (a, b))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert (a / "log.csv").read_bytes() == (b / "log.csv").read_bytes()


def test_a_training_tells_its_events_and_leaves_out_what_is_damaged(
    root: Path, config: Path, tmp_path: Path
) -> None:
    (root / "infrared" / "p1.png").write_bytes(b"no picture")
    (root / "visible" / "p3.png").unlink()
    run = tmp_path / "run"
    options = ("--config", config, "--steps", 3, "--device", "cpu", "--json")
    result = vircraft("fuse", "train", root, "-o", run, *options)
    assert result.returncode == 3, result.stderr
    events = json_lines(result.stdout)
    assert events[0]["event"] == "began"
    assert events[-1]["event"] == "end"
    assert (events[-1]["step"], events[-1]["exit_code"]) == (3, 3)
    assert sorted(entry["name"] for entry in events[-1]["left_out"]) == ["pairs/p1", "pairs/p3"]
    assert (run / "weights.safetensors").is_file()
    again = vircraft("fuse", "train", "-o", run, "--resume", "-q")
    assert again.returncode == 3
    assert again.stdout.strip().endswith("weights.safetensors")
    assert "p1" in again.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_after_the_step_with_a_checkpoint(
    number: signal.Signals, code: int, root: Path, config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(root, "-o", run, "--config", config, "--steps", 100000)
    wait_for_step(process, run, 3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "--resume" in errors
    with (run / "log.csv").open(newline="") as file:
        last = int(list(csv.DictReader(file))[-1]["step"])
    from fgfusion_model.training.state import read_progress

    assert read_progress(run / "checkpoints" / "last.safetensors").step == last


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), 2, "Missing argument 'DATASET'"),
        (("nowhere",), 1, "does not exist"),
        (("nowhere=x",), 2, "no weight"),
        (("nowhere", "--steps", "2", "--epochs", "2"), 2, "exclude each other"),
        (("nowhere", "--config", "missing.toml"), 2, "missing.toml"),
        (("nowhere", "--batch", "5", "--accumulate", "2"), 2, "evenly"),
    ],
)
@pytest.mark.slow
def test_what_is_wrong_is_said_with_the_right_exit_code(
    options: tuple[str, ...], code: int, told: str, tmp_path: Path
) -> None:
    result = vircraft("fuse", "train", *options, "-o", tmp_path / "run", cwd=tmp_path)
    assert (result.returncode, told in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr


def test_help_of_the_group_loads_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    result = vircraft("fuse", "--help", env=environment)
    assert result.returncode == 0, result.stderr
    assert "train" in result.stdout
    assert vircraft("fuse", "train", "--help", env=environment).returncode == 0


@pytest.mark.slow
def test_killed_at_random_steps_and_resumed_gives_the_same_run(
    root: Path, config: Path, tmp_path: Path
) -> None:
    options = ("--config", config, "--steps", 60, "--checkpoint-every", 0.05)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    process = start(root, "-o", straight, *options)
    process.communicate(timeout=120)
    assert process.returncode == 0
    chance = random.Random(5)
    kills = 0
    for _ in range(6):
        before = steps_of(killed)
        process = start(root, "-o", killed, *options, "--resume")
        wait_for_step(process, killed, min(before + chance.randint(1, 12), 59))
        time.sleep(chance.uniform(0, 0.1))
        kills += process.poll() is None
        process.kill()
        process.communicate()
    assert kills >= 4, "most kills must have met a training at work"
    process = start("-o", killed, "--resume")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert_same_weights(straight, killed)


@pytest.mark.slow
def test_two_processes_train_together_and_stop_together(root: Path, config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("--config", config, "--steps", 4, "--devices", 2)
    process = start(root, "-o", run, *options)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert steps_of(run) == 4
    assert errors.count("steps done") == 1  # only the first process speaks
    long = tmp_path / "long"
    process = start(root, "-o", long, "--config", config, "--steps", 100000, "--devices", 2)
    wait_for_step(process, long, 2)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert (long / "checkpoints" / "last.safetensors").is_file()
