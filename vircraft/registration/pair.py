"""Register one infrared and one visible picture: coarse search, ORB, dense refinement, gate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vircraft.registration import coarse, paper
from vircraft.registration.edges import Floats, VisiblePyramid, grey_8bit
from vircraft.registration.fine import OrbFit, match_orb
from vircraft.registration.gate import Evidence, Search, measure, predicted_error_px, probability
from vircraft.registration.peak import peak_z
from vircraft.registration.refine import (
    AFFINE,
    HOMOGRAPHY,
    SIMILARITY,
    Refinement,
    Template,
    correlation,
    refine,
)
from vircraft.registration.result import Registration
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.settle import settle
from vircraft.registration.warp import Matrix, corner_error_px

BEAM = 30  # candidates of the coarse search that are refined
WIDTHS = (80, 112, 160, 320)  # of the infrared edges at the four refinements
SURVIVORS = (8, 3)  # candidates kept after the first and the second
COARSE_ERROR_SHARE = 0.02  # what a similarity leaves over on a rig of two cameras, of the infrared width
SATURATED_SHARE = 0.98  # black and white pixels alone beyond this share
LEAST_SIDE_PX = 16  # of either picture
LONGEST_SIDE = 8  # times the shorter one; no camera's picture is longer
ELSEWHERE_SHARE = 0.08  # an answer further off than this share of the infrared width is another one
ALIKE_SHARE = 0.06  # candidates that end within this share of it support an answer


@dataclass(frozen=True)
class Tried:
    """A candidate on its way: where the coarse stage put it, where it is now, how far it stands out."""

    start: Matrix
    now: Refinement
    z: float


@dataclass(frozen=True)
class Found:
    """The best answer for a pair, before the gate has judged it."""

    refinement: Refinement
    coarse: Tried
    coarse_score: float  # correlation of the edges at the end of the coarse stage
    orb: OrbFit | None
    evidence: Evidence


def find(visible: Floats, infrared: Floats, settings: RegistrationSettings) -> Found | None:
    """Return the best homography between two grey pictures (float32, 0..255) and the evidence for it.

    None when the infrared view fits nowhere in the range searched, or the geometry degenerates.
    """
    try:
        found = _find(visible, infrared, settings)
    except np.linalg.LinAlgError:  # an answer collapsed into a line
        return None
    if found is None or not np.isfinite(found.refinement.h_ir_from_vis).all():
        return None
    return found


def _find(visible: Floats, infrared: Floats, settings: RegistrationSettings) -> Found | None:
    candidates = coarse.search(visible, infrared, settings, BEAM)
    if not candidates:
        return None
    pyramid = VisiblePyramid(visible)
    ir_wh = (infrared.shape[1], infrared.shape[0])
    template = Template(infrared, WIDTHS[0])
    beam = [_similarity(template, pyramid, c.h_ir_from_vis) for c in candidates]
    beam.sort(key=lambda t: -t.z)
    settled = []
    for t in beam[: SURVIVORS[0]]:
        again = _similarity(template, pyramid, settle(template, pyramid, t.start))
        settled.append(again if again.z > t.z else t)
    template = Template(infrared, WIDTHS[1])
    affine = sorted((_improve(template, pyramid, t, AFFINE, 6) for t in settled), key=lambda t: -t.z)
    template = Template(infrared, WIDTHS[2])
    full = [_improve(template, pyramid, t, HOMOGRAPHY, 8) for t in affine[: SURVIVORS[1]]]
    full.sort(key=lambda t: -t.z)
    best = full[0]
    orb = match_orb(template, pyramid, best.now.h_ir_from_vis)
    if orb is not None:
        from_orb = refine(template, pyramid, orb.h_ir_from_vis, anchor=best.start)
        z = peak_z(template, pyramid, from_orb.h_ir_from_vis)
        if z > best.z:
            best = Tried(best.start, from_orb, z)
    last_template = Template(infrared, WIDTHS[3])
    last = refine(last_template, pyramid, best.now.h_ir_from_vis, steps=6, reweigh=(0, 3), anchor=best.start)
    search = Search(
        rival_z=max(
            (t.z for t in affine[1:] + full[1:] if _apart(t, best, ir_wh) > ELSEWHERE_SHARE), default=0.0
        ),
        inliers=orb.inliers if orb else 0,
        alike=sum(_apart(t, best, ir_wh) < ALIKE_SHARE for t in beam + affine),
        fine_z=peak_z(last_template, pyramid, last.h_ir_from_vis),
    )
    evidence = measure(
        template,
        pyramid,
        Refinement(last.h_ir_from_vis, last.score, best.now.information),
        anchor=best.start,
        search=search,
    )
    return Found(last, best, correlation(template, pyramid, best.start), orb, evidence)


def _apart(a: Tried, b: Tried, ir_wh: tuple[int, int]) -> float:
    """Return the distance of two answers as a share of the infrared width."""
    return corner_error_px(a.now.h_ir_from_vis, b.now.h_ir_from_vis, ir_wh) / ir_wh[0]


def _similarity(template: Template, pyramid: VisiblePyramid, h_ir_from_vis: Matrix) -> Tried:
    now = refine(template, pyramid, h_ir_from_vis, parameters=SIMILARITY, steps=5, reweigh=())
    return Tried(now.h_ir_from_vis, now, peak_z(template, pyramid, now.h_ir_from_vis))


def _improve(template: Template, pyramid: VisiblePyramid, tried: Tried, parameters: int, steps: int) -> Tried:
    now = refine(
        template, pyramid, tried.now.h_ir_from_vis, parameters=parameters, steps=steps, anchor=tried.start
    )
    return Tried(tried.start, now, peak_z(template, pyramid, now.h_ir_from_vis))


def register_pair(
    visible: NDArray[np.generic], infrared: NDArray[np.generic], settings: RegistrationSettings | None = None
) -> Registration:
    """Register one visible picture to one infrared picture.

    Args:
        visible: (H, W, 3) BGR or (H, W), 8 or 16 bit.
        infrared: (H, W), 8 or 16 bit; (H, W, 3) is taken as grey.
        settings: ranges of the search and thresholds of the gate.

    Returns:
        `fine` with a homography, `coarse` with a similarity when the gate is half convinced, or `refused`.

    Raises:
        ValueError: a picture has another shape or type of pixels.
    """
    settings = settings or RegistrationSettings()
    grey_vis, grey_ir = grey_8bit(visible), grey_8bit(infrared)
    reason = misshapen(grey_ir, "infrared") or misshapen(grey_vis, "visible")
    if reason:
        return Registration("refused", reason=reason)
    if settings.recipe == "paper":
        return paper.register_greys(grey_vis, grey_ir, settings)
    reason = unusable(grey_ir, "infrared") or unusable(grey_vis, "visible")
    if reason:
        return Registration("refused", reason=reason)
    found = find(grey_vis, grey_ir, settings)
    if found is None:
        return Registration("refused", reason="outside-range")
    return judge(found, (infrared.shape[1], infrared.shape[0]), settings)


def judge(found: Found, infrared_wh: tuple[int, int], settings: RegistrationSettings) -> Registration:
    """Let the gate turn what was found into an answer or a refusal."""
    belief = probability(found.evidence)
    error = predicted_error_px(found.evidence, infrared_wh[0])
    answer = Registration(
        "refused",
        probability=belief,
        score=found.evidence.score,
        coarse_score=found.coarse_score,
        inliers=found.orb.inliers if found.orb else 0,
        residual_px=found.orb.residual_px if found.orb else float("nan"),
    )
    if not belief >= settings.coarse_probability:  # a nan too
        return replace(answer, reason="low-score")
    if belief >= settings.accept_probability and error <= settings.max_error_px:
        h = found.refinement.h_ir_from_vis
        return replace(answer, status="fine", h_ir_from_vis=h, predicted_error_px=error, model="homography")
    coarse_error = float(np.hypot(error, COARSE_ERROR_SHARE * infrared_wh[0]))
    if coarse_error > settings.max_error_px:
        return replace(answer, reason="large-error")
    return replace(
        answer,
        status="coarse",
        h_ir_from_vis=found.coarse.start,
        predicted_error_px=coarse_error,
        reason="weak-evidence",
        model="similarity",
    )


def unusable(grey: Floats, which: str) -> str:
    """Return a reason code when a picture (float32, 0..255) carries nothing to register, else \"\"."""
    if shape := misshapen(grey, which):
        return shape
    small = grey[::4, ::4]
    if float(small.max() - small.min()) < 3:
        return f"{which}-constant"
    if float(np.mean((small <= 1) | (small >= 254))) > SATURATED_SHARE:
        return f"{which}-saturated"
    return ""


def misshapen(grey: Floats, which: str) -> str:
    """Return a reason code when a picture is too small or too long to be searched, else \"\"."""
    short, long = sorted(grey.shape)
    if short < LEAST_SIDE_PX:
        return f"{which}-too-small"
    return f"{which}-too-long" if long > LONGEST_SIDE * short else ""
