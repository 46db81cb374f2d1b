"""The answer of a registration: a homography with a measured quality, or a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["fine", "coarse", "refused"]
Model = Literal["", "shift_scale", "similarity", "affine", "homography"]


@dataclass(frozen=True)
class Registration:
    """What was found for one pair.

    Attributes:
        status: `fine` passed the gate, `coarse` rests on the coarse stage alone, `refused` has no answer.
        h_ir_from_vis: (3, 3) float64 with h22 = 1, visible pixels to infrared pixels, pixel centres at
            integers; None when refused.
        predicted_error_px: expected mean error of the four infrared corners, in infrared pixels; None when
            refused.
        predicted_region_error_px: the same over the structure that the two pictures share (often the
            aircraft alone), where it is known; at most `predicted_error_px`.
        reason: "" or a stable code (`carried`, `low-score`, `constant-frame`, `saturated`, ...).
        probability: the gate's belief that the answer lies within 10 px, 0..1.
        score: correlation of the two oriented edge maps under the final pose, -1..1.
        coarse_score: the same at the end of the coarse stage.
        inliers: ORB matches that agree with the homography.
        residual_px: their root mean square distance from it, infrared pixels; nan without matches.
        model: the richest motion model that the evidence supported.
    """

    status: Status
    h_ir_from_vis: NDArray[np.float64] | None = None
    predicted_error_px: float | None = None
    reason: str = ""
    probability: float = 0.0
    score: float = 0.0
    coarse_score: float = 0.0
    inliers: int = 0
    residual_px: float = float("nan")
    model: Model = ""
    predicted_region_error_px: float | None = None

    def measured_as(self, own: Registration) -> Registration:
        """Return this answer with what was measured on one pair itself, whatever pose that pair is given."""
        return replace(
            self,
            probability=own.probability,
            score=own.score,
            coarse_score=own.coarse_score,
            inliers=own.inliers,
            residual_px=own.residual_px,
        )

    def __post_init__(self) -> None:
        if (self.status == "refused") != (self.h_ir_from_vis is None):
            raise ValueError("a refused registration has no homography, any other has one")
        if self.h_ir_from_vis is not None:
            h = self.h_ir_from_vis
            if h.shape != (3, 3) or not np.isfinite(h).all():
                raise ValueError(f"h_ir_from_vis must be a finite (3, 3) matrix, got {h!r}")
