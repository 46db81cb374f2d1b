"""Batches of a training: which pairs, cut where, lit how - a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from fgfusion_model.data.crops import Batch, Crops, as_floats, cut, draw_crops
from fgfusion_model.data.order import SampleOrder, mixed_seed
from fgfusion_model.data.store import Store
from fgfusion_model.training.augment import AugmentSettings, Light, add_noise, draw_light, relight


class Share(NamedTuple):
    """Which part of each step this process does.

    Attributes:
        rank: number of the process.
        world: number of processes.
        parts: into how many the step is divided to save memory.
    """

    rank: int = 0
    world: int = 1
    parts: int = 1


class _Cut(NamedTuple):
    planes: Tensor
    light: Light


class Feed:
    """Makes the batches of a training.

    The draw is made for the whole step and then divided, so that neither the number of processes nor that of
    parts changes which crops a step sees.

    Args:
        store: of the pictures.
        order: of the pairs.
        batch: samples of a step, over all processes and parts.
        crop: side of a crop in pixels.
        augment: how they are varied.
        device: where batches are wanted.
        share: of this process.
    """

    def __init__(
        self,
        store: Store,
        order: SampleOrder,
        *,
        batch: int,
        crop: int,
        augment: AugmentSettings,
        device: torch.device,
        share: Share = Share(),  # noqa: B008 (a constant)
    ) -> None:
        self.store, self.order, self.augment = store, order, augment
        self.batch, self.crop, self.device, self.share = batch, crop, device, share
        self.ahead = store.mode == "none" or (store.mode == "ram" and device.type == "cuda")
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="feed") if self.ahead else None
        self.waiting: dict[tuple[int, int], Future[_Cut]] = {}

    def indices(self, step: int, part: int = 0) -> list[int]:
        """Return the numbers of this process's pairs."""
        return self.order.take(step * self.batch, self.batch)[self._slice(part)]

    def make(self, step: int, part: int = 0) -> Batch:
        """Return this process's part of a step; the next one is begun in the background where that helps.

        Raises:
            InputFileError: a picture could be read when training began, and cannot now (without a cache).
        """
        planes, light = self._cut(step, part)
        planes = planes.to(self.device, non_blocking=True)
        infrared, visible, mask = as_floats(planes)
        a = self.augment
        if a.visible_gamma or a.infrared_gamma or a.low_light or a.polarity:
            infrared, visible = relight(infrared, visible, light)
        seen = infrared
        if a.noise:
            generator = torch.Generator(self.device)
            generator.manual_seed(mixed_seed(self.order.seed, "noise", step, part, self.share.rank))
            seen = add_noise(infrared, light.sigma, generator)
        return Batch(infrared, visible, mask, seen)

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def _slice(self, part: int) -> slice:
        size = self.batch // (self.share.world * self.share.parts)
        start = (part * self.share.world + self.share.rank) * size
        return slice(start, start + size)

    def _cut(self, step: int, part: int) -> _Cut:
        if self.pool is None:
            return self._cut_now(step, part)
        future = self.waiting.pop((step, part), None) or self.pool.submit(self._cut_now, step, part)
        following = (step, part + 1) if part + 1 < self.share.parts else (step + 1, 0)
        self.waiting = {following: self.pool.submit(self._cut_now, *following)}
        return future.result()

    def _cut_now(self, step: int, part: int) -> _Cut:
        everyone = self.order.take(step * self.batch, self.batch)
        generator = torch.Generator().manual_seed(mixed_seed(self.order.seed, "step", step))
        crops = draw_crops(self.store.all_sizes_hw[everyone], self.crop, self.augment, generator)
        light = draw_light(self.batch, self.augment, generator)
        mine = self._slice(part)
        places = Crops(*(value[mine] for value in crops))
        planes = cut(self.store.fetch(everyone[mine]), places, self.crop)
        if self.device.type == "cuda" and planes.device.type == "cpu":
            planes = planes.pin_memory()
        return _Cut(planes, Light(*(value[mine] for value in light)))


def whole_picture(store: Store, index: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return infrared, visible and mask of a whole pair, each (1, 1, H, W) float32."""
    pictures = store.fetch([index])
    height, width = (int(v) for v in pictures.sizes_hw[0])
    start = int(pictures.starts[0])
    planes = pictures.flat[start : start + 3 * height * width].view(1, 3, height, width)
    return as_floats(planes.to(device))


def names_of(numbers: Sequence[int], names: Sequence[str], most: int = 8) -> str:
    """Return the names of a batch for a message."""
    chosen = list(dict.fromkeys(names[number] for number in numbers))
    more = f" and {len(chosen) - most} more" if len(chosen) > most else ""
    return ", ".join(chosen[:most]) + more
