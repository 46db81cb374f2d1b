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
    "weak-evidence": "the evidence for the fine pose is weak; the coarse one is given",
    "no-evidence": "neither this frame nor its neighbours say where it belongs",
    "large-error": "the predicted error is above the limit",
    "outside-range": "no pose within the scale and rotation that the settings allow",
    "few-matches": "too few ORB matches; the coarse pose is given",
    "infrared-constant": "the infrared frame is (nearly) constant",
    "visible-constant": "the visible frame is (nearly) constant",
    "infrared-saturated": "the infrared frame is nearly all black or white",
    "visible-saturated": "the visible frame is nearly all black or white",
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
