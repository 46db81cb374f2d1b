"""Where an aircraft's hidden keypoints are, from those that were found: it is its own mirror image.

Seen from afar (an affine camera), the picture of a mirror-symmetric body is known from four things: where its
plane of symmetry goes (an affine map of the plane: three columns) and which way a wing points (one more). The
middle of a left and a right point lies in the plane of symmetry, half their difference beside it, so labels
that hold both of them give every keypoint coordinates (u, v, s): the middle's place on the picture, and the
signed length along the wing. On another frame each keypoint is at W (u, v, s, 1), with the same (2, 4) matrix
W for all, and the points that were found there tell W.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.keypoints import FLIP_PAIRS, KEYPOINTS

Place = NDArray[np.float64]  # (2,) x, y

_LEAST_FOUND = 4
_RIDGE = 1e-3  # pulls what the found points do not tell towards the expected places


def predict_hidden(
    before: Mapping[str, Place], flat: Mapping[str, Place], found: Mapping[str, Place]
) -> dict[str, Place]:
    """Return where the keypoints that were not found are.

    Args:
        before: keypoints on the labelled frame, hidden ones too.
        flat: where a model without depth puts each of them on the next frame; what the found ones do not
            tell stays as it says.
        found: those of them that were found, on the next frame.

    Returns:
        The others' places; only those that the symmetry tells, none when fewer than four were found.
    """
    body = _body_coordinates(before)
    known = [name for name in before if name in found and name in body]
    wanted = [name for name in before if name not in found and name in body]
    if len(known) < _LEAST_FOUND or not wanted:
        return {}
    middle = np.append(np.mean([body[name][:2] for name in known], 0), 0.0)
    scale = max(float(np.ptp(list(before.values()), axis=0).max()), 1.0)
    rows = {name: np.append((body[name] - middle) / scale, 1.0) for name in (*known, *wanted)}
    a = np.array([rows[name] for name in known])
    b = np.array([found[name] - flat[name] for name in known])
    w = np.linalg.solve(a.T @ a + np.diag([_RIDGE, _RIDGE, _RIDGE, 1e-6]), a.T @ b)
    return {name: np.asarray(flat[name] + rows[name] @ w) for name in wanted}


def _body_coordinates(places: Mapping[str, Place]) -> dict[str, NDArray[np.float64]]:
    """Return (u, v, s) of the points in the plane of symmetry, and of pairs that are both known."""
    paired = {name for pair in FLIP_PAIRS for name in (KEYPOINTS[pair[0]], KEYPOINTS[pair[1]])}
    body = {n: np.append(p, 0.0) for n, p in places.items() if n in KEYPOINTS and n not in paired}
    pairs = [(KEYPOINTS[a], KEYPOINTS[b]) for a, b in FLIP_PAIRS]
    pairs = [(a, b) for a, b in pairs if a in places and b in places]
    if not pairs:
        return body
    across = np.array([places[b] - places[a] for a, b in pairs])
    wing = np.linalg.svd(across)[2][0]  # all point the same way, but for the hand's noise
    for (a, b), step in zip(pairs, across, strict=True):
        half = float(step @ wing) / 2
        middle = (places[a] + places[b]) / 2
        body[a], body[b] = np.append(middle, -half), np.append(middle, half)
    return body
