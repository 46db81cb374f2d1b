"""Coarse stage: the infrared edges as a template, searched over the visible ones (paper Sec. 3.1).

As in the paper the search runs over position and scale; small rotations are added, oriented edges replace
edge magnitudes, and not the best response alone but a beam of candidates goes on to the next stage: at the
truth the later stages score higher than anywhere else, but here a few false places may still be ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vircraft.registration.edges import COARSE, Floats, oriented_edges, per_pixel, resize_grey
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.shifts import overlaps, spectrum
from vircraft.registration.warp import Matrix, resize_matrix

WORK_WIDTH = 224  # the visible picture is searched at this width, pixels
SCALE_STEP = 1.063  # ratio between neighbouring scales
ROTATION_STEP_DEG = 4.0
PEAKS = 2  # kept of each correlation surface


@dataclass(frozen=True)
class Candidate:
    """A place where the infrared view may lie.

    Attributes:
        h_ir_from_vis: (3, 3) similarity, full-size visible pixels to full-size infrared pixels.
        score: normalised cross correlation of the oriented edges, -1..1.
        significance: score times the square root of the template's area, comparable between scales.
    """

    h_ir_from_vis: Matrix
    score: float
    significance: float


@dataclass(frozen=True)
class _Peak:
    x: float  # centre of the template, work pixels
    y: float
    width: int
    candidate: Candidate


def search(
    visible: Floats, infrared: Floats, settings: RegistrationSettings, keep: int = 30
) -> list[Candidate]:
    """Return the best distinct places of the infrared view in the visible picture, best first.

    Args:
        visible: (H, W) grey float32, 0..255.
        infrared: (H, W) grey float32, 0..255.
        settings: ranges of scale and rotation.
        keep: number of candidates.
    """
    vis_wh = (visible.shape[1], visible.shape[0])
    ir_wh = (infrared.shape[1], infrared.shape[0])
    work_wh = (WORK_WIDTH, max(16, round(WORK_WIDTH * vis_wh[1] / vis_wh[0])))
    edges = oriented_edges(resize_grey(visible, work_wh), COARSE)
    dft_wh = (cv2.getOptimalDFTSize(work_wh[0]), cv2.getOptimalDFTSize(work_wh[1]))
    spectrum_vis = spectrum(edges, dft_wh)
    energy = cv2.integral(per_pixel(edges, edges))
    to_work = resize_matrix(vis_wh, work_wh)
    peaks: list[_Peak] = []
    for width in _widths(settings, work_wh[0]):
        height = round(width * ir_wh[1] / ir_wh[0])
        if height >= work_wh[1] or width >= work_wh[0]:
            continue
        small = resize_grey(infrared, (width, height))
        to_infrared = resize_matrix((width, height), ir_wh)
        window = energy[height:, width:] - energy[:-height, width:]
        window = window - energy[height:, :-width] + energy[:-height, :-width]
        for angle in _angles(settings):
            template, unrotate = _rotated_template(small, angle)
            norm = float(np.vdot(template, template))
            overlap = overlaps(spectrum_vis, spectrum(template, dft_wh))[: window.shape[0], : window.shape[1]]
            response = np.asarray(overlap / np.sqrt(np.maximum(window * norm, 1e-3)))
            for x, y, score in _local_maxima(response):
                shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
                h = to_infrared @ unrotate @ shift @ to_work
                significance = score * float(np.sqrt(width * height))
                peaks.append(
                    _Peak(x + width / 2, y + height / 2, width, Candidate(h / h[2, 2], score, significance))
                )
    return _distinct(peaks, keep)


def _widths(settings: RegistrationSettings, work_width: int) -> list[int]:
    steps = max(1, round(np.log(settings.scale_max / settings.scale_min) / np.log(SCALE_STEP)))
    shares = np.geomspace(settings.scale_min, settings.scale_max, steps + 1)
    return sorted({round(float(s) * work_width) for s in shares})


def _angles(settings: RegistrationSettings) -> list[float]:
    reach = max(0.0, settings.rotation_deg - ROTATION_STEP_DEG / 2)
    steps = int(np.ceil(reach / ROTATION_STEP_DEG))
    return [float(a) for a in np.linspace(-reach, reach, 2 * steps + 1)] if steps else [0.0]


def _rotated_template(small: Floats, angle_deg: float) -> tuple[Floats, Matrix]:
    """Return the oriented edges of a turned picture and the matrix from its pixels to the unturned one's."""
    if angle_deg == 0:
        return oriented_edges(small, COARSE), np.eye(3)
    height, width = small.shape
    turn = np.vstack(
        [cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1.0), [0, 0, 1]]
    )
    turned = cv2.warpAffine(small, turn[:2], (width, height), borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones_like(small), turn[:2], (width, height))
    edges = oriented_edges(np.asarray(turned, np.float32), COARSE)
    edges[inside < 0.99] = 0
    return edges, np.asarray(np.linalg.inv(turn))


def _local_maxima(response: Floats) -> list[tuple[int, int, float]]:
    """Return the `PEAKS` highest places (x, y, value) of a surface, at least four pixels apart."""
    left = response.copy()
    found = []
    for _ in range(PEAKS):
        y, x = divmod(int(left.argmax()), left.shape[1])
        if left[y, x] <= 0:
            break
        found.append((x, y, float(left[y, x])))
        left[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = -1
    return found


def _distinct(peaks: list[_Peak], keep: int) -> list[Candidate]:
    """Keep the most significant peaks that differ in place or scale."""
    kept: list[_Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.candidate.significance):
        if all(
            abs(peak.x - k.x) > 3 or abs(peak.y - k.y) > 3 or abs(np.log(peak.width / k.width)) > 0.05
            for k in kept
        ):
            kept.append(peak)
            if len(kept) == keep:
                break
    return [p.candidate for p in kept]
