"""Settle a candidate: every small change of scale, rotation and place is tried, the best one kept.

Lucas-Kanade finds its way only from within a pixel or two at the width it works at; a candidate of the coarse
search may be further off than that.
"""

from __future__ import annotations

import cv2
import numpy as np

from vircraft.registration.edges import Floats, VisiblePyramid
from vircraft.registration.refine import Template
from vircraft.registration.warp import Matrix

SCALES = (0.96, 1.0, 1.04)
ROTATIONS_DEG = (-2.5, 0.0, 2.5)
REACH_PX = 7  # shifts tried, template pixels


def settle(template: Template, visible: VisiblePyramid, h_ir_from_vis: Matrix) -> Matrix:
    """Return the homography near a given one whose edges correlate best.

    Args:
        template: the infrared edges at the width to work at.
        visible: the visible picture.
        h_ir_from_vis: (3, 3) candidate.
    """
    to_level = template.h_level_from_ir
    from_level = np.linalg.inv(to_level)
    norm = float(template.energy.sum())
    best = (-1.0, h_ir_from_vis)
    for scale in SCALES:
        for angle in ROTATIONS_DEG:
            h_level = _about_centre(template.size_wh, scale, angle) @ to_level @ h_ir_from_vis
            seen = visible.edges(h_level, template.size_wh, template.scale)
            surface = _correlations(template.edges, seen)
            row, column = divmod(int(surface.argmax()), surface.shape[1])
            value = float(surface[row, column]) / float(np.sqrt(norm * float((seen * seen).sum()) + 1e-6))
            if value > best[0]:
                shift = np.array([[1, 0, REACH_PX - column], [0, 1, REACH_PX - row], [0, 0, 1.0]])
                best = (value, from_level @ shift @ h_level)
    return np.asarray(best[1] / best[1][2, 2])


def _about_centre(size_wh: tuple[int, int], scale: float, angle_deg: float) -> Matrix:
    centre = ((size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2)
    return np.vstack([cv2.getRotationMatrix2D(centre, angle_deg, scale), [0, 0, 1]])


def _correlations(edges_ir: Floats, edges_vis: Floats) -> Floats:
    """Return the overlap of the edges for visible shifts of -REACH_PX..REACH_PX, (rows, columns)."""
    h, w = edges_ir.shape[:2]
    size_wh = (cv2.getOptimalDFTSize(w + REACH_PX), cv2.getOptimalDFTSize(h + REACH_PX))
    spectra = []
    for e in (edges_ir, edges_vis):
        padded = np.zeros((size_wh[1], size_wh[0], 2), np.float32)
        padded[:h, :w] = e
        spectra.append(cv2.dft(padded))
    product = cv2.mulSpectrums(spectra[1], spectra[0], 0, conjB=True)
    surface = cv2.idft(product, flags=cv2.DFT_SCALE)[..., 0]
    reach = np.arange(-REACH_PX, REACH_PX + 1)
    return np.asarray(surface[np.ix_(reach % size_wh[1], reach % size_wh[0])], np.float32)
