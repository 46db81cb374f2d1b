"""Read chosen frames of one stream: decoded once, nothing decoded or converted that can be left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
import numpy as np

from vircraft.streams import Stream, open_video, video_stream

# Frames that build on a damaged one are smeared without the decoder saying so. They are whole again with the
# next keyframe; where that is far away, cameras have mostly redrawn the picture after this time.
SMEARED_S = 2.0
CONCEALED = "its data is damaged; the decoder filled in what it could not read"


@dataclass(frozen=True)
class DamagedFrame:
    """A frame that could not be decoded, or not whole.

    Attributes:
        path: the file.
        frame_index: counts the frames in presentation order.
        time_s: its presentation time.
        message: what the decoder said.
    """

    path: Path
    frame_index: int
    time_s: float
    message: str

    def __str__(self) -> str:
        return f"{self.path}: frame {self.frame_index} ({self.time_s:.3f} s): {self.message}"


OnDamage = Callable[[DamagedFrame], None]


def read_frames(
    stream: Stream, indices: Sequence[int], on_damage: OnDamage | None = None
) -> Iterator[tuple[int, Any]]:
    """Decode the frames with these indices.

    Packets of frames that nobody wants and no other frame refers to are skipped by the decoder, and those
    after the last wanted frame before a keyframe are not decoded at all; the frames that come out are
    bit-identical to those of a full decode.

    Args:
        stream: the probed stream.
        indices: ascending, without repetition.
        on_damage: told of each damaged frame that is met on the way, wanted or not.

    Yields:
        Each index in order with its `av.VideoFrame`, or with a DamagedFrame.

    Raises:
        ClipError: the file cannot be opened any more.
    """
    if not indices:
        return
    with open_video(stream.path) as container:
        source = video_stream(container, stream.path)
        source.codec_context.thread_count = 1
        wanted = _Wanted(stream, indices, on_damage)
        passed_over = False
        for packet in _packets(container, source, wanted):
            flush = packet.size == 0
            if flush and packet.pts is not None:
                continue  # an empty packet in the midst of the file stands for a dropped frame
            if not flush and not wanted.needs(packet):
                passed_over = True
                continue
            if passed_over:  # as after seeking: nothing that went before may be referred to
                source.codec_context.flush_buffers()
                wanted.resume(packet)
                passed_over = False
            if not stream.untimed:
                source.codec_context.skip_frame = "DEFAULT" if flush or wanted.holds(packet) else "NONREF"
            wanted.see(packet)
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                wanted.note(packet, str(error.strerror or error))
                continue
            for frame in frames:
                yield from wanted.take(frame)
            if wanted.done:
                return
        yield from wanted.rest()


class _Wanted:
    """The frames still to come, in order, and which packets they need."""

    def __init__(self, stream: Stream, indices: Sequence[int], on_damage: OnDamage | None) -> None:
        self.stream = stream
        self.on_damage = on_damage
        self.disposable: set[float] = set()  # times of frames on their way that no other builds on
        self.resumed_s = -math.inf  # frames before it may lack what they build on, since it was passed over
        self.pending = list(reversed(indices))
        self.wanted_times = {float(stream.times_s[i]) for i in indices}
        self.key_times = [float(t) for t in stream.key_times_s] if not stream.untimed else []
        self.next_key = 0  # position in key_times of the keyframe after the packets being read
        self.notes: dict[float, str] = {}
        self.smeared_from_s = math.inf  # frames from here on ...
        self.smeared_until_s = -math.inf  # ... up to here build on a damaged one
        self.damaged_index = 0
        self.last_error = "the file ends before it"
        self.count = 0

    @property
    def done(self) -> bool:
        return not self.pending

    def needs(self, packet: Any) -> bool:
        """Tell whether a wanted frame may depend on a packet, in decoding order."""
        if not self.key_times:
            return True
        time_s = packet_time_s(packet)
        if packet.is_keyframe and time_s is not None:
            while self.next_key < len(self.key_times) and self.key_times[self.next_key] <= time_s:
                self.next_key += 1
        if self.next_key >= len(self.key_times):
            return True
        return bool(self.stream.times_s[self.pending[-1]] < self.key_times[self.next_key])

    def holds(self, packet: Any) -> bool:
        """Tell whether a packet's own frame is wanted."""
        time_s = packet_time_s(packet)
        return time_s is None or time_s in self.wanted_times

    def resume(self, packet: Any) -> None:
        """Remember where decoding goes on after packets that were passed over."""
        time_s = packet_time_s(packet)
        self.resumed_s = self.resumed_s if time_s is None else time_s

    def see(self, packet: Any) -> None:
        """Remember what is known of a packet when its frame comes out."""
        time_s = packet_time_s(packet)
        if packet.size and packet.is_disposable and time_s is not None:
            self.disposable.add(time_s)

    def note(self, packet: Any, message: str) -> None:
        """Remember what the decoder said about a packet."""
        time_s = packet_time_s(packet)
        self.last_error = message
        if self.stream.untimed:
            self._tell(self.count)
            self.count += 1
        elif time_s is not None:
            self._damage(time_s, message, spreads=not packet.is_disposable)

    def _damage(self, time_s: float, message: str, *, spreads: bool) -> None:
        """Remember a damaged frame, and how long frames may be smeared that build on it."""
        index = int(np.searchsorted(self.stream.times_s, time_s))
        self.notes[time_s] = message
        if spreads:
            after = self.stream.key_times_s[self.stream.key_times_s > time_s]
            whole_s = min(float(after[0]) if len(after) else math.inf, time_s + SMEARED_S)
            if time_s >= self.smeared_until_s:
                self.smeared_from_s = time_s
                self.damaged_index = index
            self.smeared_until_s = max(self.smeared_until_s, whole_s)
        self._tell(index)

    def _tell(self, index: int) -> None:
        if self.on_damage is not None and index < self.stream.frame_count:
            time_s = float(self.stream.times_s[index])
            message = self.notes.get(time_s, self.last_error)
            self.on_damage(DamagedFrame(self.stream.path, index, time_s, message))

    def take(self, frame: Any) -> Iterator[tuple[int, Any]]:
        """Yield a decoded frame when it is wanted, after the damaged ones before it."""
        if self.stream.untimed or frame.pts is None:
            index = self.count
            self.count += 1
            if frame.is_corrupt:
                self.last_error = CONCEALED
                self._tell(index)
            while self.pending and self.pending[-1] < index:
                yield self._damaged(self.pending.pop())
            if self.pending and self.pending[-1] == index:
                yield self.pending.pop(), frame
            return
        time_s = float(frame.pts * frame.time_base)
        if frame.is_corrupt and time_s >= self.resumed_s:
            self._damage(time_s, CONCEALED, spreads=time_s not in self.disposable)
        self.disposable.discard(time_s)
        while self.pending and self.stream.times_s[self.pending[-1]] < time_s:
            yield self._damaged(self.pending.pop())
        while self.pending and self.stream.times_s[self.pending[-1]] == time_s:
            index = self.pending.pop()
            if self.smeared_from_s < time_s < self.smeared_until_s:
                text = f"builds on frame {self.damaged_index}, which is damaged; smeared"
                yield index, DamagedFrame(self.stream.path, index, time_s, text)
            else:
                yield index, self._damaged(index)[1] if frame.is_corrupt else frame

    def rest(self) -> Iterator[tuple[int, Any]]:
        """Yield what never came."""
        while self.pending:
            yield self._damaged(self.pending.pop())

    def _damaged(self, index: int) -> tuple[int, DamagedFrame]:
        time_s = float(self.stream.times_s[index])
        message = self.notes.get(time_s, self.last_error)
        return index, DamagedFrame(self.stream.path, index, time_s, f"cannot be decoded: {message}")


def _packets(container: Any, source: Any, wanted: _Wanted) -> Iterator[Any]:
    """Yield packets until the file ends or cannot be read on."""
    try:
        yield from container.demux(source)
    except av.error.FFmpegError as error:
        wanted.last_error = str(error.strerror or error)


def packet_time_s(packet: Any) -> float | None:
    """Return a packet's presentation time; None when it carries none."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None or packet.time_base is None else float(stamp * packet.time_base)
