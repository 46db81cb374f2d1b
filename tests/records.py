"""Journal records for tests."""

from __future__ import annotations

from typing import Any

from vircraft.journal import ClipRecord, PairRecord

SYNC = {"offset_frames": 2.0, "drift_ppm": 0.0, "source": "motion", "confidence": 0.9}


def clip_record(clip: str = "a", **changes: Any) -> ClipRecord:
    """Return the record of a clip."""
    values: dict[str, Any] = {
        "clip": clip,
        "inputs": {"infrared": {"name": f"{clip}_infrared.mp4", "bytes": 9, "blake2b": "00"}},
        "inputs_hash": "11",
        "settings": {"sampling": {"every": 10}},
        "settings_hash": "22",
        "sync_hash": "33",
        "probe": {"infrared": {}, "visible": {}, "remarks": []},
        "sync": {**SYNC, "remarks": [], "curve_lags_s": [], "curve_score": []},
        "plan": {"pairs": 2, "skipped": {}},
        "software": {"vircraft": "0"},
    }
    return ClipRecord(**{**values, **changes})


def pair(tick: int = 120, clip: str = "a", **changes: Any) -> PairRecord:
    """Return the record of an accepted pair."""
    values: dict[str, Any] = {
        "id": f"{clip}_{tick:06d}",
        "clip": clip,
        "tick": tick,
        "infrared_index": tick,
        "visible_index": tick + 2,
        "infrared_time_s": tick / 50,
        "visible_time_s": (tick + 2) / 50,
        "infrared_wh": (640, 512),
        "visible_wh": (1920, 1080),
        "sync": SYNC,
        "verdict": "accepted",
        "reason": "",
        "h_ir_from_vis": [[0.5, 0.0, -3.0], [0.0, 0.5, 1 / 3], [0.0, 1e-6, 1.0]],
        "predicted_error_px": 1.5,
        "model": "affine",
        "probability": 0.97,
        "score": 0.4,
        "coarse_score": 0.3,
        "inliers": 40,
        "residual_px": 0.8,
        "inputs_hash": "11",
        "settings_hash": "22",
        "files": {},
    }
    return PairRecord(**{**values, **changes})
