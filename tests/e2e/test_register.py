"""`vircraft register` as a user meets it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import INSTALLED, SCRIPT, json_lines
from command_line import stand_in_vircraft as vircraft
from dataset_bytes import assert_same, content
from rig import make_clip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_clip(tmp_path_factory.mktemp("clips"), "one", frames=30)
    return make_clip(folder, "two", frames=20, offset=0, seed=2)


def test_the_last_line_is_the_plain_path_of_the_report(clips: Path, tmp_path: Path) -> None:
    done = vircraft("register", clips, "-o", "d", "--every", "5", "--offset", "2", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(Path("d/report/index.html"))
    assert (tmp_path / "d/report/index.html").is_file()
    assert done.stdout.startswith("10 pairs of 2 clips in d\n")
    assert "one: 5 accepted, 1 coarse only; offset +2.00 frames (option, 100% sure)" in done.stderr
    assert "\r" not in done.stderr, "no progress bar where there is no terminal"


def test_quiet_prints_the_path_alone(clips: Path, tmp_path: Path) -> None:
    done = vircraft("register", clips, "-o", tmp_path / "d", "--offset", "2", "-q")
    assert done.stdout == f"{tmp_path / 'd/report/index.html'}\n"
    assert done.stderr == ""


def test_json_is_one_object_a_line(clips: Path, tmp_path: Path) -> None:
    done = vircraft("register", clips, "-o", tmp_path / "d", "--offset", "2", "--json", "--no-report")
    lines = json_lines(done.stdout)
    assert sorted(line["clip"] for line in lines[:-1]) == ["one", "two"]
    assert lines[-1]["event"] == "end"
    assert lines[-1]["verdicts"] == {"accepted": 5}
    assert lines[-1]["report"] is None
    assert not (tmp_path / "d/report").exists()


def test_a_dry_run_writes_nothing(clips: Path, tmp_path: Path) -> None:
    before = content(clips)
    done = vircraft("register", clips, "-o", tmp_path / "d", "--dry-run", "--offset", "2")
    assert done.returncode == 0
    assert "would make 5 pairs of 2 clips" in done.stdout
    assert "option (100% sure)" in done.stdout
    assert not (tmp_path / "d").exists()
    assert content(clips) == before
    plans = json_lines(vircraft("register", clips, "--dry-run", "--json").stdout)
    assert [plan["clip"] for plan in plans] == ["one", "two"]


def test_jobs_do_not_change_a_byte(clips: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        assert vircraft("register", clips, "-o", tmp_path / f"d{jobs}", "--jobs", jobs).returncode == 0
    assert_same(tmp_path / "d1", tmp_path / "d2")


def test_other_settings_on_a_dataset_are_told_before_its_clips_are_made_anew(
    clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "d"
    assert "made anew" not in vircraft("register", clips, "-o", out, "--every", "10").stderr
    planned = vircraft("register", clips, "-o", out, "--every", "7", "--dry-run").stdout
    assert planned.count("made before, from other settings or files") == 2
    told = vircraft("register", clips, "-o", out, "--every", "7").stderr
    assert "made with other settings (sampling.every 10 -> 7): its clips are made anew" in told
    assert "made anew" not in vircraft("register", clips, "-o", out, "--every", "7").stderr


def test_a_config_file_counts_and_options_overrule_it(clips: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("offset_frames = 2\n[sampling]\nevery = 3\n")
    done = vircraft("register", clips, "-o", tmp_path / "d", "--config", config, "--every", "7", "--json")
    assert json_lines(done.stdout)[-1]["verdicts"] == {"accepted": 7, "coarse_only": 1}
    config.write_text("[sampling]\nevry = 3\n")
    done = vircraft("register", clips, "-o", tmp_path / "d", "--config", config)
    assert done.returncode == 2
    assert "unknown key 'sampling.evry'; did you mean 'every'?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere", "-o", "d"], 2, "'nowhere' does not exist"),
        ([".", "--every", "0", "-o", "d"], 2, "0 is not in the range"),
        ([".", "-o", "d", "--recipe", "secret"], 2, "'secret' is not one of"),
        ([".", "-o", "d", "--jobs", "2", "--cluster", "x"], 2, "exclude each other"),
        (["."], 2, "Missing option '-o'"),
        ([".", "-o", "d"], 1, "holds no video"),
        ([".", "--dry-run"], 1, "holds no video"),
        ([".", "-o", "d", "--offset", "nan"], 2, "offset_frames is nan"),
        ([".", "-o", "/proc/nothing/d"], 1, "cannot be written"),
    ],
)
def test_a_mistake_is_named_and_has_its_exit_code(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    if code == 1 and "cannot" in message:
        make_clip(tmp_path, "one", frames=3)
    done = vircraft("register", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_second_job_on_a_dataset_says_who_holds_it(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"
    command = [sys.executable, str(SCRIPT), "register", str(clips), "-o", str(out), "--every", "1"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lock = out / "dataset.lock"
    while not (lock.exists() and lock.stat().st_size) and first.poll() is None:
        time.sleep(0.002)
    os.kill(first.pid, signal.SIGSTOP)  # hold it for as long as the second one takes
    try:
        done = vircraft("register", clips, "-o", out)
        assert done.returncode == 1
        assert f"is in use by process {first.pid} on" in done.stderr
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert first.wait() == 0


def test_a_disk_without_room_is_named_and_the_job_goes_on_later(clips: Path, tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))

    out = tmp_path / "d"
    done = vircraft("register", clips, "-o", out, "--offset", "2", preexec_fn=limit)
    assert done.returncode == 1
    assert ".png: cannot be written: File too large" in done.stderr
    assert "run the same command again" in done.stderr
    assert not list(out.rglob("*.tmp"))
    assert vircraft("register", clips, "-o", out, "--offset", "2").returncode == 0
    assert vircraft("register", clips, "-o", tmp_path / "fresh", "--offset", "2").returncode == 0
    assert_same(out, tmp_path / "fresh")


def test_interrupted_it_ends_with_130_and_goes_on_when_run_again(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "d"
    arguments = ["register", str(clips), "-o", str(out), "--every", "1", "--offset", "2"]
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stderr=subprocess.PIPE, text=True)
    while not (out / "dataset.lock").exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    assert vircraft(*arguments).returncode == 0


def test_help_has_an_example_and_loads_nothing_heavy() -> None:
    imports = (
        "import sys, vircraft_cli.main; print(sorted({'cv2', 'av', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", imports], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    done = subprocess.run([INSTALLED, "register", "--help"], capture_output=True, text=True, check=True)
    assert "vircraft register clips -o dataset" in done.stdout
    assert "Exit code" in done.stdout
