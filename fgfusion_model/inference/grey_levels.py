"""Which recorded values are black and white: one choice for a whole clip or dataset, so nothing flickers.

- 8-bit pictures are taken as they are.
- 16-bit infrared, mostly raw sensor counts that use a small part of the range, is stretched from the 0.1 to
  the 99.9 percentile of a sample. It is taken at full scale when it is 8-bit data widened to 16, or when it
  reaches beyond 14 bits and spreads over a fifth of the range.
- 16-bit visible pictures are taken at the full scale of the fewest bits (10, 12, 14 or 16) that hold the
  sample, unless they are 8-bit data widened to 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft.errors import PictureError, SettingsError

FULL_8, FULL_16 = 255, 65535
PERCENTILES = (0.1, 99.9)
RAW_BITS = 14  # infrared sensors count up to so many
LEAST_SPREAD = 0.2  # of the full range; scaled pictures spread over more, temperatures in 0.01 K over less
MOST_SAMPLES = 1 << 16  # values looked at, of each picture

Counts = NDArray[Any]


@dataclass(frozen=True)
class GreyLevels:
    """The values of deep (16-bit) pictures that become 0 and 1.

    Attributes:
        low, high: recorded counts, 0 <= low < high <= 65535.
    """

    low: float = 0.0
    high: float = float(FULL_16)

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= FULL_16:
            raise SettingsError(
                f"the range of grey levels is {self.low:g},{self.high:g}; it is LOW,HIGH with "
                f"0 <= LOW < HIGH <= {FULL_16}"
            )

    def unit(self, picture: Counts) -> NDArray[np.float32]:
        """Return a picture as float32 in [0, 1]; 8-bit ones are divided by 255.

        Raises:
            PictureError: pixels of another type.
        """
        if picture.dtype == np.uint8:
            return picture.astype(np.float32) / np.float32(FULL_8)
        if picture.dtype != np.uint16:
            raise PictureError(
                f"has pixels of type {picture.dtype}; 8 or 16 bit is needed", reason="pixel-type"
            )
        if (self.low, self.high) == (0, FULL_16):
            return picture.astype(np.float32) / np.float32(FULL_16)
        scaled = (picture.astype(np.float32) - np.float32(self.low)) / np.float32(self.high - self.low)
        return np.asarray(np.clip(scaled, 0, 1), np.float32)

    def eight_bit(self, picture: Counts) -> NDArray[np.uint8]:
        """Return a picture as 8 bit; one that is already stays as it is."""
        if picture.dtype == np.uint8:
            return picture
        return np.round(self.unit(picture) * FULL_8).astype(np.uint8)


def infrared_levels(samples: Sequence[Counts]) -> GreyLevels:
    """Return the levels for the infrared pictures that a sample stands for."""
    values = _values(samples)
    if values.size == 0 or _widened(values):
        return GreyLevels()
    low, high = (float(p) for p in np.percentile(values, PERCENTILES))
    if high >= 1 << RAW_BITS and high - low >= LEAST_SPREAD * FULL_16:
        return GreyLevels()
    if high - low < 1:  # a constant picture
        low, high = max(low - 1, 0), min(high + 1, FULL_16)
    return GreyLevels(low, high)


def visible_levels(samples: Sequence[Counts]) -> GreyLevels:
    """Return the levels for the visible pictures that a sample stands for."""
    if _widened(_values(samples)):
        return GreyLevels()
    brightest = max((int(s.max()) for s in samples if s.dtype == np.uint16 and s.size), default=FULL_16)
    bits = next(bits for bits in (10, 12, 14, 16) if brightest < 1 << bits)
    return GreyLevels(0, float((1 << bits) - 1))


def parse_levels(text: str) -> GreyLevels:
    """Read `full` or `LOW,HIGH`.

    Raises:
        SettingsError: it is neither.
    """
    if text == "full":
        return GreyLevels()
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            f"the range is {text!r}; it is auto, full or LOW,HIGH in recorded counts"
        ) from error
    return GreyLevels(low, high)


def _values(samples: Sequence[Counts]) -> Counts:
    """Return some pixels of each 16-bit picture, evenly spread."""
    deep = [s.ravel() for s in samples if s.dtype == np.uint16]
    return np.concatenate([np.zeros(0, np.uint16), *(s[:: max(1, s.size // MOST_SAMPLES)] for s in deep)])


def _widened(values: Counts) -> bool:
    """Tell whether 8-bit data was widened to 16 bits, by v * 257 or v * 256."""
    return bool((values % 257 == 0).all() or (values % 256 == 0).all())
