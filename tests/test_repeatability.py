"""The same pictures give the same bits, wherever they lie in memory: resumed datasets depend on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rig import infrared_view, make_clip, scene, view
from vircraft.clips import find_clips, probe_clip
from vircraft.registration import register_pair
from vircraft.registration.edges import oriented_edges
from vircraft.registration.warp import warp_visible
from vircraft.settings import plain
from vircraft.sync import synchronise


def placed(picture: NDArray[Any], offset: int) -> NDArray[Any]:
    """Return a copy of a picture that starts `offset` bytes after a multiple of 64."""
    memory = np.empty(picture.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    copy = memory[start : start + picture.nbytes].view(picture.dtype).reshape(picture.shape)
    copy[...] = picture
    return copy


@pytest.mark.parametrize("offset", [16, 32, 48])
def test_edges_and_warps_do_not_depend_on_the_place_in_memory(offset: int) -> None:
    visible = view(scene(3), 5.0)
    grey = visible[..., 1].astype(np.float32)
    assert np.array_equal(oriented_edges(placed(grey, 0)), oriented_edges(placed(grey, offset)))
    h = np.array([[0.8, 0.02, -70], [-0.01, 0.79, -50], [1e-6, 2e-6, 1]])
    assert np.array_equal(
        warp_visible(placed(visible, 0), h, (240, 180)), warp_visible(placed(visible, offset), h, (240, 180))
    )


def test_a_registration_does_not_depend_on_what_ran_before() -> None:
    visible = view(scene(3), 5.0)
    infrared = infrared_view(visible)
    answers = []
    litter: list[NDArray[np.uint8]] = []
    for offset in (0, 16, 32):
        answers.append(register_pair(placed(visible, offset), placed(infrared, offset)))
        litter += [np.zeros(size, np.uint8) for size in range(1000, 200_000, 7001)]  # moves what comes next
    assert answers[0].h_ir_from_vis is not None
    for answer in answers[1:]:
        assert plain(answer) == plain(answers[0])


def test_a_synchronisation_does_not_depend_on_what_ran_before(tmp_path: Path) -> None:
    [source], _ = find_clips(make_clip(tmp_path, "a", frames=60))
    clip = probe_clip(source)
    first = plain(synchronise(clip))
    for size in (1000, 77_777):
        litter = [np.zeros(size + step, np.uint8) for step in range(0, 5000, 7)]
        assert plain(synchronise(clip)) == first
        del litter
