"""How far an answer stands out: the correlation of the edges where it is, against what shifts of it give.

On pictures of different scenes the best correlation is as high as a poor true one, but it does not stand out:
neighbouring shifts do nearly as well. So candidates are ranked, and the gate decides, by this figure.
"""

from __future__ import annotations

import cv2
import numpy as np

from vircraft.registration.edges import Floats, VisiblePyramid
from vircraft.registration.refine import Template
from vircraft.registration.warp import Matrix

REACH_SHARE = 0.25  # shifts of up to this share of the width and height are compared
NEAR_SHARE = 1 / 30  # shifts below this share of the width belong to the answer itself


def peak_z(template: Template, visible: VisiblePyramid, h_ir_from_vis: Matrix) -> float:
    """Return the correlation under a homography in standard deviations of that over shifts of it."""
    h_level_from_vis = template.h_level_from_ir @ h_ir_from_vis
    return peak_z_of(template.edges, visible.edges(h_level_from_vis, template.size_wh, template.scale))


def peak_z_of(edges_ir: Floats, edges_vis: Floats) -> float:
    """Return the same for two edge maps (H, W, 2) on one grid."""
    h, w = edges_ir.shape[:2]
    size_wh = (cv2.getOptimalDFTSize(w), cv2.getOptimalDFTSize(h))
    spectra = []
    for e in (edges_ir, edges_vis):
        padded = np.zeros((size_wh[1], size_wh[0], 2), np.float32)
        padded[:h, :w] = e
        spectra.append(cv2.dft(padded))
    product = cv2.mulSpectrums(spectra[1], spectra[0], 0, conjB=True)
    surface = cv2.idft(product, flags=cv2.DFT_SCALE)[..., 0]
    reach_y, reach_x = int(REACH_SHARE * h), int(REACH_SHARE * w)
    rows = np.arange(-reach_y, reach_y) % size_wh[1]
    columns = np.arange(-reach_x, reach_x) % size_wh[0]
    around = surface[np.ix_(rows, columns)]
    near = max(3, int(NEAR_SHARE * w))
    elsewhere = np.ones(around.shape, bool)
    elsewhere[reach_y - near : reach_y + near + 1, reach_x - near : reach_x + near + 1] = False
    rest = around[elsewhere]
    return (float(surface[0, 0]) - float(rest.mean())) / max(float(rest.std()), 1e-6)
