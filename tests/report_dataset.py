"""A small dataset as `vircraft register` leaves it, without running it: journals, pictures, media."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vircraft.dataset import Dataset, journal_path, picture_path
from vircraft.files import encode_png, write_atomically
from vircraft.journal import ClipRecord, EndRecord, FailureRecord, Record, encode, pair_record
from vircraft.registration.result import Registration
from vircraft.registration.warp import warp_visible
from vircraft.report.media import write_pair_media
from vircraft.sampling import FramePair

INFRARED_WH = (160, 128)
VISIBLE_WH = (320, 180)


def true_pose(n: int = 0) -> np.ndarray:
    """Visible to infrared pixels: the infrared view spans half of the visible one, and drifts a little."""
    return np.array([[1.0, 0.01, -80.0 - 0.3 * n], [-0.01, 1.0, -26.0], [0, 0, 1.0]])


def scene(n: int, bits: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Visible and infrared pictures of bright blocks, the infrared one with its contrast reversed."""
    rng = np.random.default_rng(7)
    visible = np.full((VISIBLE_WH[1], VISIBLE_WH[0], 3), 90, np.uint8)
    for _ in range(25):
        x, y = rng.integers(0, VISIBLE_WH[0]), rng.integers(0, VISIBLE_WH[1])
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(visible, (x, y), (x + 24, y + 16), colour, -1)
    infrared = 255 - cv2.cvtColor(warp_visible(visible, true_pose(n), INFRARED_WH), cv2.COLOR_BGR2GRAY)
    return visible, infrared if bits == 8 else infrared.astype(np.uint16) * 40 + 2000


def registration(n: int, verdict: str) -> Registration:
    if verdict == "rejected":
        return Registration("refused", reason="low-score", probability=0.1)
    status = "fine" if verdict == "accepted" else "coarse"
    return Registration(
        status, true_pose(n), 1.0 + 0.25 * n, "", 0.9 - 0.01 * n, 0.4, 0.3, 40, 0.8, "homography"
    )


def clip_record(name: str, **changes: Any) -> ClipRecord:
    lags = np.linspace(-0.5, 0.5, 101)
    stream = {
        "path": f"{name}.mp4",
        "size_wh": [320, 180],
        "rate_fps": 25.0,
        "frame_count": 400,
        "duration_s": 16.0,
        "codec": "h264",
        "bit_depth": 8,
    }
    values: dict[str, Any] = {
        "inputs": {"infrared": {"name": f"{name}_infrared.mp4", "bytes": 1, "blake2b": "00ff"}},
        "inputs_hash": "aa",
        "settings": {},
        "settings_hash": "bb",
        "sync_hash": "cc",
        "probe": {
            "infrared": {
                **stream,
                "remarks": [{"code": "lost-frames", "message": "3 frames lost", "path": None}],
            },
            "visible": stream,
            "remarks": [],
        },
        "sync": {
            "offset_s": 0.12,
            "offset_frames": 3.0,
            "drift_ppm": 0.0,
            "source": "motion",
            "confidence": 0.93,
            "remarks": [],
            "curve_lags_s": lags.tolist(),
            "curve_score": np.exp(-(((lags - 0.12) / 0.05) ** 2)).tolist(),
        },
        "plan": {"pairs": 4, "skipped": {"no-infrared": 2}},
    }
    return ClipRecord(clip=name, **{**values, **changes})


def build(
    root: Path,
    clips: dict[str, list[str]] | None = None,
    failures: list[FailureRecord] | None = None,
    *,
    bits: int = 8,
    media: bool = True,
    record_of: Callable[..., ClipRecord] = clip_record,
) -> Path:
    """Make a dataset: clip name -> verdicts of its pairs, and failures with journals of their own."""
    if clips is None:
        clips = {"approach": ["accepted", "coarse_only", "rejected", "accepted"]}
    Dataset(root, "dataset", {"sampling": {"every": 10}}, {"vircraft": "0.1.0"}).write_manifest()
    for name, verdicts in clips.items():
        records: list[Record] = [record_of(name)]
        records += [add_pair(root, name, n, verdict, bits, media) for n, verdict in enumerate(verdicts)]
        records.append(EndRecord(name, {}))
        write_atomically(journal_path(root, name), b"".join(map(encode, records)))
    for n, failure in enumerate(failures or []):
        write_atomically(journal_path(root, f"failed{n}"), encode(failure))
    return root


def add_pair(root: Path, clip: str, n: int, verdict: str, bits: int = 8, media: bool = True) -> Record:
    visible, infrared = scene(n, bits)
    pair = FramePair(
        f"{clip}_{10 * n:06d}", clip, 10 * n, 10 * n, 10 * n + 3, 0.4 * n, 0.4 * n + 0.12, infrared, visible
    )
    answer = registration(n, verdict)
    warped = None
    if answer.h_ir_from_vis is not None:
        warped = warp_visible(visible, answer.h_ir_from_vis, INFRARED_WH)
        write_atomically(picture_path(root, "infrared", pair.id), encode_png(infrared))
        write_atomically(picture_path(root, "visible", pair.id), encode_png(warped))
    if media:
        write_pair_media(root / "report", pair, answer, warped)
    frames = {
        "id": pair.id,
        "clip": clip,
        "tick": pair.tick,
        "infrared_index": pair.infrared_index,
        "visible_index": pair.visible_index,
        "infrared_time_s": pair.infrared_time_s,
        "visible_time_s": pair.visible_time_s,
        "infrared_wh": INFRARED_WH,
        "visible_wh": VISIBLE_WH,
        "sync": {"offset_frames": 3.0, "source": "motion", "confidence": 0.93},
        "inputs_hash": "aa",
        "settings_hash": "bb",
    }
    return pair_record(frames, answer)
