"""Which points of the aircraft are hidden behind the aircraft itself, by casting rays against the mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.mesh import Mesh, Points

# A surface this close in front of a point is the surface that the point itself lies on.
OWN_SURFACE_M = 0.35


def hidden_points(points: Points, eye: Points, mesh: Mesh) -> NDArray[np.bool_]:
    """Tell which of the (N, 3) points cannot be seen from `eye` (3,), all in the mesh's axes.

    Möller and Trumbore's ray-triangle test of every ray against every face. All rays leave the same eye, so
    each of the test's four triple products is one matrix product.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, k]].T for k in range(3))
    edge1, edge2, offset = b - a, c - a, eye[:, None] - a
    across = _cross(offset, edge1)
    rays = points - eye  # (N, 3)
    determinant = rays @ _cross(edge2, edge1)  # (N, F)
    sign = np.sign(determinant)
    size = np.abs(determinant)
    u = (rays @ _cross(edge2, offset)) * sign
    v = (rays @ across) * sign
    t = (edge2 * across).sum(0) * sign
    reach = 1 - OWN_SURFACE_M / np.linalg.norm(rays, axis=1, keepdims=True)
    hit = (u >= 0) & (v >= 0) & (u + v <= size) & (t > 0) & (t < reach * size)
    return np.asarray(hit.any(1))


def _cross(a: Points, b: Points) -> Points:
    """Return the cross products of (3, F) vectors."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
