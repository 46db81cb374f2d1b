"""`vircraft simulate` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vircraft.errors import SettingsError, VircraftError
from vircraft_cli.simulate import command

TINY = ["--duration", "0.2", "--infrared-size", "160x128", "--visible-size", "320x180"]


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_it_writes_three_files_a_clip_and_keeps_what_is_whole(tmp_path: Path) -> None:
    code, text = run("-o", str(tmp_path), "--clips", "1", *TINY)
    assert code == 0
    assert "approach_01_day: rendered" in text
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [f"approach_01_day{end}" for end in (".truth.json", "_infrared.mp4", "_visible.mp4")]
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    code, text = run("-o", str(tmp_path), "--clips", "1", *TINY)
    assert "kept" in text
    assert {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before


def test_a_clip_of_other_settings_is_not_overwritten_without_force(tmp_path: Path) -> None:
    run("-o", str(tmp_path), "--clips", "1", *TINY)
    with pytest.raises(SettingsError, match="--force"):
        run("-o", str(tmp_path), "--clips", "1", "--seed", "2", *TINY)
    code, text = run("-o", str(tmp_path), "--clips", "1", "--seed", "2", "--force", *TINY)
    assert code == 0
    assert "rendered" in text


def test_a_dry_run_writes_nothing_and_json_is_one_object_a_line(tmp_path: Path) -> None:
    code, text = run("-o", str(tmp_path / "new"), "--clips", "3", "--dry-run", "--json", "--light", "night")
    assert code == 0
    rows = [json.loads(line) for line in text.splitlines()]
    assert [r["settings"]["light"] for r in rows] == ["night"] * 3
    assert {r["state"] for r in rows} == {"to render"}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--light", "noon"], "day, dusk, night"),
        (["--infrared-size", "640"], "640x512"),
        (["--difficulty", "rich,easy"], "'easy'"),
    ],
)
def test_a_wrong_option_is_a_usage_error(words: list[str], message: str, tmp_path: Path) -> None:
    code, text = run("-o", str(tmp_path), *words)
    assert code == 2
    assert message in text


def test_limits_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="clips is 0"):
        run("-o", str(tmp_path), "--clips", "0")
    with pytest.raises(SettingsError, match="duration_s is 900"):
        run("-o", str(tmp_path), "--duration", "900")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(VircraftError, match="cannot be written"):
        run("-o", str(blocked / "clips"), *TINY)
