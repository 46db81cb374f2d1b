"""Train a keypoint network on one kind of pictures (Sec. 3.3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fgfusion_model.downstream.coco_labels import find_coco, has_coco, read_coco, shared_remarks
from fgfusion_model.downstream.fit import FitSummary, fit, generator
from fgfusion_model.downstream.held_out import find_train_and_val
from fgfusion_model.downstream.keypoints.crops import (
    Patch,
    cut_patch,
    draw_variation,
    input_from_picture,
    moved,
    warp_patch,
)
from fgfusion_model.downstream.keypoints.estimation import as_tensor, estimate, record_of
from fgfusion_model.downstream.keypoints.heatmaps import cross_entropy, squared_error
from fgfusion_model.downstream.keypoints.labels import KeypointLabels, read_keypoint_labels
from fgfusion_model.downstream.keypoints.network import make_network
from fgfusion_model.downstream.keypoints.scores import coco_results, coco_scores, similarities
from fgfusion_model.downstream.keypoints.settings import Settings
from fgfusion_model.downstream.pictures import PictureSet, check_pictures, find_pictures
from fgfusion_model.training.events import Loading, OnEvent
from fgfusion_model.training.runtime import Runtime
from vircraft.annotation.keypoints import WEIGHTS
from vircraft.errors import DatasetError
from vircraft.settings import fingerprint, plain

OnFile = Callable[[int, int], None]
WEIGHT_OF_V = np.array([WEIGHTS[v] for v in sorted(WEIGHTS)], np.float32)  # 0, 0.5, 1 (Sec. 3.1)


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
    """Train a network and write the run to a folder.

    The order of the objects and their augmentation depend on the labels and the seed alone, so that networks
    trained on different pictures can be compared.

    Args:
        root: a dataset with COCO labels.
        pictures: `visible`, `infrared` or a folder of fused pictures.
        settings: how.
        output: the run's folder.
        runtime: where it runs.
        split: to train on.
        val: split to look at now and then; "" for none; None: `val`, where there is one.
        resume: go on from the last checkpoint in the folder; without one, begin.
        on_event: is told what happens.
        stop: is asked after every step whether to stop.

    Raises:
        DatasetError: labels or pictures are missing or do not fit each other, or the folder cannot be used.
        InputFileError: a file is damaged.
        SettingsError: other settings or data than those of the run to resume.
    """
    labels = load_labels(root, split, settings.category)
    category = labels.names.category
    _, held = find_train_and_val(
        lambda name: labels if name == split else load_labels(root, name, category),
        lambda name: has_coco(root, name, "person_keypoints"),
        split,
        val,
        on_event,
    )
    if held and held.names.names != labels.names.names:
        raise DatasetError(
            f"{held.coco.path}: has the keypoints {list(held.names.names)}, the split {split!r} has "
            f"{list(labels.names.names)}; export both splits together"
        )
    patches = load_patches(
        find_pictures(root, pictures, split), labels, settings, lambda *n: on_event(Loading(*n))
    )
    seen = find_pictures(root, pictures, held.coco.split) if held else None
    held_patches = load_patches(seen, held, settings) if held and seen else []
    problem = KeypointProblem(settings, pictures, labels, patches, held, held_patches)
    return fit(problem, settings.fit, output, runtime, resume=resume, on_event=on_event, stop=stop)


def load_labels(root: Path, split: str, category: str) -> KeypointLabels:
    """Return a split's keypoint labels.

    Raises:
        DatasetError: there are none.
        InputFileError: the file is damaged.
    """
    coco = read_coco(find_coco(root, split, "person_keypoints"), split)
    return replace(
        read_keypoint_labels(coco, category), remarks=shared_remarks(root, coco, "person_keypoints")
    )


def load_patches(
    pictures: PictureSet,
    labels: KeypointLabels,
    settings: Settings,
    on_file: OnFile = lambda done, total: None,
) -> list[Patch]:
    """Read each picture once and keep what the crops of its objects can show, in the objects' order.

    Raises:
        DatasetError: a picture is missing or of another size than its labels.
        PictureError: one cannot be decoded.
    """
    check_pictures(pictures, labels.coco.sizes_wh)
    by_stem: dict[str, list[int]] = {}
    for place, entry in enumerate(labels.objects):
        by_stem.setdefault(entry.stem, []).append(place)
    patches: dict[int, Patch] = {}
    for done, (stem, places) in enumerate(by_stem.items(), 1):
        picture = pictures.read(stem)
        for place in places:
            patches[place] = cut_patch(picture, labels.objects[place].box_xywh, settings)
        on_file(done, len(by_stem))
    return [patches[place] for place in range(len(labels.objects))]


class KeypointProblem:
    """Network, data and loss of a training.

    Args:
        settings: how.
        pictures: which ones, as given, for the record.
        labels, patches: to train on.
        held, held_patches: to judge by; None and [] for none.
    """

    task = "keypoints"

    def __init__(
        self,
        settings: Settings,
        pictures: str,
        labels: KeypointLabels,
        patches: Sequence[Patch],
        held: KeypointLabels | None = None,
        held_patches: Sequence[Patch] = (),
    ) -> None:
        self.settings, self.pictures = settings, pictures
        self.labels, self.patches = labels, patches
        self.held, self.held_patches = held, held_patches
        self.samples, self.held_out = len(patches), len(held_patches)
        self.data = _digest(labels, patches)

    def make_network(self) -> nn.Module:
        """Return a new network."""
        return make_network(self.settings, len(self.labels.names.names))

    def make_batch(self, samples: Sequence[int], seeds: Sequence[int]) -> Sequence[Tensor]:
        """Return crops (B, 3, H, W) uint8, labels on them (B, K, 2) and their weights (B, K)."""
        parts = [self._sample(*pair) for pair in zip(samples, seeds, strict=True)]
        crops, points, weights = (np.stack(part) for part in zip(*parts, strict=True))
        return as_tensor(crops), torch.from_numpy(points), torch.from_numpy(weights)

    def loss(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Return the loss that the settings name."""
        crops, points, weights = batch
        outputs = network(crops).float()
        found = cross_entropy if self.settings.loss == "cross_entropy" else squared_error
        return found(outputs, points, weights, self.settings.sigma)

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return COCO's mAP and the mean OKS of the split kept aside."""
        assert self.held is not None
        found = estimate(network, self.held_patches, self.settings, self.labels.names.flip_pairs)
        results = coco_results(self.held, list(found))
        scores = coco_scores(self.held, results)
        return {
            "mAP[50,95]": scores["mAP[50,95]"] or 0.0,
            "mean OKS": float(similarities(self.held, results).mean()),
        }

    def record(self) -> Mapping[str, Any]:
        """Return what the weights need to be used."""
        names = self.labels.names
        return record_of(self.settings, names.category, names.names, names.flip_pairs, self.pictures)

    def _sample(self, number: int, seed: int) -> tuple[Any, Any, Any]:
        """Return a varied crop (H, W, 3), its labels (K, 2) and their weights (K,)."""
        entry, patch, settings = self.labels.objects[number], self.patches[number], self.settings
        variation = draw_variation(settings.augment, generator(seed))
        matrix = input_from_picture(entry.box_xywh, settings.input_wh, settings.padding, variation)
        crop = warp_patch(patch, matrix, settings.input_wh, variation)
        points, v = moved(entry.keypoints[:, :2], matrix), entry.keypoints[:, 2].astype(int)
        if variation.mirrored:
            order = self.labels.names.mirrored
            points, v = points[order], v[order]
        return crop, points.astype(np.float32), WEIGHT_OF_V[v]


def _digest(labels: KeypointLabels, patches: Sequence[Patch]) -> str:
    """Return a hash of the labels and of what the network can see of the pictures."""
    digest = hashlib.blake2b(digest_size=8)
    for patch in patches:
        digest.update(patch.pixels.tobytes())
    described = [(entry.stem, entry.box_xywh, plain(entry.keypoints), entry.area) for entry in labels.objects]
    return fingerprint([digest.hexdigest(), plain(described)])
