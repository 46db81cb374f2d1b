"""Codes of the records in words that a reader of the report understands."""

from __future__ import annotations

VERDICT_WORDS = {
    "accepted": "accepted",
    "coarse_only": "coarse only",
    "rejected": "rejected",
    "human": "set by hand",
}

# Shown beside a verdict, never by colour alone.
VERDICT_SIGNS = {"accepted": "✓", "coarse_only": "≈", "rejected": "✕", "human": "✎"}

# Verdicts that need no reason.
UNEXPLAINED_WORDS = {
    "accepted": "passed every check",
    "coarse_only": "rests on the coarse stage alone",
    "human": "somebody set the pose",
}

REASON_WORDS = {
    "carried": "this frame says little by itself; the pose comes from its neighbours",
    "low-score": "the edges of the two pictures do not agree well enough anywhere",
    "low-probability": "the evidence for the best pose is too weak",
    "constant-frame": "one of the frames is (nearly) constant",
    "constant": "one of the frames is (nearly) constant",
    "saturated": "one of the frames is saturated",
    "saturated-frame": "one of the frames is saturated",
    "low-texture": "too few edges to go by",
    "no-structure": "too few edges to go by",
    "ambiguous": "two poses explain the pictures about equally well",
    "implausible": "the pose found is outside the scale or rotation that was allowed",
    "large-error": "the predicted error is above the limit",
    "disagrees": "the pose disagrees with those of the neighbouring frames",
}

SKIP_WORDS = {
    "no-infrared": "no infrared frame within half a frame of the tick",
    "no-visible": "no visible frame within half a frame of the tick",
    "no-overlap": "only one camera was running",
}

SOURCE_WORDS = {
    "option": "given with --offset",
    "sidecar": "read from the clip's .sync.toml file",
    "container": "from the start times in the two files",
    "motion": "estimated from the motion that both cameras saw",
    "assumed": "assumed: there was no evidence",
    "csv": "given in clips.csv",
}


def confidence_words(confidence: float) -> str:
    """Return how sure a confidence of 0..1 is."""
    for least, words in ((0.9, "very sure"), (0.7, "fairly sure"), (0.5, "somewhat sure"), (0.25, "unsure")):
        if confidence >= least:
            return words
    return "no more than a guess"


def reason_words(verdict: str, reason: str) -> str:
    """Return why a pair got its verdict, in words; an unknown code speaks for itself."""
    if not reason:
        return UNEXPLAINED_WORDS.get(verdict, "no reason recorded")
    return REASON_WORDS.get(reason, reason.replace("-", " "))
