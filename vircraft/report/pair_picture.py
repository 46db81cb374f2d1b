"""One pair as one picture: both frames, edges, a checkerboard, the labels, and a caption."""

from __future__ import annotations

import difflib
from pathlib import Path

import cv2
import numpy as np

from vircraft.annotation.labelme import LabelFile, LabelFileError, read_labels
from vircraft.dataset import Dataset, label_path, picture_path
from vircraft.errors import DatasetError
from vircraft.journal import PairRecord
from vircraft.report import words
from vircraft.report.drawing import Picture, bgr, checkerboard, draw_labels, edge_overlay
from vircraft.report.media import media_path, read_picture

PANEL_WIDTH = 640  # smaller pictures are enlarged to it, larger ones keep their size up to MAX_PANEL_WIDTH
MAX_PANEL_WIDTH = 1280
GAP = 8
TITLE_HEIGHT = 26
CAPTION_HEIGHT = 86
_GROUND = (27, 22, 18)
_INK = (240, 234, 230)
_MUTED = (182, 167, 154)
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
    infrared = _load(dataset_root, "infrared", record)
    visible = _load(dataset_root, "visible", record)
    if registered and infrared.shape != visible.shape:
        raise DatasetError(
            f"{record.id}: the visible picture is {visible.shape[1]}x{visible.shape[0]} and the infrared one "
            f"{infrared.shape[1]}x{infrared.shape[0]}; run 'vircraft register' with --force register"
        )
    labels, note = _labels(dataset_root, record.id)
    width = min(max(infrared.shape[1], PANEL_WIDTH), MAX_PANEL_WIDTH)
    height = round(infrared.shape[0] * width / infrared.shape[1])
    infrared, visible = _fitted(infrared, width, height), _fitted(visible, width, height)
    title = "visible, registered" if registered else "visible, as recorded"
    panels = [
        ("infrared", _labelled(infrared, labels)),
        (title, _labelled(visible, labels if registered else None)),
    ]
    if registered:
        panels.append(("infrared edges over visible", edge_overlay(infrared, visible)))
        panels.append(("checkerboard", checkerboard(infrared, visible)))
    rows = [np.hstack(_joined([_panel(*p) for p in panels[n : n + 2]], 1)) for n in range(0, len(panels), 2)]
    caption = _caption(record, note, rows[0].shape[1])
    return np.vstack([caption, *_joined(rows, 0)]).astype(np.uint8)


def _load(root: Path, kind: str, record: PairRecord) -> Picture:
    """Read a frame as BGR from the dataset, or from the report where only that has it."""
    places = [media_path(root / "report", record.id, kind)]
    if record.verdict != "rejected":
        places.insert(0, picture_path(root, kind, record.id))
    for path in places:
        picture = read_picture(path)
        if picture is not None:
            return bgr(picture)
    hint = "run the same 'vircraft register' again to make it again"
    raise DatasetError(f"{places[0]}: the {kind} picture of {record.id} is missing or unreadable; {hint}")


def _labels(root: Path, pair_id: str) -> tuple[LabelFile | None, str]:
    path = label_path(root, pair_id)
    if not path.is_file():
        return None, ""
    try:
        labels = read_labels(path)
    except LabelFileError as error:
        return None, f"labels not drawn: {error.reason}; see 'vircraft check'"
    if not labels.shapes:
        return None, "labelled: nothing in view"
    return labels, "disc visible, ring occluded; red left, green right, blue axis"


def _labelled(panel: Picture, labels: LabelFile | None) -> Picture:
    return panel if labels is None else draw_labels(panel, labels, panel.shape[1] / labels.size_wh[0])


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


def _panel(title: str, picture: Picture) -> Picture:
    bar = np.full((TITLE_HEIGHT, picture.shape[1], 3), _GROUND, np.uint8)
    _write(bar, title, (4, 18), 0.5, _MUTED)
    return np.vstack([bar, picture]).astype(np.uint8)


def _joined(parts: list[Picture], axis: int) -> list[Picture]:
    """Return the parts with gaps between them."""
    joined: list[Picture] = []
    for part in parts:
        shape = list(part.shape)
        shape[axis] = GAP
        joined += [np.full(shape, _GROUND, np.uint8)] if joined else []
        joined.append(part)
    return joined


def _caption(record: PairRecord, note: str, width: int) -> Picture:
    caption = np.full((CAPTION_HEIGHT, width, 3), _GROUND, np.uint8)
    x = 4 + _write(caption, record.id, (4, 26), 0.75, _INK, 2) + 16
    verdict = words.VERDICT_WORDS[record.verdict]
    x += _write(caption, verdict, (x, 26), 0.65, _VERDICT_BGR[record.verdict], 2) + 16
    if record.predicted_error_px is not None:
        error = f"+-{record.predicted_error_px:.1f} px predicted error at the corners"
        if record.predicted_region_error_px is not None:
            error += f", +-{record.predicted_region_error_px:.1f} px on shared structure"
        _write(caption, error, (x, 26), 0.6, _INK)
    reason = words.reason_words(record.verdict, record.reason)
    why = f"{record.reason}: {reason}" if record.reason else reason
    lines = [
        "; ".join([why, f"probability {record.probability:.2f}", *([note] if note else [])]),
        f"{record.infrared_time_s:.3f} s, infrared frame {record.infrared_index}, visible frame "
        f"{record.visible_index}; {_sync_line(record)}",
    ]
    for n, line in enumerate(lines):
        _write(caption, line, (4, 50 + 22 * n), 0.5, _MUTED)
    return caption


def _sync_line(record: PairRecord) -> str:
    frames, confidence = record.sync.get("offset_frames"), record.sync.get("confidence")
    source = str(record.sync.get("source", ""))
    parts = ["offset unknown" if frames is None else f"offset {float(frames):.2f} frames"]
    parts += [words.SOURCE_WORDS.get(source, source)] if source else []
    parts += [] if confidence is None else [f"confidence {float(confidence):.2f}"]
    return ", ".join(parts)


def _write(
    canvas: Picture,
    text: str,
    at: tuple[int, int],
    size: float,
    colour: tuple[int, int, int],
    weight: int = 1,
) -> int:
    """Write one line, cut where the canvas ends; return its width. The font knows ASCII only."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    text = text.encode("ascii", "replace").decode()
    text = "".join(c if c.isprintable() else "?" for c in text)
    room = canvas.shape[1] - at[0] - 4
    if cv2.getTextSize(text, font, size, weight)[0][0] > room:
        while text and cv2.getTextSize(text + "...", font, size, weight)[0][0] > room:
            text = text[:-1]
        text += "..."
    cv2.putText(canvas, text, at, font, size, colour, weight, cv2.LINE_AA)
    return int(cv2.getTextSize(text, font, size, weight)[0][0])
