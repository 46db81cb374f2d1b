"""Which frames make pairs, and that reading gives exactly those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from media import counted, counted_grey, damage, number_of, rotate_mp4, truncate, write_video
from vircraft.clips import Clip, Stream, find_clips, probe_clip
from vircraft.decoding import bgr_picture, grey_picture
from vircraft.errors import SettingsError
from vircraft.palettes import palette_table
from vircraft.reading import SMEARED_S, DamagedFrame, read_frames
from vircraft.sampling import FramePair, SamplingSettings, plan_pairs, read_pairs
from vircraft.streams import probe_stream
from vircraft.sync import Synchronisation
from vircraft.sync.clock import offset_s_from_frames

EVERY_ONE = SamplingSettings(every=1)


def stream(modality: str, times_s: NDArray[np.float64], rate: float) -> Stream:
    """Return a stream that was never a file."""
    span = float(times_s[-1] - times_s[0]) + 1 / rate
    kind = "infrared" if modality == "infrared" else "visible"
    return Stream(Path(modality), kind, (8, 8), len(times_s), times_s, rate, span, "h264", "gray", 8)


def planned_clip(
    infrared_s: NDArray[np.float64], visible_s: NDArray[np.float64], rates: tuple[float, float]
) -> Clip:
    return Clip("c", stream("infrared", infrared_s, rates[0]), stream("visible", visible_s, rates[1]))


def at_offset(clip: Clip, frames: float, drift_ppm: float = 0.0) -> Synchronisation:
    return Synchronisation(offset_s_from_frames(clip, frames), frames, drift_ppm, "option", 1.0)


def made_clip(folder: Path, lost: tuple[int, ...] = (), count: int = 60, **options: object) -> Clip:
    """Return a clip of counted frames whose infrared stream lost some."""
    kept = [i for i in range(count) if i not in lost]
    grey = counted_grey(count)
    write_video(folder / "a_ir.mp4", [grey[i] for i in kept], times_s=[i / 25 for i in kept])
    write_video(folder / "a_vis.mp4", counted(count), **options)  # type: ignore[arg-type]
    return probe_clip(find_clips(folder)[0][0])


def test_every_tenth_tick_is_taken() -> None:
    clip = planned_clip(np.arange(100) / 25, np.arange(100) / 25, (25, 25))
    plan = plan_pairs(clip, at_offset(clip, 0))
    assert [(p.tick, p.infrared_index, p.visible_index) for p in plan.pairs] == [
        (k, k, k) for k in range(0, 100, 10)
    ]
    assert plan.skipped == {}


def test_a_lost_frame_does_not_shift_the_pairs_after_it() -> None:
    kept = np.array([i for i in range(100) if i not in (12, 20, 55)])
    clip = planned_clip(kept / 25, np.arange(107) / 25, (25, 25))
    plan = plan_pairs(clip, at_offset(clip, 7))
    assert plan.skipped == {"no-infrared": 1}
    assert [p.tick for p in plan.pairs] == [0, 10, 30, 40, 50, 60, 70, 80, 90]
    for pair in plan.pairs:
        assert kept[pair.infrared_index] == pair.tick
        assert pair.visible_index == pair.tick + 7


def test_a_lost_partner_is_counted_and_nothing_shifts() -> None:
    kept = np.array([i for i in range(100) if i != 30])
    clip = planned_clip(np.arange(100) / 25, kept / 25, (25, 25))
    plan = plan_pairs(clip, at_offset(clip, 0))
    assert plan.skipped == {"no-visible": 1}
    assert [p.tick for p in plan.pairs] == [0, 10, 20, 40, 50, 60, 70, 80, 90]
    assert [kept[p.visible_index] for p in plan.pairs] == [p.tick for p in plan.pairs]


def test_ticks_without_the_other_camera_are_counted_apart() -> None:
    clip = planned_clip(np.arange(100) / 25, 10 + np.arange(50) / 25, (25, 25))
    plan = plan_pairs(clip, at_offset(clip, -20))
    assert plan.skipped == {"no-overlap": 5}  # ticks 0, 10 before it; 70, 80, 90 after it
    assert [p.visible_index for p in plan.pairs] == [0, 10, 20, 30, 40]
    assert plan_pairs(clip, at_offset(clip, 500)).pairs == ()


def test_a_doubled_frame_does_not_shift_what_follows() -> None:
    times_s = np.sort(np.r_[np.arange(100) / 25, [33 / 25 + 0.002]])
    clip = planned_clip(times_s, np.arange(100) / 25, (25, 25))
    plan = plan_pairs(clip, at_offset(clip, 0))
    assert [p.visible_index for p in plan.pairs] == list(range(0, 100, 10))
    assert [p.infrared_index for p in plan.pairs] == [0, 10, 20, 30, *range(41, 100, 10)]


def test_a_late_frame_takes_the_partner_of_its_own_instant() -> None:
    times_s = np.arange(100) / 50
    times_s[30] += 0.45 / 50
    visible_s = np.arange(400) / 200
    clip = planned_clip(times_s, visible_s, (50, 200))
    late = plan_pairs(clip, at_offset(clip, 0)).pairs[3]
    assert (late.tick, late.infrared_index) == (30, 30)
    assert late.visible_time_s == pytest.approx(times_s[30], abs=0.5 / 200)


def test_the_slower_camera_gives_the_clock() -> None:
    clip = planned_clip(np.arange(100) / 50, 0.3 + np.arange(50) / 25, (50, 25))
    plan = plan_pairs(clip, at_offset(clip, 0.4), SamplingSettings(every=5))
    assert plan.rate_fps == 25
    assert len(plan.pairs) == 9  # tick 0 lies before the infrared stream
    for pair in plan.pairs:
        assert abs(pair.visible_time_s - 0.3 - 0.4 / 25 - pair.infrared_time_s) <= 0.5 / 50 + 1e-9


def test_drift_is_followed() -> None:
    clip = planned_clip(np.arange(5000) / 50, np.arange(5000) / 50, (50, 50))
    plan = plan_pairs(clip, at_offset(clip, 2, drift_ppm=400.0), SamplingSettings(every=500))
    assert plan.pairs[-1].visible_index - plan.pairs[-1].infrared_index == 4  # 2 + 90 s * 400 ppm * 50


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([(25.0, 25.0), (50.0, 25.0), (25.0, 50.0), (30.0, 29.97), (9.0, 30.0)]),
    st.floats(-20, 20),
)
def test_partners_are_never_more_than_half_a_frame_apart(
    seed: int, rates: tuple[float, float], offset: float
) -> None:
    rng = np.random.default_rng(seed)
    times = [np.flatnonzero(rng.random(200) < 0.93) / rate for rate in rates]
    clip = planned_clip(times[0], times[1], rates)
    sync = at_offset(clip, offset)
    plan = plan_pairs(clip, sync, SamplingSettings(every=3))
    assert all(p.tick % 3 == 0 for p in plan.pairs)
    apart = [abs(sync.visible_time_s(p.infrared_time_s) - p.visible_time_s) for p in plan.pairs]
    assert max(apart, default=0.0) <= 0.5 / min(rates) + 1e-4
    span = times[0 if rates[1] > 0.9 * rates[0] else 1]
    ticks = 1 + round(float(span[-1] - span[0]) * plan.rate_fps) // 3
    assert len(plan.pairs) + sum(plan.skipped.values()) == ticks


@pytest.mark.parametrize(("name", "value"), [("every", 0), ("start_tick", -1), ("max_pairs", -1)])
def test_settings_that_make_no_sense_are_refused(name: str, value: int) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(SamplingSettings(), **{name: value})


def test_pairs_show_the_frames_that_were_planned(tmp_path: Path) -> None:
    clip = made_clip(tmp_path, lost=(4, 17, 20))
    plan = plan_pairs(clip, at_offset(clip, 3), SamplingSettings(every=5))
    pairs = list(read_pairs(clip, plan))
    assert [p.tick for p in pairs] == [0, 5, 10, 15, 25, 30, 35, 40, 45, 50, 55]
    for pair in pairs:
        assert pair.id == f"a_{pair.tick:06d}"
        assert number_of(pair.infrared) == pair.tick
        assert number_of(pair.visible) == pair.tick + 3
        assert (pair.infrared.dtype, pair.infrared.shape) == (np.uint8, (120, 160))
        assert (pair.visible.dtype, pair.visible.shape) == (np.uint8, (120, 160, 3))


def fully_decoded(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [bgr_picture(frame, 0) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", ".mp4", {"bf": "3", "g": "250", "preset": "medium"}),
        ("libx264", ".mkv", {"bf": "3", "g": "12", "preset": "medium"}),
        ("libx264", ".mp4", {"bf": "3", "g": "8", "preset": "medium", "x264-params": "open-gop=1"}),
        ("libx264", ".mp4", {"bf": "0", "refs": "4", "g": "20"}),
        ("libx264", ".ts", {"bf": "2", "g": "10", "preset": "medium"}),
        ("libx264", ".h264", {"bf": "2", "g": "10", "preset": "medium"}),
        ("libx264", ".avi", {"bf": "2", "g": "10", "preset": "medium"}),
        ("libx265", ".mkv", {"x265-params": "log-level=none:bframes=3:keyint=15:pools=1"}),
        ("mpeg4", ".avi", {"bf": "2", "g": "12"}),
        ("mjpeg", ".avi", {}),
        ("ffv1", ".mkv", {}),
        ("libvpx-vp9", ".webm", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
@pytest.mark.parametrize("wanted", [range(0, 80, 10), range(3, 80, 27), [0], [79], [41, 42, 43]])
def test_frames_read_alone_are_those_of_a_full_decode(
    tmp_path: Path, codec: str, suffix: str, options: dict[str, str], wanted: list[int]
) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    grain_s = None if suffix != ".avi" else [i / 25 for i in range(80)]
    path = write_video(
        tmp_path / f"a{suffix}", counted(80), codec=codec, pix_fmt=pix_fmt, options=options, times_s=grain_s
    )
    probed = probe_stream(path, "visible")
    expected = fully_decoded(path)
    assert probed.frame_count == len(expected) == 80
    got = list(read_frames(probed, list(wanted)))
    assert [index for index, _ in got] == list(wanted)
    for index, frame in got:
        assert not isinstance(frame, DamagedFrame), str(frame)
        np.testing.assert_array_equal(bgr_picture(frame, 0), expected[index])


def test_less_than_every_packet_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"bf": "3", "g": "20", "preset": "medium", "b_strategy": "0"}
    path = write_video(tmp_path / "a.mp4", counted(100), options=options)
    probed = probe_stream(path, "visible")
    seen: list[str] = []
    from vircraft import reading

    original = reading._Wanted.holds

    def spy(self: object, packet: object) -> bool:
        seen.append("decoded")
        return original(self, packet)  # type: ignore[arg-type]

    monkeypatch.setattr(reading._Wanted, "holds", spy)
    assert len(list(read_frames(probed, [0, 41, 99]))) == 3
    assert len(seen) <= 45  # two groups of twenty pictures and a keyframe; the other three are passed over


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_turned_frames_come_out_upright(tmp_path: Path, clockwise: int) -> None:
    turns = clockwise // 90  # recorded lying on its side: turned clockwise it is upright
    lying = [np.ascontiguousarray(np.rot90(p, turns)) for p in counted(12)]
    path = write_video(tmp_path / "a.mp4", lying)
    rotate_mp4(path, clockwise)
    probed = probe_stream(path, "visible")
    assert probed.size_wh == (160, 120)
    for index, frame in read_frames(probed, [5, 9]):
        assert number_of(bgr_picture(frame, probed.rotation_deg)) == index
        assert number_of(grey_picture(frame, probed.rotation_deg)) == index


def test_sixteen_bit_infrared_keeps_its_counts(tmp_path: Path) -> None:
    deep = [(p.astype(np.uint16) * 150 + 2000) for p in counted_grey(30)]
    write_video(tmp_path / "a_ir.mkv", deep, codec="ffv1", pix_fmt="gray16le")
    write_video(tmp_path / "a_vis.mp4", counted(30))
    clip = probe_clip(find_clips(tmp_path)[0][0])
    pairs = list(read_pairs(clip, plan_pairs(clip, at_offset(clip, 0))))
    for pair in pairs:
        assert pair.infrared.dtype == np.uint16
        np.testing.assert_array_equal(pair.infrared, deep[pair.tick])


def test_grey_in_limited_range_is_spread_over_the_full_range(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))
    path = write_video(tmp_path / "a.mp4", [ramp] * 3, options={"crf": "0"})
    _, frame = next(iter(read_frames(probe_stream(path, "infrared"), [1])))
    grey = grey_picture(frame, 0)
    assert np.abs(grey.astype(int) - ramp).max() <= 2


def test_a_painted_infrared_stream_comes_out_grey(tmp_path: Path) -> None:
    grey = counted_grey(20)
    write_video(tmp_path / "a_ir.mp4", [palette_table("ironbow")[p] for p in grey])
    write_video(tmp_path / "a_vis.mp4", counted(20))
    clip = probe_clip(find_clips(tmp_path)[0][0])
    assert clip.infrared.palette == "ironbow"
    for pair in read_pairs(clip, plan_pairs(clip, at_offset(clip, 0), SamplingSettings(every=4))):
        assert pair.infrared.ndim == 2
        assert number_of(pair.infrared) == pair.tick
        assert np.median(np.abs(pair.infrared.astype(int) - grey[pair.tick])) <= 6


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6, 0.75])
def test_damage_is_named_and_what_is_smeared_is_left_out(tmp_path: Path, share: float) -> None:
    clip = made_clip(tmp_path, count=100, options={"g": "25", "crf": "12"})
    damage(clip.visible.path, share, 1500)
    clip = probe_clip(find_clips(tmp_path)[0][0])
    notes: list[tuple[int, DamagedFrame]] = []
    pairs = list(
        read_pairs(clip, plan_pairs(clip, at_offset(clip, 0), EVERY_ONE), lambda t, d: notes.append((t, d)))
    )
    assert notes
    assert len(pairs) + len(notes) == 100
    assert len(notes) <= 50  # two groups of pictures at most
    for tick, note in notes:
        assert note.path == clip.visible.path
        assert note.frame_index == tick
        assert f"a_vis.mp4: frame {tick} " in str(note)
    wrong = [p.tick for p in pairs if number_of(p.visible) != p.tick or number_of(p.infrared) != p.tick]
    assert wrong == []


@pytest.mark.parametrize("share", [0.3, 0.45, 0.6, 0.75])
def test_damage_between_the_sampled_frames_is_noticed_and_its_smear_left_out(
    tmp_path: Path, share: float
) -> None:
    clip = made_clip(tmp_path, count=100, options={"g": "200", "bf": "0", "crf": "12"})
    plan = plan_pairs(clip, at_offset(clip, 0), SamplingSettings(every=10))
    flaws: list[DamagedFrame] = []
    list(read_pairs(clip, plan, on_flaw=flaws.append))
    assert flaws == []  # a sound file
    damage(clip.visible.path, share, 12)
    damaged = probe_clip(find_clips(tmp_path)[0][0])
    pairs = list(read_pairs(damaged, plan, on_flaw=flaws.append))
    assert flaws
    assert all(flaw.path == clip.visible.path for flaw in flaws)
    first = flaws[0].frame_index
    smeared = range(first, first + round(SMEARED_S * 25))
    assert [p.tick for p in pairs] == [t for t in range(0, 100, 10) if t not in smeared]


def test_a_truncated_stream_gives_the_pairs_it_holds(tmp_path: Path) -> None:
    write_video(tmp_path / "a_ir.mkv", counted_grey(100))
    write_video(tmp_path / "a_vis.mkv", counted(100))
    truncate(tmp_path / "a_vis.mkv", 0.5)
    clip = probe_clip(find_clips(tmp_path)[0][0])
    plan = plan_pairs(clip, at_offset(clip, 0), SamplingSettings(every=5))
    pairs = list(read_pairs(clip, plan))
    assert plan.skipped["no-overlap"] > 5
    assert len(pairs) >= len(plan.pairs) - 1
    assert [number_of(p.visible) for p in pairs] == [p.tick for p in pairs]


def test_frames_are_found_by_time_not_by_count_when_an_index_repeats(tmp_path: Path) -> None:
    write_video(tmp_path / "a_ir.mp4", counted_grey(60), rate=60)
    write_video(tmp_path / "a_vis.mp4", counted(10), rate=10)
    clip = probe_clip(find_clips(tmp_path)[0][0])
    pairs = list(read_pairs(clip, plan_pairs(clip, at_offset(clip, 0), EVERY_ONE)))
    assert [number_of(p.visible) for p in pairs] == list(range(10))
    assert [number_of(p.infrared) for p in pairs] == [6 * k for k in range(10)]


def test_reading_is_streamed(tmp_path: Path) -> None:
    clip = made_clip(tmp_path)
    plan = plan_pairs(clip, at_offset(clip, 0), EVERY_ONE)
    pairs = read_pairs(clip, plan)
    first = next(iter(pairs))
    assert isinstance(first, FramePair)
    pairs.close()  # type: ignore[attr-defined]
