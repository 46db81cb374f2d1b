"""Dense refinement: Lucas-Kanade on oriented edges, from a similarity to the homography.

The infrared edges are the template T, the visible ones V. Under the true motion V is about a T plus edges
that only one modality sees, so each step solves the weighted normal equations of V(A x) / a - T for a small
motion of the template (inverse compositional, Baker and Matthews 2004), with two additions:

* weights: where a neighbourhood of T and V agrees it counts, where it does not it hardly does;
* a prior: two cameras on one rig look the same way, so the homography is nearly a similarity. Stretch, shear
  and perspective are held towards zero with a standard deviation of `PRIOR_SD`, against the evidence's own
  noise. Where a picture carries little structure the simplest model that explains it remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import (
    FINE,
    EdgeScale,
    Floats,
    VisiblePyramid,
    oriented_edges,
    per_pixel,
    resize_grey,
)
from vircraft.registration.warp import Matrix, resize_matrix, unit_matrix

TRANSLATION, SIMILARITY, AFFINE, HOMOGRAPHY = 2, 4, 6, 8  # free parameters, in the order of GENERATORS

PRIOR_SD = 0.012  # stretch, shear, perspective over half the infrared width: 2 px at the corner of 320
CORRELATED_PX = 10.0  # pixels that share one edge's noise; the residuals are not independent
CELL_SHARE = 0.15  # width of the neighbourhood whose agreement weighs a pixel, share of the template
LEAST_WEIGHT = 0.05  # of a pixel whose neighbourhood does not agree at all
MARGIN_SHARE = 0.1  # the visible edges are prepared this much beyond the template's border
MAX_STEP = 0.06  # of one iteration, half widths

# translations x, y; scale, rotation; stretch, shear; perspective x, y: in coordinates where the picture's
# centre is 0 and its half width is 1
GENERATORS = np.zeros((8, 3, 3))
GENERATORS[0, 0, 2] = GENERATORS[1, 1, 2] = 1
GENERATORS[2, 0, 0] = GENERATORS[2, 1, 1] = 1
GENERATORS[3, 0, 1], GENERATORS[3, 1, 0] = -1, 1
GENERATORS[4, 0, 0], GENERATORS[4, 1, 1] = 1, -1
GENERATORS[5, 0, 1] = GENERATORS[5, 1, 0] = 1
GENERATORS[6, 2, 0] = GENERATORS[7, 2, 1] = 1


class Template:
    """The infrared edges at one width, with what every step of every candidate needs of them.

    Attributes:
        size_wh: of the template, pixels.
        edges: (H, W, 2).
        h_level_from_ir: (3, 3), full-size infrared pixels to template pixels.
        to_unit: (3, 3), template pixels to coordinates with the centre at 0 and half the width 1.
        jacobian: (8, H * W * 2), d edges / d parameter.
    """

    def __init__(self, infrared: Floats, width: int, scale: EdgeScale = FINE) -> None:
        height_ir, width_ir = infrared.shape
        w = min(width, width_ir)
        h = max(8, round(w * height_ir / width_ir))
        self.size_wh = (w, h)
        self.scale = scale
        self.edges = oriented_edges(resize_grey(infrared, (w, h)), scale)
        self.energy = per_pixel(self.edges, self.edges)
        self.h_level_from_ir = resize_matrix((width_ir, height_ir), (w, h))
        self.to_unit = unit_matrix((w, h))
        self.from_unit: Matrix = np.asarray(np.linalg.inv(self.to_unit))
        self.jacobian = _jacobian(self.edges)
        self._plain: Matrix | None = None

    def hessian(self, weights: Floats | None = None, parameters: int = HOMOGRAPHY) -> Matrix:
        """Return J^T W J, (n, n); without weights it is made once."""
        if weights is None:
            if self._plain is None:
                self._plain = (self.jacobian @ self.jacobian.T).astype(np.float64)
            return self._plain[:parameters, :parameters]
        j = self.jacobian[:parameters]
        return ((j * np.repeat(weights.ravel(), 2)) @ j.T).astype(np.float64)


def _jacobian(edges: Floats) -> Floats:
    h, w = edges.shape[:2]
    x = ((2 * np.arange(w) + 1 - w) / w).astype(np.float32)[None, :, None]
    y = ((2 * np.arange(h) + 1 - h) / w).astype(np.float32)[:, None, None]
    tx = np.asarray(cv2.Sobel(edges, cv2.CV_32F, 1, 0, scale=w / 16), np.float32)
    ty = np.asarray(cv2.Sobel(edges, cv2.CV_32F, 0, 1, scale=w / 16), np.float32)
    sx, sy = tx * x, ty * y
    radial = sx + sy
    rows = [tx, ty, radial, ty * x - tx * y, sx - sy, tx * y + ty * x, -radial * x, -radial * y]
    return np.stack(rows).reshape(HOMOGRAPHY, -1)


@dataclass(frozen=True)
class Refinement:
    """Where a refinement ended.

    Attributes:
        h_ir_from_vis: (3, 3), h22 = 1.
        score: weighted normalised cross correlation of the edges before the last step, -1..1.
        information: (8, 8) inverse covariance of the parameters (unit coordinates) by the evidence alone.
    """

    h_ir_from_vis: Matrix
    score: float
    information: Matrix


View = tuple[Template, VisiblePyramid]


def refine(
    template: Template,
    visible: VisiblePyramid,
    h_ir_from_vis: Matrix,
    *,
    parameters: int = HOMOGRAPHY,
    steps: int = 8,
    reweigh: tuple[int, ...] = (0, 3, 6),
    anchor: Matrix | None = None,
    mask: Floats | None = None,
) -> Refinement:
    """Move a homography to the best agreement of the edges near it.

    Args:
        template: the infrared edges at the width to work at.
        visible: the visible picture.
        h_ir_from_vis: (3, 3) start, within a few template pixels of the answer.
        parameters: SIMILARITY, AFFINE or HOMOGRAPHY.
        steps: iterations at most.
        reweigh: iterations at which the weights are made anew; empty for none at all.
        anchor: the motion from which stretch, shear and perspective are measured for the prior; the start
            when None.
        mask: (H, W) of the template, further weights 0..1; needs `reweigh`.
    """
    views = [(template, visible)]
    return refine_jointly(
        views, h_ir_from_vis, parameters=parameters, steps=steps, reweigh=reweigh, anchor=anchor, mask=mask
    )


def refine_jointly(
    views: Sequence[View],
    h_ir_from_vis: Matrix,
    *,
    parameters: int = HOMOGRAPHY,
    steps: int = 8,
    reweigh: tuple[int, ...] = (0, 3, 6),
    anchor: Matrix | None = None,
    mask: Floats | None = None,
) -> Refinement:
    """Move one homography to the best agreement over several pictures of one rig; as `refine` otherwise.

    All templates must have one size. The score is the mean over the views.
    """
    template = views[0][0]
    if any(t.size_wh != template.size_wh for t, _ in views):
        raise ValueError("the templates of a joint refinement must have one size")
    w, h = template.size_wh
    n, pad = parameters, round(MARGIN_SHARE * w)
    h_patch_from_vis = _shift(pad) @ template.h_level_from_ir @ h_ir_from_vis
    patch_wh = (w + 2 * pad, h + 2 * pad)
    seen = [_Seen(t, v.edges(h_patch_from_vis, patch_wh, t.scale), n, mask) for t, v in views]
    a_level_from_patch = _shift(-pad)
    anchor = h_ir_from_vis if anchor is None else anchor
    from_anchor = np.linalg.inv(anchor) @ np.linalg.inv(template.h_level_from_ir) @ template.from_unit
    prior = np.zeros(n)
    prior[SIMILARITY:] = 1 / PRIOR_SD**2
    score, evidence = -1.0, np.eye(n)
    for step in range(steps):
        parts = [s.normal_equations(a_level_from_patch, reweigh=step in reweigh) for s in seen]
        evidence = np.sum([p[0] for p in parts], axis=0)
        gradient = np.sum([p[1] for p in parts], axis=0)
        score = float(np.mean([p[2] for p in parts]))
        deformation = _deformation(template.to_unit @ a_level_from_patch @ h_patch_from_vis @ from_anchor)
        matrix = evidence + np.diag(prior + 1e-3) + np.diag(np.diag(evidence)) * 0.02
        delta = np.linalg.solve(matrix, gradient - prior * deformation[:n])
        largest = float(np.abs(delta).max())
        if largest > MAX_STEP:
            delta *= MAX_STEP / largest
        motion = np.eye(3) + np.tensordot(delta, GENERATORS[:n], 1)
        a_level_from_patch = template.from_unit @ motion @ template.to_unit @ a_level_from_patch
        if largest < 3e-4:
            break
    result = np.linalg.inv(template.h_level_from_ir) @ a_level_from_patch @ h_patch_from_vis
    return Refinement(result / result[2, 2], score, evidence)


class _Seen:
    """One view during a refinement: the visible edges near the start, the weights, the Hessian."""

    def __init__(self, template: Template, patch: Floats, parameters: int, mask: Floats | None) -> None:
        self.template, self.patch, self.n, self.mask = template, patch, parameters, mask
        self.flat = template.edges.ravel()
        self.weights: Floats | None = None
        self.hessian: Matrix | None = None
        self.tt = self.count = 0.0
        self.jt = np.zeros(parameters)

    def normal_equations(self, a_level_from_patch: Matrix, *, reweigh: bool) -> tuple[Matrix, Matrix, float]:
        """Return evidence matrix (n, n), its gradient (n,), both over the noise's variance, and the score."""
        t = self.template
        now = np.asarray(
            cv2.warpPerspective(self.patch, a_level_from_patch, t.size_wh, flags=cv2.INTER_LINEAR), np.float32
        )
        if reweigh:
            weights = agreement_weights(per_pixel(t.edges, now), t.energy, per_pixel(now, now))
            self._weigh(weights if self.mask is None else weights * self.mask)
        elif self.hessian is None:
            self._weigh(None)
        assert self.hessian is not None
        v = now.ravel()
        weighted = v if self.weights is None else (now * self.weights[..., None]).ravel()
        tv, vv, tt = float(self.flat @ weighted), float(v @ weighted), self.tt
        score = tv / float(np.sqrt(tt * vv + 1e-6))
        gain = 1 / max(tv / max(tt, 1e-6), 0.1)
        # the weighted sum of squares of gain * V - T, and J^T W (gain * V - T), written out
        squares = gain * gain * vv - 2 * gain * tv + tt
        noise = max(squares / self.count * CORRELATED_PX, 1e-6)
        gradient = gain * (t.jacobian[: self.n] @ weighted).astype(np.float64) - self.jt
        return self.hessian / noise, gradient / noise, score

    def _weigh(self, weights: Floats | None) -> None:
        """Take weights (H, W), None for all one, and what follows from them alone."""
        t = self.template
        self.weights = weights
        self.hessian = t.hessian(weights, self.n)
        weighted = self.flat if weights is None else (t.edges * weights[..., None]).ravel()
        self.tt = float(self.flat @ weighted)
        self.jt = (t.jacobian[: self.n] @ weighted).astype(np.float64)
        self.count = 2 * (t.energy.size if weights is None else float(weights.sum()))


