"""Triangle meshes built from lofted surfaces, in the aircraft's axes (x forward, y left, z up; metres)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh with one texture coordinate and one normal per vertex.

    Attributes:
        vertices: (V, 3), metres.
        normals: (V, 3), unit length, pointing out.
        uv: (V, 2), texture coordinates in atlas pixels.
        faces: (F, 3) vertex numbers, counter-clockwise seen from outside.
    """

    vertices: Points
    normals: Points
    uv: Points
    faces: NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.vertices)
        if self.vertices.shape != (n, 3) or self.normals.shape != (n, 3) or self.uv.shape != (n, 2):
            raise ValueError("vertices (V, 3), normals (V, 3) and uv (V, 2) must agree")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or (len(self.faces) and self.faces.max() >= n):
            raise ValueError("faces must be (F, 3) numbers of vertices")


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Return one mesh holding all of them."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)]).astype(np.int32),
    )


def mirrored(mesh: Mesh) -> Mesh:
    """Return the mesh reflected to the other side of the aircraft (y -> -y)."""
    flip = np.array([1.0, -1.0, 1.0])
    return Mesh(mesh.vertices * flip, mesh.normals * flip, mesh.uv, mesh.faces[:, ::-1])


def surface(grid: Points, uv: Points, *, inward: bool = False) -> Mesh:
    """Return the mesh of a (N, M, 3) grid of points with (N, M, 2) texture coordinates.

    The faces are turned outward by the sign of the volume that they enclose about the grid's middle;
    `inward` turns them the other way (the inside of an intake). Quads that shrink to a point or a line lose
    their empty triangles.
    """
    n, m = grid.shape[:2]
    a = (np.arange(n - 1)[:, None] * m + np.arange(m - 1)).ravel()
    faces = np.concatenate([np.c_[a, a + m, a + m + 1], np.c_[a, a + m + 1, a + 1]])
    points = grid.reshape(-1, 3)
    corners = points[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    keep = np.linalg.norm(cross, axis=1) > 1e-9
    faces, corners, cross = faces[keep], corners[keep], cross[keep]
    volume = float(np.einsum("ij,ij->", corners.mean(1) - points.mean(0), cross))
    if (volume < 0) != inward:
        faces, cross = faces[:, ::-1], -cross
    return Mesh(points, _smooth_normals(points, faces, cross), uv.reshape(-1, 2), faces.astype(np.int32))


def revolved(
    profile: Points,
    centre: Points,
    uv_box: tuple[float, float, float, float],
    segments: int = 20,
    *,
    inward: bool = False,
) -> Mesh:
    """Return a profile of (N, 2) x and radius turned about the x axis through `centre` (3,).

    Args:
        profile: x (forward) and radius, metres.
        centre: of the axis.
        uv_box: u0, v0, u1, v1 in the atlas; u runs along the profile, v around the axis from the top.
        segments: facets around the axis.
        inward: whether the surface is seen from the axis.
    """
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    x, r = profile[:, :1], profile[:, 1:]
    grid = np.stack([x + 0 * angle, r * np.sin(angle), r * np.cos(angle)], -1) + centre
    along = np.linspace(0, 1, len(profile))
    u = np.repeat((uv_box[0] + along * (uv_box[2] - uv_box[0]))[:, None], segments + 1, 1)
    v = np.repeat((uv_box[1] + angle / (2 * np.pi) * (uv_box[3] - uv_box[1]))[None], len(profile), 0)
    return surface(grid, np.stack([u, v], -1), inward=inward)


@dataclass(frozen=True)
class Section:
    """One section of a wing or fin.

    Attributes:
        leading: (3,) the leading edge, metres.
        chord: length from leading to trailing edge.
        thickness: share of the chord.
        droop: how far the trailing edge lies below (or beside) the leading edge, metres.
    """

    leading: tuple[float, float, float]
    chord: float
    thickness: float
    droop: float = 0.0


def wing(
    sections: Sequence[Section], across: tuple[float, float, float], uv_box: tuple[float, float, float, float]
) -> Mesh:
    """Return a closed wing or fin through the sections.

    Args:
        sections: from root to tip.
        across: unit direction of the thickness (up for a wing, sideways for a fin).
        uv_box: u0, v0, u1, v1 in the atlas; u runs over the chord, upper side in the first half of v, lower
            side in the second, root to tip in each.
    """
    c = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 8)))  # 0 leading .. 1 trailing, dense at both
    half = 5 * (
        0.2969 * np.sqrt(c) - 0.126 * c - 0.3516 * c**2 + 0.2843 * c**3 - 0.1036 * c**4
    )  # NACA 4-digit
    up = np.asarray(across, float)
    sides = []
    span = np.linspace(0, 1, len(sections))
    u0, v0, u1, v1 = uv_box
    for side, start in ((1.0, v0), (-1.0, (v0 + v1) / 2)):
        grid = np.array(
            [
                np.asarray(s.leading)
                + np.outer(c * s.chord, [-1.0, 0, 0])
                + np.outer(side * half * s.thickness * s.chord - c**2 * s.droop, up)
                for s in sections
            ]
        )
        u = np.repeat((u0 + c * (u1 - u0))[None], len(sections), 0)
        v = np.repeat((start + span * (v1 - v0) / 2)[:, None], len(c), 1)
        sides.append((grid, np.stack([u, v], -1)))
    upper, lower = (_sided(grid, uv, up * sign) for (grid, uv), sign in zip(sides, (1, -1), strict=True))
    tip = np.stack([sides[0][0][-1], sides[1][0][-1]])
    tip_uv = np.stack([sides[0][1][-1], sides[0][1][-1]])
    towards = np.asarray(sections[-1].leading) - np.asarray(sections[0].leading)
    return merge([upper, lower, _sided(tip, tip_uv, towards)])


def box(
    size: tuple[float, float, float], centre: tuple[float, float, float], uv: tuple[float, float]
) -> Mesh:
    """Return a box of one flat colour (`uv` is one point of the atlas)."""
    corner = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * size
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    parts = []
    for q in quads:
        grid = np.array([[corner[q[0]], corner[q[1]]], [corner[q[3]], corner[q[2]]]])
        parts.append(
            _sided(grid + centre, np.broadcast_to(np.asarray(uv, float), (2, 2, 2)), grid.mean((0, 1)))
        )
    return merge(parts)


def _sided(grid: Points, uv: Points, towards: Points) -> Mesh:
    """Return a surface whose faces look along `towards` on average."""
    mesh = surface(grid, uv)
    corners = mesh.vertices[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
    if float(cross @ np.asarray(towards, float)) >= 0:
        return mesh
    return Mesh(mesh.vertices, -mesh.normals, mesh.uv, mesh.faces[:, ::-1])


def _smooth_normals(points: Points, faces: NDArray[np.integer], cross: Points) -> Points:
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, faces[:, k], cross)
    # Points that coincide (the seam of a revolved body, its poles) share a normal.
    _, same = np.unique(np.round(points, 6), axis=0, return_inverse=True)
    shared = np.zeros((int(same.max()) + 1, 3))
    np.add.at(shared, same.ravel(), normals)
    normals = shared[same.ravel()]
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))
