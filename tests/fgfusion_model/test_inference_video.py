"""Two videos become one: frames by presentation time, colour and sound kept, memory bounded.

An untrained network returns the mean of both luminances; frames carry their number, see `media.counted`.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.inference.fuser import Fuser, InferenceSettings
from fgfusion_model.inference.video import VideoJob, VideoSummary, fuse_video, open_pair
from fuse_inputs import luma, mean_network, random_network
from media import counted, counted_grey, damage, number_of, write_video
from vircraft.errors import ClipError, DatasetError, PictureError, SettingsError

WH = (160, 120)
SOUND_HZ = 440


def write_film(path: Path, pictures: list, rate: float = 25, codec: str = "", start_s: float = 0.0) -> Path:
    """Write pictures with a tone as sound, if a codec for it is given, whose loudness steps up at 0.4 s."""
    with av.open(str(path), "w") as container:
        base = Fraction(1, 90_000)
        video: Any = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001))
        video.options = {"crf": "8", "preset": "veryfast"}
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = base
        audio: Any = container.add_stream(codec, rate=16_000, layout="mono") if codec else None
        for i, picture in enumerate(pictures):
            frame: Any = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "bgr24")
            frame.pts, frame.time_base = round((start_s + i / rate) / base), base
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            write_tone(container, audio, len(pictures) / rate, start_s)
    return path


def write_tone(container: Any, audio: Any, length_s: float, start_s: float) -> None:
    context = audio.codec_context
    context.open(strict=False)
    times_s = np.arange(int(length_s * 16_000)) / 16_000
    tone = np.where(times_s < 0.4, 0.02, 0.5) * np.sin(2 * np.pi * SOUND_HZ * times_s)
    size = context.frame_size or 1024
    real = context.format.name.startswith("flt")
    samples = tone.astype(np.float32) if real else (tone * 32767).astype(np.int16)
    for at in range(0, len(samples) - size, size):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], context.format.name, "mono")
        frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
        frame.pts = at + round(start_s * 16_000)
        container.mux(audio.encode(frame))
    container.mux(audio.encode())


def decode(path: Path) -> tuple[list[np.ndarray], list[float]]:
    """Return a video's BGR pictures and their times."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [f.to_ndarray(format="bgr24") for f in frames], [float(f.pts * f.time_base) for f in frames]


def loudness_step_s(path: Path) -> tuple[float, str]:
    """Return when the sound gets loud, and its codec."""
    with av.open(str(path)) as container:
        codec = container.streams.audio[0].codec_context.name
        samples, times_s = [], []
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().astype(float)[0]
            scale = 1 if frame.format.name.startswith("flt") else 32768
            samples.append(np.abs(values) / scale)
            times_s.append(float(frame.pts * frame.time_base) + np.arange(values.size) / frame.sample_rate)
    loud = np.concatenate(samples) > 0.2
    return float(np.concatenate(times_s)[loud][0]), codec


def fuse(ir: Path, vi: Path, out: Path, offset: float | None = None, **options: Any) -> VideoSummary:
    model = options.pop("model", None) or mean_network()
    fuser = Fuser(model, InferenceSettings("cpu", batch=options.pop("batch", 0)))
    return fuse_video(open_pair(ir, vi, offset), VideoJob(out, **options), fuser)


@pytest.fixture
def films(tmp_path: Path) -> tuple[Path, Path]:
    """Return 20 frames of both cameras, with sound."""
    ir = write_film(tmp_path / "a_infrared.mp4", counted_grey(20, WH))
    return ir, write_film(tmp_path / "a_visible.mp4", counted(20, WH), codec="aac")


@pytest.mark.parametrize("batch", [1, 3])
def test_every_frame_is_the_mean_of_its_two(films: tuple[Path, Path], tmp_path: Path, batch: int):
    seen: list[int] = []
    pair = open_pair(*films)
    job = VideoJob(tmp_path / "out.mp4", foreground=True)
    summary = fuse_video(pair, job, Fuser(mean_network(), InferenceSettings("cpu", batch=batch)), seen.append)
    assert (summary.state, summary.frames, summary.damaged) == ("made", 20, ())
    assert (seen[-1], pair.frames) == (20, 20)
    pictures, times_s = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == list(range(20))
    np.testing.assert_allclose(times_s, np.arange(20) / 25, atol=2e-5)
    (first, *_), _ = decode(films[0])
    (colour, *_), _ = decode(films[1])
    assert np.abs(luma(pictures[0]) - (luma(first) + luma(colour)) / 2).mean() < 1.5
    assert len(decode(tmp_path / "foreground" / "out.mp4")[0]) == 20
    left_over = {p.name for p in tmp_path.iterdir()} - {"out.mp4", "foreground", *(p.name for p in films)}
    assert not left_over


