"""Read stretches of a stream as small grey pictures, sought by keyframe, as cheaply as it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.decoding import luma_plane, turn
from vircraft.reading import packet_time_s
from vircraft.streams import Stream, open_video, video_stream


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a stream, small.

    Attributes:
        times_s: (K,) presentation times.
        pictures: (K, h, w) float32 grey, about 0..255.
    """

    times_s: NDArray[np.float64]
    pictures: NDArray[np.float32]


def read_window(stream: Stream, start_s: float, end_s: float, width: int) -> Window:
    """Decode the frames presented from `start_s` to `end_s`, reduced to `width` by area.

    The deblocking filter is left out, which such small pictures do not show. Damaged frames are left out too.

    Raises:
        ClipError: the file cannot be opened.
    """
    times: list[float] = []
    pictures: list[NDArray[Any]] = []
    last_s = float(stream.times_s[max(int(np.searchsorted(stream.times_s, end_s, "right")), 1) - 1])
    with open_video(stream.path) as container:
        source = video_stream(container, stream.path)
        source.codec_context.thread_count = 1
        source.codec_context.options = {"skip_loop_filter": "all"}
        if not stream.untimed and start_s > stream.start_time_s and source.time_base:
            container.seek(int(start_s / source.time_base), stream=source, backward=True)
        index = 0
        for frame in _frames(container, source, start_s):
            time_s = (
                float(stream.times_s[min(index, stream.frame_count - 1)]) if stream.untimed else frame.time
            )
            index += 1
            if time_s is None or time_s < start_s:
                continue
            if time_s > end_s:
                break
            times.append(time_s)
            pictures.append(reduced_grey(frame, stream.rotation_deg, width))
            if time_s >= last_s:
                break
    if not pictures:
        return Window(np.zeros(0), np.zeros((0, 1, 1), np.float32))
    return Window(np.asarray(times), _as_eight_bit(np.stack(pictures)))


def reduced_grey(frame: Any, rotation_deg: int, width: int) -> NDArray[Any]:
    """Return a frame's luma reduced by area to a displayed width (never enlarged)."""
    luma = luma_plane(frame)
    if luma is None:
        luma = frame.to_ndarray(format="gray")
    luma = np.asarray(luma)
    height, full_width = luma.shape
    shown_width = full_width if rotation_deg % 180 == 0 else height
    scale = min(1.0, width / shown_width)
    size = (max(8, round(full_width * scale)), max(8, round(height * scale)))
    return turn(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), rotation_deg)


def _frames(container: Any, source: Any, start_s: float) -> Any:
    """Yield decoded frames and go on after damaged packets."""
    try:
        for packet in container.demux(source):
            time_s = packet_time_s(packet)
            wanted = packet.size == 0 or time_s is None or time_s >= start_s
            source.codec_context.skip_frame = "DEFAULT" if wanted else "NONREF"
            try:
                yield from packet.decode()
            except av.error.FFmpegError:
                continue
    except av.error.FFmpegError:
        return


def _as_eight_bit(pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Spread deeper counts over about 0..255 by one gain for the whole window."""
    if pictures.dtype == np.uint8:
        return pictures.astype(np.float32)
    low, high = np.percentile(pictures[:: max(1, len(pictures) // 8)], [0.5, 99.5])
    gain = 255.0 / max(float(high - low), 1.0)
    return ((pictures.astype(np.float32) - np.float32(low)) * np.float32(gain)).astype(np.float32)
