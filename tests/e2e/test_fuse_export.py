"""`vircraft fuse export` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from command_line import json_lines, vircraft
from fuse_inputs import random_network, write_weights


@pytest.mark.slow
def test_weights_become_onnx_that_was_checked(tmp_path: Path):
    weights = write_weights(tmp_path / "w.safetensors", random_network())
    done = vircraft("fuse", "export", "--weights", weights, "-o", tmp_path / "m.onnx")
    assert (done.returncode, done.stderr) == (0, "")
    assert "640x480, batch 1: differs from PyTorch by at most" in done.stdout
    assert (tmp_path / "m.onnx").stat().st_size > 10_000


@pytest.mark.slow
def test_weights_become_an_exported_program(tmp_path: Path):
    weights = write_weights(tmp_path / "w.safetensors", random_network())
    done = vircraft("fuse", "export", "--weights", weights, "-o", tmp_path / "m.pt2", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (values,) = json_lines(done.stdout)
    assert values["format"] == "torch-export"
    assert all(check["most"] < 1e-4 for check in values["checks"])


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["-o", "model.bin"], 2, "--format"),
        (["-o", "m.onnx", "--weights", "nowhere.safetensors"], 1, "no such weights"),
        (["-o", "m.onnx", "--opset", "9"], 2, "18"),
        ([], 2, "--output"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(tmp_path: Path, arguments: list[str], code: int, complaint: str):
    write_weights(tmp_path / "w.safetensors")
    done = vircraft("fuse", "export", "--weights", "w.safetensors", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
