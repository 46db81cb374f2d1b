"""Write H.264 files frame by frame, with the presentation times that the recorder's clock gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray


class VideoWriter:
    """One MP4 file with one H.264 stream; a lost frame is a time at which nothing was written."""

    def __init__(self, path: Path, size_wh: tuple[int, int], fps: float, quality: int) -> None:
        # The default movie time scale would round start times to a millisecond.
        self._container = av.open(str(path), "w", format="mp4", options={"movie_timescale": "90000"})
        rate = Fraction(fps).limit_denominator(1001)
        # Not the macroblock tree: with it x264 gives other pixels from run to run.
        options = {"crf": str(quality), "preset": "veryfast", "bf": "2", "x264-params": "no-mbtree=1"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.width, self._stream.height = size_wh
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_count = 1  # the same bytes on every machine
        self._tick = 1 / (rate * 512)  # fine enough for start times between two frames
        self._stream.codec_context.time_base = self._tick

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for packet in self._stream.encode(None):
                    self._container.mux(packet)
        finally:
            self._container.close()

    def write(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Append a (H, W) grey or (H, W, 3) BGR picture at a presentation time."""
        frame = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "bgr24")
        frame.pts = round(Fraction(time_s).limit_denominator(10**9) / self._tick)
        frame.time_base = self._tick
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
