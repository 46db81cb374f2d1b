"""One pair, decoded: infrared, visible luminance and foreground as bytes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.colour import luminance
from fgfusion_model.data.pairs import MaskSource, TrainingPair
from fgfusion_model.data.saliency import saliency_mask
from vircraft.annotation import masks
from vircraft.annotation.documents import RuleError
from vircraft.annotation.pictures import read_size
from vircraft.errors import InputFileError, PictureError
from vircraft.stills import Picture, read_picture

UNKNOWN = 255  # in a mask: nobody knows whether it is foreground
PLANES = 3  # infrared, visible, mask
Bytes = NDArray[np.uint8]


def read_pair_size(pair: TrainingPair) -> tuple[int, int]:
    """Return height and width of both pictures of a pair, from their headers.

    Raises:
        PictureError: one cannot be read, or they differ.
    """
    sizes = [read_size_wh(path) for path in (pair.infrared, pair.visible)]
    if sizes[0] != sizes[1]:
        raise PictureError(
            f"is {sizes[0][0]}x{sizes[0][1]}, its partner {pair.visible} is {sizes[1][0]}x{sizes[1][1]}; "
            "register the pair first",
            path=pair.infrared,
            reason="size-mismatch",
        )
    return sizes[0][1], sizes[0][0]


def read_planes(pair: TrainingPair, size_hw: tuple[int, int], *, stand_in: bool) -> Bytes:
    """Decode a pair.

    16-bit infrared is spread from its 0.1 to its 99.9 percentile over 8 bits; 16-bit visible is taken by its
    full scale.

    Args:
        pair: what to read.
        size_hw: what the headers say.
        stand_in: use saliency where there are no labels; otherwise that mask is `UNKNOWN`.

    Returns:
        (3, H, W): infrared, visible luminance, and the mask (0, 1 or UNKNOWN).

    Raises:
        InputFileError: a file cannot be decoded, or is of another size.
    """
    planes = np.empty((PLANES, *size_hw), np.uint8)
    for plane, path in zip(planes, (pair.infrared, pair.visible), strict=False):
        picture = decode(path, infrared=path is pair.infrared)
        if picture.shape[:2] != size_hw:
            raise PictureError(
                f"is {picture.shape[1]}x{picture.shape[0]}, its header said {size_hw[1]}x{size_hw[0]}",
                path=path,
                reason="size-mismatch",
            )
        plane[:] = np.rint(luminance(picture, stretch=picture.dtype == np.uint16) * 255)
    planes[2] = _mask(pair.mask, planes[0], stand_in)
    return planes


def read_size_wh(path: Path) -> tuple[int, int]:
    """Return width and height of a picture, from its header.

    Raises:
        PictureError: it cannot be read.
    """
    try:
        return read_size(path)[0]
    except (RuleError, OSError) as error:
        raise PictureError(f"cannot be read ({error}); copy it again", path=path) from error


def decode(path: Path, *, infrared: bool) -> Picture:
    """Return a picture as its file has it.

    Raises:
        PictureError: it cannot be decoded, whatever its decoder raises.
    """
    try:
        return read_picture(path, infrared=infrared)
    except PictureError:
        raise
    except Exception as error:  # decoders of damaged files fail in many ways
        raise PictureError(f"cannot be decoded ({error})", path=path) from error


def _mask(source: MaskSource, infrared: Bytes, stand_in: bool) -> Bytes:
    """Return 1 on foreground, (H, W)."""
    size_hw = infrared.shape
    if source.kind == "saliency":
        return saliency_mask(infrared) if stand_in else np.full(size_hw, UNKNOWN, np.uint8)
    if source.rle is not None:
        if tuple(source.rle["size"]) != size_hw:
            raise InputFileError(
                f"its labels are of a picture of (H, W) = {source.rle['size']}, not {size_hw}",
                reason="size-mismatch",
            )
        return masks.decode(source.rle).astype(np.uint8)
    if source.path is not None:
        return _class_map(source.path, size_hw)
    return _paint_boxes(source.boxes_xyxy, size_hw)


def _class_map(path: Path, size_hw: tuple[int, ...]) -> Bytes:
    content = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR) if content.size else None
    if picture is None:
        raise PictureError("is not a picture that OpenCV can read", path=path)
    if picture.shape[:2] != size_hw:
        raise PictureError(
            f"is {picture.shape[1]}x{picture.shape[0]}, its pictures are {size_hw[1]}x{size_hw[0]}",
            path=path,
            reason="size-mismatch",
        )
    flat = picture if picture.ndim == 2 else picture[..., :3].max(2)
    return (flat > 0).astype(np.uint8)


def _paint_boxes(boxes: tuple[tuple[float, float, float, float], ...], size_hw: tuple[int, ...]) -> Bytes:
    """Set every pixel whose centre lies in a box; parts outside the picture are cut off."""
    mask = np.zeros(size_hw, np.uint8)
    for x0, y0, x1, y1 in boxes:
        left, right = (int(np.clip(np.ceil(x - 0.5), 0, size_hw[1])) for x in (x0, x1))
        top, bottom = (int(np.clip(np.ceil(y - 0.5), 0, size_hw[0])) for y in (y0, y1))
        mask[top:bottom, left:right] = 1
    return mask
