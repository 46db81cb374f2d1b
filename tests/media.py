"""Small videos for tests, made on the spot: known pictures at known times, and ways to spoil them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

TICKS_PER_SECOND = 90_000


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.generic]],
    *,
    rate: float = 25.0,
    times_s: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Write pictures (grey, BGR or 16-bit grey) at given presentation times."""
    times_s = times_s if times_s is not None else [i / rate for i in range(len(pictures))]
    height, width = pictures[0].shape[:2]
    if options is None:
        options = {"crf": "12", "preset": "veryfast", "g": "25"} if codec == "libx264" else {}
    base = Fraction(
        1, 12_800 if codec == "mpeg4" else TICKS_PER_SECOND
    )  # MPEG-4 counts no finer than 1/65535
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = base
        stream.codec_context.time_base = base
        for picture, time_s in zip(pictures, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=_format(picture))
            frame.pts = round(time_s / base)
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _format(picture: NDArray[np.generic]) -> str:
    if picture.ndim == 3:
        return "bgr24"
    return "gray16le" if picture.dtype == np.uint16 else "gray"


def write_sound(path: Path) -> Path:
    """Write a second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for i in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16_000, i * 1024, Fraction(1, 16_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def counted(count: int, size_wh: tuple[int, int] = (160, 120)) -> list[NDArray[np.uint8]]:
    """Return BGR pictures that carry their number as eight bars, black or white: see `number_of`."""
    width, height = size_wh
    rng = np.random.default_rng(7)
    ground = cv2.resize(rng.integers(60, 200, (8, 10, 3), dtype=np.uint8), size_wh)
    pictures = []
    for i in range(count):
        picture = ground.copy()
        for bit in range(8):
            left, right = bit * width // 8, (bit + 1) * width // 8
            picture[: height // 3, left:right] = 235 if i >> bit & 1 else 16
        x = int((0.1 + 0.8 * i / max(count, 2)) * width)
        cv2.circle(picture, (x, 2 * height // 3), height // 8, (40, 220, 240), -1)
        pictures.append(picture)
    return pictures


def counted_grey(count: int, size_wh: tuple[int, int] = (160, 120), bits: int = 8) -> list[NDArray[Any]]:
    """Return `counted` without colour, as 8-bit or deeper grey."""
    kind = np.uint8 if bits == 8 else np.uint16
    return [(p.mean(2) * (((1 << bits) - 1) / 255)).astype(kind) for p in counted(count, size_wh)]


def number_of(picture: NDArray[np.generic]) -> int:
    """Read the number from a picture made by `counted` (grey or BGR, 8 or 16 bit)."""
    grey = np.asarray(picture, float)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    height, width = grey.shape
    middle = (grey.max() + grey.min()) / 2
    bars = [
        grey[height // 12 : height // 4, int((b + 0.3) * width / 8) : int((b + 0.7) * width / 8)]
        for b in range(8)
    ]
    return sum(1 << bit for bit, bar in enumerate(bars) if bar.mean() > middle)


def rotate_mp4(path: Path, clockwise_deg: int) -> None:
    """Ask players of an MP4 to turn it, as phones do: the matrix in the track header."""
    unit = 1 << 16
    matrices = {90: (0, unit, -unit, 0), 180: (-unit, 0, 0, -unit), 270: (0, -unit, unit, 0)}
    a, b, c, d = matrices[clockwise_deg]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    version = data[at]
    matrix_at = at + 4 + (32 if version == 1 else 20) + 16
    data[matrix_at : matrix_at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


def damage(path: Path, share: float, count: int = 400, seed: int = 1) -> None:
    """Overwrite bytes at a share of the file with noise."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + count] = np.random.default_rng(seed).integers(0, 256, count, np.uint8).tobytes()
    path.write_bytes(bytes(data))


def truncate(path: Path, share: float) -> None:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
