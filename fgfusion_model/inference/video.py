"""Fuse two registered videos into one: frames are streamed, paired by presentation time, sound is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from fgfusion_model.colour import luminance
from fgfusion_model.inference.fuser import FusedPicture, Fuser, finish
from fgfusion_model.inference.grey_levels import GreyLevels, infrared_levels
from fgfusion_model.inference.job import FOREGROUND, describe_maker
from fgfusion_model.inference.picture_files import Appearance, infrared_unit, visible_full
from fgfusion_model.inference.sizes import check_sizes
from fgfusion_model.inference.video_output import FusedVideo, check_suffix, made_by
from vircraft.clips import Clip, ClipSource, Remark, probe_clip
from vircraft.decoding import grey_picture
from vircraft.errors import ClipError, DatasetError
from vircraft.reading import DamagedFrame, read_frames
from vircraft.sampling import FramePair, PairPlan, SamplingSettings, plan_pairs, read_pairs
from vircraft.streams import Stream
from vircraft.sync import Synchronisation
from vircraft.sync.clock import offset_s_from_frames

SURVEYED = 8  # frames of deep infrared looked at for its grey levels
EQUAL_RATES = 0.9  # as `plan_pairs`: below it the visible camera is the slower one and gives the clock


@dataclass(frozen=True, eq=False)
class VideoPair:
    """Two videos that were probed and put on one clock.

    Attributes:
        clip: both streams.
        sync: visible time = infrared time + offset.
        plan: which frames make pairs: one for each tick of the slower camera.
        appearance: how frames are read.
        remarks: what a user should know: rates, lengths and starts that differ, lost frames, ...
    """

    clip: Clip
    sync: Synchronisation
    plan: PairPlan
    appearance: Appearance
    remarks: tuple[Remark, ...]

    @property
    def frames(self) -> int:
        """Return how many frames the fused video has, unless some are damaged."""
        return len(self.plan.pairs)

    def time_s(self, pair: FramePair) -> float:
        """Return when a fused frame is presented, on the visible video's clock."""
        if self.clip.visible.rate_fps > EQUAL_RATES * self.clip.infrared.rate_fps:
            return self.sync.visible_time_s(pair.infrared_time_s)
        return pair.visible_time_s


@dataclass(frozen=True)
class VideoJob:
    """What to make of two videos.

    Attributes:
        path: of the fused video.
        foreground: also write foreground/NAME beside it.
        force: make it again when it is there.
    """

    path: Path
    foreground: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        check_suffix(self.path)

    @property
    def paths(self) -> list[Path]:
        """Return the files that are written."""
        beside = self.path.parent / FOREGROUND / self.path.name
        return [self.path, beside] if self.foreground else [self.path]


@dataclass(frozen=True)
class VideoSummary:
    """What became of two videos.

    Attributes:
        state: `made`, or as in `fusing.Outcome` when it was there: `kept` or `other`.
        frames: written.
        damaged: frames that could not be decoded whole, and were left out.
        encoder: of the pictures.
        sound: what became of the sound, in words; "" when there is none.
    """

    state: Literal["made", "kept", "other"]
    frames: int = 0
    damaged: tuple[DamagedFrame, ...] = ()
    encoder: str = ""
    sound: str = ""


def open_pair(
    infrared: Path,
    visible: Path,
    offset_frames: float | None = None,
    levels: GreyLevels | None = None,
) -> VideoPair:
    """Probe two videos and pair their frames.

    Args:
        infrared, visible: the files; registered, so that both have one size.
        offset_frames: infrared frame i shows what visible frame i + offset_frames shows, as in `vircraft
            register`; None: their presentation times are on one clock.
        levels: of deep infrared; None chooses them from a few frames.

    Raises:
        ClipError: a file cannot be used, or no frames coincide.
        PictureError: the sizes differ.
    """
    clip = probe_clip(ClipSource(infrared.stem, infrared, visible))
    hw = [stream.size_wh[::-1] for stream in (clip.infrared, clip.visible)]
    check_sizes(hw[0], hw[1], infrared, visible)
    offset_s = 0.0 if offset_frames is None else offset_s_from_frames(clip, offset_frames)
    sync = Synchronisation(
        offset_s, offset_frames or 0.0, source="assumed" if offset_frames is None else "option"
    )
    plan = plan_pairs(clip, sync, SamplingSettings(every=1))
    if not plan.pairs:
        raise ClipError(
            f"no frame coincides with one of {visible} in time: it starts at "
            f"{clip.infrared.start_time_s:.3f} s, the visible one at {clip.visible.start_time_s:.3f} s; say "
            "how they belong together with --offset",
            path=infrared,
            reason="no-overlap",
        )
    deep = clip.infrared.bit_depth > 8
    chosen = levels or (infrared_levels(_some_frames(clip.infrared)) if deep else GreyLevels())
    remarks = (*clip.remarks, *_plan_remarks(clip, plan))
    return VideoPair(clip, sync, plan, Appearance(infrared=chosen), remarks)


