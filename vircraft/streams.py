"""One video stream: what the container says about it, found by reading its packets, not its pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from vircraft.errors import ClipError
from vircraft.timing import LATE_SHARE, Timing, frame_timing

Modality = Literal["infrared", "visible"]

INTRA_CODECS = frozenset({"mjpeg", "ffv1", "huffyuv", "ffvhuff", "rawvideo", "png", "utvideo", "dvvideo"})


@dataclass(frozen=True)
class Remark:
    """Something odd that a user would want to know.

    Attributes:
        code: short and stable (`lost-frames`, `rotated`, ...).
        message: one sentence for people, with the numbers.
        path: the file it is about; None when it is about the pair.
    """

    code: str
    message: str
    path: Path | None = None


@dataclass(frozen=True, eq=False)
class Stream:
    """The video stream of one file.

    Attributes:
        path: the file.
        modality: which camera it comes from.
        size_wh: picture size as displayed, after rotation.
        frame_count: frames that the file really holds.
        times_s: (frame_count,) float64, presentation times in presentation order, as the container gives
            them, the start time kept.
        rate_fps: nominal frame rate; lost, doubled and late frames do not change it.
        duration_s: from the first frame to the end of the last.
        codec, pixel_format, bit_depth: as decoded.
        rotation_deg: counterclockwise turn that the container asks players for: 0, 90, 180 or 270. It is
            applied when frames are read.
        variable_rate: frames do not keep to slots of one period.
        truncated: the file ends before the container says it does.
        lost_count, doubled_count, late_count: vacant slots, frames that share a slot, frames off their slot.
        untimed: the container does not say when which frame is presented (AVI, bare H.264): the times are
            those of its decoding order, or counted at its rate, and frames are told apart by counting.
        key_times_s: presentation times of the frames at which decoding can start.
        packet_bytes: (frame_count,) compressed size of each frame: large where much moves.
        palette: name of the false-colour map that infrared grey values were painted with; None when grey.
        remarks: what is odd about it.
    """

    path: Path
    modality: Modality
    size_wh: tuple[int, int]
    frame_count: int
    times_s: NDArray[np.float64] = field(repr=False)
    rate_fps: float
    duration_s: float
    codec: str
    pixel_format: str
    bit_depth: int
    rotation_deg: int = 0
    variable_rate: bool = False
    truncated: bool = False
    lost_count: int = 0
    doubled_count: int = 0
    late_count: int = 0
    palette: str | None = None
    untimed: bool = False
    key_times_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False)
    packet_bytes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    remarks: tuple[Remark, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.frame_count != len(self.times_s) or self.frame_count == 0:
            raise ValueError(f"{self.frame_count} frames but {len(self.times_s)} times")
        if not (np.isfinite(self.times_s).all() and (np.diff(self.times_s) >= 0).all()):
            raise ValueError("times_s must be finite and ascending")
        if not self.rate_fps > 0:
            raise ValueError(f"rate_fps is {self.rate_fps}; it is above 0")

    @property
    def start_time_s(self) -> float:
        """Return the presentation time of the first frame."""
        return float(self.times_s[0])


def open_video(path: Path) -> Any:
    """Open a container for reading.

    Raises:
        ClipError: `missing`, `zero-bytes`, `truncated` (an MP4 without its index), `not-a-video`, or
            `unreadable`.
    """
    try:
        if path.stat().st_size == 0:
            raise ClipError(
                "the file is empty (0 bytes); copy it again from the camera", path=path, reason="zero-bytes"
            )
        return av.open(str(path.absolute()), metadata_errors="ignore")  # "12:30.mp4" is no address
    except FileNotFoundError as error:
        raise ClipError("there is no such file", path=path, reason="missing") from error
    except av.error.InvalidDataError as error:
        if _is_mp4(path):
            raise ClipError(
                "an MP4 without its index (moov): the recording was cut off before it was finished; "
                "a repair tool such as untrunc may rebuild it",
                path=path,
                reason="truncated",
            ) from error
        raise ClipError("not a video that FFmpeg knows", path=path, reason="not-a-video") from error
    except (av.error.FFmpegError, OSError) as error:
        raise ClipError(f"cannot be opened: {error.strerror or error}", path=path) from error


def video_stream(container: Any, path: Path) -> Any:
    """Return the first moving-picture stream of a container, cover pictures left out.

    Raises:
        ClipError: `audio-only` or `not-a-video`.
    """
    for stream in container.streams.video:
        if not int(stream.disposition) & int(av.stream.Disposition.attached_pic):
            return stream
    if len(container.streams.audio) > 0:
        raise ClipError("holds sound but no video stream", path=path, reason="audio-only")
    raise ClipError("holds no video stream", path=path, reason="not-a-video")


@dataclass(frozen=True)
class PacketScan:
    """What one pass over the packets of a file gives: no picture is decoded."""

    times_s: NDArray[np.float64]
    key_times_s: NDArray[np.float64]
    untimed: bool
    packet_bytes: NDArray[np.int64]
    end_s: float  # end of the last packet of any stream
    corrupt_count: int
    error: str


def scan_packets(container: Any, stream: Any) -> PacketScan:
    """Read every packet of a container and note the presentation times of one stream's."""
    times: list[float] = []
    key_times: list[float] = []
    sizes: list[int] = []
    end_s, corrupt, message, untimed = -math.inf, 0, "", False
    all_decoding_times = True
    counts_frames = container.format.name == "avi" and stream.codec_context.name not in INTRA_CODECS
    fallback_period = float(1 / (stream.average_rate or stream.guessed_rate or 25))
    try:
        for packet in container.demux():
            if packet.size == 0 or packet.time_base is None:
                continue
            stamp = packet.dts if packet.pts is None or counts_frames else packet.pts
            if packet.stream_index == stream.index:
                if packet.is_discard:
                    continue
                untimed = untimed or packet.pts is None or counts_frames
                all_decoding_times = all_decoding_times and stamp is not None
                time_s = len(times) * fallback_period if stamp is None else float(stamp * packet.time_base)
                times.append(time_s)
                sizes.append(packet.size)
                if packet.is_keyframe:
                    key_times.append(time_s)
                corrupt += bool(packet.is_corrupt)
            elif stamp is None:
                continue
            else:
                time_s = float(stamp * packet.time_base)
            end_s = max(end_s, time_s + float((packet.duration or 0) * packet.time_base))
    except av.error.FFmpegError as error:
        message = str(error.strerror or error)
    if untimed and not all_decoding_times:
        times = [i * fallback_period for i in range(len(times))]
    order = np.argsort(times, kind="stable")
    return PacketScan(
        times_s=np.asarray(times, np.float64)[order],
        key_times_s=np.sort(np.asarray(key_times, np.float64)),
        untimed=untimed,
        packet_bytes=np.asarray(sizes, np.int64)[order],
        end_s=end_s,
        corrupt_count=corrupt,
        error=message,
    )


