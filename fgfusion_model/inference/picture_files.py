"""Read the two pictures of a pair, and look at some pairs first for what all must share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.inference.grey_levels import GreyLevels, infrared_levels, visible_levels
from fgfusion_model.inference.picture_pairs import PicturePair
from fgfusion_model.inference.sizes import check_sizes
from vircraft.errors import PictureError
from vircraft.palettes import is_coloured, recognise_palette, undo_palette

MOST_PIXELS = 1 << 28
SURVEYED = 8  # pairs looked at before the first is fused

Counts = NDArray[Any]


@dataclass(frozen=True)
class Appearance:
    """How all pictures of a job are read, so that neighbours in time look alike.

    Attributes:
        infrared, visible: grey levels of 16-bit pictures.
        palette: false colour that infrared was painted with; None when none is known.
    """

    infrared: GreyLevels = field(default_factory=GreyLevels)
    visible: GreyLevels = field(default_factory=GreyLevels)
    palette: str | None = None


@dataclass(frozen=True, eq=False)
class ReadPair:
    """A pair in memory.

    Attributes:
        name: of the pair.
        infrared: (H, W) float32 in [0, 1].
        visible: (H, W) grey or (H, W, 3) BGR, uint8 or uint16; 16 bit is at full scale.
    """

    name: str
    infrared: NDArray[np.float32]
    visible: Counts


def survey(pairs: Sequence[PicturePair], levels: GreyLevels | None = None) -> Appearance:
    """Look at some pairs, evenly spread, and choose grey levels and palette for all.

    Args:
        pairs: all of the job, also those done before, so that a job that goes on chooses the same.
        levels: of 16-bit infrared, where the user has chosen.
    """
    chosen = [pairs[i * len(pairs) // SURVEYED] for i in range(SURVEYED)] if len(pairs) > SURVEYED else pairs
    infrared = _readable([pair.infrared for pair in chosen], _eight_bit_grey)
    visible = _readable([pair.visible for pair in chosen], _eight_bit)
    painted = [p.astype(np.uint8) for p in infrared if p.ndim == 3 and p.dtype == np.uint8]
    match = recognise_palette(painted) if painted else None
    return Appearance(
        levels or infrared_levels([_grey(p) for p in infrared if p.dtype == np.uint16]),
        visible_levels(visible),
        None if match is None else match.name,
    )


def read_pair(pair: PicturePair, appearance: Appearance) -> ReadPair:
    """Read both pictures of a pair.

    Raises:
        PictureError: one cannot be read, their sizes differ, or a side is below 32 pixels.
    """
    infrared, visible = read_picture(pair.infrared), read_picture(pair.visible)
    check_sizes(infrared.shape[:2], visible.shape[:2], pair.infrared, pair.visible)
    return ReadPair(pair.name, infrared_unit(infrared, appearance), visible_full(visible, appearance))


def read_picture(path: Path) -> Counts:
    """Read a still as (H, W) grey or (H, W, 3) BGR, uint8 or uint16, turned as its EXIF data say.

    Raises:
        PictureError: missing, damaged, no picture, larger than 2^28 pixels, or not of 8 or 16 bit.
    """
    try:
        content = np.fromfile(path, np.uint8)
        flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
        picture = cv2.imdecode(content, flags) if content.size else None
    except FileNotFoundError as error:
        raise PictureError("is not there", path=path, reason="missing") from error
    except (OSError, cv2.error) as error:
        raise PictureError(f"cannot be read ({error})", path=path) from error
    if picture is None:
        raise PictureError("is damaged or no picture; copy it again", path=path)
    if picture.shape[0] * picture.shape[1] > MOST_PIXELS:
        raise PictureError("has more than 2^28 pixels", path=path, reason="too-large")
    if picture.dtype not in (np.uint8, np.uint16):
        message = f"has pixels of type {picture.dtype}; 8 or 16 bit is needed"
        raise PictureError(message, path=path, reason="pixel-type")
    return np.asarray(picture)


def infrared_unit(picture: Counts, appearance: Appearance) -> NDArray[np.float32]:
    """Return an infrared picture as (H, W) float32 in [0, 1], its palette undone."""
    if picture.ndim == 3 and picture.dtype == np.uint8 and appearance.palette and is_coloured(picture):
        picture = undo_palette(picture, appearance.palette)
    return appearance.infrared.unit(_grey(picture))


def visible_full(picture: Counts, appearance: Appearance) -> Counts:
    """Return a visible picture with 16-bit counts at full scale; grey in three channels becomes one."""
    if picture.ndim == 3 and _is_grey(picture):
        picture = np.ascontiguousarray(picture[..., 0])
    if picture.dtype != np.uint16 or appearance.visible == GreyLevels():
        return picture
    return np.round(appearance.visible.unit(picture) * np.iinfo(np.uint16).max).astype(np.uint16)


def _is_grey(picture: Counts) -> bool:
    first = picture[..., 0]
    if any((picture[::16, ::16, c] != first[::16, ::16]).any() for c in (1, 2)):  # almost all that are not
        return False
    return all(np.array_equal(picture[..., c], first) for c in (1, 2))


def _grey(picture: Counts) -> Counts:
    return picture if picture.ndim == 2 else np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def _readable(paths: Sequence[Path], is_plain: Callable[[Counts], bool]) -> list[Counts]:
    """Return the pictures that can be read, up to the first that needs no choice."""
    pictures: list[Counts] = []
    for path in paths:
        try:
            pictures.append(read_picture(path))
        except PictureError:  # named when its turn comes
            continue
        if is_plain(pictures[-1]):
            break
    return pictures


def _eight_bit(picture: Counts) -> bool:
    return picture.dtype == np.uint8


def _eight_bit_grey(picture: Counts) -> bool:
    return picture.dtype == np.uint8 and (picture.ndim == 2 or not is_coloured(picture))
