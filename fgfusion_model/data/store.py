"""Where decoded pictures wait: in memory, on the GPU, or nowhere, so that they are read each time.

Every store hands out the same thing, so that one cropping routine serves all: one flat run of bytes, and for
each picture where it starts and how large it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from fgfusion_model.data.pairs import TrainingPair
from fgfusion_model.data.pictures import Bytes, read_planes

CacheMode = Literal["auto", "ram", "gpu", "none"]
CACHE_MODES: tuple[CacheMode, ...] = ("auto", "ram", "gpu", "none")
RAM_SHARE, GPU_SHARE = 0.5, 0.25  # of free memory that `auto` fills with pictures
SizeHW = tuple[int, int]


class Pictures(NamedTuple):
    """Decoded pairs.

    Attributes:
        flat: (P,) uint8; of each pair the planes infrared, visible, mask, row by row.
        starts: (N,) int64, where each pair begins in `flat`.
        sizes_hw: (N, 2) int64.
    """

    flat: Tensor
    starts: Tensor
    sizes_hw: Tensor


class Store(Protocol):
    """Hands out decoded pairs by number.

    Attributes:
        mode: where the pictures wait.
        all_sizes_hw: (N, 2) int64, of every pair.
    """

    mode: CacheMode
    all_sizes_hw: Tensor

    def fetch(self, indices: Sequence[int]) -> Pictures:
        """Return the pairs of those numbers; safe to call from another thread."""
        ...


class MemoryStore:
    """All pairs in one tensor, in memory or on the GPU.

    Args:
        pictures: of all pairs.
        device: where to hold them.
    """

    def __init__(self, pictures: Pictures, device: torch.device) -> None:
        self.mode: CacheMode = "ram" if device.type == "cpu" else "gpu"
        self.pictures = Pictures(pictures.flat.to(device), pictures.starts, pictures.sizes_hw)
        self.all_sizes_hw = pictures.sizes_hw

    def fetch(self, indices: Sequence[int]) -> Pictures:
        """Return the pairs of those numbers, without copying a pixel."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        flat, starts, sizes = self.pictures
        return Pictures(flat, starts[chosen], sizes[chosen])


class FileStore:
    """Reads the pairs each time.

    Args:
        pairs: what to read.
        sizes_hw: of each.
        stand_in: as `read_planes` takes it.
        threads: readers at once.
    """

    mode: CacheMode = "none"

    def __init__(
        self, pairs: Sequence[TrainingPair], sizes_hw: Sequence[SizeHW], *, stand_in: bool, threads: int
    ) -> None:
        self.pairs, self.sizes_hw, self.stand_in = pairs, sizes_hw, stand_in
        self.all_sizes_hw = torch.tensor(list(sizes_hw), dtype=torch.int64).reshape(-1, 2)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="pictures")

    def fetch(self, indices: Sequence[int]) -> Pictures:
        """Read the pairs of those numbers.

        Raises:
            InputFileError: one could be read when training began, and cannot now.
        """
        with OneOpenCVThread():
            return _joined(list(self.pool.map(self._read, indices)))

    def _read(self, index: int) -> Bytes:
        return read_planes(self.pairs[index], self.sizes_hw[index], stand_in=self.stand_in)


def choose_cache(need_bytes: int, device: torch.device) -> CacheMode:
    """Return where that many bytes of pictures should wait, by the memory that is free now."""
    if device.type == "cuda" and need_bytes < GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "gpu"
    return "ram" if need_bytes < RAM_SHARE * _free_memory() else "none"


def _joined(planes: Sequence[Bytes]) -> Pictures:
    sizes = torch.tensor([p.shape[1:] for p in planes], dtype=torch.int64).reshape(-1, 2)
    starts = np.cumsum([0, *(p.size for p in planes)])[:-1].astype(np.int64)
    return Pictures(
        torch.from_numpy(np.concatenate([p.ravel() for p in planes])), torch.from_numpy(starts), sizes
    )


class OneOpenCVThread:
    """Lets many readers decode at once, each on one thread, and gives OpenCV its threads back."""

    def __enter__(self) -> None:
        self.before = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def __exit__(self, *_: object) -> None:
        cv2.setNumThreads(self.before)


def _free_memory() -> int:
    """Return bytes of memory that a process can take now, or half of all where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 20
        return pages * 4096 // 2


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
