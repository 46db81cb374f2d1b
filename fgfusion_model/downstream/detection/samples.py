"""Pictures with their boxes in memory, and what a step of training sees of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.detection.boxes import BoxLabels
from fgfusion_model.downstream.detection.network import STRIDE
from fgfusion_model.downstream.detection.settings import Settings
from fgfusion_model.downstream.fit import generator
from fgfusion_model.downstream.network_input import FILL, shrunk
from fgfusion_model.downstream.pictures import Rgb, check_pictures, find_pictures

LEAST_PX = 2.0  # sides of a box that is trained on
LEAST_SHARE = 0.25  # of a box that must be inside what a step sees

Boxes = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """A split in memory, in the order of its labels.

    Attributes:
        labels: the boxes as their files have them.
        pictures: (H, W, 3) RGB each, shrunk where the settings say so.
        boxes: (K, 4) xyxy each, pixels of the shrunk picture.
        classes: (K,) each.
        canvas_wh: size of what a step sees: holds the largest of the pictures, a multiple of 32.
        digest: of names, boxes and pixels.
    """

    labels: BoxLabels
    pictures: tuple[Rgb, ...]
    boxes: tuple[Boxes, ...]
    classes: tuple[Numbers, ...]
    canvas_wh: tuple[int, int]
    digest: str


@dataclass(frozen=True)
class View:
    """What a step sees of a picture.

    Attributes:
        picture: (H, W, 3) RGB of the canvas.
        boxes: (K, 4) xyxy.
        classes: (K,).
        gain: of its brightness.
    """

    picture: Rgb
    boxes: Boxes
    classes: Numbers
    gain: float


def load_samples(
    root: Path,
    labels: BoxLabels,
    choice: str,
    names: tuple[str, ...],
    longest: int,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Samples:
    """Read pictures and boxes of a split, checked.

    Raises:
        DatasetError: pictures are missing or of another size than their labels.
        InputFileError: one cannot be decoded, or an object has an unknown class.
    """
    found = find_pictures(root, choice, labels.coco.split)
    check_pictures(found, labels.coco.sizes_wh)
    targets = labels.targets(names)
    digest = hashlib.blake2b(repr(names).encode(), digest_size=16)
    pictures: list[Rgb] = []
    boxes: list[Boxes] = []
    for done, (entry, (box, classes)) in enumerate(zip(labels.coco.pictures, targets, strict=True), 1):
        picture = shrunk(found.read(entry.stem), longest)
        height, width = picture.shape[:2]
        pictures.append(picture)
        boxes.append(box * np.array([width / entry.size_wh[0], height / entry.size_wh[1]] * 2))
        for part in (entry.stem.encode(), repr(entry.size_wh).encode(), box.tobytes(), classes.tobytes()):
            digest.update(part)
        digest.update(picture.tobytes())
        on_file(done, len(targets))
    canvas = (_canvas([p.shape[1] for p in pictures]), _canvas([p.shape[0] for p in pictures]))
    numbers = tuple(classes for _, classes in targets)
    return Samples(labels, tuple(pictures), tuple(boxes), numbers, canvas, digest.hexdigest())


def augmented(samples: Samples, number: int, settings: Settings, seed: int) -> View:
    """Return a picture scaled, maybe mirrored, and moved, with its boxes.

    Outside the picture lies ImageNet's mean. A box is kept where enough of it is inside. What is drawn
    depends on seed and sizes only.
    """
    random = generator(seed)
    low, high = np.log(settings.scale)
    scale = float(np.exp(random.uniform(low, high)))
    mirrored = bool(random.random() < 0.5) and settings.flip
    place = random.random(2)
    gain = 1 + settings.light * float(random.uniform(-1, 1))
    picture = samples.pictures[number]
    size_wh, canvas = np.array(picture.shape[1::-1]), np.array(samples.canvas_wh)
    left_top = np.floor((size_wh * scale - canvas) * place)
    across = -scale if mirrored else scale
    # edges: canvas = factors * picture + shift; centres lie half a pixel further
    factors = np.array([across, scale])
    shift = np.array([size_wh[0] * scale if mirrored else 0.0, 0.0]) - left_top
    matrix = np.column_stack([np.diag(factors), shift + 0.5 * factors - 0.5])
    seen = cv2.warpAffine(picture, matrix, samples.canvas_wh, flags=cv2.INTER_LINEAR, borderValue=FILL)
    boxes = samples.boxes[number] * np.tile(factors, 2) + np.tile(shift, 2)
    boxes, kept = _inside(boxes[:, [2, 1, 0, 3]] if mirrored else boxes, canvas)
    return View(np.asarray(seen, np.uint8), boxes, samples.classes[number][kept], gain)


def _inside(boxes: Boxes, canvas_wh: NDArray[np.int64]) -> tuple[Boxes, NDArray[np.bool_]]:
    """Return the boxes cut at the canvas, and which of all are kept."""
    cut = np.clip(boxes, 0, np.tile(canvas_wh, 2))
    sides, before = cut[:, 2:] - cut[:, :2], boxes[:, 2:] - boxes[:, :2]
    kept = (sides.min(1, initial=np.inf) >= LEAST_PX) & (sides.prod(1) >= LEAST_SHARE * before.prod(1))
    return cut[kept], kept


def _canvas(sides: list[int]) -> int:
    return -(-max(sides) // STRIDE) * STRIDE
