"""What optics and sensors do to the two pictures: blur, noise, and the infrared camera's automatic gain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


class VisibleSensor:
    """Turns a clean picture into what the visible camera delivers."""

    def __init__(
        self, size_wh: tuple[int, int], noise: float, blur_px: float, rng: np.random.Generator
    ) -> None:
        w, h = size_wh
        self._size_wh = size_wh
        self._blur_px = blur_px
        grain = rng.standard_normal((h + 96, w + 96, 3), np.float32) * noise
        self._grain = np.round(cv2.GaussianBlur(grain, (0, 0), 0.55) * 1.5).astype(np.int16)

    def expose(self, picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the (H, W, 3) picture blurred and with noise; `rng` moves the grain from frame to frame."""
        w, h = self._size_wh
        soft = cv2.GaussianBlur(picture, (0, 0), self._blur_px)
        x, y = rng.integers(0, 96, 2)
        return np.asarray(cv2.add(soft, self._grain[y : y + h, x : x + w], dtype=cv2.CV_8U))


class InfraredSensor:
    """Turns apparent temperatures into what the infrared camera delivers: 8-bit grey, white is hot.

    The gain follows the scene's extremes with a delay, as such cameras do, so frames must come in order.
    """

    def __init__(
        self, size_wh: tuple[int, int], noise_c: float, blur_px: float, rng: np.random.Generator
    ) -> None:
        w, h = size_wh
        self._size_wh = size_wh
        self._blur_px = blur_px
        self._grain = rng.standard_normal((h + 96, w + 96), np.float32) * np.float32(noise_c)
        self._columns = (rng.standard_normal(w, np.float32) * np.float32(0.8 * noise_c))[None]
        self._column_drift = rng.standard_normal((64, w), np.float32) * np.float32(0.5 * noise_c)
        x, y = np.meshgrid(np.linspace(-1, 1, w), np.linspace(-1, 1, h))
        self._shading = (0.5 * (x**2 + y**2)).astype(np.float32) * np.float32(rng.uniform(-1.2, 0.6))
        self._range_c: tuple[float, float] | None = None

    def expose(self, degrees: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the (H, W) picture; `rng` moves the noise from frame to frame."""
        w, h = self._size_wh
        soft = np.asarray(cv2.GaussianBlur(degrees, (0, 0), self._blur_px), np.float32)
        x, y = rng.integers(0, 96, 2)
        soft += self._grain[y : y + h, x : x + w]
        soft += self._columns + self._column_drift[int(rng.integers(64))]
        soft += self._shading
        # Digital detail enhancement: what stands out from its surroundings is lifted, as such cameras do.
        w4, h4 = max(w // 4, 1), max(h // 4, 1)
        coarse = cv2.GaussianBlur(cv2.resize(soft, (w4, h4), interpolation=cv2.INTER_AREA), (0, 0), 3.0)
        base = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)
        detail = np.clip(soft - base, -9.0, 9.0)
        low, high = np.quantile(coarse[::2, ::2], (0.004, 0.996))
        high = max(high, low + 9.0)  # never stretch bare noise
        if self._range_c is not None:
            low, high = (0.9 * old + 0.1 * new for old, new in zip(self._range_c, (low, high), strict=True))
        self._range_c = (float(low), float(high))
        grey = (base - np.float32(low)) * np.float32(150 / (high - low)) + detail * np.float32(
            150 / (high - low) + 3.6
        )
        return np.asarray(np.clip(grey + 48.5, 0, 255), np.uint8)
