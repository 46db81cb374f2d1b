"""Settings are checked and drawn from the seed; clocks put every frame in its slot."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated import small
from vircraft.errors import SettingsError
from vircraft.simulation.clock import build_clock
from vircraft.simulation.settings import ClipSettings, PlanSettings, plan_clips


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"light": "noon"}, "noon.*day, dusk, night"),
        ({"difficulty": "easy"}, "easy"),
        ({"duration_s": 0.0}, "duration_s is 0.0"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"infrared_wh": (321, 256)}, "321x256.*even"),
        ({"infrared_wh": (32, 256)}, "at least 64"),
        ({"field_share": 0.8}, "Lower it"),
        ({"offset_frames": 1e9}, "offset_frames"),
        ({"name": "a/b"}, "file name"),
    ],
)
def test_a_wrong_setting_is_named_with_its_limit(change: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        small(**change)


def test_settings_survive_json_and_unknown_keys_are_errors() -> None:
    settings = small(lost_infrared=(3, 4), zoom=True)
    stored = json.loads(json.dumps(settings.as_dict()))
    assert ClipSettings.from_dict(stored) == settings
    with pytest.raises(SettingsError, match="colour"):
        ClipSettings.from_dict({**stored, "colour": 1})


def test_a_clip_does_not_depend_on_how_many_others_are_made() -> None:
    assert plan_clips(PlanSettings(clips=3)) == plan_clips(PlanSettings(clips=9))[:3]


def test_a_plan_covers_lights_difficulties_both_aircraft_and_zoom() -> None:
    clips = plan_clips(PlanSettings(clips=16))
    assert {c.light for c in clips} == {"day", "dusk", "night"}
    assert {c.difficulty for c in clips} == {"rich", "mixed", "plain", "bare"}
    assert {c.aircraft for c in clips} == {"airliner", "cargo"}
    assert {c.zoom for c in clips} == {True, False}
    assert len({c.name for c in clips}) == len({c.seed for c in clips}) == 16


@pytest.mark.parametrize("duration_s", [0.2, 0.5, 3.0])
def test_any_duration_can_be_planned(duration_s: float) -> None:
    for clip in plan_clips(PlanSettings(clips=5, duration_s=duration_s)):
        assert len(build_clock(clip).infrared.ticks) >= 3


@given(
    offset=st.floats(-40, 40),
    drift=st.floats(-500, 500),
    lost=st.sets(st.integers(1, 23)),
    fps=st.sampled_from([(25, 25), (50, 25), (25, 30)]),
    common=st.booleans(),
)
def test_infrared_tick_i_shows_the_instant_of_visible_tick_i_plus_offset(
    offset: float, drift: float, lost: set[int], fps: tuple[int, int], common: bool
) -> None:
    settings = small(
        offset_frames=offset,
        drift_ppm=drift,
        lost_infrared=tuple(sorted(lost)),
        infrared_fps=fps[0],
        visible_fps=fps[1],
        true_start_times=common,
    )
    clock = build_clock(settings)
    infrared = clock.infrared
    assert not set(infrared.ticks.tolist()) & lost
    np.testing.assert_allclose(infrared.times_s - infrared.start_s, infrared.ticks / fps[0], atol=1e-12)
    for tick, instant in zip(infrared.ticks, infrared.instants_s, strict=True):
        assert clock.visible_tick(tick) / fps[1] == pytest.approx(instant, abs=1e-9)
    if fps[0] == fps[1] and not drift:
        np.testing.assert_allclose(infrared.instants_s * fps[1], infrared.ticks + offset, atol=1e-9)
    if common:
        # the two start times alone put both streams on one clock
        scene_time = infrared.start_s - clock.visible.start_s
        assert scene_time == pytest.approx(
            infrared.instants_s[0] - infrared.ticks[0] / fps[0] * (1 + drift * 1e-6), abs=1e-9
        )
    else:
        assert infrared.start_s == clock.visible.start_s == 0


def test_a_lost_visible_frame_shifts_indices_after_it_and_no_ticks() -> None:
    clock = build_clock(small(lost_visible=(10,)))
    assert clock.visible_index(9.0) == 9.0
    assert clock.visible_index(11.0) == 10.0
    assert clock.visible_index(10.0) == 9.5
    assert clock.visible_index(-2.5) == -2.5
    assert clock.visible_index(30.0) == 29.0
