"""Luminance in, colour back: luminance is fused, and the visible picture's Cb and Cr are put back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft.errors import PictureError

WEIGHTS_BGR = (0.114, 0.587, 0.299)  # of luminance, ITU-R BT.601
STRETCH_PERCENT = (0.1, 99.9)  # of raw counts: what lies outside is a dead pixel or a glint
COLOUR_CHANNELS = (3, 4)


def luminance(picture: NDArray[Any], *, stretch: bool = False) -> NDArray[np.float32]:
    """Return the luminance of a picture, (H, W) float32 in [0, 1].

    Args:
        picture: (H, W) or (H, W, 1) grey, (H, W, 3) BGR or (H, W, 4) BGRA; uint8 or uint16.
        stretch: spread the values from the 0.1 to the 99.9 percentile over [0, 1]. For raw infrared counts,
            which fill a small part of their 16 bits and would be almost black otherwise.

    Raises:
        PictureError: another shape or type of pixel.
    """
    _check(picture)
    top = np.float32(np.iinfo(picture.dtype).max)
    grey = picture.astype(np.float32) if picture.ndim == 2 else _mixed(picture)
    if stretch:
        low, high = np.percentile(grey, STRETCH_PERCENT)
        return _on_unit((grey - np.float32(low)) / np.float32(max(high - low, 1)))
    return _on_unit(grey / top)


def with_colour(fused: NDArray[Any], visible: NDArray[Any]) -> NDArray[Any]:
    """Return the fused picture with the colour of the visible one, rounded to its type.

    Keeping Cb and Cr means adding the change of luminance to every channel. Where that would leave the range,
    the colour is paled just enough to stay inside, so that the luminance is the fused one everywhere and no
    channel is cut off, which would shift the hue.

    Args:
        fused: (H, W), luminance in [0, 1].
        visible: (H, W) or (H, W, 1) grey, (H, W, 3) BGR or (H, W, 4) BGRA; uint8 or uint16.

    Returns:
        (H, W) for a grey visible picture, otherwise (H, W, 3), of the type of `visible`.

    Raises:
        PictureError: the sizes differ, or a shape or type of pixel that is not among those.
    """
    _check(visible)
    if fused.shape != visible.shape[:2]:
        raise PictureError(
            f"the fused picture is {fused.shape[1]}x{fused.shape[0]}, the visible one "
            f"{visible.shape[1]}x{visible.shape[0]}; colour needs one size",
            reason="size-mismatch",
        )
    top = np.iinfo(visible.dtype).max
    target = np.clip(np.asarray(fused, np.float32), 0, 1) * np.float32(top)
    if visible.ndim == 3 and visible.shape[2] in COLOUR_CHANNELS:
        chroma = visible[..., :3].astype(np.float32) - _mixed(visible)[..., None]
        target = target[..., None] + chroma * _share_inside(target, chroma, top)[..., None]
    rounded: NDArray[Any] = np.clip(np.rint(target), 0, top).astype(visible.dtype)
    return rounded


def _share_inside(target: NDArray[np.float32], chroma: NDArray[np.float32], top: int) -> NDArray[np.float32]:
    """Return the largest share of the colour, up to 1, with which every channel stays in 0..top; (H, W)."""
    most, least = chroma.max(2), chroma.min(2)
    above = (top - target) / np.maximum(most, 1e-6)
    below = target / np.maximum(-least, 1e-6)
    share: NDArray[np.float32] = np.minimum(np.minimum(above, below), 1)
    return share


def _on_unit(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped: NDArray[np.float32] = np.clip(levels, 0, 1)
    return clipped


def _mixed(picture: NDArray[Any]) -> NDArray[np.float32]:
    if picture.shape[2] not in COLOUR_CHANNELS:
        return picture[..., 0].astype(np.float32)
    weights = np.asarray(WEIGHTS_BGR, np.float32)
    grey: NDArray[np.float32] = picture[..., :3].astype(np.float32) @ weights
    return grey


def _check(picture: NDArray[Any]) -> None:
    if picture.dtype not in (np.uint8, np.uint16):
        raise PictureError(
            f"a picture has pixels of type {picture.dtype}; 8 or 16 bit is needed", reason="pixel-type"
        )
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] not in (1, *COLOUR_CHANNELS)):
        raise PictureError(
            f"a picture has shape {picture.shape}; (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) is needed",
            reason="wrong-shape",
        )
    if picture.size == 0:
        raise PictureError(f"a picture has shape {picture.shape} and no pixels", reason="wrong-shape")
