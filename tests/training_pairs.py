"""Small folders of registered pairs to train on, and settings that take a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fgfusion_model.data import Source
from fgfusion_model.settings import NetworkSettings
from fgfusion_model.training.augment import AugmentSettings
from fgfusion_model.training.settings import DataSettings, OptimiserSettings, TrainingSettings

TINY = NetworkSettings(
    channels=4,
    widths=(8, 8, 8),
    stage_blocks=1,
    shared_body=True,
    heads=2,
    dense_layers=1,
    refinement_blocks=1,
)
WH = (56, 48)
TINY_TOML = """
batch = 4
validate_every = 100
[data]
crop = 32
[network]
channels = 4
widths = [8, 8, 8]
stage_blocks = 1
shared_body = true
heads = 2
dense_layers = 1
refinement_blocks = 1
"""


def write(path: Path, picture: np.ndarray) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)
    return path


def scene(seed: int, wh: tuple[int, int] = WH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return infrared with a hot spot, visible (colour), and the spot's mask (0 or 1)."""
    rng = np.random.default_rng(seed)
    width, height = wh
    mask = np.zeros((height, width), np.uint8)
    left, top = (int(v) for v in rng.integers(4, 20, 2))
    mask[top : top + 10, left : left + 14] = 1
    infrared = rng.integers(30, 60, (height, width)).astype(np.uint8) + mask * 150
    visible = cv2.resize(rng.integers(0, 255, (6, 7, 3)).astype(np.uint8), wh)
    return infrared, visible, mask


def folders(
    root: Path, count: int = 6, names: tuple[str, ...] = ("infrared", "visible"), **more: Any
) -> Path:
    """Make two folders of pairs, and a third with masks where a third name is given."""
    for k in range(count):
        pictures = scene(k, **more)
        for name, picture in zip(names, pictures, strict=False):
            write(root / name / f"p{k}.png", picture)
    return root


def settings(*roots: Path, **changes: Any) -> TrainingSettings:
    """Return settings of a training of a second or two."""
    data = DataSettings(tuple(Source(root) for root in roots), crop=32, val_ratio=0.2)
    base = TrainingSettings(
        steps=4,
        batch=4,
        validate_every=100.0,
        data=data,
        network=TINY,
        augment=AugmentSettings(low_light=0.5, visible_gamma=0.5, noise=0.5, shrink=0.3),
        optimiser=OptimiserSettings("adamw", ema=0.9),
    )
    return replace(base, **changes)