def agreement_weights(agreement: Floats, energy_ir: Floats, energy_vis: Floats) -> Floats:
    """Return a weight per pixel from the correlation of its neighbourhood, LEAST_WEIGHT..1.05."""
    size = int(CELL_SHARE * agreement.shape[1]) | 1
    boxes = cv2.boxFilter(
        np.dstack([agreement, energy_ir, energy_vis]), -1, (size, size), borderType=cv2.BORDER_CONSTANT
    )
    local = boxes[..., 0] / np.sqrt(boxes[..., 1] * boxes[..., 2] + 1e-4)
    return np.asarray(np.maximum(local, 0) + LEAST_WEIGHT, np.float32)


def correlation(template: Template, visible: VisiblePyramid, h_ir_from_vis: Matrix) -> float:
    """Return the normalised cross correlation of the two edge maps under a homography, -1..1."""
    seen = visible.edges(template.h_level_from_ir @ h_ir_from_vis, template.size_wh, template.scale)
    both = float(np.vdot(template.edges, seen))
    return both / float(np.sqrt(float(template.energy.sum()) * float(np.vdot(seen, seen)) + 1e-6))


def prior_information() -> Matrix:
    """Return what the prior knows of the eight parameters, (8, 8); next to nothing of the first four."""
    return np.diag([1e-3] * SIMILARITY + [1 / PRIOR_SD**2] * (HOMOGRAPHY - SIMILARITY))


def displacements(points_unit: Matrix) -> Matrix:
    """Return (N, 8, 2): how points in unit coordinates move with each of the parameters, at no motion."""
    moves = np.einsum("pij,nj->npi", GENERATORS, np.c_[points_unit, np.ones(len(points_unit))])
    return np.asarray(moves[..., :2] - moves[..., 2:] * points_unit[:, None, :])


def _shift(pixels: float) -> Matrix:
    return np.array([[1, 0, pixels], [0, 1, pixels], [0, 0, 1.0]])


def _deformation(h_unit: Matrix) -> NDArray[np.float64]:
    """Return the eight parameters of a motion near a similarity; only stretch to perspective are filled."""
    h = h_unit / h_unit[2, 2]
    scale = max(float(np.sqrt(abs(np.linalg.det(h[:2, :2])))), 1e-6)
    out = np.zeros(8)
    out[4] = (h[0, 0] - h[1, 1]) / (2 * scale)
    out[5] = (h[0, 1] + h[1, 0]) / (2 * scale)
    out[6:] = h[2, :2]
    return out
