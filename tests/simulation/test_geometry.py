"""Meshes, rasteriser and occlusion against brute force and closed formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.simulation.aircraft import AircraftKind, build_aircraft
from vircraft.simulation.mesh import Mesh, box, merge, mirrored, revolved
from vircraft.simulation.occlusion import hidden_points
from vircraft.simulation.rasteriser import rasterise
from vircraft.simulation.rig import look
from vircraft.simulation.settings import AIRCRAFT_KINDS


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def ball(radius: float = 1.0, segments: int = 40) -> Mesh:
    angle = np.linspace(0, np.pi, segments // 2)
    profile = np.stack([np.cos(angle), np.sin(angle)], -1) * radius
    return revolved(profile, np.zeros(3), (0, 0, 1, 1), segments)


def test_a_revolved_circle_has_the_volume_of_a_ball_and_its_normals_point_out() -> None:
    mesh = ball(2.0, 80)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 8, rel=0.01)
    np.testing.assert_allclose(mesh.normals, mesh.vertices / 2.0, atol=0.05)


def test_a_box_has_its_volume_and_a_mirrored_one_too() -> None:
    mesh = box((1, 2, 3), (5, 6, 7), (0, 0))
    assert volume(mesh) == pytest.approx(6)
    assert volume(mirrored(mesh)) == pytest.approx(6)


def nearest_faces(xy: np.ndarray, depth: np.ndarray, faces: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    """Every pixel against every face, in float64, one after the other."""
    out = np.full((wh[1], wh[0]), -1)
    best = np.zeros((wh[1], wh[0]))
    ys, xs = np.mgrid[: wh[1], : wh[0]].astype(float)
    for number, face in enumerate(faces):
        (x0, y0), (x1, y1), (x2, y2) = xy[face]
        area = (x1 - x0) * (y2 - y0) - (y1 - y0) * (x2 - x0)
        if area >= 0:
            continue
        w0 = ((x1 - xs) * (y2 - ys) - (y1 - ys) * (x2 - xs)) / area
        w1 = ((x2 - xs) * (y0 - ys) - (y2 - ys) * (x0 - xs)) / area
        z = w0 / depth[face[0]] + w1 / depth[face[1]] + (1 - w0 - w1) / depth[face[2]]
        wins = (w0 >= 0) & (w1 >= 0) & (w0 + w1 <= 1) & (z > best)
        out[wins], best[wins] = number, z[wins]
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_rasteriser_finds_the_same_nearest_face_as_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 12
    xy = rng.uniform(-10, 50, (3 * count, 2))
    depth = rng.uniform(50, 90, 3 * count)
    faces = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    found = rasterise(xy, depth, faces, (40, 30))
    picture = np.full(40 * 30, -1)
    picture[found.pixels] = found.faces
    assert (picture.reshape(30, 40) == nearest_faces(xy, depth, faces, (40, 30))).all()
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-5)


def test_weights_interpolate_in_perspective() -> None:
    """A floor that runs away: the point half way along it is not half way in the picture."""
    floor = np.array([[-1, 1, 2], [1, 1, 2], [1, 1, 40], [-1, 1, 40.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    xy = floor[:, :2] / floor[:, 2:] * 100 + [50, 0]
    found = rasterise(xy, floor[:, 2], faces, (101, 60))
    assert len(found.pixels) > 100
    z = (found.weights * floor[faces[found.faces], 2]).sum(1)
    rows = found.pixels // 101
    np.testing.assert_allclose(z, 100.0 / rows, rtol=1e-3)
    np.testing.assert_allclose(1 / found.inverse_depth, z, rtol=1e-3)


def test_a_mesh_out_of_the_picture_covers_nothing() -> None:
    found = rasterise(
        np.array([[-9, -9], [-8, -9], [-8, -8.0]]), np.ones(3), np.array([[0, 1, 2]], np.int32), (8, 8)
    )
    assert len(found.pixels) == 0


def test_points_behind_a_ball_are_hidden_and_those_beside_and_before_it_are_not() -> None:
    mesh = ball(2.0)
    eye = np.array([-50.0, 0, 0])
    points = np.array([[10.0, 0, 0], [10.0, 3.5, 0], [-10.0, 0, 0], [-2.0, 0, 0], [1.9, 0.3, 0.2]])
    assert hidden_points(points, eye, mesh).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize("kind", AIRCRAFT_KINDS)
def test_keypoints_lie_on_the_aircraft_and_left_is_its_own_left(kind: AircraftKind) -> None:
    aircraft = build_aircraft(kind)
    places = dict(zip(KEYPOINTS, aircraft.keypoints, strict=True))
    rng = np.random.default_rng(0)
    corner = aircraft.mesh.vertices[aircraft.mesh.faces]
    u, v = rng.uniform(0, 1, (2, 60, len(corner), 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    surface = (corner[:, 0] + u * (corner[:, 1] - corner[:, 0]) + v * (corner[:, 2] - corner[:, 0])).reshape(
        -1, 3
    )
    for name, place in places.items():
        assert np.linalg.norm(surface - place, axis=1).min() < 0.25, name
    for end in ("front", "root", "behind"):
        left, right = places[f"Left_{end}"], places[f"Right_{end}"]
        assert left[1] > 0
        np.testing.assert_allclose(left * [1, -1, 1], right)
    assert places["Head"][0] == pytest.approx(aircraft.mesh.vertices[:, 0].max(), abs=0.1)
    assert places["Tail"][0] < -0.48 * aircraft.length_m
    assert places["Left_front"][0] > places["Left_behind"][0]


@pytest.mark.parametrize("kind", AIRCRAFT_KINDS)
@pytest.mark.parametrize("azimuth_deg", [20, 75, 140, 250, 310])
def test_hidden_keypoints_are_behind_the_rendered_surface(kind: AircraftKind, azimuth_deg: int) -> None:
    """Ray casting agrees with the z-buffer wherever the z-buffer is clear about it."""
    aircraft = build_aircraft(kind)
    angle = np.radians(azimuth_deg)
    eye = 500.0 * np.array([np.cos(angle), np.sin(angle), -0.08])
    turn = look(angle + np.pi, 0.08)
    focal, wh = 6_000.0, (1400, 700)

    def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        local = (points - eye) @ turn.T
        return local[:, :2] / local[:, 2:] * focal + [700, 350], local[:, 2]

    xy, depth = project(aircraft.mesh.vertices)
    found = rasterise(xy, depth, aircraft.mesh.faces, wh)
    surface = np.full(wh[0] * wh[1], np.inf)
    surface[found.pixels] = 1 / found.inverse_depth
    surface = surface.reshape(wh[1], wh[0])
    hidden = hidden_points(aircraft.keypoints, eye, aircraft.mesh)
    points, far = project(aircraft.keypoints)
    assert hidden.any()
    assert not hidden.all()
    for (x, y), z, gone in zip(points, far, hidden, strict=True):
        around = surface[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        if (around < z - 1.0).all():
            assert gone
        if (around > z - 0.2).all():
            assert not gone


def test_merging_keeps_every_triangle_in_place() -> None:
    a, b = box((1, 1, 1), (0, 0, 0), (1, 2)), box((1, 1, 1), (9, 0, 0), (3, 4))
    both = merge([a, b])
    np.testing.assert_array_equal(both.vertices[both.faces][len(a.faces) :], b.vertices[b.faces])


def test_a_mesh_that_names_missing_vertices_is_refused() -> None:
    with pytest.raises(ValueError, match="faces"):
        Mesh(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 2)), np.array([[0, 1, 2]], np.int32))
