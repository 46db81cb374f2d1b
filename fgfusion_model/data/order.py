"""In which order pairs come up: a pure function of seed and position, so that resuming needs no state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vircraft.errors import SettingsError


def mixed_seed(*parts: int | str) -> int:
    """Return a seed below 2^63 that differs wherever any part does."""
    text = ":".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class SampleOrder:
    """An endless order of pairs, epoch after epoch.

    Every epoch holds each pair of a source `weight` times; of a fraction, those whose turn it is. Within the
    epoch the order is random. Any position can be asked for at once.

    Args:
        sources: number of the source of each pair.
        weights: of each source.
        seed: another one gives another order.

    Raises:
        SettingsError: there are no pairs.
    """

    def __init__(self, sources: Sequence[int], weights: Sequence[float], seed: int) -> None:
        numbers = np.asarray(sources, dtype=np.int64)
        self.seed = seed
        self.members = {int(s): np.flatnonzero(numbers == s) for s in np.unique(numbers)}
        self.counts = {s: max(1, round(weights[s] * len(who))) for s, who in self.members.items()}
        self.epoch_length = sum(self.counts.values())
        if not self.epoch_length:
            raise SettingsError("there is no pair to train on")
        self._epoch = lru_cache(maxsize=4)(self._draw_epoch)

    def take(self, start: int, count: int) -> list[int]:
        """Return the pairs at the positions `start` to `start + count`, counted from the first epoch on."""
        pieces: list[NDArray[np.int64]] = []
        while count > 0:
            epoch, offset = divmod(start, self.epoch_length)
            piece = self._epoch(epoch)[offset : offset + count]
            pieces.append(piece)
            start, count = start + len(piece), count - len(piece)
        return [int(index) for piece in pieces for index in piece]

    def _draw_epoch(self, epoch: int) -> NDArray[np.int64]:
        parts = [self._turns(s, epoch * n, n) for s, n in self.counts.items()]
        generator = np.random.default_rng(mixed_seed(self.seed, "epoch", epoch))
        shuffled: NDArray[np.int64] = generator.permutation(np.concatenate(parts))
        return shuffled

    def _turns(self, source: int, start: int, count: int) -> NDArray[np.int64]:
        """Return the pairs of a source whose turn it is: round after round, each in an order of its own."""
        who = self.members[source]
        rounds = range(start // len(who), (start + count - 1) // len(who) + 1)
        drawn = [
            np.random.default_rng(mixed_seed(self.seed, "source", source, r)).permutation(who) for r in rounds
        ]
        first = start - rounds[0] * len(who)
        turns: NDArray[np.int64] = np.concatenate(drawn)[first : first + count]
        return turns