def test_colour_survives_reading_and_writing(tmp_path: Path):
    """Also from 720 lines on, where unmarked colour is BT.709."""
    for height in (96, 736):
        patches = np.zeros((height, 96, 3), np.uint8)
        for k, bgr in enumerate([(60, 90, 160), (160, 110, 70), (90, 150, 80)]):
            patches[:, 32 * k : 32 * k + 32] = bgr
        grey = np.rint(luma(patches)).astype(np.uint8)  # so that the mean keeps the luminance
        ir, vi = tmp_path / f"{height}_infrared.mp4", tmp_path / f"{height}_visible.mp4"
        write_film(ir, [grey] * 2)
        write_film(vi, [patches] * 2)
        fuse(ir, vi, tmp_path / f"{height}.mp4")
        seen = open_pair(tmp_path / f"{height}.mp4", vi)  # both read as registration reads them
        from vircraft.decoding import bgr_picture
        from vircraft.reading import read_frames

        fused, source = (
            bgr_picture(next(read_frames(stream, [0]))[1], 0).astype(int)
            for stream in (seen.clip.infrared, seen.clip.visible)
        )
        assert np.abs(fused - source)[:, 8:-8].mean() < 3


@pytest.mark.parametrize(
    ("source", "codec", "out", "kept"),
    [("mp4", "aac", "mp4", "aac"), ("mkv", "pcm_s16le", "mp4", "aac"), ("mkv", "flac", "mkv", "flac")],
)
def test_sound_is_copied_where_the_container_takes_it_and_stays_in_time(
    tmp_path: Path, source: str, codec: str, out: str, kept: str
):
    ir = write_film(tmp_path / "a_infrared.mp4", counted_grey(20, WH))
    vi = write_film(tmp_path / f"a_visible.{source}", counted(20, WH), codec=codec)
    summary = fuse(ir, vi, tmp_path / f"out.{out}")
    step_s, found = loudness_step_s(tmp_path / f"out.{out}")
    assert step_s == pytest.approx(0.4, abs=0.07)
    if found == codec:
        assert summary.sound == f"{codec} copied"
    else:
        assert (found, summary.sound) == (kept, f"{codec} encoded as AAC")


def test_sound_stays_in_time_when_the_videos_begin_later(tmp_path: Path):
    """Infrared begins 0.2 s after the visible video, and what is fused begins there."""
    ir = write_film(tmp_path / "a_infrared.mp4", counted_grey(25, WH)[5:], start_s=0.2)
    vi = write_film(tmp_path / "a_visible.mp4", counted(25, WH), codec="aac")
    assert fuse(ir, vi, tmp_path / "out.mp4").frames == 20
    pictures, times_s = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == list(range(5, 25))
    assert times_s[0] == pytest.approx(0, abs=1e-4)
    assert loudness_step_s(tmp_path / "out.mp4")[0] == pytest.approx(0.2, abs=0.07)


def test_rates_and_lengths_that_differ_are_paired_by_time_and_said(tmp_path: Path):
    ir = write_film(tmp_path / "a_infrared.mp4", counted_grey(20, WH)[::2], rate=12.5)
    vi = write_film(tmp_path / "a_visible.mp4", counted(30, WH))
    pair = open_pair(ir, vi)
    assert {"different-rates", "different-lengths"} <= {remark.code for remark in pair.remarks}
    fuse(ir, vi, tmp_path / "out.mp4")
    pictures, times_s = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == list(range(0, 20, 2))
    np.testing.assert_allclose(times_s, np.arange(10) * 0.08, atol=1e-3)


