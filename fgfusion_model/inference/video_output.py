"""Write a fused video frame by frame, beside its place until it is whole."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.inference.video_sound import Sound
from vircraft.errors import SettingsError
from vircraft.files import TEMPORARY_SUFFIX, disk_error

TIME_BASE = Fraction(1, 90_000)
SUFFIXES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
# In order of preference, with what gives good pictures; the last is in every build of FFmpeg.
ENCODERS = (
    ("libx264", {"crf": "17", "preset": "medium"}),
    ("libopenh264", {"b": "12000000"}),
    ("mpeg4", {"qscale": "2"}),
)
HD_HEIGHT = 720  # from here on players take unmarked colour as BT.709, below as BT.601
BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)  # shares of red and blue in luma


class FusedVideo:
    """One video file with the pictures, and the sound of another.

    Attributes:
        encoder: of the pictures.
        sound: on its way from the visible video; None when it has none.
    """

    def __init__(
        self,
        path: Path,
        size_wh: tuple[int, int],
        rate_fps: float,
        made_by: str,
        sound_of: tuple[Path, float] | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: `.mp4`, `.mov` or `.mkv`.
            size_wh: of the pictures.
            rate_fps: nominal; the frames' own times count.
            made_by: a note kept in the file, see `made_by`.
            sound_of: a video whose sound to carry over, and the time in it that becomes 0.

        Raises:
            SettingsError: another suffix.
            DatasetError: the disk is full or read-only.
        """
        check_suffix(path)
        self.path = path
        self.encoder, options = _encoder()
        self._temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
        self._hd = size_wh[1] >= HD_HEIGHT
        self._ycc_from_bgr = _ycc_matrix(*(BT709 if self._hd else BT601))
        self._last = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            place = str(self._temporary.absolute())
            self._container = av.open(place, "w", format=SUFFIXES[path.suffix.lower()])
        except OSError as error:
            raise disk_error(path, error) from error
        try:
            self._container.metadata["comment"] = made_by
            self._stream = self._picture_stream(size_wh, rate_fps, options)
            self.sound = Sound(sound_of[0], self._container, sound_of[1]) if sound_of else None
        except BaseException:
            self._container.close()
            self._temporary.unlink(missing_ok=True)
            raise

    def __enter__(self) -> FusedVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._mux(self._stream.encode(None))
                if self.sound is not None:
                    self.sound.close()
            self._container.close()
            if kind is None:
                self._temporary.replace(self.path)
        except OSError as failure:
            if kind is None:
                raise disk_error(self.path, failure) from failure
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Append a (H, W) or (H, W, 3) BGR picture, presented at a time from 0 on, later than the last one.

        Raises:
            DatasetError: the disk is full.
        """
        stamp = max(round(time_s / TIME_BASE), self._last + 1)
        self._last = stamp
        try:
            if self.sound is not None:
                self.sound.write_until(time_s)
            self._mux(self._stream.encode(self._frame(picture, stamp)))
        except OSError as error:
            raise disk_error(self.path, error) from error

    def _picture_stream(self, size_wh: tuple[int, int], rate_fps: float, options: dict[str, str]) -> Any:
        rate = Fraction(rate_fps).limit_denominator(1001)
        stream: Any = self._container.add_stream(self.encoder, rate=rate, options=options)
        stream.width, stream.height = size_wh
        # 4:2:0 halves both sides, so odd ones need 4:4:4, which fewer players show.
        odd = size_wh[0] % 2 or size_wh[1] % 2
        stream.pix_fmt = "yuv444p" if odd and self.encoder == "libx264" else "yuv420p"
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.color_range = 1  # 16..235
        context.colorspace = context.color_primaries = context.color_trc = 1 if self._hd else 6
        return stream

    def _frame(self, picture: NDArray[np.uint8], stamp: int) -> Any:
        """Convert to Y'CbCr; swscale's quick way loses a level of each, which is seen as a dim blue tint."""
        bgr = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture
        y, cb, cr = cv2.split(cv2.transform(bgr, self._ycc_from_bgr))  # rounds and saturates
        if self._stream.pix_fmt == "yuv444p":
            planes: Any = np.stack([y, cb, cr])
        else:
            half = [
                cv2.resize(plane, (0, 0), fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for plane in (cb, cr)
            ]
            planes = np.concatenate([y.ravel(), *(plane.ravel() for plane in half)]).reshape(-1, y.shape[1])
        frame: Any = av.VideoFrame.from_ndarray(planes, format=self._stream.pix_fmt)
        frame.color_range, frame.colorspace = 1, 1 if self._hd else 6
        frame.pts, frame.time_base = stamp, TIME_BASE
        return frame

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self._container.mux(packet)


def check_suffix(path: Path) -> None:
    """Refuse a name that says no container that is written here.

    Raises:
        SettingsError: the suffixes that will do.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{path}: videos are written as {', '.join(SUFFIXES)}")


def made_by(path: Path) -> str:
    """Return the note of a video that `FusedVideo` wrote; "" when it has none or cannot be read."""
    try:
        with av.open(str(path.absolute())) as container:
            return str(container.metadata.get("comment", container.metadata.get("COMMENT", "")))
    except (OSError, av.error.FFmpegError):
        return ""


def _ycc_matrix(red: float, blue: float) -> NDArray[np.float32]:
    """Return the (3, 4) matrix from BGR to limited-range Y'CbCr (16..235, 16..240)."""
    luma = np.array([blue, 1 - red - blue, red])
    cb = (np.array([1, 0, 0]) - luma) / (2 * (1 - blue))
    cr = (np.array([0, 0, 1]) - luma) / (2 * (1 - red))
    rows = np.stack([luma * 219, cb * 224, cr * 224]) / 255
    return np.column_stack([rows, [16, 128, 128]]).astype(np.float32)


def _encoder() -> tuple[str, dict[str, str]]:
    for name, options in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except (av.error.FFmpegError, ValueError):
            continue
        return name, dict(options)
    raise SettingsError(
        "this build of PyAV can encode neither H.264 nor MPEG-4; install PyAV from its wheels"
    )
