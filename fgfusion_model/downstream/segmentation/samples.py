"""Pictures with their label maps in memory, and the crops that a step of training sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.fit import generator
from fgfusion_model.downstream.network_input import FILL, shrunk
from fgfusion_model.downstream.pictures import Rgb, check_pictures, find_pictures
from fgfusion_model.downstream.segmentation.label_maps import IGNORED, LabelMap, LabelMaps
from fgfusion_model.downstream.segmentation.settings import Settings


@dataclass(frozen=True)
class Samples:
    """A split in memory, in the order of its labels.

    Attributes:
        stems: names of the pictures.
        pictures: (H, W, 3) RGB each, shrunk where the settings say so.
        labels: (H, W) each, of the same size.
        digest: of names, labels and pixels.
    """

    stems: tuple[str, ...]
    pictures: tuple[Rgb, ...]
    labels: tuple[LabelMap, ...]
    digest: str


def load_samples(
    root: Path,
    maps: LabelMaps,
    choice: str,
    classes: int,
    longest: int,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Samples:
    """Read pictures and labels of a split, checked.

    Raises:
        DatasetError: pictures are missing or of another size than their labels.
        InputFileError: one cannot be decoded, or a label map holds an unknown class.
    """
    found = find_pictures(root, choice, maps.split)
    labels = dict(maps.checked(classes))
    check_pictures(found, {stem: (m.shape[1], m.shape[0]) for stem, m in labels.items()})
    digest = hashlib.blake2b(digest_size=16)
    pictures: list[Rgb] = []
    smaller: list[LabelMap] = []
    for done, (stem, label) in enumerate(labels.items(), 1):
        pictures.append(shrunk(found.read(stem), longest))
        height, width = pictures[-1].shape[:2]
        smaller.append(np.asarray(cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)))
        for part in (stem.encode(), repr(label.shape).encode(), label.tobytes(), pictures[-1].tobytes()):
            digest.update(part)
        on_file(done, len(labels))
    return Samples(tuple(labels), tuple(pictures), tuple(smaller), digest.hexdigest())


def augmented(picture: Rgb, label: LabelMap, settings: Settings, seed: int) -> tuple[Rgb, LabelMap]:
    """Return a crop of a picture that was scaled and maybe mirrored, and the same of its label map.

    Outside the picture lie ImageNet's mean and no class. What is drawn depends on seed and sizes only.

    Args:
        picture: (H, W, 3) RGB.
        label: (H, W).
        settings: crop, scale and flip.
        seed: of this sample.
    """
    random = generator(seed)
    low, high = settings.scale
    scale = float(np.exp(random.uniform(np.log(low), np.log(high))))
    mirrored = bool(random.random() < 0.5) and settings.flip
    place = random.random(2)
    crop_wh = np.array(settings.crop_wh)
    matrix = _crop_from_picture(np.array(picture.shape[1::-1]), crop_wh, scale, mirrored, place)
    size = (int(crop_wh[0]), int(crop_wh[1]))
    crop = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderValue=FILL)
    classes = cv2.warpAffine(label, matrix, size, flags=cv2.INTER_NEAREST, borderValue=(IGNORED,))
    return np.asarray(crop, np.uint8), np.asarray(classes, np.uint8)


def _crop_from_picture(
    size_wh: NDArray[np.int64],
    crop_wh: NDArray[np.int64],
    scale: float,
    mirrored: bool,
    place: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (2, 3): crop pixel = matrix @ picture pixel, pixel centres at integers.

    `place` in [0, 1) chooses where the crop lies in the scaled picture, or the picture in the crop where it
    is the smaller one.
    """
    left_top = np.floor((size_wh * scale - crop_wh) * place)
    x_scale = -scale if mirrored else scale
    x_start = size_wh[0] * scale if mirrored else 0.0
    # edges: crop = scale * picture - left_top; centres lie half a pixel further
    shift = np.array([x_start, 0.0]) - left_top + 0.5 * np.array([x_scale, scale]) - 0.5
    return np.array([[x_scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
