"""`vircraft fuse run` as a user runs it."""

from __future__ import annotations

import json
import pickle
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

import command_line
from command_line import json_lines, vircraft
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import preset
from fuse_inputs import infrared, luma, mean_network, read, visible, write_pairs, write_weights
from media import counted, counted_grey, write_video
from vircraft_cli.main import main

NAMES = ["a", "b", "c"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "tiny.safetensors")


def fuse_run(infrared: Path, visible: Path, output: Path, weights: Path) -> tuple[object, ...]:
    """Return the arguments that fuse two inputs."""
    inputs = ("--infrared", infrared, "--visible", visible)
    return ("fuse", "run", *inputs, "-o", output, "--weights", weights)


def test_two_folders_become_a_flat_folder_of_png(tmp_path: Path, weights: Path):
    ir, vi = write_pairs(tmp_path, NAMES)
    arguments = fuse_run(ir, vi, tmp_path / "out", weights)
    done = vircraft(*arguments, "--foreground")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"3 fused pictures in {tmp_path / 'out'}" in done.stdout
    for name in NAMES:
        fused, source = read(tmp_path / "out" / f"{name}.png"), read(vi / f"{name}.png")
        assert (fused.shape, fused.dtype) == (source.shape, np.uint8)
        assert np.abs(luma(fused) - (luma(source) + read(ir / f"{name}.png")) / 2).max() < 1.1
        assert read(tmp_path / "out" / "foreground" / f"{name}.png").shape == (40, 48)
    again = vircraft(*arguments, "--json")
    *pairs, end = json_lines(again.stdout)
    assert [(p["name"], p["state"]) for p in pairs] == [(name, "kept") for name in NAMES]
    assert (end["made"], end["kept"], end["failures"], end["exit_code"]) == (0, 3, [], 0)


def test_bad_pairs_are_named_the_rest_goes_on_and_the_code_is_3(tmp_path: Path, weights: Path):
    ir, vi = write_pairs(tmp_path, [*NAMES, "d", "e"])
    (vi / "b.png").write_bytes((vi / "b.png").read_bytes()[:300])
    cv2.imwrite(str(vi / "c.png"), visible((60, 40)))
    (vi / "d.png").unlink()
    arguments = fuse_run(ir, vi, tmp_path / "out", weights)
    done = vircraft(*arguments)
    assert done.returncode == 3
    assert "1 picture without a partner" in done.stdout
    for text in ("b.png: is damaged", "48x40", "60x40", "d.png: has no partner", "[size-mismatch]"):
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "libpng" not in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "e.png"]
    *_, end = json_lines(vircraft(*arguments, "--json").stdout)
    assert {(f["name"], f["reason"]) for f in end["failures"]} == {
        ("b", "unreadable"),
        ("c", "size-mismatch"),
        ("d", "unpaired"),
    }
    assert end["exit_code"] == 3


