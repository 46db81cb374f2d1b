"""Small networks, weights and pictures for tests of fusing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from fgfusion_model.checkpoints import save_weights
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import NetworkSettings

TINY = NetworkSettings(
    channels=4, widths=(4, 8, 8), stage_blocks=1, shared_body=True, couplings=1, heads=2, dense_layers=1
)


def mean_network(**changes: object) -> FGFusion:
    """Return an untrained network: it gives the mean of its inputs, which makes it a reference."""
    torch.manual_seed(0)
    return FGFusion(NetworkSettings(**{**TINY.__dict__, **changes})).eval()


def random_network(**changes: object) -> FGFusion:
    """Return a network whose every weight matters to what comes out."""
    model = mean_network(**changes)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def write_weights(path: Path, model: FGFusion | None = None) -> Path:
    """Write the weights of a network, the mean one by default."""
    save_weights(path, model or mean_network(), {"recipe": "none"})
    return path


def infrared(wh: tuple[int, int] = (48, 40), seed: int = 0) -> np.ndarray:
    """Return a smooth grey picture, uint8, that spans most of the range."""
    width, height = wh
    rng = np.random.default_rng(seed)
    small = rng.integers(20, 236, (max(height // 8, 2), max(width // 8, 2)), np.uint8)
    return cv2.resize(small, wh, interpolation=cv2.INTER_LINEAR)


def visible(wh: tuple[int, int] = (48, 40), seed: int = 9) -> np.ndarray:
    """Return a smooth BGR picture, uint8, of mild colours."""
    grey = infrared(wh, seed).astype(np.float32) * 0.6 + 50
    tint = [1.12, 1.0, 0.85]
    return np.rint(grey[..., None] * tint).clip(0, 255).astype(np.uint8)


def write_pairs(root: Path, names: list[str], wh: tuple[int, int] = (48, 40)) -> tuple[Path, Path]:
    """Write `ir/NAME.png` and `vi/NAME.png` for each name; return both folders."""
    for folder in ("ir", "vi"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        assert cv2.imwrite(str(root / "ir" / f"{name}.png"), infrared(wh, seed))
        assert cv2.imwrite(str(root / "vi" / f"{name}.png"), visible(wh, seed + 100))
    return root / "ir", root / "vi"


def read(path: Path) -> np.ndarray:
    """Read a picture as it is stored."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture


def luma(picture: np.ndarray) -> np.ndarray:
    """Return the luminance of a grey or BGR picture, float64."""
    picture = picture.astype(float)
    return picture if picture.ndim == 2 else picture @ [0.114, 0.587, 0.299]
