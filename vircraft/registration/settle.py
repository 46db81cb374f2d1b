"""Settle a candidate: every small change of scale, rotation and place is tried, the best one kept.

Lucas-Kanade finds its way only from within a pixel or two at the width it works at; a candidate of the coarse
search may be further off than that.
"""

from __future__ import annotations

import cv2
import numpy as np

from vircraft.registration.edges import VisiblePyramid
from vircraft.registration.refine import Template
from vircraft.registration.shifts import overlaps_near
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
            surface = overlaps_near(template.edges, seen, (REACH_PX, REACH_PX), room=REACH_PX)
            row, column = divmod(int(surface.argmax()), surface.shape[1])
            value = float(surface[row, column]) / float(np.sqrt(norm * float(np.vdot(seen, seen)) + 1e-6))
            if value > best[0]:
                shift = np.array([[1, 0, REACH_PX - column], [0, 1, REACH_PX - row], [0, 0, 1.0]])
                best = (value, from_level @ shift @ h_level)
    return np.asarray(best[1] / best[1][2, 2])


def _about_centre(size_wh: tuple[int, int], scale: float, angle_deg: float) -> Matrix:
    centre = ((size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2)
    return np.vstack([cv2.getRotationMatrix2D(centre, angle_deg, scale), [0, 0, 1]])
