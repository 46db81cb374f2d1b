"""One pair as one picture: both frames, edges, a checkerboard, the labels, and a caption."""

from __future__ import annotations

import difflib
from pathlib import Path

import cv2
import numpy as np

from vircraft.dataset import Dataset
from vircraft.errors import DatasetError
from vircraft.journal import PairRecord
from vircraft.report import words
from vircraft.report.drawing import Picture, checkerboard, edge_overlay
from vircraft.report.labelled import load_frame, pair_labels
from vircraft.report.layout import GROUND, INK, MUTED, joined, panel, write_line
from vircraft.report.marks import DrawnAircraft, draw_aircraft
from vircraft.report.views import whole

PANEL_WIDTH = 640  # smaller pictures are enlarged to it, larger ones keep their size up to MAX_PANEL_WIDTH
MAX_PANEL_WIDTH = 1280
CAPTION_HEIGHT = 86
_VERDICT_BGR = {
    "accepted": (147, 206, 79),
    "coarse_only": (74, 176, 240),
    "rejected": (128, 138, 255),
    "human": (248, 180, 138),
}


def find_pair(dataset: Dataset, pair_id: str) -> PairRecord:
    """Return the record of a pair; the name of one of its files will do as well.

    Raises:
        DatasetError: there is no such pair; the message names ids that are near.
    """
    if pair_id.endswith((".png", ".json")):
        pair_id = Path(pair_id).stem
    known = []
    for record in dataset.pairs():
        if record.id == pair_id:
            return record
        known.append(record.id)
    if not known:
        raise DatasetError(f"{dataset.root}: holds no pair yet; run 'vircraft register' on some clips")
    near = [pair for pair in known if pair_id and pair.startswith(pair_id)][:3]
    near = near or difflib.get_close_matches(pair_id, known, n=3, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else f"{known[0]} is one of its {len(known)}"
    raise DatasetError(f"{dataset.root}: has no pair {pair_id!r}; {hint} (pairs.csv lists them all)")


def draw_pair(dataset_root: Path, pair_id: str) -> Picture:
    """Draw one pair of a dataset.

    A registered pair shows the infrared frame, the registered visible one, the infrared edges over the
    visible frame and a checkerboard of both; a rejected one its two frames as they came. Labels are drawn on
    both frames.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        DatasetError: no dataset, no such pair, or its pictures are gone.
    """
    record = find_pair(Dataset.open(dataset_root), pair_id)
    registered = record.verdict != "rejected"
    infrared = load_frame(dataset_root, "infrared", record)
    visible = load_frame(dataset_root, "visible", record)
    if registered and infrared.shape != visible.shape:
        raise DatasetError(
            f"{record.id}: the visible picture is {visible.shape[1]}x{visible.shape[0]} and the infrared one "
            f"{infrared.shape[1]}x{infrared.shape[0]}; run 'vircraft register' with --force register"
        )
    aircraft, note = _labels(dataset_root, record.id)
    size_wh = (infrared.shape[1], infrared.shape[0])
    width = min(max(infrared.shape[1], PANEL_WIDTH), MAX_PANEL_WIDTH)
    height = round(infrared.shape[0] * width / infrared.shape[1])
    infrared, visible = _fitted(infrared, width, height), _fitted(visible, width, height)
    title = "visible, registered" if registered else "visible, as recorded"
    panels = [
        ("infrared", _labelled(infrared, aircraft, size_wh)),
        (title, _labelled(visible, aircraft, size_wh) if registered else visible),
    ]
    if registered:
        panels.append(("infrared edges over visible", edge_overlay(infrared, visible)))
        panels.append(("checkerboard", checkerboard(infrared, visible)))
    rows = [np.hstack(joined([panel(*p) for p in panels[n : n + 2]], 1)) for n in range(0, len(panels), 2)]
    caption = _caption(record, note, rows[0].shape[1])
    return np.vstack([caption, *joined(rows, 0)]).astype(np.uint8)


def _labels(root: Path, pair_id: str) -> tuple[tuple[DrawnAircraft, ...], str]:
    """Return what is drawn of a pair's labels, and what to say about them."""
    labels = pair_labels(root, pair_id)
    if labels is None:
        return (), ""
    key = "disc visible, ring occluded; red left, green right, blue axis"
    if labels.problem:
        return labels.aircraft, f"labels break a rule ({labels.problem}; see 'vircraft check'); {key}"
    return labels.aircraft, key if labels.aircraft else "labelled: nothing in view"


def _labelled(panel: Picture, aircraft: tuple[DrawnAircraft, ...], size_wh: tuple[int, int]) -> Picture:
    return draw_aircraft(panel, aircraft, whole(size_wh, (panel.shape[1], panel.shape[0])))


def _fitted(picture: Picture, width: int, height: int) -> Picture:
    """Resize a picture into a panel, its proportions kept."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    if size != (picture.shape[1], picture.shape[0]):
        picture = np.asarray(
            cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC),
            np.uint8,
        )
    panel = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = picture
    return panel


def _caption(record: PairRecord, note: str, width: int) -> Picture:
    caption = np.full((CAPTION_HEIGHT, width, 3), GROUND, np.uint8)
    x = 4 + write_line(caption, record.id, (4, 26), 0.75, INK, 2) + 16
    verdict = words.VERDICT_WORDS[record.verdict]
    x += write_line(caption, verdict, (x, 26), 0.65, _VERDICT_BGR[record.verdict], 2) + 16
    if record.predicted_error_px is not None:
        error = f"+-{record.predicted_error_px:.1f} px predicted error at the corners"
        if record.predicted_region_error_px is not None:
            error += f", +-{record.predicted_region_error_px:.1f} px on shared structure"
        write_line(caption, error, (x, 26), 0.6, INK)
    reason = words.reason_words(record.verdict, record.reason)
    why = f"{record.reason}: {reason}" if record.reason else reason
    lines = [
        "; ".join([why, f"probability {record.probability:.2f}", *([note] if note else [])]),
        f"{record.infrared_time_s:.3f} s, infrared frame {record.infrared_index}, visible frame "
        f"{record.visible_index}; {_sync_line(record)}",
    ]
    for n, line in enumerate(lines):
        write_line(caption, line, (4, 50 + 22 * n), 0.5, MUTED)
    return caption


def _sync_line(record: PairRecord) -> str:
    frames, confidence = record.sync.get("offset_frames"), record.sync.get("confidence")
    source = str(record.sync.get("source", ""))
    parts = ["offset unknown" if frames is None else f"offset {float(frames):.2f} frames"]
    parts += [words.SOURCE_WORDS.get(source, source)] if source else []
    parts += [] if confidence is None else [f"confidence {float(confidence):.2f}"]
    return ", ".join(parts)
