"""The truth file: what is written is read, the bytes repeat, damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulated import Filmed
from vircraft.errors import InputFileError
from vircraft.simulation.truth import read_truth, write_truth


def test_what_is_written_is_read(filmed: Filmed) -> None:
    read = read_truth(filmed.files.truth)
    made = filmed.truth
    assert (read.name, read.seed, read.offset_frames, read.drift_ppm) == ("small", 11, 3.4, 400.0)
    assert read.lost_infrared == (4, 5, 17)
    assert read.lost_visible == (9,)
    assert (read.infrared_wh, read.visible_wh) == ((320, 256), (640, 360))
    assert read.settings == filmed.settings.as_dict()
    for a, b in zip(read.infrared_frames, made.infrared_frames, strict=True):
        assert (a.index, a.tick) == (b.index, b.tick)
        np.testing.assert_allclose(a.h_aircraft, b.h_aircraft, rtol=1e-10)
        np.testing.assert_allclose(a.keypoints_infrared, b.keypoints_infrared, atol=6e-4)
        assert len(a.outline) == len(b.outline)
    assert [f.tick for f in read.visible_frames] == [f.tick for f in made.visible_frames]


def test_reading_and_writing_again_gives_the_same_bytes(filmed: Filmed, tmp_path: Path) -> None:
    again = tmp_path / "again.truth.json"
    write_truth(again, read_truth(filmed.files.truth))
    assert again.read_bytes() == filmed.files.truth.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["again.truth.json"]


def test_the_offset_in_seconds_follows_from_frames_and_start_times(filmed: Filmed) -> None:
    truth = filmed.truth
    assert truth.infrared_start_s == pytest.approx(3.4 / 30)
    assert truth.visible_start_s == 0
    first = truth.infrared_frames[0]
    visible_time_s = truth.visible_start_s + first.visible_tick / truth.visible_fps
    assert first.time_s * (1 + truth.drift_ppm * 1e-6) + truth.offset_s == pytest.approx(visible_time_s)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "bad-json"),
        ("[]", "not-a-truth-file"),
        ('{"offset": 4}', "not-a-truth-file"),
        ('{"format": "vircraft-simulated-truth", "version": 99}', "other-version"),
        ('{"format": "vircraft-simulated-truth", "version": 1}', "damaged"),
    ],
)
def test_a_damaged_file_is_named_with_a_reason(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.truth.json"
    path.write_text(text)
    with pytest.raises(InputFileError, match=r"clip\.truth\.json") as error:
        read_truth(path)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.update(h_far=[[1, 0], [0, 1]]),
        lambda f: f.update(keypoints_infrared=f["keypoints_infrared"][:8]),
        lambda f: f["keypoints_infrared"][0].__setitem__(2, 3),
        lambda f: f.update(keypoints_visible=[[float("nan"), 0, 2]] * 9),
    ],
)
def test_impossible_numbers_are_refused(damage: object, filmed: Filmed, tmp_path: Path) -> None:
    data = json.loads(filmed.files.truth.read_text())
    damage(data["infrared_frames"][0])  # type: ignore[operator]
    path = tmp_path / "clip.truth.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputFileError, match="damaged"):
        read_truth(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"nothing\.truth\.json"):
        read_truth(tmp_path / "nothing.truth.json")
