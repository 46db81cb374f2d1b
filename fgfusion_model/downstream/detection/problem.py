"""Detection as the training loop sees it (Sec. 3.3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fgfusion_model.downstream.detection.boxes import BoxLabels, find_boxes, has_boxes
from fgfusion_model.downstream.detection.network import detect, lit, make_network
from fgfusion_model.downstream.detection.samples import Samples, augmented, load_samples
from fgfusion_model.downstream.detection.scores import MAP, box_scores
from fgfusion_model.downstream.detection.settings import TASK, Settings
from fgfusion_model.downstream.detection.yolo_training import train_yolo
from fgfusion_model.downstream.fit import FitSummary, fit
from fgfusion_model.downstream.held_out import find_train_and_val
from fgfusion_model.downstream.trained import record_of
from fgfusion_model.training.events import Loading, OnEvent
from fgfusion_model.training.runtime import Runtime
from vircraft.errors import DatasetError

NOTHING = -1  # the class of a place without a box


class Detection:
    """Gives pictures with their boxes, and FCOS's loss.

    Args:
        settings: all.
        classes: names by number.
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
        self.samples = len(train.pictures)
        self.held_out = len(val.pictures) if val else 0
        both = train.digest + (val.digest if val else "")
        self.data = hashlib.blake2b(both.encode(), digest_size=16).hexdigest()
        self.most = max(1, *map(len, train.boxes))

    def make_network(self) -> nn.Module:
        """Return a new network."""
        return make_network(self.settings, len(self.classes))

    def make_batch(self, samples: Sequence[int], seeds: Sequence[int]) -> Sequence[Tensor]:
        """Return pictures (N, 3, H, W), boxes (N, most, 4) xyxy and classes (N, most), -1 for none."""
        views = [
            augmented(self.train, k, self.settings, seed) for k, seed in zip(samples, seeds, strict=True)
        ]
        boxes = np.zeros((len(views), self.most, 4), np.float32)
        classes = np.full((len(views), self.most), NOTHING, np.int64)
        for row, view in enumerate(views):
            boxes[row, : len(view.boxes)] = view.boxes
            classes[row, : len(view.classes)] = view.classes
        images = np.stack([lit(view.picture, view.gain) for view in views])
        return torch.from_numpy(images), torch.from_numpy(boxes), torch.from_numpy(classes)

    def loss(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Return the sum of FCOS's losses: classes (focal), boxes (GIoU) and centredness."""
        images, boxes, classes = batch
        targets = [
            {"boxes": box[number >= 0], "labels": number[number >= 0]}
            for box, number in zip(boxes, classes, strict=True)
        ]
        losses: Mapping[str, Tensor] = network(list(images), targets)
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return AP50 and mAP[50,95] over the validation split."""
        assert self.val is not None
        device = next(network.parameters()).device
        labels = self.val.labels
        found = {
            entry.stem: detect(network, picture, self.settings.longest, device, entry.size_wh)
            for entry, picture in zip(labels.coco.pictures, self.val.pictures, strict=True)
        }
        scores = box_scores(labels.coco.document, labels.results(found, self.classes))
        return {name: scores[name] or 0.0 for name in ("AP50", MAP)}

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
    """Train a detector and write the run to a folder.

    Args:
        root: a dataset with boxes (see `find_boxes`).
        pictures: `visible`, `infrared` or a folder of fused ones.
        settings: how; `detector = "yolo"` starts a program that the user installed.
        output: the folder of the run.
        runtime: where it runs.
        split, val: to train on and to look at; '' for none; None: `val`, where there is one.
        resume, on_event, stop: as of `fit`.

    Raises:
        DatasetError: labels or pictures are missing, or differ in size; nothing to detect is there.
        InputFileError: one cannot be decoded, or a class is unknown.
        SettingsError, DeviceError, DivergedError: as `fit`.
    """
    labels, held_out = find_train_and_val(
        partial(find_boxes, root), partial(has_boxes, root), split, val, on_event
    )
    if not labels.coco.annotations:
        raise DatasetError(f"{labels.coco.path}: the split {split!r} holds no object to train on")
    classes = settings.classes or labels.names
    if settings.detector == "yolo":
        return train_yolo(
            root,
            pictures,
            settings,
            classes,
            labels,
            held_out,
            output,
            runtime or Runtime(),
            resume,
            on_event,
            stop,
        )

    def load(part: BoxLabels) -> Samples:
        return load_samples(
            root, part, pictures, tuple(classes), settings.longest, lambda *n: on_event(Loading(*n))
        )

    problem = Detection(settings, classes, load(labels), load(held_out) if held_out else None, pictures)
    return fit(problem, settings.fit, output, runtime, resume=resume, on_event=on_event, stop=stop)
