"""Decode every pair once before training: leave out what is damaged, hash the rest, keep it where it fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from fgfusion_model.data.pairs import LeftOut, TrainingPair
from fgfusion_model.data.pictures import PLANES, Bytes, read_pair_size, read_planes
from fgfusion_model.data.store import (
    CacheMode,
    FileStore,
    MemoryStore,
    OneOpenCVThread,
    Pictures,
    Store,
    choose_cache,
    cores,
)
from vircraft.errors import InputFileError, SettingsError
from vircraft.files import hash_bytes


@dataclass(frozen=True)
class Loaded:
    """Pairs that were decoded once and found good.

    Attributes:
        pairs: those kept, in the order given.
        digests: of each, a hash of its decoded pixels and mask.
        foreground: of each, the share of its pixels that are foreground; nan where that is unknown.
        store: hands them out.
        left_out: the others.
    """

    pairs: tuple[TrainingPair, ...]
    digests: tuple[str, ...]
    foreground: tuple[float, ...]
    store: Store
    left_out: tuple[LeftOut, ...]


def load_pairs(
    pairs: Sequence[TrainingPair],
    cache: CacheMode,
    device: torch.device,
    *,
    stand_in: bool = True,
    threads: int = 0,
    on_pair: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Decode every pair once, check it, hash it, and keep it where `cache` says.

    Args:
        pairs: what to load.
        cache: `ram`, `gpu`, `none`, or `auto`: the GPU when the pictures fit a quarter of its free memory,
            else memory when they fit half of what is free, else none.
        device: that trains.
        stand_in: as `read_planes` takes it.
        threads: readers at once; 0 for one a core.
        on_pair: is called with the number of pairs read and their total.

    Raises:
        SettingsError: `gpu` without a GPU.
    """
    if cache == "gpu" and device.type == "cpu":
        raise SettingsError("cache is gpu, and training runs on the CPU; use --cache ram")
    sized, left_out = _read_sizes(pairs)
    need = sum(entry.bytes for entry in sized)
    mode = choose_cache(need, device) if cache == "auto" else cache
    loading = _Loading(sized, mode, stand_in, left_out)
    loading.read(threads or cores(), on_pair)
    return loading.finish(device, threads or cores())


class _Sized(NamedTuple):
    """A pair whose headers agree."""

    pair: TrainingPair
    size_hw: tuple[int, int]

    @property
    def bytes(self) -> int:
        return PLANES * self.size_hw[0] * self.size_hw[1]


class _Read(NamedTuple):
    """What is kept of a pair besides its pixels."""

    number: int
    digest: str
    foreground: float


@dataclass
class _Loading:
    sized: list[_Sized]
    mode: CacheMode
    stand_in: bool
    left_out: list[LeftOut]
    good: list[_Read] = field(default_factory=list)

    def __post_init__(self) -> None:
        ends = np.cumsum([0, *(entry.bytes for entry in self.sized)], dtype=np.int64)
        self.starts = ends[:-1]
        self.flat = np.empty(0 if self.mode == "none" else int(ends[-1]), np.uint8)

    def read(self, threads: int, on_pair: Callable[[int, int], None] | None) -> None:
        """Decode all pairs, many at once."""
        total = len(self.sized)
        with OneOpenCVThread(), ThreadPoolExecutor(threads, thread_name_prefix="pictures") as pool:
            for number, result in enumerate(pool.map(self._read_one, range(total))):
                if isinstance(result, InputFileError):
                    name = self.sized[number].pair.name
                    self.left_out.append(LeftOut(name, result.reason, f"{name}: {result}"))
                else:
                    self.good.append(result)
                if on_pair is not None:
                    on_pair(number + 1, total)

    def _read_one(self, number: int) -> _Read | InputFileError:
        entry = self.sized[number]
        try:
            planes = read_planes(entry.pair, entry.size_hw, stand_in=self.stand_in)
        except InputFileError as error:
            return error
        if len(self.flat):
            start = self.starts[number]
            self.flat[start : start + entry.bytes] = planes.ravel()
        return _Read(number, hash_bytes(planes.tobytes()), _share(planes[2]))

    def finish(self, device: torch.device, threads: int) -> Loaded:
        """Return the good ones in their store."""
        numbers = [entry.number for entry in self.good]
        pairs = tuple(self.sized[number].pair for number in numbers)
        sizes = [self.sized[number].size_hw for number in numbers]
        store: Store
        if self.mode == "none":
            store = FileStore(pairs, sizes, stand_in=self.stand_in, threads=threads)
        else:
            pictures = Pictures(
                torch.from_numpy(self.flat),
                torch.from_numpy(self.starts[numbers]),
                torch.tensor(sizes, dtype=torch.int64).reshape(-1, 2),
            )
            store = MemoryStore(pictures, device if self.mode == "gpu" else torch.device("cpu"))
        digests = tuple(entry.digest for entry in self.good)
        shares = tuple(entry.foreground for entry in self.good)
        return Loaded(pairs, digests, shares, store, tuple(self.left_out))


def _read_sizes(pairs: Sequence[TrainingPair]) -> tuple[list[_Sized], list[LeftOut]]:
    sized: list[_Sized] = []
    left_out: list[LeftOut] = []
    for pair in pairs:
        try:
            sized.append(_Sized(pair, read_pair_size(pair)))
        except InputFileError as error:
            left_out.append(LeftOut(pair.name, error.reason, f"{pair.name}: {error}"))
    return sized, left_out


def _share(mask: Bytes) -> float:
    return float(mask.mean()) if mask.max() <= 1 else float("nan")
