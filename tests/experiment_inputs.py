"""A small labelled dataset, methods' folders, and a plan for the fake task."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from fgfusion_model.experiments.kinds import TaskKind

KINDS = {
    "fake": TaskKind("fake_task", "Fake task", 2, ("score", "half"), "score", "value", "coco"),
    "maps": TaskKind("fake_task", "Maps", 3, ("score",), "score", "value", "label_maps"),
    "other": TaskKind("fake_task", "Other task", 3, ("score",), "score", "value", "coco"),
}
SIZE_WH = (40, 32)
CLIPS = 6  # of the test split, with two pictures each


def judged_stems() -> list[str]:
    return [f"test_{clip:02d}_{frame:06d}" for clip in range(CLIPS) for frame in (0, 10)]


def grey(stem: str, base: int) -> int:
    """Return the level of a picture: pictures differ, so that spreads over pictures are not 0."""
    return base + 3 * int(stem.split("_")[1]) + int(stem.split("_")[2]) // 10


def write_pictures(folder: Path, stems: list[str], base: int, size_wh: tuple[int, int] = SIZE_WH) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        width, height = size_wh
        cv2.imwrite(str(folder / f"{stem}.png"), np.full((height, width), grey(stem, base), np.uint8))


def make_inputs(root: Path) -> Path:
    """Make ROOT/dataset, ROOT/fused/{good,bad} and ROOT/plan.toml; return the plan."""
    splits = {
        "train": ["train_00_000000", "train_00_000010"],
        "val": ["val_00_000000"],
        "test": judged_stems(),
    }
    for split, stems in splits.items():
        write_labels(root / "dataset", split, stems)
    stems = [stem for some in splits.values() for stem in some]
    bases = {"dataset/visible": 40, "dataset/infrared": 60, "fused/good": 80, "fused/bad": 20}
    for folder, base in bases.items():
        write_pictures(root / folder, stems, base)
    return write_plan(root)


def write_labels(dataset: Path, split: str, stems: list[str]) -> None:
    images = [
        {"id": i, "file_name": f"{s}.png", "width": SIZE_WH[0], "height": SIZE_WH[1]}
        for i, s in enumerate(stems, 1)
    ]
    document = {"images": images, "categories": [{"id": 1, "name": "aircraft"}], "annotations": []}
    (dataset / "annotations").mkdir(parents=True, exist_ok=True)
    (dataset / "annotations" / f"instances_{split}.json").write_text(json.dumps(document))


def write_plan(root: Path, task: str = "", head: str = "", methods: str = "") -> Path:
    text = f"""
name = "fake"
seeds = [0, 1]
reference = "Good"
{head}
[[method]]
name = "Visible"
pictures = "visible"
[[method]]
name = "Good"
pictures = "fused/good"
[[method]]
name = "Bad"
pictures = "fused/bad"
{methods}
[[task]]
name = "fake"
kind = "fake"
data = "dataset"
{task}
"""
    path = root / "plan.toml"
    path.write_text(text)
    return path
