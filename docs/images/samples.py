"""Draw the README's picture from the samples: `make demo`, then `.venv/bin/python docs/images/samples.py`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.report.drawing import bgr, edge_overlay
from vircraft.report.media import read_picture

ROOT = Path(__file__).resolve().parents[2]
DATASET = ROOT / "demo" / "dataset"
PICTURE = Path(__file__).with_suffix(".png")
ROWS = ("approach_01_day_000060", "approach_02_dusk_000060", "approach_03_night_000060")
COLUMNS = ("infrared, as recorded", "visible, registered", "infrared edges over visible")
PANEL_WH = (316, 190)
GAP = 6
TITLE_HEIGHT = 26


def main() -> None:
    """Write samples.png beside this file."""
    title = np.full((TITLE_HEIGHT, 3 * PANEL_WH[0] + 2 * GAP, 3), 255, np.uint8)
    for n, text in enumerate(COLUMNS):
        at = (n * (PANEL_WH[0] + GAP) + 2, 18)
        cv2.putText(title, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1, cv2.LINE_AA)
    rows = [row(pair) for pair in ROWS]
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    picture = np.vstack([title, rows[0], gap, rows[1], gap, rows[2]])
    cv2.imwrite(str(PICTURE), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size / 1000:.0f} kB")


def row(pair: str) -> NDArray[np.uint8]:
    """Return one pair as three panels side by side."""
    infrared = load("infrared", pair)
    visible = load("visible", pair)
    panels = [panel(bgr(infrared)), panel(visible), panel(edge_overlay(infrared, visible))]
    gap = np.full((PANEL_WH[1], GAP, 3), 255, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]]).astype(np.uint8)


def load(modality: str, pair: str) -> NDArray[np.uint8]:
    """Read one picture of the demo's dataset."""
    picture = read_picture(DATASET / modality / f"{pair}.png")
    if picture is None:
        raise SystemExit(f"{DATASET.relative_to(ROOT)}: has no pair {pair}; run 'make demo' first")
    return np.asarray(picture, np.uint8)


def panel(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the middle of a picture and reduce it to the panel's size."""
    width, height = PANEL_WH
    cut = round(picture.shape[1] * height / width)
    top = (picture.shape[0] - cut) // 2
    return np.asarray(cv2.resize(picture[top : top + cut], PANEL_WH, interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
