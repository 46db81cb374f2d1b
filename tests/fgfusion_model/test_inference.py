"""Arrays in, arrays out: sizes, types, colour, batches and tiles.

An untrained network returns the mean of both luminances, so that what must come out is known.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fgfusion_model.inference.fuser import Fuser, InferenceSettings, bytes_per_pixel, fuse_pictures
from fgfusion_model.network import FGFusion, Fusion
from fgfusion_model.settings import preset
from fuse_inputs import TINY, infrared, luma, mean_network, random_network, visible
from vircraft.errors import PictureError, SettingsError

CPU = InferenceSettings(device="cpu")


@pytest.mark.parametrize("wh", [(32, 32), (47, 33), (75, 100), (64, 48)])
def test_what_comes_out_has_the_size_and_colour_of_what_goes_in(wh: tuple[int, int]):
    ir, vi = infrared(wh), visible(wh)
    fused = fuse_pictures(mean_network(), ir, vi, CPU)
    assert (fused.shape, fused.dtype) == (vi.shape, np.uint8)
    wanted = (luma(ir) + luma(vi)) / 2
    assert np.abs(luma(fused) - wanted).max() < 1.1
    chroma = [cv2.cvtColor(p, cv2.COLOR_BGR2YCrCb)[..., 1:].astype(int) for p in (fused, vi)]
    inside = (fused > 1).all(2) & (fused < 254).all(2)  # elsewhere colour is paled to keep luminance
    assert np.abs(chroma[0] - chroma[1])[inside].max() <= 2


def test_a_grey_visible_picture_gives_a_grey_one():
    ir, vi = infrared(), infrared(seed=5)
    fused = fuse_pictures(mean_network(), ir, vi, CPU)
    assert fused.shape == vi.shape
    assert np.abs(fused - (ir.astype(float) + vi) / 2).max() <= 1


def test_8_bit_16_bit_and_floating_point_say_the_same():
    ir, vi = infrared(), visible()
    model = random_network()
    wanted = fuse_pictures(model, ir, vi, CPU).astype(int)
    deep = fuse_pictures(model, ir.astype(np.uint16) * 257, vi.astype(np.uint16) * 257, CPU)
    real = fuse_pictures(model, ir / 255, vi.astype(np.float32) / 255, CPU)
    for fused in (deep, real):
        assert fused.dtype == np.uint8
        assert np.abs(fused - wanted).max() <= 1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (infrared().astype(np.float32), "in \\[0, 1\\]"),
        (np.full((40, 48), np.nan), "in \\[0, 1\\]"),
        (infrared() > 99, "8 or 16 bit"),
        (infrared((48, 41)), "48x41"),
        (infrared().astype(np.int64), "8 or 16 bit"),
    ],
)
def test_values_that_would_give_a_black_or_wrong_picture_are_refused(values: np.ndarray, complaint: str):
    with pytest.raises(PictureError, match=complaint):
        fuse_pictures(mean_network(), values, visible(), CPU)


def test_a_side_below_32_pixels_is_refused():
    with pytest.raises(PictureError, match="32 pixels"):
        fuse_pictures(mean_network(), infrared((48, 31)), visible((48, 31)), CPU)


def test_a_batch_gives_what_each_pair_gives_alone():
    fuser = Fuser(random_network(), CPU)
    planes = [infrared(seed=k) / np.float32(255) for k in range(6)]
    together = fuser.fuse_planes(planes[:3], planes[3:])
    for k, fused in enumerate(together):
        (alone,) = fuser.fuse_planes([planes[k]], [planes[3 + k]])
        np.testing.assert_allclose(fused.luminance, alone.luminance, atol=1e-5)
        np.testing.assert_allclose(fused.foreground, alone.foreground, atol=1e-5)


def test_the_foreground_is_a_probability_and_absent_without_its_branch():
    planes = [infrared() / np.float32(255)]
    (fused,) = Fuser(random_network(), CPU).fuse_planes(planes, planes)
    assert fused.foreground is not None
    assert fused.foreground.shape == fused.luminance.shape
    assert 0 <= fused.foreground.min() <= fused.foreground.max() <= 1
    (fused,) = Fuser(random_network(foreground=False), CPU).fuse_planes(planes, planes)
    assert fused.foreground is None


class LocalNetwork(FGFusion):
    """Sees 17 pixels around each one, so that tiles must not change anything."""

    def forward(self, infrared: torch.Tensor, visible: torch.Tensor) -> Fusion:
        def blur(plane: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d(plane, 17, 1, 8)

        return Fusion(blur(infrared) * visible, blur(visible) - infrared)


def test_tiles_change_nothing_where_what_the_network_sees_fits_their_margin():
    rng = np.random.default_rng(0)
    planes = [rng.random((230, 301), np.float32) for _ in range(2)]
    model = LocalNetwork(TINY)
    (whole,) = Fuser(model, InferenceSettings("cpu", tile="off")).fuse_planes(*([p] for p in planes))
    (tiled,) = Fuser(model, InferenceSettings("cpu", tile=128)).fuse_planes(*([p] for p in planes))
    np.testing.assert_allclose(tiled.luminance, whole.luminance, atol=1e-5)
    np.testing.assert_allclose(tiled.foreground, whole.foreground, atol=1e-5)


def test_tiles_of_the_network_show_no_seam():
    """Beside cuts neighbours differ no more from the whole picture's steps than elsewhere."""
    ir, vi = (infrared((320, 192), seed) / np.float32(255) for seed in (1, 2))
    (whole,) = Fuser(random_network(), InferenceSettings("cpu", tile="off")).fuse_planes([ir], [vi])
    (tiled,) = Fuser(random_network(), InferenceSettings("cpu", tile=128)).fuse_planes([ir], [vi])
    step = np.abs(np.diff(tiled.luminance - whole.luminance, axis=1))
    assert step.max() < 1 / 255


