"""Segmentation as the training loop sees it (Sec. 3.3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.downstream.fit import FitSummary, fit
from fgfusion_model.downstream.held_out import find_train_and_val
from fgfusion_model.downstream.network_input import normalised
from fgfusion_model.downstream.segmentation.confusion import confusion, mean_iou
from fgfusion_model.downstream.segmentation.label_maps import (
    IGNORED,
    LabelMaps,
    class_names,
    find_label_maps,
    has_label_maps,
)
from fgfusion_model.downstream.segmentation.network import make_network, segment
from fgfusion_model.downstream.segmentation.samples import Samples, augmented, load_samples
from fgfusion_model.downstream.segmentation.settings import TASK, Settings
from fgfusion_model.downstream.trained import record_of
from fgfusion_model.training.events import Loading, OnEvent
from fgfusion_model.training.runtime import Runtime


class Segmentation:
    """Gives crops with their classes, and the cross entropy over pixels.

    Args:
        settings: all.
        classes: names by id.
        train: to learn from.
        val: to look at now and then; None: nothing.
        pictures: which ones, as given.
    """

    task = TASK

    def __init__(
        self, settings: Settings, classes: Sequence[str], train: Samples, val: Samples | None, pictures: str
    ) -> None:
        self.settings, self.classes, self.train, self.val = settings, tuple(classes), train, val
        self.pictures = pictures
        self.samples = len(train.stems)
        self.held_out = len(val.stems) if val else 0
        both = train.digest + (val.digest if val else "")
        self.data = hashlib.blake2b(both.encode(), digest_size=16).hexdigest()

    def make_network(self) -> nn.Module:
        """Return a new network."""
        return make_network(self.settings, len(self.classes))

    def make_batch(self, samples: Sequence[int], seeds: Sequence[int]) -> Sequence[Tensor]:
        """Return crops, (N, 3, H, W) normalised, and their classes, (N, H, W) int64."""
        crops = [
            augmented(self.train.pictures[k], self.train.labels[k], self.settings, seed)
            for k, seed in zip(samples, seeds, strict=True)
        ]
        images = np.stack([normalised(picture.astype(np.float32) / 255) for picture, _ in crops])
        labels = np.stack([label for _, label in crops]).astype(np.int64)
        images_first = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
        return images_first, torch.from_numpy(labels)

    def loss(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Return the mean cross entropy over the pixels that have a class; 0 when none has."""
        images, labels = batch
        total = functional.cross_entropy(
            network(images).float(), labels, ignore_index=IGNORED, reduction="sum"
        )
        return total / (labels != IGNORED).sum().clamp(min=1)

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return mIoU over the validation split, at the size that the network sees."""
        assert self.val is not None
        device = next(network.parameters()).device
        counts = np.zeros((len(self.classes),) * 2, np.int64)
        for picture, label in zip(self.val.pictures, self.val.labels, strict=True):
            counts += confusion(label, segment(network, picture, 0, device), len(self.classes))
        return {"mIoU": mean_iou(counts) or 0.0}

    def record(self) -> Mapping[str, Any]:
        """Return settings and classes."""
        return record_of(self.settings, self.classes, self.pictures)


def train(
    root: Path,
    pictures: str,
    settings: Settings,
    output: Path,
    runtime: Runtime | None = None,
    *,
    split: str = "train",
    val: str | None = None,
    resume: bool = False,
    on_event: OnEvent = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> FitSummary:
    """Train DeepLabV3+ and write the run to a folder.

    Args:
        root: a dataset with label maps (see `find_label_maps`).
        pictures: `visible`, `infrared` or a folder of fused ones.
        settings: how.
        output: the folder of the run.
        runtime: where it runs.
        split, val: to train on and to look at; '' for none; None: `val`, where there is one (MSRS has none).
        resume, on_event, stop: as of `fit`.

    Raises:
        DatasetError: labels or pictures are missing, or differ in size.
        InputFileError: one cannot be decoded, or a class id is unknown.
        SettingsError, DeviceError, DivergedError: as `fit`.
    """
    maps, held_out = find_train_and_val(
        partial(find_label_maps, root), partial(has_label_maps, root), split, val, on_event
    )
    classes = class_names(settings.classes, maps)

    def load(part: LabelMaps) -> Samples:
        return load_samples(
            root, part, pictures, len(classes), settings.longest, lambda *n: on_event(Loading(*n))
        )

    problem = Segmentation(settings, classes, load(maps), load(held_out) if held_out else None, pictures)
    return fit(problem, settings.fit, output, runtime, resume=resume, on_event=on_event, stop=stop)
