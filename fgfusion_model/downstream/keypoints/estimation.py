"""Run a network over crops and find the keypoints in the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fgfusion_model.downstream.keypoints.crops import Patch, inverted, moved, warp_patch
from fgfusion_model.downstream.keypoints.decoding import (
    Heatmaps,
    as_arrays,
    confidences,
    crop_places,
    find_peaks,
    likelihoods,
    unmirrored,
)
from fgfusion_model.downstream.keypoints.labels import mirrored_order
from fgfusion_model.downstream.keypoints.network import make_network
from fgfusion_model.downstream.keypoints.settings import Settings
from fgfusion_model.downstream.trained import ready, record_of_pictures
from fgfusion_model.downstream.weights import load_task_weights, record_errors
from vircraft.settings import build, plain

BATCH = 16  # crops at a time


@dataclass(frozen=True, eq=False)
class Estimator:
    """A trained network and what belongs to it.

    Attributes:
        network: in `eval` mode, on its device.
        settings: that made it.
        category: name of the objects.
        keypoints: their names.
        flip_pairs: positions that change places in a mirror.
        pictures: what it was trained on, as given.
        infrared: those were the infrared ones.
    """

    network: nn.Module
    settings: Settings
    category: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    pictures: str
    infrared: bool


@dataclass(frozen=True, eq=False)
class Pose:
    """The keypoints found of one object.

    Attributes:
        points: (K, 2), in the picture, pixels; pixel centres at integers.
        confidence: (K,), 0..1.
        heatmaps: (K, H / 4, W / 4), not negative, of the plain crop.
    """

    points: NDArray[np.float64]
    confidence: NDArray[np.float64]
    heatmaps: Heatmaps

    @property
    def score(self) -> float:
        """Return the mean confidence."""
        return float(self.confidence.mean())


def load_estimator(weights: Path, device: torch.device) -> Estimator:
    """Load what `train` wrote.

    Raises:
        InputFileError: the file cannot be read, is damaged or another program's.
    """
    record, tensors = load_task_weights(weights, "keypoints")
    with record_errors(weights):
        settings = build(Settings, record["settings"])
        keypoints, category = tuple(record["keypoints"]), str(record["category"])
        pairs = tuple((int(a), int(b)) for a, b in record["flip_pairs"])
        pictures, infrared = str(record["pictures"]), bool(record["infrared"])
    network = make_network(settings, len(keypoints), with_init=False)
    placed = ready(network, tensors, weights, device)
    return Estimator(placed, settings, category, keypoints, pairs, pictures, infrared)


def record_of(
    settings: Settings,
    category: str,
    keypoints: Sequence[str],
    flip_pairs: Sequence[Sequence[int]],
    pictures: str,
) -> Mapping[str, Any]:
    """Return what `load_estimator` needs, as plain values."""
    return {
        "category": category,
        "keypoints": list(keypoints),
        "flip_pairs": [list(pair) for pair in flip_pairs],
        **record_of_pictures(pictures),
        "settings": plain(settings),
    }


def estimate(
    network: nn.Module, patches: Sequence[Patch], settings: Settings, flip_pairs: Sequence[Sequence[int]]
) -> Iterator[Pose]:
    """Find the keypoints of objects, one after the other.

    Args:
        network: in `eval` mode.
        patches: of the objects.
        settings: of the network.
        flip_pairs: positions that change places in a mirror.
    """
    device = next(network.parameters()).device
    for start in range(0, len(patches), BATCH):
        some = patches[start : start + BATCH]
        crops = np.stack([warp_patch(patch, patch.plain, settings.input_wh) for patch in some])
        heatmaps = _heatmaps(network, as_tensor(crops).to(device), settings, flip_pairs)
        peaks = crop_places(find_peaks(heatmaps))
        sure = confidences(heatmaps, settings.loss, settings.sigma)
        for k, patch in enumerate(some):
            yield Pose(moved(peaks[k], inverted(patch.plain)), sure[k], heatmaps[k])


def as_tensor(crops: NDArray[np.uint8]) -> Tensor:
    """Return crops, (B, H, W, 3), as (B, 3, H, W), channels last in memory."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2)


def _heatmaps(
    network: nn.Module, crops: Tensor, settings: Settings, flip_pairs: Sequence[Sequence[int]]
) -> Heatmaps:
    with torch.no_grad():
        outputs = network(crops)
        found = likelihoods(outputs.float(), settings.loss)
        if settings.flip_test:
            mirrored = likelihoods(network(crops.flip(-1)).float(), settings.loss)
            found = (found + unmirrored(mirrored, mirrored_order(outputs.shape[1], flip_pairs))) / 2
    return as_arrays(found)
