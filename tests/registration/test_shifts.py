from __future__ import annotations

import numpy as np

from vircraft.registration.shifts import overlaps, overlaps_near, spectrum


def test_overlaps_are_those_of_sums_over_shifted_maps() -> None:
    rng = np.random.default_rng(0)
    ir, vis = rng.normal(0, 1, (2, 12, 17, 2)).astype(np.float32)
    room = 4
    near = overlaps_near(ir, vis, (3, 2), room=room)
    assert near.shape == (5, 7)
    padded = np.pad(vis, ((room, room), (room, room), (0, 0)))
    for dy in range(-2, 3):
        for dx in range(-3, 4):
            window = padded[room + dy : room + dy + 12, room + dx : room + dx + 17]
            assert abs(near[dy + 2, dx + 3] - float((window * ir).sum())) < 1e-3


def test_a_moved_map_overlaps_most_where_it_was_moved_to() -> None:
    vis = np.random.default_rng(1).normal(0, 1, (40, 60, 2)).astype(np.float32)
    ir = vis[7:27, 22:52]
    surface = overlaps(spectrum(vis, (64, 48)), spectrum(ir, (64, 48)))
    assert divmod(int(surface.argmax()), 64) == (7, 22)