def test_a_lost_frame_leaves_a_gap_and_shifts_nothing(tmp_path: Path):
    lost = [i for i in range(20) if i not in (7, 8)]
    greys = counted_grey(20, WH)
    ir = write_video(tmp_path / "a_infrared.mp4", [greys[i] for i in lost], times_s=[i / 25 for i in lost])
    vi = write_film(tmp_path / "a_visible.mp4", counted(20, WH))
    assert fuse(ir, vi, tmp_path / "out.mp4").frames == 18
    pictures, times_s = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == lost
    np.testing.assert_allclose(times_s, np.array(lost) / 25, atol=1e-3)


def test_an_offset_is_obeyed(films: tuple[Path, Path], tmp_path: Path):
    vi = write_film(tmp_path / "late_visible.mp4", [*counted(3, WH), *counted(20, WH)])
    assert fuse(films[0], vi, tmp_path / "out.mp4", offset=3.0).frames == 20
    pictures, _ = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == list(range(20))


def test_deep_infrared_shares_one_stretch(tmp_path: Path):
    raw = [(7000 + 8.0 * p).astype(np.uint16) for p in counted_grey(6, WH)]
    ir = write_video(tmp_path / "a_infrared.mkv", raw, codec="ffv1", pix_fmt="gray16le")
    vi = write_film(tmp_path / "a_visible.mp4", [np.full((120, 160, 3), 128, np.uint8)] * 6)
    fuse(ir, vi, tmp_path / "out.mp4")
    pictures, _ = decode(tmp_path / "out.mp4")
    assert [number_of(p) for p in pictures] == list(range(6))
    assert np.ptp([p.min() for p in pictures]) <= 1
    assert np.ptp(pictures[-1]) > 120


@pytest.mark.parametrize("wh", [(97, 80), (64, 49)])
def test_odd_sides_stay_odd(tmp_path: Path, wh: tuple[int, int]):
    ir = write_video(tmp_path / "i.mkv", counted_grey(3, wh), codec="ffv1", pix_fmt="gray")
    vi = write_video(tmp_path / "v.mkv", counted(3, wh), codec="ffv1", pix_fmt="bgr0")
    fuse(ir, vi, tmp_path / "out.mp4")
    pictures, _ = decode(tmp_path / "out.mp4")
    assert pictures[0].shape[:2] == wh[::-1]


def test_damaged_frames_are_left_out_and_named(tmp_path: Path):
    options = {"crf": "12", "preset": "veryfast", "g": "10"}
    ir = write_video(tmp_path / "i.mp4", counted_grey(40, WH), options=options)
    vi = write_video(tmp_path / "v.mp4", counted(40, WH), options=options)
    damage(vi, 0.45, 1500)
    summary = fuse(ir, vi, tmp_path / "out.mp4")
    assert summary.damaged
    assert all(frame.path == vi for frame in summary.damaged)
    assert summary.frames == 40 - len(summary.damaged)
    pictures, _ = decode(tmp_path / "out.mp4")
    lost = {frame.frame_index for frame in summary.damaged}
    assert [number_of(p) for p in pictures] == [i for i in range(40) if i not in lost]


def test_what_is_there_is_kept_unless_forced(films: tuple[Path, Path], tmp_path: Path):
    out = tmp_path / "out.mp4"
    fuse(*films, out)
    before = out.read_bytes()
    assert fuse(*films, out).state == "kept"
    assert fuse(*films, out, model=random_network()).state == "other"
    assert out.read_bytes() == before
    assert fuse(*films, out, model=random_network(), force=True).state == "made"
    assert out.read_bytes() != before


def test_a_job_that_fails_leaves_the_old_video_whole(
    films: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out.mp4"
    fuse(*films, out)
    before = out.read_bytes()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fuser, "fuse_planes", fail)
    with pytest.raises(KeyboardInterrupt):
        fuse(*films, out, force=True)
    assert out.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_fused_says_why(films: tuple[Path, Path], tmp_path: Path):
    ir, vi = films
    small = write_film(tmp_path / "small.mp4", counted(5, (128, 96)))
    with pytest.raises(PictureError, match="128x96"):
        open_pair(ir, small)
    late = write_film(tmp_path / "late.mp4", counted(5, WH), start_s=60)
    with pytest.raises(ClipError, match="--offset"):
        open_pair(ir, late)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ClipError):
        open_pair(ir, tmp_path / "text.mp4")
    with pytest.raises(DatasetError, match="input"):
        fuse(ir, vi, vi, force=True)
    with pytest.raises(SettingsError, match=r"\.mp4"):
        fuse(ir, vi, tmp_path / "out.gif")
