"""How far an answer stands out: the correlation of the edges where it is, against what shifts of it give.

On pictures of different scenes the best correlation is as high as a poor true one, but it does not stand out:
neighbouring shifts do nearly as well. So candidates are ranked, and the gate decides, by this figure.
"""

from __future__ import annotations

import numpy as np

from vircraft.registration.edges import Floats, VisiblePyramid
from vircraft.registration.refine import Template
from vircraft.registration.shifts import overlaps_near
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
    reach_y, reach_x = int(REACH_SHARE * h), int(REACH_SHARE * w)
    # half-open ranges of shifts, as the gate was fitted to
    around = overlaps_near(edges_ir, edges_vis, (reach_x, reach_y))[:-1, :-1]
    near = max(3, int(NEAR_SHARE * w))
    elsewhere = np.ones(around.shape, bool)
    elsewhere[max(reach_y - near, 0) : reach_y + near + 1, max(reach_x - near, 0) : reach_x + near + 1] = (
        False
    )
    rest = around[elsewhere]
    if not rest.size:
        return 0.0  # the maps are too small to tell the answer from shifts of it
    return (float(around[reach_y, reach_x]) - float(rest.mean())) / max(float(rest.std()), 1e-6)
