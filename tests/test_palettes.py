"""False colour is recognised through compression and undone to the grey values that were painted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vircraft.palettes import PALETTES, palette_table, recognise_palette, undo_palette


def thermal_scene(seed: int = 0) -> NDArray[np.uint8]:
    """Return grey values with smooth ground, edges and a hot spot."""
    rng = np.random.default_rng(seed)
    grey = cv2.resize(
        rng.uniform(10, 250, (6, 8)).astype(np.float32), (320, 256), interpolation=cv2.INTER_LINEAR
    )
    cv2.rectangle(grey, (40, 60), (120, 160), 230, -1)
    cv2.circle(grey, (230, 120), 40, 30, -1)
    return np.clip(grey, 0, 255).astype(np.uint8)


def as_jpeg(bgr: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress with chroma at half resolution, as video does."""
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("name", PALETTES)
def test_every_palette_is_recognised_and_undone_through_compression(name: str) -> None:
    grey = thermal_scene()
    painted = as_jpeg(palette_table(name)[grey], 75)
    match = recognise_palette([painted])
    assert match is not None
    assert match.name == name
    error = np.abs(undo_palette(painted).astype(int) - grey)
    assert np.median(error) <= 4
    assert error.mean() < 8


@pytest.mark.parametrize("name", ["inferno", "ironbow", "jet"])
def test_without_compression_the_grey_values_come_back(name: str) -> None:
    grey = thermal_scene(1)
    assert np.abs(undo_palette(palette_table(name)[grey]).astype(int) - grey).max() <= 3


def test_captions_do_not_hide_the_palette() -> None:
    painted = palette_table("ironbow")[thermal_scene()]
    cv2.putText(painted, "23.4 C", (8, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 255, 0), 2)
    match = recognise_palette([as_jpeg(painted, 85)])
    assert match is not None
    assert match.name == "ironbow"


def test_grey_is_left_alone() -> None:
    grey = cv2.cvtColor(thermal_scene(), cv2.COLOR_GRAY2BGR)
    assert recognise_palette([as_jpeg(grey, 60)]) is None
    np.testing.assert_array_equal(undo_palette(grey), grey[..., 0])


def test_a_colour_picture_is_no_palette_and_gives_its_luminance() -> None:
    rng = np.random.default_rng(3)
    picture = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (320, 240))
    assert recognise_palette([picture]) is None
    np.testing.assert_array_equal(undo_palette(picture), cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def test_a_black_frame_beside_a_painted_one_does_not_matter() -> None:
    painted = palette_table("jet")[thermal_scene()]
    match = recognise_palette([np.zeros_like(painted), painted])
    assert match is not None
    assert match.name == "jet"
