"""A little world that moves, filmed by two cameras that share no grey level: for tests of synchronisation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media import write_video
from vircraft.clips import Clip, ClipSource, probe_clip

VISIBLE_WH, INFRARED_WH = (320, 180), (160, 128)
INFRARED_SHARE = 0.5  # of the visible width that the infrared camera sees
INFRARED_LEFT, INFRARED_TOP = 0.28, 0.1  # in shares of the visible width and height


class World:
    """A textured ground and a few bodies that wander over it, as a function of time."""

    def __init__(self, seed: int, *, shaking: bool = False, bodies: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.ground = cv2.resize(rng.uniform(70, 180, (24, 40)).astype(np.float32), (480, 270))
        self.heat = cv2.resize(rng.uniform(70, 180, (24, 40)).astype(np.float32), (480, 270))
        self.speed = rng.uniform(0.25, 0.9, (bodies, 2, 3))
        self.phase = rng.uniform(0, 2 * np.pi, (bodies, 2, 3))
        self.bright = rng.uniform(-90, 90, bodies)
        self.shake_rate = rng.uniform(0.5, 4.0, (2, 6))
        self.shake_phase = rng.uniform(0, 2 * np.pi, (2, 6))
        self.shake = 4.0 if shaking else 0.0

    def picture(self, time_s: float, *, infrared: bool) -> NDArray[np.float32]:
        """Return the (270, 480) world at an instant, as one of the two sees it."""
        picture = (255 - self.heat if infrared else self.ground).copy()
        for speed, phase, bright in zip(self.speed, self.phase, self.bright, strict=True):
            x, y = (0.5 + 0.4 * np.sin(2 * np.pi * speed * time_s * 0.4 + phase).mean(axis=1)) * (480, 270)
            grey = 235.0 if infrared else 125.0 + float(bright)
            cv2.circle(picture, (round(x * 16), round(y * 16)), 14 * 16, grey, -1, cv2.LINE_AA, 4)
        return picture

    def view(self, time_s: float, *, infrared: bool) -> NDArray[np.uint8]:
        """Return what one camera records: grey for the infrared one, BGR for the visible one."""
        dx, dy = self.shake * np.sin(2 * np.pi * self.shake_rate * time_s + self.shake_phase).mean(axis=1)
        width, height = INFRARED_WH if infrared else VISIBLE_WH
        share = 0.9 * (INFRARED_SHARE if infrared else 1.0)
        left = 480 * (0.05 + 0.9 * (INFRARED_LEFT if infrared else 0.0)) + dx
        top = 270 * (0.05 + 0.9 * (INFRARED_TOP if infrared else 0.0)) + dy
        scale = 480 * share / width
        matrix = np.array([[scale, 0, left], [0, scale, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        world = self.picture(time_s, infrared=infrared)
        view = cv2.warpAffine(world, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
        noise = np.random.default_rng(int(time_s * 1e6) + infrared).normal(0, 2, view.shape)
        grey = np.clip(view + noise, 0, 255).astype(np.uint8)
        return grey if infrared else np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def film(
    folder: Path,
    *,
    seed: int = 1,
    visible_seed: int | None = None,
    offset_frames: float = 0.0,
    rates: tuple[float, float] = (25.0, 25.0),
    duration_s: float = 4.0,
    drift_ppm: float = 0.0,
    lost_infrared: tuple[int, ...] = (),
    lost_visible: tuple[int, ...] = (),
    starts_s: tuple[float, float] = (0.0, 0.0),
    shaking: bool = False,
    still: bool = False,
) -> Clip:
    """Film a clip; infrared frame i shows the instant of visible frame i + offset_frames (at equal rates).

    `visible_seed` lets the visible camera film another world; `still` makes time stand still.
    """
    world = World(seed, shaking=shaking)
    other = world if visible_seed is None else World(visible_seed, shaking=shaking)
    for infrared, rate, lost, start_s in (
        (True, rates[0], lost_infrared, starts_s[0]),
        (False, rates[1], lost_visible, starts_s[1]),
    ):
        slots = [i for i in range(round(duration_s * rate)) if i not in lost]
        # World time runs with the infrared camera; the visible camera's clock is behind it by the offset.
        instants = [
            10 + (i / rate if infrared else (i - offset_frames) / rate / (1 + drift_ppm * 1e-6))
            for i in slots
        ]
        eye = world if infrared else other
        pictures = [eye.view(10.0 if still else t, infrared=infrared) for t in instants]
        path = folder / ("a_infrared.mp4" if infrared else "a_visible.mp4")
        write_video(path, pictures, rate=rate, times_s=[start_s + i / rate for i in slots], options=ENCODING)
    return probe_clip(ClipSource("a", folder / "a_infrared.mp4", folder / "a_visible.mp4"))


ENCODING = {"crf": "20", "preset": "veryfast", "g": "50"}
