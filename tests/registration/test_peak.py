from __future__ import annotations

import numpy as np
import pytest

from binocular import pair, pose, scene
from vircraft.registration.edges import VisiblePyramid, grey_8bit
from vircraft.registration.peak import peak_z, peak_z_of
from vircraft.registration.refine import Template

TRUTH = pose(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_a_true_pose_stands_out_and_one_of_another_scene_does_not(seed: int) -> None:
    visible, infrared = pair(seed, TRUTH)
    template = Template(grey_8bit(infrared), 160)
    assert peak_z(template, VisiblePyramid(grey_8bit(visible)), TRUTH) > 10
    assert peak_z(template, VisiblePyramid(grey_8bit(scene(seed + 50))), TRUTH) < 4
    beside = np.array([[1, 0, 30.0], [0, 1, 20.0], [0, 0, 1]]) @ TRUTH
    assert peak_z(template, VisiblePyramid(grey_8bit(visible)), beside) < 4


def test_it_does_not_depend_on_the_strength_of_the_edges() -> None:
    a, b = np.random.default_rng(0).normal(0, 1, (2, 60, 80, 2)).astype(np.float32)
    b = b + a
    assert peak_z_of(3 * a, 0.5 * b) == pytest.approx(peak_z_of(a, b), rel=1e-3)


@pytest.mark.parametrize("shape", [(8, 8), (8, 160), (160, 8), (3, 3), (1, 1), (16, 12)])
def test_maps_of_any_size_give_a_finite_figure(shape: tuple[int, int]) -> None:
    a = np.random.default_rng(0).normal(0, 1, (*shape, 2)).astype(np.float32)
    assert np.isfinite(peak_z_of(a, a))
    assert peak_z_of(0 * a, 0 * a) == 0
