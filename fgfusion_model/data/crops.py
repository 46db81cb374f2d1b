"""Cut a batch of random crops out of decoded pictures, on whatever device they lie.

A crop is a square grid laid over a picture by a centre and a 2x2 matrix: quarter turns, flips, small free
rotations and shrinking are all matrices, so that one gather cuts the whole batch. What lies outside is
mirrored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from fgfusion_model.data.pictures import PLANES, UNKNOWN
from fgfusion_model.data.store import Pictures
from fgfusion_model.training.augment import AugmentSettings


class Crops(NamedTuple):
    """Where to cut.

    Attributes:
        centres_yx: (N, 2) float32, in pixels of the picture, pixel centres at integers.
        matrices: (N, 2, 2) float32, from (row, column) of the crop about its centre to those of the picture.
        smooth: (N,) bool, on the CPU: where the grid falls between the pixels, so that they are interpolated.
    """

    centres_yx: Tensor
    matrices: Tensor
    smooth: Tensor


class Batch(NamedTuple):
    """What a training step sees; each (N, 1, S, S) float32.

    Attributes:
        infrared, visible: in [0, 1]; what the loss compares with.
        mask: 1 on foreground, 0 elsewhere, NaN where nobody knows.
        seen_infrared: what the network is shown: the same, with noise when that is asked for.
    """

    infrared: Tensor
    visible: Tensor
    mask: Tensor
    seen_infrared: Tensor


def draw_crops(sizes_hw: Tensor, size: int, settings: AugmentSettings, generator: torch.Generator) -> Crops:
    """Draw a place, a quarter turn, a flip, and what else is asked for, for each picture.

    Args:
        sizes_hw: (N, 2), of the pictures.
        size: of the crop in pixels; it may be larger than the picture.
        settings: which of them.
        generator: of the CPU.
    """
    count = len(sizes_hw)
    uniform = torch.rand((count, 7), generator=generator)
    most = (sizes_hw.amin(1) / size).clamp(1, settings.shrink_most)
    shrunk = torch.where(uniform[:, 5] < settings.shrink, 1 + uniform[:, 6] * (most - 1), 1.0)
    room = sizes_hw - shrunk[:, None] * size  # below 0 where the picture is smaller than the crop
    places = room.floor().clamp(min=0)
    corner = torch.minimum(torch.floor(uniform[:, :2] * (places + 1)), places)
    corner = torch.where(room < 0, torch.floor(room / 2), corner)
    quarter = torch.floor(uniform[:, 2] * 4) if settings.quarter_turns else torch.zeros(count)
    free = (uniform[:, 3] * 2 - 1) * math.radians(settings.rotation_deg)
    mirrored = torch.where((uniform[:, 4] < 0.5) & settings.flips, -1.0, 1.0)
    angle = quarter * (math.pi / 2)
    cos, sin = torch.cos(angle).round(), torch.sin(angle).round()  # exact
    turned = _turn(torch.cos(free), torch.sin(free)) @ _turn(cos, sin)
    matrices = turned * shrunk[:, None, None]
    matrices[:, :, 1] *= mirrored[:, None]
    smooth = (shrunk > 1) | (settings.rotation_deg > 0)
    return Crops(corner + (shrunk[:, None] * size - 1) / 2, matrices, smooth)


def cut(pictures: Pictures, crops: Crops, size: int) -> Tensor:
    """Return (N, 3, S, S) uint8: infrared, visible, mask.

    Args:
        pictures: of which each gives one crop.
        crops: where.
        size: S.
    """
    step = torch.arange(size, device=pictures.flat.device) - (size - 1) / 2
    wrap = _mirrored if _leaves(pictures.sizes_hw, crops, size) else _clamped
    rows, columns = _grid(crops, step, step)
    places = _Places.of(pictures)
    planes = places.gather(
        wrap(rows.round().long(), places.height), wrap(columns.round().long(), places.width), PLANES
    )
    chosen = torch.nonzero(crops.smooth)[:, 0]
    if len(chosen):
        some = Pictures(pictures.flat, pictures.starts[chosen], pictures.sizes_hw[chosen])
        smooth = Crops(*(values[chosen] for values in crops))
        planes[chosen.to(planes.device), : PLANES - 1] = _blended(_Places.of(some), smooth, step, wrap)
    return planes


def _turn(cos: Tensor, sin: Tensor) -> Tensor:
    """Return rotations as matrices, (N, 2, 2)."""
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)


class _Places(NamedTuple):
    """Pictures on the device where they are cut; starts, height and width are (N, 1, 1)."""

    flat: Tensor
    starts: Tensor
    height: Tensor
    width: Tensor

    @classmethod
    def of(cls, pictures: Pictures) -> _Places:
        device = pictures.flat.device
        starts = pictures.starts.to(device, non_blocking=True)[:, None, None]
        sizes = pictures.sizes_hw.to(device, non_blocking=True)[..., None, None]
        return cls(pictures.flat, starts, sizes[:, 0], sizes[:, 1])

    def gather(self, rows: Tensor, columns: Tensor, planes: int) -> Tensor:
        """Return (N, planes, S, S): the pixels at rows and columns, which lie inside."""
        index = self.starts + rows * self.width + columns
        plane = torch.arange(planes, device=index.device)[:, None, None]
        return self.flat[index[:, None] + plane * (self.height * self.width)[:, None]]


Wrap = Callable[[Tensor, Tensor], Tensor]


def _blended(places: _Places, crops: Crops, step: Tensor, wrap: Wrap) -> Tensor:
    """Return the two pictures, (N, 2, S, S) uint8, each pixel the mean of four bilinear samples in it.

    With them a grid that is up to twice as coarse as the pixels still sees each of them.
    """
    total = torch.zeros((), device=step.device)
    for i in (-0.25, 0.25):
        for j in (-0.25, 0.25):
            total = total + _bilinear(places, *_grid(crops, step + i, step + j), wrap)
    return (total / 4).round().to(torch.uint8)


def _bilinear(places: _Places, rows: Tensor, columns: Tensor, wrap: Wrap) -> Tensor:
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top)[:, None], (columns - left)[:, None]
    above, below = (wrap(top.long() + i, places.height) for i in (0, 1))
    before, after = (wrap(left.long() + j, places.width) for j in (0, 1))
    upper, lower = (
        torch.lerp(
            places.gather(row, before, PLANES - 1).float(),
            places.gather(row, after, PLANES - 1).float(),
            right,
        )
        for row in (above, below)
    )
    return torch.lerp(upper, lower, down)


def as_floats(planes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return infrared and visible in [0, 1] and the mask in {0, 1, NaN}, each (N, 1, S, S) float32."""
    pictures = planes[:, :2].float() / 255
    mask = planes[:, 2:].float().masked_fill(planes[:, 2:] == UNKNOWN, float("nan"))
    return pictures[:, :1], pictures[:, 1:], mask