@pytest.mark.parametrize("output", ["out", "out/mine.png"])
def test_two_files_become_one(tmp_path: Path, weights: Path, output: str):
    ir, vi = write_pairs(tmp_path, ["a"])
    done = vircraft(
        *("fuse", "run", "--infrared", ir / "a.png", "--visible", vi / "a.png"),
        *("-o", tmp_path / output, "--weights", weights, "-q"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    name = "mine.png" if output.endswith(".png") else "a.png"
    assert [p.name for p in (tmp_path / "out").iterdir()] == [name]


def test_two_videos_become_one(tmp_path: Path, weights: Path):
    ir = write_video(tmp_path / "a_infrared.mp4", counted_grey(6))
    vi = write_video(tmp_path / "a_visible.mp4", counted(6))
    arguments = fuse_run(ir, vi, tmp_path / "out", weights)
    done = vircraft(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 fused frames" in done.stdout
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a_infrared.mp4"]
    (end,) = json_lines(vircraft(*arguments, "--json").stdout)
    assert (end["state"], end["exit_code"]) == ("kept", 0)


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run a command in this process, which spares loading torch each time; returns code and complaints."""

    def run(folder: Path, *arguments: object) -> tuple[int, str]:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", "1")
        monkeypatch.setattr(sys, "argv", ["vircraft", *map(str, arguments)])
        monkeypatch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


def write_bad_weights(path: Path, what: str) -> None:
    model = mean_network()
    if what == "pickle":
        torch.save(model.state_dict(), path)
    elif what == "bare pickle":
        path.write_bytes(pickle.dumps({"weights": 1}))
    elif what == "foreign":
        save_file({"layer.weight": torch.zeros(3)}, path)
    elif what == "nan":
        torch.nn.init.constant_(model.reconstruction.out.bias, float("nan"))
        write_weights(path, model)
    elif what == "cut":
        write_weights(path, model)
        path.write_bytes(path.read_bytes()[:5000])
    else:
        write_weights(path, model)


@pytest.mark.parametrize(
    ("what", "options", "complaint"),
    [
        ("pickle", [], "pickle"),
        ("bare pickle", [], "pickle"),
        ("foreign", [], "another program"),
        ("nan", [], "NaN"),
        ("cut", [], "safetensors"),
        ("another preset", ["--network", "base"], "channels is 4, wanted 32"),
        ("missing", ["--weights", "nowhere.safetensors"], "no such weights"),
        ("good", ["--device", "cuda"], "--device cpu"),
        ("good", ["--tile", "big"], "--tile"),
        ("good", ["--tile", "20"], "pixels"),
        ("good", ["--range", "9,7"], "LOW,HIGH"),
        ("good", ["--offset", "3"], "--offset is for videos"),
    ],
)
def test_what_cannot_be_used_says_what_to_do_and_writes_nothing(
    tmp_path: Path, run_here, what: str, options: list[str], complaint: str
):
    if options == ["--device", "cuda"] and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ir, vi = write_pairs(tmp_path, ["a"])
    write_bad_weights(tmp_path / "w.safetensors", what)
    code, said = run_here(
        *(tmp_path, "fuse", "run", "--infrared", ir, "--visible", vi, "-o", tmp_path / "out"),
        *("--weights", tmp_path / "w.safetensors", *options),
    )
    assert code in (1, 2)
    assert complaint in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["-o", "out"], 2, "name a DATASET"),
        (["dataset", "--infrared", "ir", "--visible", "vi", "-o", "out"], 2, "not both"),
        (["--infrared", "ir", "-o", "out"], 2, "--visible"),
        (["--infrared", "ir", "--visible", "vi/a.png", "-o", "out"], 2, "both be folders"),
        (["--infrared", "ir", "--visible", "vi"], 2, "--output"),
        (["nowhere", "-o", "out"], 1, "does not exist"),
        (["--infrared", "ir", "--visible", "gone", "-o", "out"], 2, "gone"),
        (["--infrared", "ir", "--visible", "vi", "-o", "vi"], 1, "folder of their own"),
        (["--infrared", "ir/a.png", "--visible", "vi/a.png", "-o", "a.jpg"], 2, "PNG"),
        (["--infrared", "ir/a.png", "--visible", "gone.png", "-o", "out"], 1, "no such file"),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    tmp_path: Path, weights: Path, run_here, arguments: list[str], code: int, complaint: str
):
    write_pairs(tmp_path, ["a"])
    ended, said = run_here(tmp_path, "fuse", "run", *arguments, "--weights", weights)
    assert ended == code, said
    assert complaint in said


def test_a_full_disk_is_an_error_and_leaves_no_half_file(tmp_path: Path, weights: Path):
    ir, vi = write_pairs(tmp_path, NAMES)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)  # too large for the limit
    cv2.imwrite(str(ir / "b.png"), noise[..., 0])
    cv2.imwrite(str(vi / "b.png"), noise)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = vircraft(
        *("fuse", "run", "--infrared", ir, "--visible", vi, "-o", tmp_path / "out", "--weights", weights),
        preexec_fn=limit,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert "a.png" in names
    assert "b.png" not in names
    assert not any(name.endswith(".tmp") for name in names)


@pytest.mark.slow
def test_a_killed_job_goes_on_to_the_same_bytes(tmp_path: Path):
    names = [f"p{i:02d}" for i in range(12)]
    ir, vi = write_pairs(tmp_path, names, (320, 240))
    weights = write_weights(tmp_path / "lite.safetensors", FGFusion(preset("lite")))
    arguments = ["fuse", "run", "--infrared", ir, "--visible", vi, "--weights", weights, "--threads", "1"]
    assert vircraft(*arguments, "-o", tmp_path / "whole").returncode == 0
    command = [str(part) for part in (command_line.INSTALLED, *arguments, "-o", tmp_path / "killed")]
    job = subprocess.Popen(command)
    while len(list((tmp_path / "killed").glob("p*.png"))) < 3 and job.poll() is None:
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    job.wait()
    there = len(list((tmp_path / "killed").glob("p*.png")))
    assert 0 < there < 12
    done = vircraft(*arguments, "-o", tmp_path / "killed", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["kept"] == there
    for name in names:
        whole, killed = (tmp_path / kind / f"{name}.png" for kind in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes()
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == [f"{name}.png" for name in names]


@pytest.mark.slow
def test_a_12_megapixel_picture_fits_in_4_gb(tmp_path: Path):
    ir, vi = tmp_path / "ir.png", tmp_path / "vi.png"
    cv2.imwrite(str(ir), infrared((4096, 3072)))
    cv2.imwrite(str(vi), visible((4096, 3072)))
    weights = write_weights(tmp_path / "lite.safetensors", FGFusion(preset("lite")))

    done = vircraft(
        *("fuse", "run", "--infrared", ir, "--visible", vi, "-o", tmp_path / "out.png"),
        *("--weights", weights, "--foreground"),
    )
    assert done.returncode == 0, done.stderr
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert peak_bytes < 4e9
    fused = read(tmp_path / "out.png")
    wanted = (luma(read(ir)) + luma(read(vi))) / 2
    assert np.abs(luma(fused) - wanted).max() < 1.5


def test_the_help_shows_an_example_and_needs_no_torch():
    done = vircraft("fuse", "run", "--help")
    assert "Example:" in done.stdout
    assert "Exit code:" in done.stdout
