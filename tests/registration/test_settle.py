from __future__ import annotations

import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose
from vircraft.registration.edges import VisiblePyramid, grey_8bit
from vircraft.registration.refine import Template
from vircraft.registration.settle import settle
from vircraft.registration.warp import corner_error_px


@pytest.mark.parametrize(
    ("share", "rotation_deg", "shift_px"),
    [(0.52, 2.5, (20.0, -16.0)), (0.48, -2.5, (-24.0, 8.0)), (0.5, 0.0, (0.0, 0.0))],
)
def test_a_candidate_several_pixels_off_is_brought_near(
    share: float, rotation_deg: float, shift_px: tuple[float, float]
) -> None:
    truth = pose(0.5)
    visible, infrared = pair(4, truth)
    start = pose(share, rotation_deg=rotation_deg, shift_px=shift_px)
    settled = settle(Template(grey_8bit(infrared), 80), VisiblePyramid(grey_8bit(visible)), start)
    assert settled[2, 2] == pytest.approx(1)
    # half a template pixel of four infrared ones, half a step of scale and rotation at the corners
    assert corner_error_px(truth, settled, INFRARED_WH) < 6


def test_pictures_without_edges_leave_the_candidate_finite() -> None:
    flat = np.full((120, 160), 50, np.float32)
    assert np.isfinite(settle(Template(flat, 80), VisiblePyramid(flat), np.eye(3))).all()
