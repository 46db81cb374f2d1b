"""Carry the sound of a video into another file: packets as they are where the container takes them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from vircraft.streams import open_video

FALLBACK_CODEC = "aac"


class Sound:
    """All sound tracks of a file on their way into an open output container.

    Attributes:
        copied, encoded: codecs of the tracks that are copied, and of those that are encoded anew.
        error: what stopped it before the end; "" when nothing did.
    """

    def __init__(self, source: Path, output: Any, origin_s: float) -> None:
        """Announce the tracks to the output; it must be done before its first packet.

        Args:
            source: a video with or without sound.
            output: an `av` container open for writing.
            origin_s: presentation time in the source that becomes 0.
        """
        self.copied: list[str] = []
        self.encoded: list[str] = []
        self.error = ""
        self._output = output
        self._input = open_video(source)
        self._tracks: dict[int, _Copy | _Encoding] = {}
        for track in self._input.streams.audio:
            codec = track.codec_context.name
            if codec in output.supported_codecs:
                self._tracks[track.index] = _Copy(output.add_stream_from_template(track), origin_s)
                self.copied.append(codec)
            else:
                self._tracks[track.index] = _Encoding(output, track, origin_s)
                self.encoded.append(codec)
        self._packets = self._input.demux(*self._input.streams.audio) if self._tracks else iter(())
        self._held: Any = None

    def write_until(self, time_s: float) -> None:
        """Write what sounds before a time on the output's clock, so that both kinds of packet alternate."""
        while (packet := self._next()) is not None:
            track = self._tracks[packet.stream_index]
            if track.starts_s(packet) >= time_s:
                self._held = packet
                return
            try:
                for ready in track.take(packet):
                    self._output.mux(ready)
            except av.error.InvalidDataError as error:  # one packet is damaged, the next may be whole
                self.error = str(error.strerror or error)

    def close(self) -> None:
        """Write what encoders still hold, and let go of the source."""
        for track in self._tracks.values():
            for ready in track.flush():
                self._output.mux(ready)
        self._input.close()

    def _next(self) -> Any:
        if self._held is not None:
            packet, self._held = self._held, None
            return packet
        try:
            for packet in self._packets:
                if packet.size and packet.pts is not None:
                    return packet
        except av.error.FFmpegError as error:
            self.error = str(error.strerror or error)
        return None


class _Copy:
    """A track whose packets are moved in time and otherwise stay as they are."""

    def __init__(self, stream: Any, origin_s: float) -> None:
        self.stream = stream
        self.origin_s = origin_s

    def starts_s(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self.origin_s

    def take(self, packet: Any) -> Iterator[Any]:
        if self.starts_s(packet) < 0:
            return
        shift = round(Fraction(self.origin_s) / packet.time_base)
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = self.stream
        yield packet

    def flush(self) -> Iterator[Any]:
        return iter(())


class _Encoding:
    """A track that is decoded and encoded anew; its samples are counted, gaps in it are closed."""

    def __init__(self, output: Any, track: Any, origin_s: float) -> None:
        rate = track.codec_context.sample_rate
        self.stream = output.add_stream(FALLBACK_CODEC, rate=rate)
        self.stream.codec_context.layout = track.codec_context.layout
        self.origin_s = origin_s
        self.rate = rate
        self.resampler: Any = None
        self.next_pts = 0

    def starts_s(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self.origin_s

    def take(self, packet: Any) -> Iterator[Any]:
        for frame in packet.decode():
            time_s = None if frame.time is None else frame.time - self.origin_s
            if time_s is not None and time_s < 0:
                continue
            if self.resampler is None:
                self.next_pts = round((time_s or 0) * self.rate)
                context = self.stream.codec_context
                context.open(strict=False)
                self.resampler = av.AudioResampler(
                    context.format, context.layout, self.rate, context.frame_size or None
                )
            yield from self._encode(self.resampler.resample(frame))

    def flush(self) -> Iterator[Any]:
        if self.resampler is not None:
            yield from self._encode(self.resampler.resample(None))
        yield from self.stream.encode(None)

    def _encode(self, frames: list[Any]) -> Iterator[Any]:
        for frame in frames:
            frame.pts, frame.time_base = self.next_pts, Fraction(1, self.rate)
            self.next_pts += frame.samples
            yield from self.stream.encode(frame)
