"""The network as a whole: any size in, the same size out, in range, trainable, as its settings say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from fgfusion_model.network import FGFusion
from fgfusion_model.rfm import RFM
from fgfusion_model.settings import (
    ABLATIONS,
    PRESETS,
    LossSettings,
    NetworkSettings,
    PresetName,
    ablation,
    preset,
)
from fgfusion_model.sim import SIM
from vircraft.errors import PictureError, SettingsError

TINY = NetworkSettings(channels=4, widths=(8, 8, 16), stage_blocks=1, heads=2, dense_layers=1)


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.mark.parametrize("size_hw", [(32, 32), (33, 47), (48, 32), (63, 95)])
def test_the_fused_picture_has_the_size_of_its_inputs(size_hw: tuple[int, int]) -> None:
    with torch.no_grad():
        fusion = FGFusion(TINY).eval()(*pair(2, 1, *size_hw))
    assert fusion.foreground is not None
    assert fusion.fused.shape == fusion.foreground.shape == (2, 1, *size_hw)
    assert fusion.fused.dtype == torch.float32
    assert float(fusion.fused.min()) >= 0
    assert float(fusion.fused.max()) <= 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fuses(name: PresetName) -> None:
    with torch.inference_mode():
        fusion = FGFusion(preset(name)).eval()(*pair(1, 1, 32, 32))
    assert bool(torch.isfinite(fusion.fused).all())


def test_lite_is_small_enough_for_a_package() -> None:
    count = sum(weight.numel() for weight in FGFusion(preset("lite")).parameters())
    assert 0.8e6 < count < 1.4e6


def test_training_starts_from_the_mean_picture() -> None:
    infrared, visible = pair(1, 1, 32, 32)
    fused = FGFusion(TINY).eval()(infrared, visible).fused
    torch.testing.assert_close(fused, (infrared + visible) / 2, rtol=0, atol=1e-6)


def test_strict_paper_has_no_skip_and_no_laterals() -> None:
    strict = FGFusion(dataclasses.replace(TINY, strict_paper=True)).eval()
    infrared, visible = pair(1, 1, 32, 32)
    assert not torch.allclose(strict(infrared, visible).fused, (infrared + visible) / 2, atol=0.02)
    assert preset("paper").strict_paper
    assert not preset("base").strict_paper


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_trains_all_the_weights_it_has(name: str) -> None:
    network, _ = ablation(name, TINY, LossSettings())  # type: ignore[arg-type]
    model = FGFusion(network)
    for weight in model.parameters():  # what starts from zero would hide what lies before it
        torch.nn.init.normal_(weight, 0, 0.2)
    fusion = model(*pair(2, 1, 32, 32))
    assert (fusion.foreground is None) is (name in ("without_foreground", "baseline"))
    total = fusion.fused.sum() + (0 if fusion.foreground is None else fusion.foreground.sum())
    total.backward()
    idle = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert idle == []


def test_ablations_take_out_what_table_5_says() -> None:
    loss = LossSettings()
    assert ablation("full", TINY, loss) == (TINY, loss)
    without_both = dataclasses.replace(TINY, foreground=False, interaction=False)
    assert ablation("baseline", TINY, loss) == (without_both, dataclasses.replace(loss, mask_weight=1.0))
    assert ablation("without_mask_weight", TINY, loss)[1].mask_weight == 1


def test_a_batch_is_fused_as_its_pictures_one_by_one() -> None:
    torch.manual_seed(0)
    model = FGFusion(dataclasses.replace(TINY, strict_paper=True)).eval()
    infrared, visible = pair(3, 1, 32, 48)
    together = model(infrared, visible).fused
    for i in range(3):
        alone = model(infrared[i : i + 1], visible[i : i + 1]).fused
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-5)


def test_channels_last_and_bf16_give_the_same_picture() -> None:
    torch.manual_seed(0)
    model = FGFusion(dataclasses.replace(TINY, strict_paper=True)).eval()
    infrared, visible = pair(1, 1, 32, 32)
    wanted = model(infrared, visible).fused
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(infrared, visible).fused, wanted, rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = last(infrared, visible).fused
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, wanted, rtol=0, atol=0.03)


def test_the_steering_is_equation_4() -> None:
    sim = SIM(dataclasses.replace(TINY, norm="instance"))
    gamma, beta = np.float32([0.5, -0.2, 0, 1]), np.float32([1, 0, -1, 0.3])
    torch.nn.init.zeros_(sim.modulation.weight)  # so that gamma and beta are the same everywhere
    with torch.no_grad():
        sim.modulation.bias.copy_(torch.from_numpy(np.concatenate([gamma, beta])))  # type: ignore[union-attr]
    detail, semantic = torch.rand(1, 4, 16, 16), torch.rand(1, 8, 4, 4)
    x = detail.numpy()
    normal = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
    wanted = (1 + gamma[:, None, None]) * normal + beta[:, None, None]
    np.testing.assert_allclose(sim(detail, semantic).detach().numpy(), wanted, atol=1e-5)


def test_reconstruction_mixes_the_inputs_with_three_maps() -> None:
    rfm = RFM(TINY)
    with torch.no_grad():
        rfm.out.bias.copy_(torch.tensor([0.3, -0.2, 0.1]))  # type: ignore[union-attr]
    (infrared, visible), steered = pair(1, 1, 16, 16), torch.rand(1, 4, 16, 16)
    a, b, c = np.tanh([0.3, -0.2, 0.1])
    wanted = np.clip((0.5 + a) * infrared.numpy() + (0.5 + b) * visible.numpy() + c, 0, 1)
    np.testing.assert_allclose(rfm(steered, infrared, visible).detach().numpy(), wanted, atol=1e-6)


def test_reconstruction_of_the_strict_paper_is_equation_6() -> None:
    rfm = RFM(dataclasses.replace(TINY, strict_paper=True))
    (infrared, visible), steered = pair(1, 1, 16, 16), torch.rand(1, 4, 16, 16)
    with torch.no_grad():
        wanted = (np.tanh(rfm.out(rfm.blocks(steered)).numpy()) + 1) / 2
        has = rfm(steered, infrared, visible).numpy()
    np.testing.assert_allclose(has, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("infrared", "visible", "reason"),
    [
        ((1, 1, 32, 32), (1, 1, 32, 40), "size-mismatch"),
        ((1, 3, 32, 32), (1, 3, 32, 32), "wrong-shape"),
        ((1, 32, 32), (1, 32, 32), "wrong-shape"),
        ((1, 1, 31, 64), (1, 1, 31, 64), "too-small"),
    ],
)
def test_pictures_that_cannot_be_fused_are_refused(
    infrared: tuple[int, ...], visible: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(PictureError) as caught:
        FGFusion(TINY)(torch.zeros(infrared), torch.zeros(visible))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "wrong",
    [{"heads": 3}, {"channels": 1}, {"widths": (8, 8)}, {"couplings": 0}, {"norm": "layer"}],
)
def test_settings_that_make_no_network_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        dataclasses.replace(TINY, **wrong)  # type: ignore[arg-type]


def test_an_unknown_preset_or_ablation_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="paper, base, lite"):
        preset("huge")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="baseline"):
        ablation("nothing", TINY, LossSettings())  # type: ignore[arg-type]