def test_large_pictures_are_tiled_by_the_memory_they_need():
    settings = preset("lite")
    fuser = Fuser(FGFusion(settings), CPU)
    assert fuser.tile_for(480, 640) is None
    assert fuser.tile_for(1024, 1280) is None
    tile = fuser.tile_for(3072, 4096)
    assert tile is not None
    assert tile % 16 == 0
    assert bytes_per_pixel(settings) * tile**2 < 3e9


def test_tiles_are_refused_for_statistics_of_the_whole_picture():
    model = mean_network(norm="instance")
    with pytest.raises(SettingsError, match="--tile off"):
        Fuser(model, InferenceSettings("cpu", tile=128))
    assert Fuser(model, CPU).tile_for(9000, 9000) is None


def test_half_precision_differs_by_a_few_levels():
    ir, vi = infrared(), visible()
    model = random_network()
    half = fuse_pictures(model, ir, vi, InferenceSettings("cpu", precision="bf16")).astype(int)
    assert np.abs(half - fuse_pictures(model, ir, vi, CPU)).max() < 12


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do():
    for name in ("cuda", "cuda:3"):
        with pytest.raises(SettingsError, match="--device cpu"):
            Fuser(mean_network(), InferenceSettings(name))
    assert Fuser(mean_network()).device.type == "cpu"


@pytest.mark.parametrize(
    "wrong", [{"device": "tpu"}, {"precision": "16"}, {"tile": 40}, {"tile": "big"}, {"batch": -1}]
)
def test_wrong_settings_are_refused(wrong: dict):
    with pytest.raises(SettingsError):
        Fuser(mean_network(), InferenceSettings(**wrong))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_gpu_gives_what_the_cpu_gives(precision: str):
    ir, vi = infrared((200, 120)), visible((200, 120))
    model = random_network()
    wanted = fuse_pictures(model, ir, vi, CPU).astype(int)
    fused = fuse_pictures(model, ir, vi, InferenceSettings("cuda", precision=precision))  # type: ignore[arg-type]
    assert np.abs(fused - wanted).max() <= (2 if precision == "32" else 12)
