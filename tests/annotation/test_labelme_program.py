"""Labelme is found, set up for its version, and started without what leads its Qt astray."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from fake_labelme import write_fake_labelme
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.labelling.labelme_program import (
    LabelmeError,
    clean_environment,
    config_text,
    find_labelme,
    require_display,
)


def test_the_labelme_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    program = find_labelme(write_fake_labelme(tmp_path, version="7.9.1"))
    assert (program.path, program.version, program.name) == (tmp_path / "labelme", (7, 9, 1), "Labelme 7.9.1")


def test_else_the_one_next_to_python_and_then_the_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, path = tmp_path / "beside", tmp_path / "path"
    for folder, version in ((beside, "6.3.1"), (path, "6.0.0")):
        folder.mkdir()
        write_fake_labelme(folder, version=version)
    monkeypatch.setattr("sys.executable", str(beside / "python"))
    monkeypatch.setenv("PATH", str(path))
    assert find_labelme().version == (6, 3, 1)
    (beside / "labelme").unlink()
    assert find_labelme().version == (6, 0, 0)
    (path / "labelme").unlink()
    with pytest.raises(LabelmeError, match=re.escape("pip install 'vircraft[annotate]'")):
        find_labelme()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho labelme 5.5.0\n", "Labelme 5.5.0 is too old"),
        ("#!/bin/sh\necho hello\n", "no version"),
        ("#!/bin/sh\necho 'libGL.so.1: cannot open' >&2; exit 1\n", r"does not run \(libGL.so.1"),
    ],
)
def test_a_labelme_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, script: str, message: str
) -> None:
    path = tmp_path / "labelme"
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(LabelmeError, match=message):
        find_labelme(path)


def test_a_path_that_is_no_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelmeError, match="is no program"):
        find_labelme(tmp_path / "none")


def test_qt_and_library_paths_do_not_reach_labelme() -> None:
    environment = {
        "QT_QPA_PLATFORM_PLUGIN_PATH": "/site-packages/cv2/qt/plugins",
        "QT_QPA_FONTDIR": "/site-packages/cv2/qt/fonts",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "DISPLAY": ":0",
        "PATH": "/usr/bin",
    }
    assert clean_environment(environment) == {"DISPLAY": ":0", "PATH": "/usr/bin"}


def test_without_a_display_the_next_step_is_told() -> None:
    with pytest.raises(LabelmeError, match="ssh -X"):
        require_display({}, "linux")
    require_display({"DISPLAY": ":0"}, "linux")
    require_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    require_display({}, "darwin")


def test_the_flags_of_several_keypoints_that_are_edited_at_once_are_not_lost() -> None:
    patterns = json.loads(config_text((6, 3, 1)))["label_flags"]
    (of_keypoints,) = (pattern for pattern, flags in patterns.items() if "occluded" in flags)
    (of_outlines,) = (pattern for pattern, flags in patterns.items() if "hole" in flags)
    assert all(re.match(of_keypoints, label) for label in (*KEYPOINTS, ""))
    assert not any(re.match(of_keypoints, label) for label in ("aircraft", "Header", "Tail_2"))
    assert re.match(of_outlines, "aircraft")
    assert not re.match(of_outlines, "")


@pytest.mark.parametrize("version", [(6, 0, 0), (6, 3, 1), (7, 0, 4), (7, 1, 0), (7, 9, 1)])
def test_the_configuration_has_only_keys_that_the_version_knows(version: tuple[int, int, int]) -> None:
    config = json.loads(config_text(version))
    assert config["labels"] == ["aircraft", *KEYPOINTS]
    assert config["validate_label"] is None, "'exact' would block editing group ids"
    nested = version >= (7, 1, 0)
    assert ("label_colors" in config) == (not nested)
    colours = config["shape_color"]["by_label"]["colors"] if nested else config["label_colors"]
    assert sorted(colours) == sorted(config["labels"])
    assert len({tuple(rgb) for rgb in colours.values()}) == len(colours)
    assert ("show_labels" in config["shape"]) == (version[0] >= 7)
