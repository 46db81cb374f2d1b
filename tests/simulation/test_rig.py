"""The camera pair: homographies against projected points, and what the pair keeps in view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated import small
from vircraft.registration.warp import apply_homography, corners
from vircraft.simulation.aircraft import build_aircraft
from vircraft.simulation.flight import plan_flight
from vircraft.simulation.rig import Rig, build_rig, h_ir_from_vis, look, turned
from vircraft.simulation.settings import DIFFICULTIES, PlanSettings, plan_clips

AIRCRAFT = {kind: build_aircraft(kind) for kind in ("airliner", "cargo")}


def rig_of(**changes: object) -> Rig:
    clip = small(**changes)
    flight = plan_flight(clip, np.random.default_rng([clip.seed, 1]))
    return build_rig(
        clip, flight, AIRCRAFT[clip.aircraft].mesh.vertices, np.random.default_rng([clip.seed, 2])
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), t=st.floats(0, 1), depth=st.floats(50, 1e6), zoom=st.booleans())
def test_points_of_a_plane_that_faces_the_visible_camera_map_exactly(
    seed: int, t: float, depth: float, zoom: bool
) -> None:
    rig = rig_of(seed=seed, zoom=zoom, difficulty=DIFFICULTIES[seed % 4], roll_deg=-2.5)
    infrared, visible = rig.infrared(t), rig.visible(t)
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 1, (20, 2)) * visible.size_wh
    rays = np.c_[(pixels - visible.principal) / visible.focal_px, np.ones(20)]
    world = visible.centre + depth * rays @ visible.rotation
    np.testing.assert_allclose(visible.project(world)[0], pixels, atol=1e-6)
    mapped = apply_homography(h_ir_from_vis(infrared, visible, depth), pixels)
    np.testing.assert_allclose(mapped, infrared.project(world)[0], atol=1e-5)


def test_the_far_homography_is_the_limit_of_growing_depth() -> None:
    rig = rig_of()
    infrared, visible = rig.infrared(0.4), rig.visible(0.4)
    far = h_ir_from_vis(infrared, visible)
    np.testing.assert_allclose(far, h_ir_from_vis(infrared, visible, 1e9), atol=1e-4)


def test_parallax_is_baseline_times_focal_length_over_depth() -> None:
    rig = rig_of(roll_deg=0.0)
    infrared, visible = rig.infrared(0.5), rig.visible(0.5)
    point = visible.principal[None]
    near = apply_homography(h_ir_from_vis(infrared, visible, 300.0), point)
    far = apply_homography(h_ir_from_vis(infrared, visible), point)
    assert np.linalg.norm(near - far) == pytest.approx(0.2 * infrared.focal_px / 300.0, rel=0.01)
    assert (
        near[0, 1] < far[0, 1]
    )  # the infrared camera sits below, so near things stand higher in its picture


@settings(max_examples=50, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(-1.2, 1.2), st.floats(-0.2, 0.2))
def test_rotations_are_proper(azimuth: float, elevation: float, roll: float) -> None:
    for rotation in (look(azimuth, elevation), turned(azimuth, elevation, roll)):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    forward = look(azimuth, elevation)[2]
    np.testing.assert_allclose(np.arcsin(forward[2]), elevation, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_in_every_planned_clip_the_infrared_view_lies_inside_the_visible_one_and_holds_the_aircraft(
    seed: int,
) -> None:
    for clip in plan_clips(PlanSettings(clips=12, seed=seed)):
        flight = plan_flight(clip, np.random.default_rng([clip.seed, 1]))
        aircraft = AIRCRAFT[clip.aircraft]
        rig = build_rig(clip, flight, aircraft.mesh.vertices, np.random.default_rng([clip.seed, 2]))
        start, end = min(0.0, clip.offset_frames / 50), clip.duration_s + max(0.0, clip.offset_frames / 50)
        for t in np.linspace(start, end, 12):
            infrared, visible = rig.infrared(t), rig.visible(t)
            seen = apply_homography(
                np.linalg.inv(h_ir_from_vis(infrared, visible)), corners(clip.infrared_wh)
            )
            assert (seen > 0).all(), (clip.name, t)
            assert (seen < np.array(clip.visible_wh) - 1).all(), (clip.name, t)
            points = aircraft.keypoints @ flight.world_from_body(t).T + flight.place(t)
            xy, _ = infrared.project(points)
            inside = ((xy > 0) & (xy < clip.infrared_wh)).all(1)
            assert inside.sum() >= 7, (clip.name, t)
            assert 0.25 < np.ptp(xy[:, 0]) / clip.infrared_wh[0] < 1.05


def test_zooming_changes_both_focal_lengths_each_in_its_own_way() -> None:
    rig = rig_of(zoom=True)
    ratio_ir = rig.zoom_ir(1.0) / rig.zoom_ir(0.0)
    ratio_vis = rig.zoom_vis(1.0) / rig.zoom_vis(0.0)
    assert abs(np.log(ratio_ir)) > 0.1
    assert ratio_ir != pytest.approx(ratio_vis, rel=0.01)
    fixed = rig_of(zoom=False)
    assert fixed.zoom_ir(0.0) == fixed.zoom_ir(1.0)


def test_the_aircraft_comes_down_the_glide_path_and_stays_above_the_ground() -> None:
    for difficulty in DIFFICULTIES:
        clip = small(difficulty=difficulty, duration_s=4.0)
        flight = plan_flight(clip, np.random.default_rng(5))
        heights = [flight.place(t)[2] for t in np.linspace(0, 4, 9)]
        assert (np.diff(heights) < 0).all()
        assert min(heights) > 4.0
        np.testing.assert_allclose(flight.touchdown[2], 0, atol=1e-9)