def _grid(crops: Crops, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column in the picture of every point of the crops' grid, each (N, S, S)."""
    centres, matrices = (x.to(rows.device, non_blocking=True)[..., None, None] for x in crops[:2])
    i, j = rows[:, None], columns
    return (
        centres[:, 0] + matrices[:, 0, 0] * i + matrices[:, 0, 1] * j,
        centres[:, 1] + matrices[:, 1, 0] * i + matrices[:, 1, 1] * j,
    )


def _leaves(sizes_hw: Tensor, crops: Crops, size: int) -> bool:
    """Say whether any crop leaves its picture by more than rounding; asks only what lies on the CPU."""
    reach = crops.matrices.abs().sum(2) * ((size - 1) / 2)
    outside = (crops.centres_yx - reach < -0.75) | (crops.centres_yx + reach > sizes_hw - 0.25)
    return bool(outside.any())


def _clamped(position: Tensor, length: Tensor) -> Tensor:
    """Return positions that lie inside but for rounding; quicker than mirroring."""
    return torch.minimum(position.clamp(min=0), length - 1)


def _mirrored(position: Tensor, length: Tensor) -> Tensor:
    """Return positions reflected at the first and the last pixel, as often as it takes."""
    period = (2 * length - 2).clamp(min=1)
    inside = position.remainder(period)
    return torch.minimum(inside, period - inside).clamp(max=length - 1)
