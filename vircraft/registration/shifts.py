"""The overlap of two oriented edge maps at every shift between them, by one complex FFT."""

from __future__ import annotations

import cv2
import numpy as np

from vircraft.registration.edges import Floats


def spectrum(edges: Floats, size_wh: tuple[int, int]) -> Floats:
    """Return the complex spectrum (H, W, 2) of an edge map, padded with zeros to a size."""
    padded = np.zeros((size_wh[1], size_wh[0], 2), np.float32)
    padded[: edges.shape[0], : edges.shape[1]] = edges
    return np.asarray(cv2.dft(padded), np.float32)


def overlaps(spectrum_fixed: Floats, spectrum_moved: Floats) -> Floats:
    """Return the sum of products of two edge maps with the second moved by (row, column), (H, W).

    Shifts are circular: negative ones stand at the far end, and what leaves on one side comes in on the other
    unless the padding has room for it.
    """
    product = cv2.mulSpectrums(spectrum_fixed, spectrum_moved, 0, conjB=True)
    return np.asarray(cv2.idft(product, flags=cv2.DFT_SCALE)[..., 0], np.float32)


def overlaps_near(edges_ir: Floats, edges_vis: Floats, reach_xy: tuple[int, int], room: int = 0) -> Floats:
    """Return the overlaps of two maps of one size for small shifts of the infrared one.

    Args:
        edges_ir: (H, W, 2).
        edges_vis: (H, W, 2).
        reach_xy: largest shifts in x and y, pixels.
        room: pixels of padding; shifts beyond it wrap around.

    Returns:
        (2 * reach_y + 1, 2 * reach_x + 1), no shift in the middle.
    """
    h, w = edges_ir.shape[:2]
    size_wh = (cv2.getOptimalDFTSize(w + room), cv2.getOptimalDFTSize(h + room))
    surface = overlaps(spectrum(edges_vis, size_wh), spectrum(edges_ir, size_wh))
    rows, columns = (np.arange(-reach, reach + 1) for reach in reach_xy[::-1])
    return np.asarray(surface[np.ix_(rows % size_wh[1], columns % size_wh[0])], np.float32)
