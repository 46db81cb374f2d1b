"""The paper's recipe as printed (Sec. 3.1), kept for comparison: `--recipe paper`.

Edges of both pictures, multi-scale template matching of the infrared edges over the visible ones, the best
response as the coarse region; then ORB on both greys, Hamming matching, a homography. Nothing checks it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import Floats, resize_grey
from vircraft.registration.result import Registration
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import Matrix, resize_matrix

_WORK_WIDTH = 480  # visible width at which the template is matched
_SCALES = 16
_KEYPOINTS = 1000


def register_greys(vis: Floats, ir: Floats, settings: RegistrationSettings) -> Registration:
    """Register two greys (float32, 0..255) as printed; `fine` when a homography came out, else the region.

    No error is predicted: `predicted_error_px` is nan.
    """
    found = _coarse(vis, ir, settings)
    if found is None:
        return Registration("refused", reason="outside-range")
    h_coarse, score = found
    nan = float("nan")
    fine = _orb_homography(vis, ir, h_coarse)
    if fine is None:
        return Registration(
            "coarse", h_coarse, nan, reason="few-matches", coarse_score=score, model="shift_scale"
        )
    h, inliers = fine
    return Registration("fine", h, nan, coarse_score=score, inliers=inliers, model="homography")


def _canny(grey: Floats) -> NDArray[np.uint8]:
    smooth = cv2.GaussianBlur(np.clip(grey, 0, 255).astype(np.uint8), (0, 0), 1.0)
    return np.asarray(cv2.Canny(smooth, 50, 150), np.uint8)


def _coarse(vis: Floats, ir: Floats, settings: RegistrationSettings) -> tuple[Matrix, float] | None:
    vis_wh, ir_wh = (vis.shape[1], vis.shape[0]), (ir.shape[1], ir.shape[0])
    work_wh = (_WORK_WIDTH, round(_WORK_WIDTH * vis_wh[1] / vis_wh[0]))
    scene = _canny(resize_grey(vis, work_wh))
    best: tuple[float, Matrix] | None = None
    for share in np.geomspace(settings.scale_min, settings.scale_max, _SCALES):
        wh = (round(share * work_wh[0]), round(share * work_wh[0] * ir_wh[1] / ir_wh[0]))
        if wh[0] >= work_wh[0] or wh[1] >= work_wh[1]:
            continue
        template = _canny(resize_grey(ir, wh))
        if not template.any():
            continue
        response = cv2.matchTemplate(scene, template, cv2.TM_CCOEFF_NORMED)
        _, peak, _, (x, y) = cv2.minMaxLoc(response)
        if best is None or peak > best[0]:
            shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
            best = (peak, resize_matrix(wh, ir_wh) @ shift @ resize_matrix(vis_wh, work_wh))
    return None if best is None else (best[1] / best[1][2, 2], float(best[0]))


def _orb_homography(vis: Floats, ir: Floats, h_coarse: Matrix) -> tuple[Matrix, int] | None:
    ir_wh = (ir.shape[1], ir.shape[0])
    region = cv2.warpPerspective(vis, h_coarse, ir_wh, flags=cv2.INTER_LINEAR)
    orb = cv2.ORB.create(_KEYPOINTS)
    k_vis, d_vis = orb.detectAndCompute(np.clip(region, 0, 255).astype(np.uint8), None)
    k_ir, d_ir = orb.detectAndCompute(np.clip(ir, 0, 255).astype(np.uint8), None)
    if d_vis is None or d_ir is None:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(d_vis, d_ir)
    if len(matches) < 4:
        return None
    src = np.array([k_vis[m.queryIdx].pt for m in matches])
    dst = np.array([k_ir[m.trainIdx].pt for m in matches])
    h, mask = cv2.findHomography(src, dst, cv2.RANSAC, 5.0)
    if h is None or not np.isfinite(h).all():
        return None
    full = h @ h_coarse
    if abs(full[2, 2]) < 1e-12:
        return None
    return full / full[2, 2], int(mask.sum())