def fuse_video(
    pair: VideoPair, job: VideoJob, fuser: Fuser, on_frame: Callable[[int], None] | None = None
) -> VideoSummary:
    """Fuse two videos; memory does not grow with their length.

    Args:
        pair: from `open_pair`.
        job: what to make.
        fuser: the network.
        on_frame: told the number of frames done.

    Raises:
        DatasetError: it would replace an input, or cannot be written (disk full, read-only folder).
        ClipError: a file can no longer be read, or none of its frames.
    """
    inputs = (pair.clip.infrared.path, pair.clip.visible.path)
    if job.path.resolve() in {path.resolve() for path in inputs}:
        raise DatasetError(f"{job.path}: is an input; give the fused video another place")
    note = f"vircraft-fused {describe_maker(fuser, pair.appearance)} {pair.sync.offset_s:.6f}"
    if not job.force and all(path.exists() for path in job.paths):
        return VideoSummary("kept" if all(made_by(path) == note for path in job.paths) else "other")
    damaged: list[DamagedFrame] = []
    frames = read_pairs(pair.clip, pair.plan, on_damage=lambda _, frame: damaged.append(frame))
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        outputs = _Outputs(stack, pair, job, note)
        done = 0
        writing: Future[None] | None = None
        for batch in _ahead(pool, _batches(frames, pair, fuser.batch)):
            planes = fuser.fuse_planes([f.infrared for f in batch], [luminance(f.visible) for f in batch])
            fused = [finish(p, f.visible) for p, f in zip(planes, batch, strict=True)]
            if writing is not None:
                writing.result()
            writing = pool.submit(outputs.write, fused, [f.time_s for f in batch])
            done += len(batch)
            if on_frame is not None:
                on_frame(done)
        if writing is not None:
            writing.result()
        if done == 0:
            raise ClipError(f"none of its {pair.frames} pairs can be decoded: {damaged[0]}", path=inputs[0])
    return VideoSummary("made", done, tuple(damaged), outputs.encoder, outputs.sound)


@dataclass(frozen=True, eq=False)
class _Frame:
    """A pair of frames as the network takes them; see `picture_files.ReadPair`."""

    infrared: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    visible: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    time_s: float


class _Outputs:
    """The videos being written; opened with the first frame, whose time becomes 0."""

    def __init__(self, stack: ExitStack, pair: VideoPair, job: VideoJob, note: str) -> None:
        self.stack, self.pair, self.job, self.note = stack, pair, job, note
        self.videos: list[FusedVideo] = []
        self.origin_s = 0.0

    def write(self, fused: list[FusedPicture], times_s: list[float]) -> None:
        if not self.videos:
            self.origin_s = times_s[0]
            self.videos = [self.stack.enter_context(video) for video in self._open()]
        for frame, time_s in zip(fused, times_s, strict=True):
            pictures = (frame.picture, frame.foreground)
            for video, picture in zip(self.videos, pictures, strict=False):
                if picture is not None:
                    video.write(picture, time_s - self.origin_s)

    def _open(self) -> Iterator[FusedVideo]:
        source = self.pair.clip.visible
        for number, path in enumerate(self.job.paths):
            sound = (source.path, self.origin_s) if number == 0 else None
            yield FusedVideo(path, source.size_wh, self.pair.plan.rate_fps, self.note, sound)

    @property
    def encoder(self) -> str:
        return self.videos[0].encoder

    @property
    def sound(self) -> str:
        sound = self.videos[0].sound
        if sound is None or not (sound.copied or sound.encoded):
            return ""
        parts = [f"{', '.join(sound.copied)} copied"] if sound.copied else []
        parts += [f"{', '.join(sound.encoded)} encoded as AAC"] if sound.encoded else []
        return "; ".join([*parts, *([f"damaged: {sound.error}"] if sound.error else [])])


def _batches(frames: Iterator[FramePair], pair: VideoPair, size: int) -> Iterator[list[_Frame]]:
    while batch := [_prepare(frame, pair) for frame in islice(frames, size)]:
        yield batch


def _prepare(frame: FramePair, pair: VideoPair) -> _Frame:
    infrared = infrared_unit(frame.infrared, pair.appearance)
    return _Frame(infrared, visible_full(frame.visible, pair.appearance), pair.time_s(frame))


def _ahead(pool: ThreadPoolExecutor, batches: Iterator[list[_Frame]]) -> Iterator[list[_Frame]]:
    """Yield batches while the next one is being decoded."""
    coming = pool.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = pool.submit(next, batches, None)
        yield batch


def _some_frames(stream: Stream) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint16]]]:
    count = min(SURVEYED, stream.frame_count)
    indices = sorted({i * stream.frame_count // count for i in range(count)})
    frames = [frame for _, frame in read_frames(stream, indices)]
    pictures = [grey_picture(f, stream.rotation_deg) for f in frames if not isinstance(f, DamagedFrame)]
    return [np.asarray(p, np.uint16) for p in pictures]


def _plan_remarks(clip: Clip, plan: PairPlan) -> Iterator[Remark]:
    """Say what of the two streams has no partner."""
    lengths_s = [stream.duration_s for stream in (clip.infrared, clip.visible)]
    if abs(lengths_s[0] - lengths_s[1]) > 1.5 / plan.rate_fps:
        message = f"infrared lasts {lengths_s[0]:.2f} s, visible {lengths_s[1]:.2f} s: fused where both run"
        yield Remark("different-lengths", message)
    words = {"no-overlap": "only one camera runs", "no-infrared": "infrared", "no-visible": "visible"}
    for reason, count in plan.skipped.items():
        lack = words[reason] if reason == "no-overlap" else f"there is no {words[reason]} frame"
        yield Remark(reason, f"{count} instants of the clock left out: {lack}")
