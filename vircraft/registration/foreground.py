"""Structure that stays with the target while the background moves past it.

A rig that tracks an aircraft keeps it in place while the background streams by. Half a frame between the two
cameras then shifts the whole background, and the aircraft's own depth shifts it against what lies far
behind; what must align is the aircraft. Corners of one infrared picture that are found again near the same
place in the next one of the clip belong to it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import Floats, VisiblePyramid, oriented_edges, per_pixel, resize_grey
from vircraft.registration.refine import TRANSLATION, Template, refine
from vircraft.registration.shifts import overlaps_near
from vircraft.registration.warp import Matrix

WORK_WIDTH = 320
CORNERS = 400
REACH_SHARE = 0.05  # the target moves less than this share of the width between two pictures
RETURN_PX = 0.7  # a corner tracked there and back ends this close to where it began
ALIKE = 0.75  # least correlation of the two patches
PATCH = 13
FEWEST = 10  # corners that move as one
STILL_SHARE = 0.85  # when more corners than this stay, the rest of the picture is asked
STILL_CORRELATION = 0.4  # edges elsewhere that agree this well belong to a still scene
DISC_SHARE = 0.035  # radius around a corner that counts as target, share of the width

MOVE_SHARE = 0.08  # the whole picture's pose may be off the target by this share of the width
MOVE_GAIN = 1.3  # a place further off must agree this much better

Grey8 = NDArray[np.uint8]


def work_picture(infrared: Floats) -> Grey8:
    """Return a grey infrared picture (float32, 0..255) as `target_mask` takes it: 320 px wide, 8 bit."""
    height, width = infrared.shape
    small = resize_grey(infrared, (WORK_WIDTH, max(8, round(WORK_WIDTH * height / width))))
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.uint8)


def target_mask(now: Grey8, other: Grey8) -> Floats | None:
    """Return where the structure moves with the target, not with the background.

    Args:
        now: a work picture.
        other: that of an earlier or later frame of the clip.

    Returns:
        (H, W) float32 of the work picture's size, 0..1; None when no target stands out: a still scene, a
        bare sky behind it, or nothing that stays in place.
    """
    found = cv2.goodFeaturesToTrack(now, CORNERS, 0.01, 4, blockSize=5)
    if found is None or len(found) < FEWEST:
        return None
    start = np.asarray(found, np.float32)
    there, ok = _tracked(now, other, start, start)
    back, ok_back = _tracked(other, now, there, start)
    a, b, c = start[:, 0], there[:, 0], back[:, 0]
    kept = ok & ok_back
    kept &= np.linalg.norm(c - a, axis=1) < RETURN_PX
    kept &= np.linalg.norm(b - a, axis=1) < REACH_SHARE * now.shape[1]
    index = np.flatnonzero(kept)
    index = index[[_alike(now, other, a[k], b[k]) > ALIKE for k in index]] if len(index) else index
    if len(index) < FEWEST:
        return None
    motion, one = cv2.estimateAffinePartial2D(
        a[index], b[index], method=cv2.RANSAC, ransacReprojThreshold=1.5
    )
    if one is None or motion is None:
        return None
    index = index[one.ravel() > 0]
    if len(index) < FEWEST:
        return None
    mask = np.zeros(now.shape, np.uint8)
    radius = max(4, round(DISC_SHARE * now.shape[1]))
    for x, y in a[index]:
        cv2.circle(mask, (round(float(x)), round(float(y))), radius, 255, -1)
    if len(index) > STILL_SHARE * len(a) and _background_stays(now, other, np.asarray(motion), mask):
        return None
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), radius / 4), np.float32) * np.float32(1 / 255)


def move_to_target(
    template: Template, visible: VisiblePyramid, h_ir_from_vis: Matrix, mask: Floats
) -> Matrix:
    """Return a pose moved so that the target's own edges lie on each other, whatever the background does.

    Args:
        template: infrared edges.
        visible: the visible picture of the same instant, or nearly so.
        h_ir_from_vis: (3, 3) pose of the whole picture; off the target by some pixels where the cameras'
            shutters or the depths differ.
        mask: the target, of `target_mask`, any size.
    """
    w, h = template.size_wh
    mask = np.asarray(cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA), np.float32)
    seen = visible.edges(template.h_level_from_ir @ h_ir_from_vis, (w, h), template.scale)
    reach = round(MOVE_SHARE * w)
    own = template.edges * mask[..., None]
    overlap = overlaps_near(own, seen, (reach, reach), room=reach)
    zeros = np.zeros_like(mask)
    under = overlaps_near(
        np.dstack([mask, zeros]), np.dstack([per_pixel(seen, seen), zeros]), (reach, reach), room=reach
    )
    agreement = overlap / np.sqrt(np.maximum(under, 1e-3) * max(float(np.vdot(own, own)), 1e-3))
    row, column = divmod(int(agreement.argmax()), agreement.shape[1])
    h_moved = h_ir_from_vis
    if float(agreement[row, column]) > MOVE_GAIN * float(agreement[reach, reach]):
        shift = np.array([[1, 0, reach - column], [0, 1, reach - row], [0, 0, 1.0]])
        h_moved = np.linalg.inv(template.h_level_from_ir) @ shift @ template.h_level_from_ir @ h_moved
    placed = refine(
        template, visible, h_moved, parameters=TRANSLATION, steps=6, reweigh=(0, 2), anchor=h_moved, mask=mask
    )
    return placed.h_ir_from_vis


def _tracked(now: Grey8, other: Grey8, points: Floats, guess: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Follow points (N, 1, 2) from one picture to another, from a guess; also which could be followed."""
    there, ok, _ = cv2.calcOpticalFlowPyrLK(
        now, other, points, guess.copy(), winSize=(15, 15), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return np.asarray(there, np.float32), np.asarray(ok)[:, 0] > 0


def _background_stays(now: Grey8, other: Grey8, motion: NDArray[np.float64], mask: Grey8) -> bool:
    """Say whether the edges away from the corners that stay are found again as well."""
    size_wh = (now.shape[1], now.shape[0])
    moved = cv2.warpAffine(other, motion, size_wh, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    a = oriented_edges(now.astype(np.float32))
    b = oriented_edges(moved.astype(np.float32))
    away = (cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0)[..., None]
    a, b = a * away, b * away
    norm = float(np.sqrt(float((a * a).sum()) * float((b * b).sum()) + 1e-6))
    return float((a * b).sum()) > STILL_CORRELATION * norm


def _alike(now: Grey8, other: Grey8, a: Floats, b: Floats) -> float:
    """Return the correlation of the patches around two points, -1..1."""
    p = cv2.getRectSubPix(now, (PATCH, PATCH), (float(a[0]), float(a[1]))).astype(np.float32)
    q = cv2.getRectSubPix(other, (PATCH, PATCH), (float(b[0]), float(b[1]))).astype(np.float32)
    return float(cv2.matchTemplate(p, q, cv2.TM_CCOEFF_NORMED)[0, 0])
