"""Small folders of sources and fused pictures for the tests of scoring."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WH = (64, 48)


def picture(seed: int, wh: tuple[int, int] = WH, channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    """Return a smooth picture with some noise, (H, W) or (H, W, 3)."""
    rng = np.random.default_rng(seed)
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    large = cv2.resize(rng.uniform(30, 225, shape), wh, interpolation=cv2.INTER_CUBIC)
    levels = np.clip(np.rint(large + rng.normal(0, 6, large.shape)), 0, 255)
    return (levels * (257 if dtype is np.uint16 else 1)).astype(dtype)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def read(path: Path) -> np.ndarray:
    """Return luminance as METRICS says: 0.299 R + 0.587 G + 0.114 B, rounded."""
    bgr = cv2.imread(str(path)).astype(np.float64)
    return np.rint(np.round(bgr @ [0.114, 0.587, 0.299], 6))


def make_folders(root: Path, names: list[str], methods: list[str], masks: bool = False) -> Path:
    """Write infrared/, visible/, a folder for each method, perhaps masks/; methods differ in noise."""
    rng = np.random.default_rng(7)
    for number, name in enumerate(names):
        infrared, visible = picture(2 * number), picture(2 * number + 1, channels=3)
        write(root / "infrared" / f"{name}.png", infrared)
        write(root / "visible" / f"{name}.png", visible)
        grey = visible @ [0.114, 0.587, 0.299]
        for strength, method in enumerate(methods):
            fused = np.maximum(infrared, grey) + rng.normal(0, 1 + 4 * strength, infrared.shape)
            write(root / method / f"{name}.png", np.clip(np.rint(fused), 0, 255).astype(np.uint8))
        if masks:
            mask = np.zeros(WH[::-1], np.uint8)
            mask[20:28, 20 + number : 40] = 255
            write(root / "masks" / f"{name}.png", mask)
    return root


def damage(path: Path) -> None:
    """Cut a file in half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
