"""Fine stage: ORB keypoints matched by Hamming distance, then a homography (paper Sec. 3.1).

On the greys themselves ORB does not match across modalities. Here its binary tests run on four maps of edge
orientation, which both modalities share; the descriptors of the four stand side by side, and a keypoint is
compared only with those near the place where the pose so far puts it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import FINE, Floats, VisiblePyramid, per_pixel
from vircraft.registration.refine import Template
from vircraft.registration.warp import Matrix, apply_homography

KEYPOINTS = 350
REACH_SHARE = 12 / 320  # a match lies within this share of the infrared width of where it is expected
RANSAC_SHARE = 3 / 320  # a match that agrees with the homography lies within this share of the width
FEWEST_MATCHES = 10
_BORDER_PX = 16
_ORB = {"nlevels": 1, "edgeThreshold": _BORDER_PX, "patchSize": 31}


@dataclass(frozen=True)
class OrbFit:
    """A homography from matched keypoints.

    Attributes:
        h_ir_from_vis: (3, 3), h22 = 1.
        inliers: matches that agree with it.
        residual_px: their root mean square distance, full-size infrared pixels.
    """

    h_ir_from_vis: Matrix
    inliers: int
    residual_px: float


def match_orb(template: Template, visible: VisiblePyramid, h_ir_from_vis: Matrix) -> OrbFit | None:
    """Return the homography that ORB matches support near a pose, None when too few matches agree."""
    w, _ = template.size_wh
    h_level_from_vis = template.h_level_from_ir @ h_ir_from_vis
    seen = visible.edges(h_level_from_vis, template.size_wh, FINE)
    points_ir, bits_ir = _describe(template.edges)
    points_vis, bits_vis = _describe(seen)
    if len(points_ir) < FEWEST_MATCHES or len(points_vis) < FEWEST_MATCHES:
        return None
    gap = points_vis[:, None] - points_ir[None]
    near = ((gap**2).sum(2) <= (REACH_SHARE * w) ** 2).astype(np.uint8)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    there = {m.queryIdx: m.trainIdx for m in matcher.match(bits_vis, bits_ir, near)}
    back = {m.queryIdx: m.trainIdx for m in matcher.match(bits_ir, bits_vis, np.ascontiguousarray(near.T))}
    mutual = [(v, i) for v, i in there.items() if back.get(i) == v]
    if len(mutual) < FEWEST_MATCHES:
        return None
    index = np.array(mutual)
    src, dst = points_vis[index[:, 0]], points_ir[index[:, 1]]
    h, mask = cv2.findHomography(src, dst, cv2.USAC_MAGSAC, RANSAC_SHARE * w, maxIters=2000)
    if h is None or not np.isfinite(h).all() or abs(np.linalg.det(h)) < 1e-6:
        return None
    agree = mask.ravel().astype(bool)
    if agree.sum() < FEWEST_MATCHES:
        return None
    distance = np.linalg.norm(apply_homography(h, src[agree]) - dst[agree], axis=1)
    to_full = 1 / template.h_level_from_ir[0, 0]
    full = np.linalg.inv(template.h_level_from_ir) @ h @ h_level_from_vis
    rms = float(np.sqrt(np.mean(distance**2))) * float(to_full)
    return OrbFit(full / full[2, 2], int(agree.sum()), rms)


def _describe(edges: Floats) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return (N, 2) keypoints on the strength of the edges and their (N, 128) descriptors."""
    strength = np.clip(np.sqrt(per_pixel(edges, edges)) * 110, 0, 255).astype(np.uint8)
    orb = cv2.ORB.create(KEYPOINTS, fastThreshold=12, **_ORB)
    keypoints = orb.detect(strength, None)
    for k in keypoints:
        k.angle = 0  # the coarse pose has taken the rotation out; descriptors stay upright
    if not keypoints:
        return np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8)
    maps = [np.maximum(sign * edges[..., c], 0) for c in (0, 1) for sign in (1, -1)]
    bits = []
    for m in maps:
        grey = cv2.GaussianBlur(np.clip(m * 110, 0, 255).astype(np.uint8), (0, 0), 1.0)
        kept, described = orb.compute(grey, keypoints)
        if described is None or len(kept) != len(keypoints):
            return np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8)
        bits.append(described)
    points = np.array([k.pt for k in keypoints], np.float32)
    return points, np.concatenate(bits, axis=1)
