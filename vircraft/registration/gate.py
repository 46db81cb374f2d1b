"""The gate: how far an answer can be believed, measured on the answer itself.

A registration always ends somewhere; on pictures of different scenes too. What tells a true answer from a
false one is collected in `Evidence`; a logistic function turns it into the probability that the answer lies
within 10 px at an infrared width of 320, a log-linear one into the error to expect. Both were fitted by
`benchmarks/gate.py` on pairs with known truth.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import Floats, VisiblePyramid, per_pixel
from vircraft.registration.peak import peak_z_of
from vircraft.registration.refine import (
    LEAST_WEIGHT,
    Refinement,
    Template,
    agreement_weights,
    displacements,
    prior_information,
    refine,
)
from vircraft.registration.warp import Matrix, apply_homography, corner_error_px, corners, unit_matrix

UNIT_WIDTH = 320  # errors are predicted in pixels of an infrared picture this wide


@dataclass(frozen=True)
class Evidence:
    """What is measured on an answer; every field is made so that larger is better or has a plain unit."""

    score: float  # correlation of the edge maps under the answer, -1..1
    peak_z: float  # the same, in standard deviations of the correlation over shifts
    halves_log_px: float  # log of 1 + disagreement of fits on two disjoint halves, pixels at UNIT_WIDTH
    agreeing_share: float  # share of the picture whose neighbourhood agrees, 0..1
    margin: float  # peak_z minus that of the best answer elsewhere
    spread_log_px: float  # log of the corner error that the fit's own covariance predicts
    inliers_log: float  # log of 1 + ORB matches that agree
    alike_log: float  # log of 1 + candidates of the search that ended here
    fine_z_log: float  # log of peak_z at the last width

    def vector(self) -> NDArray[np.float64]:
        """Return the fields as a vector, in the order of the coefficients."""
        return np.array(astuple(self), np.float64)


@dataclass(frozen=True)
class Search:
    """What the search for an answer says of it.

    Attributes:
        rival_z: how far the best answer elsewhere stands out.
        inliers: ORB matches that agree with the answer.
        alike: candidates of the search that ended at the answer too.
        fine_z: `peak_z` at the last width; None where it was not measured, then that of the evidence serves.
    """

    rival_z: float = 0.0
    inliers: int = 0
    alike: int = 0
    fine_z: float | None = None


# fitted by benchmarks/gate.py: constant, then the fields of Evidence in order
LOGIT = (-15.33, 11.14, 0.1923, -1.637, -4.292, 0.1573, -1.06, 1.493, 1.141, 5.921)
LOG_ERROR = (1.446, -0.1429, 0.009846, 0.4306, -0.1893, 0.006154, 0.2972, 0.05823, -0.07399, -0.4572)


def probability(evidence: Evidence) -> float:
    """Return the belief that the answer lies within 10 px of the truth, 0..1."""
    logit = LOGIT[0] + float(np.dot(LOGIT[1:], evidence.vector()))
    return float(1 / (1 + np.exp(-np.clip(logit, -40, 40))))


def predicted_error_px(evidence: Evidence, infrared_width: int) -> float:
    """Return the corner error to expect of a true answer, pixels of an infrared picture this wide."""
    log_error = LOG_ERROR[0] + float(np.dot(LOG_ERROR[1:], evidence.vector()))
    return float(np.exp(np.clip(log_error, -1, 5))) * infrared_width / UNIT_WIDTH


def measure(
    template: Template,
    visible: VisiblePyramid,
    answer: Refinement,
    *,
    anchor: Matrix,
    search: Search,
) -> Evidence:
    """Collect the evidence for an answer.

    Args:
        template: infrared edges at the width where the evidence is measured.
        visible: the visible picture.
        answer: the final refinement.
        anchor: the similarity that the prior was held to.
        search: what the search for it says.
    """
    w, h = template.size_wh
    seen = visible.edges(template.h_level_from_ir @ answer.h_ir_from_vis, (w, h), template.scale)
    z = peak_z_of(template.edges, seen)
    overlap, seen_energy = per_pixel(template.edges, seen), per_pixel(seen, seen)
    energy = float(template.energy.sum()) * float(seen_energy.sum())
    score = float(overlap.sum()) / float(np.sqrt(energy + 1e-6))
    halves = [
        refine(
            template, visible, answer.h_ir_from_vis, steps=6, reweigh=(0, 3), anchor=anchor, mask=mask
        ).h_ir_from_vis
        for mask in _halves(w, h)
    ]
    ir_w = round(w / float(template.h_level_from_ir[0, 0]))
    ir_h = round(h / float(template.h_level_from_ir[1, 1]))
    fine_gain = 1.0 if search.fine_z is None else search.fine_z / max(z, 1.0)
    split = corner_error_px(halves[0], halves[1], (ir_w, ir_h)) * UNIT_WIDTH / ir_w
    return Evidence(
        score=score,
        peak_z=z,
        halves_log_px=float(np.log1p(min(split, 100.0))),
        agreeing_share=_agreeing_share(overlap, template.energy, seen_energy),
        margin=z - search.rival_z,
        spread_log_px=float(np.log(predicted_spread(answer.information, (w, h)) * UNIT_WIDTH / w + 1e-3)),
        inliers_log=float(np.log1p(search.inliers)),
        alike_log=float(np.log1p(search.alike)),
        fine_z_log=float(np.log(max(z * fine_gain, 1.0))),
    )


def _halves(w: int, h: int) -> list[Floats]:
    """Return two complementary chessboards of 6 columns, softened."""
    size = max(4, w // 6)
    board = (np.add.outer(np.arange(h) // size, np.arange(w) // size) % 2).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(board, (0, 0), size / 8), np.float32)
    return [soft, 1 - soft]


def _agreeing_share(agreement: Floats, energy_ir: Floats, energy_vis: Floats) -> float:
    size = int(0.15 * agreement.shape[1]) | 1
    boxes = cv2.blur(np.dstack([agreement, energy_ir, energy_vis]), (size, size))
    local = boxes[..., 0] / np.sqrt(boxes[..., 1] * boxes[..., 2] + 1e-4)
    return float((local > 0.15).mean())


def predicted_spread(information: Matrix, size_wh: tuple[int, int]) -> float:
    """Return the root mean square corner error that the inverse information predicts, template pixels."""
    unit = apply_homography(unit_matrix(size_wh), corners(size_wh))
    return _spread(information, unit) * size_wh[0] / 2


def region_share(template: Template, visible: VisiblePyramid, answer: Refinement) -> float:
    """Return how the error over the structure that agrees compares with that at the corners, 0..1.

    Where one aircraft against a bare sky is all there is, the corners are hardly determined while the
    aircraft is; this is the ratio of the two errors that the fit's covariance predicts.
    """
    w, h = template.size_wh
    seen = visible.edges(template.h_level_from_ir @ answer.h_ir_from_vis, (w, h), template.scale)
    weights = agreement_weights(per_pixel(template.edges, seen), template.energy, per_pixel(seen, seen))
    strength = (weights - LEAST_WEIGHT) * template.energy
    y, x = np.nonzero(strength > 0.5 * float(np.percentile(strength, 99)))
    if len(x) == 0:
        return 1.0
    keep = slice(None, None, max(1, len(x) // 200))
    unit = apply_homography(template.to_unit, np.c_[x[keep], y[keep]])
    at_corners = predicted_spread(answer.information, (w, h)) * 2 / w
    return float(np.clip(_spread(answer.information, unit) / max(at_corners, 1e-9), 0.05, 1.0))


def _spread(information: Matrix, points_unit: Matrix) -> float:
    """Return the root mean square error of points, in unit coordinates, under a fit's covariance."""
    covariance = np.linalg.inv(information + prior_information())
    jacobian = displacements(points_unit)
    total = np.einsum("npi,pq,nqi->", jacobian, covariance, jacobian)
    return float(np.sqrt(max(float(total), 0.0) / len(points_unit)))
