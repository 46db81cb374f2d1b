"""The installed command on clips whose pose and offset are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command_line import json_lines, vircraft
from rig import H_IR_FROM_VIS, INFRARED_WH, infrared_view, make_clip, scene, view, write_video
from vircraft.dataset import Dataset
from vircraft.registration.warp import corner_error_px


@pytest.mark.slow
def test_the_known_pose_and_offset_are_found(tmp_path: Path) -> None:
    clips = make_clip(tmp_path / "clips", "one", frames=80, offset=3)
    make_clip(clips, "two", frames=80, offset=0, seed=2)
    done = vircraft("register", clips, "-o", tmp_path / "d", "--json")
    assert done.returncode == 0, done.stderr
    pairs = list(Dataset.open(tmp_path / "d").pairs())
    assert len(pairs) == 16
    for pair in pairs:
        assert pair.visible_index - pair.infrared_index == (3 if pair.clip == "one" else 0)
        assert pair.verdict == "accepted"
        assert pair.homography is not None
        assert corner_error_px(pair.homography, H_IR_FROM_VIS, INFRARED_WH) < 2


@pytest.mark.slow
def test_an_infrared_view_of_another_scene_is_refused(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    here, elsewhere = scene(1), scene(99)
    views = [view(here, float(i)) for i in range(60)]
    others = [infrared_view(view(elsewhere, 3.3 * i + 7)) for i in range(60)]
    write_video(clips / "a_visible.mp4", views)
    write_video(clips / "a_infrared.mp4", others)
    done = vircraft("register", clips, "-o", tmp_path / "d", "--offset", "0", "--json")
    assert done.returncode == 3
    [failure] = json_lines(done.stdout)[-1]["failures"]
    assert failure["reason"] == "nothing-registered"
    assert failure["file"] == "a_infrared.mp4"


@pytest.mark.slow
def test_a_saturated_camera_is_refused(tmp_path: Path) -> None:
    clips = make_clip(tmp_path / "clips", "a", frames=30)
    white = [np.full(INFRARED_WH[::-1], 255, np.uint8)] * 30
    write_video(clips / "a_infrared.mp4", white)
    done = vircraft("register", clips, "-o", tmp_path / "d", "--json")
    assert done.returncode == 3
    assert [f["reason"] for f in json_lines(done.stdout)[-1]["failures"]] == ["nothing-registered"]


@pytest.mark.slow
def test_the_plain_recipe_runs(tmp_path: Path) -> None:
    clips = make_clip(tmp_path / "clips", "a", frames=30)
    done = vircraft("register", clips, "-o", tmp_path / "d", "--recipe", "paper", "--json")
    assert done.returncode in (0, 3), done.stderr
    assert Dataset.open(tmp_path / "d").settings["registration"]["recipe"] == "paper"
