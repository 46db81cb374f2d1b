"""Decoded frames as arrays: grey infrared, BGR visible, turned as the container asks."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8] | NDArray[np.uint16]

LIMITED_RANGE_EXEMPT = ("gray", "yuvj")  # pixel formats whose luma always spans the full range
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turn(picture: NDArray[Any], rotation_deg: int) -> NDArray[Any]:
    """Turn a picture counterclockwise by 0, 90, 180 or 270 degrees."""
    return picture if rotation_deg == 0 else np.asarray(cv2.rotate(picture, TURNS[rotation_deg]))


def luma_plane(frame: Any) -> NDArray[Any] | None:
    """Return the luma of a frame as a view of the decoder's memory; None when it has no luma plane.

    Returns:
        (H, W) uint8 or uint16, not turned, in the range that the stream uses (16..235 for most video).
        Valid as long as the frame is.
    """
    format_ = frame.format
    name = format_.name
    if format_.is_rgb or format_.has_palette or not (name.startswith(("gray", "yuv", "nv")) or name == "y8"):
        return None
    first = format_.components[0]
    if name.startswith(("yuyv", "uyvy", "yvyu", "yuva")) or first.plane != 0:
        return None
    plane = frame.planes[0]
    if first.bits == 8:
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[: frame.height, : frame.width]
    if not 8 < first.bits <= 16:
        return None
    kind = np.dtype(">u2" if format_.is_big_endian else "<u2")
    deep = np.frombuffer(plane, kind).reshape(-1, plane.line_size // 2)[: frame.height, : frame.width]
    return deep if not format_.is_big_endian else deep.astype(np.uint16)


def grey_picture(frame: Any, rotation_deg: int) -> Picture:
    """Convert a frame to grey as recorded.

    8-bit sources give uint8; deeper ones uint16 holding the recorded counts (0..4095 for 12 bit). Luma of
    limited range (16..235, the habit of video) is spread over the full range.

    Returns:
        (H, W), C-contiguous, a copy.
    """
    luma = luma_plane(frame)
    if luma is None:
        deep = max(component.bits for component in frame.format.components) > 8
        grey = frame.to_ndarray(format="gray16le" if deep else "gray", threads=1)
        return np.ascontiguousarray(turn(grey, rotation_deg))
    full_range = frame.color_range == 2 or frame.format.name.startswith(LIMITED_RANGE_EXEMPT)
    if not full_range:
        luma = _limited_range_table(frame.format.components[0].bits)[luma]
    turned = turn(luma, rotation_deg)
    return np.array(turned, dtype=turned.dtype, order="C") if turned is luma else turned


def has_colour(frame: Any) -> bool:
    """Tell whether a frame's format can hold colour."""
    return len(frame.format.components) > 1


def bgr_picture(frame: Any, rotation_deg: int) -> NDArray[np.uint8]:
    """Convert a frame to (H, W, 3) uint8 BGR, turned; a copy."""
    kwargs: dict[str, Any] = {"format": "bgr24", "threads": 1}
    if frame.colorspace == 2 and not frame.format.is_rgb:  # unspecified: by size, as players do
        kwargs["src_colorspace"] = "ITU709" if frame.height >= 720 else "ITU601"
    picture: NDArray[np.uint8] = np.asarray(frame.to_ndarray(**kwargs), np.uint8)
    return np.ascontiguousarray(turn(picture, rotation_deg))


_TABLES: dict[int, NDArray[Any]] = {}


def _limited_range_table(bits: int) -> NDArray[Any]:
    if bits not in _TABLES:
        unit = 1 << (bits - 8)
        values = (np.arange(1 << bits) - 16 * unit) * (((1 << bits) - 1) / (219 * unit))
        table = np.clip(np.round(values), 0, (1 << bits) - 1)
        _TABLES[bits] = table.astype(np.uint8 if bits == 8 else np.uint16)
    return _TABLES[bits]
