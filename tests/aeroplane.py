"""A plain aeroplane of 36 by 34 m, seen by a camera far away, and its labels: a truth that tests build."""

from __future__ import annotations

import cv2
import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.picture import ABSENT, Annotation

# metres: forward, to the left, up
BODY = {
    "Head": (18, 0, 0),
    "Vertical": (-17, 0, 7),
    "Tail": (-18, 0, 1),
    "Left_front": (-4, 17, 1),
    "Right_front": (-4, -17, 1),
    "Left_root": (4, 2, -1),
    "Right_root": (4, -2, -1),
    "Left_behind": (-6, 17, 1),
    "Right_behind": (-6, -17, 1),
}


def project(aspect_deg: float, below_deg: float, px_per_m: float = 8.0, at=(320.0, 256.0)) -> np.ndarray:
    """Return the (9, 2) keypoints on the picture.

    The camera looks at the aeroplane from `aspect_deg` to the left of its nose (0: nose on, 180: from behind)
    and from `below_deg` under its wings.
    """
    aspect, below = np.radians([aspect_deg, below_deg])
    to_camera = np.array([np.cos(aspect) * np.cos(below), np.sin(aspect) * np.cos(below), -np.sin(below)])
    depth = -to_camera
    up = np.array([0, 0, 1.0]) - depth * depth[2]
    down = -up / np.linalg.norm(up)
    right = np.cross(down, depth)
    points = np.array([BODY[name] for name in KEYPOINTS], float)
    return points @ np.stack([right, down], axis=1) * px_per_m + at


def annotate(points: np.ndarray, group_id: int | None = None, hidden: tuple[str, ...] = ()) -> Annotation:
    """Return labels of the points with a convex outline around them."""
    hull = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
    (x0, y0), (x1, y1) = hull.min(0), hull.max(0)
    keypoints = tuple(
        (float(x), float(y), Visibility.OCCLUDED if name in hidden else Visibility.VISIBLE)
        for name, (x, y) in zip(KEYPOINTS, points, strict=True)
    )
    polygon = tuple((float(x), float(y)) for x, y in hull)
    return Annotation(group_id, (float(x0), float(y0), float(x1), float(y1)), 1.0, keypoints, (polygon,))


def without(points: Annotation, *names: str) -> Annotation:
    """Return the same with some keypoints absent."""
    keypoints = [ABSENT if n in names else p for n, p in zip(KEYPOINTS, points.keypoints, strict=True)]
    return Annotation(points.group_id, points.box_xyxy, points.area, tuple(keypoints), points.polygons)


def exchange(points: np.ndarray, *names: tuple[str, str]) -> np.ndarray:
    """Return the points with the labels of some exchanged."""
    points = points.copy()
    for a, b in names:
        i, j = KEYPOINTS.index(a), KEYPOINTS.index(b)
        points[[i, j]] = points[[j, i]]
    return points


SIDES = (("Left_front", "Right_front"), ("Left_root", "Right_root"), ("Left_behind", "Right_behind"))