def first_frame(container: Any, stream: Any, path: Path, tries: int = 250) -> Any:
    """Decode the first picture that can be decoded.

    Raises:
        ClipError: `undecodable` when none of the first `tries` packets gives a picture.
    """
    stream.codec_context.thread_count = 1
    failures = 0
    for frame in _decode_tolerantly(container, stream, tries):
        if frame is not None:
            return frame
        failures += 1
    raise ClipError(
        f"none of the first {max(failures, 1)} packets gives a picture ({stream.codec_context.name}); "
        "the file is damaged, or FFmpeg here lacks its codec",
        path=path,
        reason="undecodable",
    )


def _decode_tolerantly(container: Any, stream: Any, tries: int) -> Iterator[Any]:
    """Yield decoded frames, or None for each packet that fails."""
    count = 0
    try:
        for packet in container.demux(stream):
            count += 1
            if count > tries:
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                yield None
    except av.error.FFmpegError:
        return


def probe_stream(path: Path, modality: Modality) -> Stream:
    """Describe the video stream of a file: every packet is read, one picture is decoded.

    Raises:
        ClipError: with reason `missing`, `zero-bytes`, `not-a-video`, `audio-only`, `truncated`,
            `no-frames`, `undecodable` or `unreadable`.
    """
    with open_video(path) as container:
        stream = video_stream(container, path)
        scan = scan_packets(container, stream)
        if len(scan.times_s) == 0:
            raise ClipError(
                "its video stream holds no frame"
                + ("; the file was cut off before the first one" if stream.frames else ""),
                path=path,
                reason="no-frames",
            )
        stated = tuple(float(r) for r in (stream.average_rate, stream.guessed_rate, stream.base_rate) if r)
        timing = frame_timing(scan.times_s, stated)
        promised_s = _promised_end_s(container, stream)
        # Other containers count dropped frames too, or do not count.
        promised_frames = int(stream.frames) if "mp4" in container.format.name else 0
    with open_video(path) as container:
        frame = first_frame(container, video_stream(container, path), path)
        codec = str(container.streams.video[0].codec_context.name)
    return _describe(
        path=path,
        modality=modality,
        scan=scan,
        timing=timing,
        frame=frame,
        codec=codec,
        promised_s=promised_s,
        promised_frames=promised_frames,
    )


