"""Fuse pictures with a trained network: one, a batch, or one so large that it is done in tiles.

Arrays go in, arrays come out; files are the business of `fusing` (pictures) and `video`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgfusion_model.colour import luminance, with_colour
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.inference.sizes import check_sizes
from fgfusion_model.inference.tiles import check_tiles, plan_tiles
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import NetworkSettings
from vircraft.errors import PictureError, SettingsError, VircraftError

Precision = Literal["32", "bf16"]
Plane = NDArray[np.float32]

CPU_BUDGET_BYTES = 5 << 29  # 2.5 GiB of activations: with pictures and libraries it stays below 4 GB
GPU_SHARE = 0.4  # of the card's memory that activations may take
AUTO_TILE = 1024  # pixels; larger tiles cost more memory and save little work
GPU_BATCH = 8


class OutOfMemoryError(VircraftError):
    """The GPU's memory does not hold the work."""


@dataclass(frozen=True)
class InferenceSettings:
    """How to run the network; nothing here changes what it has learnt."""

    device: str = "auto"  # auto, cpu, cuda or cuda:N
    precision: Precision = "32"  # bf16 halves the work on GPUs that have it, and rounds a little
    batch: int = 0  # pictures at once; 0: 1 on a CPU, 8 on a GPU
    tile: int | Literal["auto", "off"] = "auto"  # longest side of a tile in pixels; auto: by memory
    overlap: int = 128  # of neighbouring tiles, pixels; at most half a tile

    def __post_init__(self) -> None:
        if self.precision not in ("32", "bf16"):
            raise SettingsError(f"precision is {self.precision!r}; it is 32 or bf16")
        if self.batch < 0:
            raise SettingsError(f"batch is {self.batch}; it is 1 or more, or 0 to choose by device")
        if isinstance(self.tile, int):
            check_tiles(self.tile, self.tile_overlap(self.tile))
        elif self.tile not in ("auto", "off"):
            raise SettingsError(f"tile is {self.tile!r}; it is auto, off or a number of pixels")

    def tile_overlap(self, tile: int) -> int:
        """Return the overlap for tiles of a size: at most half."""
        return min(self.overlap, tile // 2)


@dataclass(frozen=True, eq=False)
class FusedPlanes:
    """What the network makes of one pair.

    Attributes:
        luminance: (H, W) float32 in [0, 1].
        foreground: (H, W) float32 in [0, 1], how likely a pixel is foreground; None without the branch.
    """

    luminance: Plane
    foreground: Plane | None


@dataclass(frozen=True, eq=False)
class FusedPicture:
    """A fused picture to look at.

    Attributes:
        picture: (H, W) or (H, W, 3) BGR uint8, as the visible picture was.
        foreground: (H, W) uint8, 255 where the foreground is certain; None without the branch.
    """

    picture: NDArray[np.uint8]
    foreground: NDArray[np.uint8] | None


class Fuser:
    """A network on a device, ready for pictures of any size from 32x32 pixels up."""

    def __init__(self, model: FGFusion, settings: InferenceSettings | None = None) -> None:
        """Take the network to the device; it is copied unless it is there, ready to fuse.

        Raises:
            SettingsError: a GPU is asked for that is not there, or tiles for a network that cannot have them.
        """
        self.settings = settings or InferenceSettings()
        self.device = choose_device(self.settings.device)
        if isinstance(self.settings.tile, int) and not _tileable(model.settings):
            raise SettingsError(
                "this network's norm is 'instance': it takes the statistics of the whole picture, and tiles "
                "would show; use --tile off"
            )
        self.model = model if _is_ready(model, self.device) else _ready_copy(model, self.device)

    @property
    def batch(self) -> int:
        """Return how many pictures to fuse at once."""
        return self.settings.batch or (1 if self.device.type == "cpu" else GPU_BATCH)

    def tile_for(self, height: int, width: int) -> int | None:
        """Return the longest side of the tiles for pictures of a size; None to take them whole."""
        tile = self.settings.tile
        if isinstance(tile, int):
            return tile if max(height, width) > tile else None
        if tile == "off" or not _tileable(self.model.settings):
            return None
        most = self._budget_bytes() / bytes_per_pixel(self.model.settings)
        if height * width <= most:
            return None
        return max(256, min(AUTO_TILE, int(most**0.5) // 16 * 16))

    def fuse_planes(self, infrared: Sequence[Plane], visible: Sequence[Plane]) -> list[FusedPlanes]:
        """Fuse pairs of one size, each plane (H, W) float32 in [0, 1].

        Raises:
            OutOfMemoryError: the GPU's memory is too small for it.
        """
        height, width = infrared[0].shape
        tile = self.tile_for(height, width)
        with _memory_errors(self.device):
            if tile is not None:
                return [self._fuse_tiled(a, b, tile) for a, b in zip(infrared, visible, strict=True)]
            fused, foreground = self._run(np.stack(infrared), np.stack(visible))
        maps = [None] * len(fused) if foreground is None else list(foreground)
        return [FusedPlanes(plane, map_) for plane, map_ in zip(fused, maps, strict=True)]

    def fuse(self, infrared: NDArray[Any], visible: NDArray[Any]) -> FusedPicture:
        """Fuse one registered pair of pictures; see `fuse_pictures`."""
        infrared, visible = _as_counts(infrared, "infrared"), _as_counts(visible, "visible")
        check_sizes(infrared.shape[:2], visible.shape[:2], "infrared", "visible")
        (planes,) = self.fuse_planes([luminance(infrared)], [luminance(visible)])
        return finish(planes, visible)

    def _fuse_tiled(self, infrared: Plane, visible: Plane, size: int) -> FusedPlanes:
        """Fuse one pair tile by tile; the tiles' results are blended where they overlap."""
        fused = np.zeros(infrared.shape, np.float32)
        has_map = self.model.settings.foreground
        foreground = np.zeros(infrared.shape, np.float32) if has_map else None
        height, width = infrared.shape
        for tile in plan_tiles(height, width, size, self.settings.tile_overlap(size)):
            part, part_map = self._run(infrared[tile.place][None], visible[tile.place][None])
            weights = tile.weights
            fused[tile.place] += part[0] * weights
            if foreground is not None and part_map is not None:
                foreground[tile.place] += part_map[0] * weights
        return FusedPlanes(fused, foreground)

    @torch.inference_mode()
    def _run(self, infrared: Plane, visible: Plane) -> tuple[Plane, Plane | None]:
        """Run the network on (N, H, W) planes."""
        with self._precision():
            fused, logits = self.model(self._tensor(infrared), self._tensor(visible))
        foreground = None if logits is None else _plane(torch.sigmoid(logits.float()))
        return _plane(fused.float().clamp(0, 1)), foreground

    def _tensor(self, planes: Plane) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(planes))[:, None].to(self.device, non_blocking=True)

    def _precision(self) -> Any:
        if self.settings.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _budget_bytes(self) -> float:
        if self.device.type == "cpu":
            return CPU_BUDGET_BYTES
        return GPU_SHARE * torch.cuda.get_device_properties(self.device).total_memory / self.batch


def fuse_pictures(
    model: FGFusion,
    infrared: NDArray[Any],
    visible: NDArray[Any],
    settings: InferenceSettings | None = None,
) -> NDArray[np.uint8]:
    """Fuse one registered pair of pictures.

    Args:
        model: a trained network, such as `FGFusion.from_pretrained()`.
        infrared: (H, W), or colour of which the luminance is taken; sides from 32 pixels up.
        visible: (H, W) grey or (H, W, 3) BGR, of the same size. Both may be uint8, uint16 at full scale, or
            floating point in [0, 1].
        settings: how to run it; None: where the network is.

    Returns:
        uint8, grey or BGR as `visible` is, with its colour, of the same size.

    Raises:
        PictureError: the sizes differ, a side is too short, or the values are not among those above.
        SettingsError: a GPU is asked for that is not there.
    """
    settings = settings or InferenceSettings(device=str(_device_of(model)))
    return Fuser(model, settings).fuse(infrared, visible).picture


def finish(planes: FusedPlanes, visible: NDArray[Any]) -> FusedPicture:
    """Give fused luminance the colour of the visible picture, (H, W) or (H, W, 3) BGR, 8 or 16 bit."""
    if visible.dtype == np.uint16:
        visible = np.round(visible.astype(np.float32) / 257).astype(np.uint8)
    foreground = planes.foreground
    return FusedPicture(
        np.asarray(with_colour(planes.luminance, visible), np.uint8),
        None if foreground is None else np.round(foreground * 255).astype(np.uint8),
    )


def bytes_per_pixel(settings: NetworkSettings) -> int:
    """Return about how much memory one pixel of the input takes while the network runs, bytes.

    What counts is at full resolution: the DRM's states, twice while they are put side by side, and some more.
    """
    states = 2 * (settings.couplings + 1)
    return 4 * settings.channels * (2 * states + 6)


def _tileable(settings: NetworkSettings) -> bool:
    return settings.norm != "instance"


def _device_of(model: FGFusion) -> torch.device:
    return next(model.parameters()).device


def _is_ready(model: FGFusion, device: torch.device) -> bool:
    here = _device_of(model)
    return not model.training and here.type == device.type and device.index in (None, here.index)


def _ready_copy(model: FGFusion, device: torch.device) -> FGFusion:
    """Return a copy for fusing; convolutions are faster with channels last, on CPUs as on GPUs."""
    ready = copy.deepcopy(model).eval().to(device)
    ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def _plane(batch: Tensor) -> Plane:
    """Return (N, 1, H, W) as an (N, H, W) array."""
    return np.asarray(batch[:, 0].cpu().numpy(), np.float32)


def _as_counts(picture: NDArray[Any], what: str) -> NDArray[Any]:
    """Return floating-point values of [0, 1] as 16 bit; other arrays stay as they are."""
    picture = np.asarray(picture)
    if not np.issubdtype(picture.dtype, np.floating):
        return picture
    low, high = (float(picture.min()), float(picture.max())) if picture.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # also when they are NaN
        raise PictureError(
            f"the {what} picture holds {picture.dtype} values from {low:g} to {high:g}; floating point is "
            "taken in [0, 1]: divide by the largest value that there can be, or give uint8 or uint16",
            reason="out-of-range",
        )
    return np.round(picture * np.iinfo(np.uint16).max).astype(np.uint16)


@contextmanager
def _memory_errors(device: torch.device) -> Iterator[None]:
    """Turn a full GPU into advice."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"{device} has too little memory for this ({str(error).splitlines()[0]}); try --batch 1, "
            "--tile 512, --precision bf16 or --device cpu"
        ) from error
