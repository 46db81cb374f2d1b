"""Which points of the aircraft are hidden behind the aircraft itself, by casting rays against the mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.mesh import Mesh, Points

# A surface this close in front of a point is the surface that the point itself lies on.
OWN_SURFACE_M = 0.35


def hidden_points(points: Points, eye: Points, mesh: Mesh) -> NDArray[np.bool_]:
    """Tell which of the (N, 3) points cannot be seen from `eye` (3,), all in the mesh's axes.

    Möller and Trumbore's ray-triangle test, every ray against every face.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    edge1, edge2 = b - a, c - a
    offset = eye - a  # (F, 3)
    q = np.cross(offset, edge1)
    hidden = np.zeros(len(points), bool)
    for i, point in enumerate(points):
        ray = point - eye
        length = float(np.linalg.norm(ray))
        p = np.cross(ray, edge2)
        determinant = np.einsum("ij,ij->i", edge1, p)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.einsum("ij,ij->i", offset, p) / determinant
            v = (q @ ray) / determinant
            t = np.einsum("ij,ij->i", edge2, q) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0) & (t < 1 - OWN_SURFACE_M / length)
        hidden[i] = bool(hit.any())
    return hidden
