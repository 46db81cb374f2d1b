"""False colour: recognise the palette that infrared grey values were painted with, and undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

COLOURED = 3.0  # mean distance of Cr and Cb from neutral above which a picture counts as coloured
NEAR = 14.0  # a pixel this near to the palette's curve (YCrCb levels) lies on it
SHARE_ON_CURVE = 0.85  # of the pixels must lie on the curve
CHROMA_WEIGHT = 0.5  # chroma is stored coarser than luma and suffers more from compression
SAMPLES = 4000  # pixels looked at
BLOCK = 4  # pixels on a side whose mean is looked at

# Stops of gradients that thermal cameras use: position 0..1 and R, G, B. The first follows the iron palette
# that camera makers share; the others are the plain gradients that software calls by these names.
GRADIENTS: dict[str, tuple[tuple[float, int, int, int], ...]] = {
    "ironbow": (
        (0.000, 0, 0, 10), (0.032, 0, 0, 82), (0.100, 42, 0, 137), (0.150, 73, 0, 150), (0.220, 120, 0, 157),
        (0.285, 166, 0, 154), (0.347, 190, 6, 146), (0.390, 202, 18, 134), (0.420, 210, 29, 116),
        (0.455, 218, 43, 94), (0.483, 223, 53, 65), (0.503, 227, 61, 38), (0.525, 232, 74, 18),
        (0.575, 239, 96, 4), (0.625, 244, 118, 0), (0.700, 250, 148, 0), (0.735, 253, 168, 0),
        (0.795, 254, 199, 0), (0.843, 254, 217, 13), (0.880, 255, 228, 46), (0.912, 255, 238, 95),
        (0.938, 255, 244, 146), (0.965, 255, 248, 190), (1.000, 255, 255, 246),
    ),
    "iron": ((0.0, 0, 0, 0), (0.25, 33, 0, 140), (0.5, 204, 0, 120), (0.75, 255, 214, 0),
             (1.0, 255, 255, 255)),
    "lava": ((0.0, 0, 0, 0), (0.33, 128, 0, 128), (0.5, 255, 0, 0), (0.67, 255, 128, 0), (0.85, 255, 255, 0),
             (1.0, 255, 255, 255)),
    "arctic": ((0.0, 0, 0, 32), (0.3, 0, 64, 255), (0.5, 0, 224, 255), (0.7, 128, 128, 128),
               (0.85, 255, 144, 0), (1.0, 255, 240, 128)),
    "green-hot": ((0.0, 0, 0, 0), (1.0, 0, 255, 0)),
    "amber": ((0.0, 0, 0, 0), (1.0, 255, 176, 0)),
}  # fmt: skip
OPENCV_MAPS = {
    "inferno": cv2.COLORMAP_INFERNO,
    "hot": cv2.COLORMAP_HOT,
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "plasma": cv2.COLORMAP_PLASMA,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "parula": cv2.COLORMAP_PARULA,
}
# Common ones first: a dark picture may use a stretch that two palettes share, and then the first wins.
PALETTES = (*OPENCV_MAPS, *GRADIENTS)
AS_GOOD = 0.4  # levels of distance within which two palettes explain a picture equally well


@dataclass(frozen=True)
class PaletteMatch:
    """How well a palette explains a picture.

    Attributes:
        name: one of PALETTES.
        share: of the pixels that lie on the palette's curve, 0..1.
        distance: mean distance from the curve, levels, each pixel's cut off at 3 * NEAR.
    """

    name: str
    share: float
    distance: float


@cache
def palette_table(name: str) -> Grey:
    """Return the (256, 3) uint8 BGR colours of grey values 0..255.

    Raises:
        KeyError: there is no such palette.
    """
    if name in GRADIENTS:
        stops = np.array(GRADIENTS[name], float)
        position = np.linspace(0, 1, 256)
        bgr = np.stack([np.interp(position, stops[:, 0], stops[:, c]) for c in (3, 2, 1)], axis=1)
        return np.round(bgr).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.asarray(cv2.applyColorMap(ramp, OPENCV_MAPS[name]), np.uint8).reshape(256, 3)


def is_coloured(bgr: Grey) -> bool:
    """Tell whether a (H, W, 3) picture holds more colour than compression makes."""
    chroma = cv2.cvtColor(np.ascontiguousarray(bgr[::4, ::4]), cv2.COLOR_BGR2YCrCb)[..., 1:]
    return float(np.abs(chroma.astype(np.float32) - 128).mean()) > COLOURED


def recognise_palette(pictures: Sequence[Grey]) -> PaletteMatch | None:
    """Recognise the palette of one or more (H, W, 3) BGR pictures of one camera.

    Only smooth places are looked at, where neither chroma subsampling nor ringing mixes colours; captions and
    scales drawn into the picture may take up to an eighth of it.

    Returns:
        The best match when it explains the pictures; None when they are grey, or painted with an unknown map.
    """
    coloured = [p for p in pictures if min(p.shape[:2]) >= BLOCK and is_coloured(p)]
    if not coloured:
        return None
    pixels = np.concatenate([_smooth_pixels(p, SAMPLES // len(coloured)) for p in coloured])
    matches = []
    for name in PALETTES:
        curve = _ycrcb(palette_table(name)).astype(np.float32)
        squared = (pixels**2).sum(1)[:, None] - 2 * pixels @ curve.T + (curve**2).sum(1)[None]
        distance = np.sqrt(np.maximum(squared.min(1), 0))
        on_curve = float((distance < NEAR).mean())
        matches.append(PaletteMatch(name, on_curve, float(np.minimum(distance, 3 * NEAR).mean())))
    least = min(match.distance for match in matches)
    best = next(match for match in matches if match.distance <= least + AS_GOOD)
    return best if best.share >= SHARE_ON_CURVE else None


def undo_palette(bgr: Grey, name: str | None = None) -> Grey:
    """Turn a false-colour picture back into the grey values that were painted.

    Args:
        bgr: (H, W, 3) uint8.
        name: the palette; None recognises it from this picture.

    Returns:
        (H, W) uint8; the luminance where no palette is recognised.
    """
    if name is None:
        match = recognise_palette([bgr])
        if match is None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        name = match.name
    ycc = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YCrCb), np.uint8)
    index = ycc[..., 0].astype(np.int32) << 10
    index |= (ycc[..., 1] >> 3).astype(np.int32) << 5
    index |= (ycc[..., 2] >> 3).astype(np.int32)
    return np.asarray(_inverse_table(name)[index])


@lru_cache(maxsize=4)
def _inverse_table(name: str) -> Grey:
    """Return the grey value nearest to each colour: luma in 256 levels, Cr and Cb in 32 levels each."""
    weight = np.array([1.0, CHROMA_WEIGHT, CHROMA_WEIGHT], np.float32)
    curve = _ycrcb(palette_table(name)).astype(np.float32) * weight
    chroma = np.arange(32, dtype=np.float32) * 8 + 3.5
    cr, cb = (c.ravel() for c in np.meshgrid(chroma, chroma, indexing="ij"))
    table = np.empty((256, 1024), np.uint8)
    norms = (curve**2).sum(1)[None]
    for luma in range(256):
        points = np.stack([np.full(1024, luma, np.float32), cr, cb], 1) * weight
        table[luma] = np.argmin(norms - 2 * points @ curve.T, axis=1)
    return table.ravel()


def _ycrcb(colours: Grey) -> Grey:
    return np.asarray(cv2.cvtColor(colours[None], cv2.COLOR_BGR2YCrCb), np.uint8).reshape(-1, 3)


def _smooth_pixels(bgr: Grey, count: int) -> NDArray[np.float32]:
    """Return (N, 3) YCrCb means of small blocks, those with little contrast inside."""
    height, width = (bgr.shape[0] // BLOCK * BLOCK, bgr.shape[1] // BLOCK * BLOCK)
    blocks = cv2.cvtColor(np.ascontiguousarray(bgr[:height, :width]), cv2.COLOR_BGR2YCrCb).astype(np.float32)
    blocks = blocks.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    blocks = blocks.transpose(0, 2, 1, 3, 4).reshape(-1, BLOCK * BLOCK, 3)
    contrast = np.ptp(blocks[..., 0], axis=1)
    means = blocks.mean(1)[contrast <= np.quantile(contrast, 0.5)]
    return np.asarray(means[:: max(1, len(means) // count)], np.float32)