def _describe(
    *,
    path: Path,
    modality: Modality,
    scan: PacketScan,
    timing: Timing,
    frame: Any,
    codec: str,
    promised_s: float | None,
    promised_frames: int,
) -> Stream:
    rotation = round(frame.rotation / 90.0) * 90 % 360
    width, height = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
    period = 1 / timing.rate_fps
    count = len(scan.times_s)
    remarks: list[Remark] = []

    def remark(code: str, message: str) -> None:
        remarks.append(Remark(code, message, path))

    missing_s = 0.0 if promised_s is None else promised_s - max(scan.end_s, float(scan.times_s[-1]) + period)
    truncated = missing_s > max(2.5 * period, 0.1) or count < promised_frames - 1
    if truncated:
        held_s = scan.times_s[-1] - scan.times_s[0] + period
        what = (
            f"{count} of {promised_frames} frames are there"
            if promised_frames > count
            else f"the container says {held_s + missing_s:.2f} s, its frames end after {held_s:.2f} s"
        )
        remark("truncated", f"cut off: {what}")
    if scan.error:
        remark("damaged", f"reading stopped after frame {count - 1}: {scan.error}")
    if scan.corrupt_count:
        remark("damaged", f"{scan.corrupt_count} packets are marked as corrupt")
    if count == 1:
        remark("one-frame", "holds a single frame")
    if timing.variable:
        remark("variable-rate", f"frames keep no constant rate (about {timing.rate_fps:.3f} per second)")
    if timing.lost_count:
        remark("lost-frames", f"{timing.lost_count} frame times are vacant: frames were lost")
    if timing.doubled_count:
        remark("doubled-frames", f"{timing.doubled_count} frames share the time of another")
    if timing.late_count and not timing.variable:
        remark("late-frames", f"{timing.late_count} frames are off their time by more than {LATE_SHARE:.0%}")
    if rotation:
        remark("rotated", f"to be turned by {rotation} degrees counterclockwise; done when frames are read")
    ratio = frame_aspect(frame)
    if ratio is not None:
        remark("non-square-pixels", f"its pixels are {ratio:.3f} times as wide as high; read as recorded")
    bit_depth = int(max(component.bits for component in frame.format.components))
    return Stream(
        path=path,
        modality=modality,
        size_wh=(width, height),
        frame_count=count,
        times_s=scan.times_s,
        rate_fps=timing.rate_fps,
        duration_s=float(scan.times_s[-1] - scan.times_s[0] + period),
        codec=codec,
        pixel_format=str(frame.format.name),
        bit_depth=bit_depth,
        rotation_deg=rotation,
        variable_rate=timing.variable,
        truncated=truncated,
        lost_count=timing.lost_count,
        doubled_count=timing.doubled_count,
        late_count=timing.late_count,
        untimed=scan.untimed,
        key_times_s=scan.key_times_s,
        packet_bytes=scan.packet_bytes,
        remarks=tuple(remarks),
    )


def frame_aspect(frame: Any) -> float | None:
    """Return a decoded frame's pixel aspect ratio when it is known and not square."""
    ratio = getattr(frame, "sample_aspect_ratio", None)
    return None if not ratio or ratio == 1 else float(ratio)


def _promised_end_s(container: Any, stream: Any) -> float | None:
    """Return the presentation time at which the container says that its streams end."""
    if stream.duration and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if container.duration and container.format.name.split(",")[0] in ("matroska", "avi", "flv", "asf"):
        return float(container.duration + (container.start_time or 0)) / av.time_base
    return None


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
