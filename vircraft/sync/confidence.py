"""How far an offset can be believed: a logistic fitted to re-cut recordings and to wrong pairings."""

from __future__ import annotations

import math

from vircraft.sync.search import Finding

# Weights of what speaks for an answer, fitted to 448 trials: real and simulated clips cut to 0.5-8 s,
# and half of them paired with another clip's visible stream (docs/notes/sync.md).
CONSTANT = -7.05
SCORE = 9.06  # correlation of flow plus half that of activity
LEAD = 16.3  # how far it is ahead of the best other offset
DEVIATION = -0.35  # log of the median deviation of pieces, frames
OVERLAP = 1.50  # log of the seconds that both streams were seen


def confidence_of(found: Finding | None) -> float:
    """Return the belief that a finding is right to a frame, 0..1."""
    if found is None:
        return 0.0
    features = found.features
    if features["edge"]:  # the evidence still rises where the search ends
        return 0.0
    belief = (
        CONSTANT
        + SCORE * features["score"]
        + LEAD * (features["score"] - max(features["rival"], 0.0))
        + DEVIATION * math.log(min(max(features["deviation"], 0.03), 5.0))
        + OVERLAP * math.log(min(max(features["overlap_s"], 0.2), 10.0))
    )
    return 1.0 / (1.0 + math.exp(-min(max(belief, -30.0), 30.0)))
