"""One clock for two streams: who decides, how exactly, and that doubt is said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media import counted, write_video
from scenes import film
from vircraft.clips import Clip, find_clips, probe_clip
from vircraft.errors import ClipError, SettingsError
from vircraft.sync import Synchronisation, SyncSettings, synchronise
from vircraft.sync.drift import fit_drift
from vircraft.sync.search import LocalOffset

DATA = Path(os.environ.get("VIRCRAFT_DATA", Path(__file__).parents[1] / "../shared/data"))


def codes(sync: Synchronisation) -> set[str]:
    return {remark.code for remark in sync.remarks}


def quiet_clip(folder: Path, starts_s: tuple[float, float] = (0.0, 0.0)) -> Clip:
    """Return a clip in which nothing moves."""
    for name, start_s in zip(("ir", "vis"), starts_s, strict=True):
        picture = counted(1)[0].mean(2).astype(np.uint8)
        write_video(folder / f"a_{name}.mp4", [picture] * 50, times_s=[start_s + i / 25 for i in range(50)])
    return probe_clip(find_clips(folder)[0][0])


def test_the_option_decides_over_everything(tmp_path: Path) -> None:
    (tmp_path / "a.sync.toml").write_text("offset_frames = 9\n")
    clip = quiet_clip(tmp_path, starts_s=(0.0, 0.5))
    sync = synchronise(clip, offset_frames=-2.5)
    assert (sync.source, sync.offset_frames, sync.confidence) == ("option", -2.5, 1.0)
    assert sync.offset_s == pytest.approx(0.5 - 2.5 / 25)
    assert sync.visible_time_s(1.0) == pytest.approx(1.4)
    assert sync.infrared_time_s(1.4) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "frames", "drift"),
    [("offset_frames = 6.5", 6.5, 0.0), ("offset_s = 0.1\ndrift_ppm = 40", 2.5, 40.0)],
)
def test_a_sidecar_decides_over_the_motion(tmp_path: Path, text: str, frames: float, drift: float) -> None:
    (tmp_path / "a.sync.toml").write_text(text)
    sync = synchronise(quiet_clip(tmp_path))
    assert (sync.source, sync.drift_ppm) == ("sidecar", drift)
    assert sync.offset_frames == pytest.approx(frames)


@pytest.mark.parametrize(
    "text",
    [
        "offset = 3",
        "offset_frames = 'x'",
        "offset_frames = nan",
        "",
        "offset_s = 1\noffset_frames = 2",
        "= =",
    ],
)
def test_a_bad_sidecar_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.sync.toml").write_text(text)
    with pytest.raises(ClipError, match=r"a\.sync\.toml") as caught:
        synchronise(quiet_clip(tmp_path))
    assert caught.value.reason == "bad-sidecar"


def test_different_start_times_decide_when_nothing_moves(tmp_path: Path) -> None:
    sync = synchronise(quiet_clip(tmp_path, starts_s=(0.2, 0.0)))
    assert (sync.source, sync.offset_s) == ("container", 0.0)
    assert sync.offset_frames == pytest.approx(5.0)


def test_without_evidence_the_clip_says_so(tmp_path: Path) -> None:
    sync = synchronise(quiet_clip(tmp_path))
    assert (sync.source, sync.offset_frames) == ("assumed", 0.0)
    assert sync.confidence == 0
    assert "weak-sync" in codes(sync)


def test_streams_that_share_no_instant_are_remarked(tmp_path: Path) -> None:
    assert "no-overlap" in codes(synchronise(quiet_clip(tmp_path), offset_frames=80))
    assert "short-overlap" in codes(synchronise(quiet_clip(tmp_path), offset_frames=40))


@pytest.mark.parametrize("offset", [-11.5, 7.25])
def test_moving_bodies_before_a_still_camera_tell_the_offset(tmp_path: Path, offset: float) -> None:
    sync = synchronise(film(tmp_path, offset_frames=offset, seed=3))
    assert sync.source == "motion"
    assert sync.offset_frames == pytest.approx(offset, abs=0.1)
    assert sync.confidence > 0.9
    assert codes(sync) == set()


@pytest.mark.parametrize("offset", [-3.6])
def test_a_shaking_camera_tells_the_offset(tmp_path: Path, offset: float) -> None:
    sync = synchronise(film(tmp_path, offset_frames=offset, seed=4, shaking=True))
    assert sync.offset_frames == pytest.approx(offset, abs=0.1)
    assert sync.confidence > 0.9


def test_the_curve_peaks_where_the_offset_is(tmp_path: Path) -> None:
    sync = synchronise(film(tmp_path, offset_frames=8, seed=5))
    assert len(sync.curve_lags_s) == len(sync.curve_score) > 50
    peak_s = sync.curve_lags_s[int(np.argmax(sync.curve_score))]
    assert peak_s == pytest.approx(sync.offset_s, abs=1 / 25)


def test_lost_frames_shift_nothing(tmp_path: Path) -> None:
    clip = film(tmp_path, offset_frames=5, seed=6, lost_infrared=(3, 40, 41, 77), lost_visible=(20, 61))
    assert synchronise(clip).offset_frames == pytest.approx(5, abs=0.1)


@pytest.mark.slow
def test_rates_may_differ(tmp_path: Path) -> None:
    clip = film(tmp_path, seed=7, rates=(25.0, 50.0), offset_frames=9.0)
    assert synchronise(clip).offset_frames == pytest.approx(9.0, abs=0.25)
    slow = film(tmp_path, seed=8, rates=(30.0, 12.5), offset_frames=2.0)
    assert synchronise(slow).offset_frames == pytest.approx(2.0, abs=0.15)


def test_start_times_that_agree_with_the_motion_are_kept(tmp_path: Path) -> None:
    clip = film(tmp_path, seed=9, starts_s=(0.4, 0.0), offset_frames=10.0)
    sync = synchronise(clip)
    assert (sync.source, sync.offset_s) == ("container", 0.0)
    assert sync.offset_frames == pytest.approx(10.0)
    assert sync.confidence > 0.9


def test_start_times_that_the_motion_contradicts_are_not_followed(tmp_path: Path) -> None:
    clip = film(tmp_path, seed=9, starts_s=(0.4, 0.0), offset_frames=0.0)
    sync = synchronise(clip)
    assert sync.source == "motion"
    assert sync.offset_frames == pytest.approx(0.0, abs=0.1)
    assert "start-times-contradicted" in codes(sync)


@pytest.mark.parametrize("seed", [11, 12])
def test_clips_of_different_scenes_get_no_confidence(tmp_path: Path, seed: int) -> None:
    sync = synchronise(film(tmp_path, seed=seed, visible_seed=seed + 50))
    assert sync.confidence < 0.5
    assert "weak-sync" in codes(sync)


def test_a_clip_of_a_few_frames_is_not_guessed(tmp_path: Path) -> None:
    sync = synchronise(film(tmp_path, duration_s=0.3))
    assert (sync.source, sync.confidence) == ("assumed", 0.0)


@pytest.mark.slow
def test_drift_is_detected_and_followed(tmp_path: Path) -> None:
    clip = film(tmp_path, seed=14, offset_frames=4.0, drift_ppm=2500.0, duration_s=40.0, shaking=True)
    sync = synchronise(clip)
    assert sync.drift_ppm == pytest.approx(2500, rel=0.1)
    assert "drift" in codes(sync)
    for time_s in (0.0, 20.0, 39.0):
        true_s = time_s * (1 + 2500e-6) + 4 / 25
        assert sync.visible_time_s(time_s) == pytest.approx(true_s, abs=0.25 / 25)


def test_a_line_is_fitted_only_where_it_is_significant() -> None:
    rng = np.random.default_rng(1)
    times_s = np.arange(0, 60, 6.0)
    noise_s = rng.normal(0, 0.002, len(times_s))

    def local(ppm: float) -> tuple[LocalOffset, ...]:
        offsets_s = 0.1 + ppm * 1e-6 * times_s + noise_s
        return tuple(
            LocalOffset(t, 2.0, o, 0.5) for t, o in zip(times_s.tolist(), offsets_s.tolist(), strict=True)
        )

    assert fit_drift(local(0), 0.1, 0.02) == (0.1, 0.0)
    offset_s, ppm = fit_drift(local(800), 0.124, 0.02)
    assert ppm == pytest.approx(800, abs=100)
    assert offset_s == pytest.approx(0.1, abs=0.004)


def test_the_same_clip_gives_the_same_answer(tmp_path: Path) -> None:
    clip = film(tmp_path, seed=15, offset_frames=3, duration_s=1.5)
    assert synchronise(clip) == synchronise(clip)


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_offset_s", 0), ("budget_s", 0.1), ("min_confidence", 1.5), ("max_offset_s", 1e9)],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(SyncSettings(), **{name: value})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "offset", "within"), [("lake", 6.9, 0.1), ("stairs", 3.9, 0.5), ("smoke", 0.0, 1.0)]
)
def test_real_recordings_are_right(name: str, offset: float, within: float) -> None:
    if not (DATA / "clips").is_dir():
        pytest.skip("the recordings are not here")
    sources = {source.name: source for source in find_clips(DATA / "clips")[0]}
    sync = synchronise(probe_clip(sources[name]))
    assert sync.offset_frames == pytest.approx(offset, abs=within)
    assert sync.confidence >= 0.5
