"""The weights that come with the package: there, small, whole, and better than the mean picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fgfusion_model.checkpoints import bundled_weights, read_notes
from fgfusion_model.losses import ssim
from fgfusion_model.network import FGFusion
from fgfusion_model.settings import preset

TNO = Path(__file__).parents[3] / "shared" / "data" / "tno_masks"
NIGHTS = Path(__file__).parents[3] / "shared" / "data" / "msrs"


@pytest.fixture(scope="module")
def network() -> FGFusion:
    return FGFusion.from_pretrained()


def fused(network: FGFusion, infrared: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return network(infrared[None, None], visible[None, None]).fused[0, 0]


def read(path: Path) -> torch.Tensor:
    import cv2

    return torch.from_numpy(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).float() / 255


def test_lite_comes_with_the_package_and_says_how_it_was_made(network: FGFusion) -> None:
    path = bundled_weights("lite")
    assert path.stat().st_size < 6e6
    assert network.settings == preset("lite")
    assert not network.training
    assert {"recipe", "data", "scores"} <= set(read_notes(path))


def test_two_equal_pictures_fuse_to_about_the_same_picture(network: FGFusion) -> None:
    x = torch.linspace(0, 12, 96)
    picture = 0.5 + 0.3 * torch.outer(torch.sin(x), torch.cos(x))
    both = fused(network, picture, picture)
    assert float(ssim(both[None, None], picture[None, None])) > 0.9


def test_a_hot_spot_that_the_visible_picture_does_not_show_stands_out(network: FGFusion) -> None:
    infrared, visible = torch.full((96, 96), 0.25), torch.full((96, 96), 0.35)
    infrared[40:56, 40:56] = 0.9
    picture = fused(network, infrared, visible)
    assert float(picture[40:56, 40:56].mean() - picture[8:32, 8:88].mean()) > 0.35


def test_writing_that_infrared_does_not_show_stays_readable(network: FGFusion) -> None:
    visible = torch.full((96, 96), 0.2)
    visible[:, 30:34] = visible[:, 60:64] = 0.8
    picture = fused(network, torch.full((96, 96), 0.3), visible)
    assert float(picture[20:76, 31:33].mean() - picture[20:76, 42:52].mean()) > 0.35


@pytest.mark.slow
@pytest.mark.skipif(not TNO.is_dir(), reason="needs the shared TNO pictures")
def test_foregrounds_stand_out_as_in_the_brighter_input(network: FGFusion) -> None:
    """Mean inside the mask minus a ring of 15 px around it, over eight pictures (four trained on)."""
    import cv2

    ring_of = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31))
    gains = []
    for path in sorted((TNO / "masks").glob("*.png")):
        infrared, visible = read(TNO / "infrared" / path.name), read(TNO / "visible" / path.name)
        mask = read(path).numpy() > 0.5
        ring = cv2.dilate(mask.astype(np.uint8), ring_of).astype(bool) & ~mask
        contrast = [
            picture[mask].mean() - picture[ring].mean()
            for picture in (
                fused(network, infrared, visible).numpy(),
                torch.maximum(infrared, visible).numpy(),
            )
        ]
        gains.append(contrast[0] - contrast[1])
    assert len(gains) == 8
    assert np.mean(gains) > 0


@pytest.mark.slow
@pytest.mark.skipif(not NIGHTS.is_dir(), reason="needs the shared MSRS pictures")
def test_nights_are_not_dim(network: FGFusion) -> None:
    for name in ("00858N.jpg", "01166N.jpg", "01202N.jpg"):
        infrared, visible = read(NIGHTS / "infrared" / name), read(NIGHTS / "visible" / name)
        brightest = torch.maximum(infrared, visible)
        assert float(fused(network, infrared, visible).mean()) > 0.75 * float(brightest.mean())
