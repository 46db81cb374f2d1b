"""Register the pictures of one rig together: they share one homography, so their evidence adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vircraft.registration.edges import Floats, VisiblePyramid, grey_8bit
from vircraft.registration.pair import (
    WIDTHS,
    Found,
    find,
    judge,
    register_pair,
    unusable,
)
from vircraft.registration.refine import Template, View, correlation, refine_jointly
from vircraft.registration.result import Registration
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import Matrix

POOLED_GAIN = 0.35  # the error falls with this power of the number of pictures of different scenes
MOST_TOGETHER = 24  # pictures refined jointly; of more, the most certain ones are taken

Greys = tuple[Floats, Floats]


def register_rig(
    pairs: Sequence[tuple[NDArray[np.generic], NDArray[np.generic]]],
    settings: RegistrationSettings | None = None,
) -> list[Registration]:
    """Register pairs of pictures that share one homography.

    Each pair is registered alone; every answer is tried on all pairs, the one with the most support is
    refined on all of them at once. Pairs that could not have been registered alone are carried.

    Args:
        pairs: (visible, infrared) pictures as for `register_pair`, all of the same two sizes.
        settings: ranges of the search and thresholds of the gate.

    Returns:
        One registration for each pair, in order; all accepted ones have the same homography.

    Raises:
        ValueError: the pictures differ in size.
    """
    settings = settings or RegistrationSettings()
    if settings.recipe == "paper":
        return [register_pair(v, i, settings) for v, i in pairs]
    if len({(v.shape[:2], i.shape[:2]) for v, i in pairs}) > 1:
        raise ValueError("the pictures of one rig must have one size each")
    greys = [(grey_8bit(v), grey_8bit(i)) for v, i in pairs]
    reasons = [unusable(i, "infrared") or unusable(v, "visible") for v, i in greys]
    found = [None if r else find(v, i, settings) for (v, i), r in zip(greys, reasons, strict=True)]
    alone = [
        Registration("refused", reason=r or "outside-range")
        if f is None
        else judge(f, (i.shape[1], i.shape[0]), settings)
        for f, r, (_, i) in zip(found, reasons, greys, strict=True)
    ]
    sure = [k for k, a in enumerate(alone) if a.status == "fine"]
    if len(sure) < 2:
        if not sure:
            return alone
        only = alone[sure[0]]
        return [only if k == sure[0] else carried(a, only) for k, a in enumerate(alone)]
    sure = sorted(sure, key=lambda k: -alone[k].probability)[:MOST_TOGETHER]
    h, anchor = _most_supported([(greys[k], found[k]) for k in sure])
    pyramids = {k: VisiblePyramid(greys[k][0]) for k in sure}
    for width in WIDTHS[2:]:
        views: list[View] = [(Template(greys[k][1], width), pyramids[k]) for k in sure]
        h = refine_jointly(views, h, anchor=anchor).h_ir_from_vis
    return _pooled(alone, h)


def carried(alone: Registration, source: Registration) -> Registration:
    """Return the pose of a neighbour for a pair that has none of its own."""
    return replace(source.measured_as(alone), reason="carried")


def _most_supported(found: list[tuple[Greys, Found | None]]) -> tuple[Matrix, Matrix]:
    """Return the answer that fits all pairs best, and its anchor."""
    views = [(Template(ir, WIDTHS[1]), VisiblePyramid(vis)) for (vis, ir), _ in found]
    answers = [f for _, f in found if f is not None]

    def support(f: Found) -> float:
        return sum(max(correlation(t, v, f.refinement.h_ir_from_vis), 0.0) for t, v in views)

    best = max(answers, key=support)
    return best.refinement.h_ir_from_vis, best.coarse.start


def _pooled(alone: list[Registration], h: Matrix) -> list[Registration]:
    """Give every pair the shared homography; its error falls with the number of pairs that took part."""
    errors = [a.predicted_error_px for a in alone if a.status == "fine" and a.predicted_error_px is not None]
    error = float(np.median(errors)) / len(errors) ** POOLED_GAIN
    shared = Registration("fine", h, error, model="homography")
    pooled = [carried(a, shared) for a in alone]
    return [replace(p, reason="") if a.status == "fine" else p for p, a in zip(pooled, alone, strict=True)]
