"""A small binocular rig for tests: two H.264 files of one moving textured scene, with a known pose."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

VISIBLE_WH = (480, 360)
INFRARED_WH = (240, 180)
FPS = 25
# Visible pixels to infrared pixels: the infrared view is the middle of the visible one, at 0.8 of its scale.
H_IR_FROM_VIS = np.array([[0.8, 0.0, -72.0], [0.0, 0.8, -54.0], [0.0, 0.0, 1.0]])


def scene(seed: int, size: int = 900) -> NDArray[np.uint8]:
    """Draw a scene with structure at several scales, (size, size, 3) BGR."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), 110, np.uint8)
    for _ in range(160):
        centre = rng.integers(0, size, 2)
        half = rng.integers(6, 60, 2)
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        if rng.random() < 0.5:
            low, high = centre - half, centre + half
            cv2.rectangle(picture, tuple(map(int, low)), tuple(map(int, high)), colour, -1)
        else:
            cv2.circle(picture, tuple(map(int, centre)), int(half[0] // 2 + 3), colour, -1)
    noise = cv2.GaussianBlur(rng.normal(0, 40, (size, size, 1)).astype(np.float32), (0, 0), 2)
    return np.clip(picture + 4 * noise.reshape(size, size, 1), 0, 255).astype(np.uint8)


def view(world: NDArray[np.uint8], frame: float) -> NDArray[np.uint8]:
    """Return what the visible camera sees at a (fractional) frame: a jerky pan."""
    x = 180 + 60 * np.sin(frame / 9.0) + 25 * np.sin(frame / 2.3)
    y = 180 + 40 * np.sin(frame / 7.0 + 1) + 15 * np.sin(frame / 1.7)
    shift = np.array([[1, 0, -x], [0, 1, -y]], np.float64)
    return np.asarray(cv2.warpAffine(world, shift, VISIBLE_WH, flags=cv2.INTER_LINEAR), np.uint8)


def infrared_view(visible: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the infrared picture of the same instant: other greys, the same edges."""
    small = cv2.warpPerspective(visible, H_IR_FROM_VIS, INFRARED_WH, flags=cv2.INTER_AREA)
    grey = 0.7 * small[..., 2].astype(np.float32) - 0.4 * small[..., 0] + 100
    return np.clip(grey, 0, 255).astype(np.uint8)


def make_clip(
    folder: Path, name: str, *, frames: int = 40, offset: int = 2, seed: int = 1, blank: bool = False
) -> Path:
    """Film the scene with both cameras.

    Args:
        folder: where to write NAME_infrared.mp4 and NAME_visible.mp4; made when missing.
        name: of the clip.
        frames: length of the infrared file.
        offset: infrared frame i shows the instant of visible frame i + offset.
        seed: of the scene.
        blank: the infrared camera sees nothing (a constant picture).

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    world = scene(seed)
    views = [view(world, float(i)) for i in range(frames + offset)]
    warm = [np.full(INFRARED_WH[::-1], 90, np.uint8) if blank else infrared_view(v) for v in views[offset:]]
    write_video(folder / f"{name}_visible.mp4", views)
    write_video(folder / f"{name}_infrared.mp4", warm)
    return folder


def write_video(
    path: Path, pictures: list[NDArray[np.uint8]], *, fps: int = FPS, start_s: float = 0.0
) -> None:
    """Write grey or BGR pictures as H.264; the first is presented at `start_s`."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "bgr24")
            frame.pts = number + round(start_s * fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
