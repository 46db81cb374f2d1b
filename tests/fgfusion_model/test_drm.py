"""The detail retention module loses nothing: what its couplings do can be undone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fgfusion_model.drm import DRM, SCALE, Coupling, DenseDetail
from fgfusion_model.settings import NetworkSettings, preset


def shaken(module: nn.Module, seed: int = 0, size: float = 0.1) -> nn.Module:
    """Give every weight a random value, also those that start from zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=weight.dtype) * size)
    return module


def features(settings: NetworkSettings, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((2, settings.channels, 12, 10), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("couplings", [1, 2, 4])
def test_the_inverse_gives_back_what_went_in(couplings: int) -> None:
    settings = NetworkSettings(channels=8, couplings=couplings)
    drm = shaken(DRM(settings).double())
    assert isinstance(drm, DRM)
    infrared, visible = features(settings, 1), features(settings, 2)
    coupled = drm.couple(infrared, visible)
    assert not torch.allclose(coupled[0], infrared, atol=1e-2)
    back_ir, back_vi = drm.inverse(*coupled)
    torch.testing.assert_close(back_ir, infrared, rtol=0, atol=1e-10)
    torch.testing.assert_close(back_vi, visible, rtol=0, atol=1e-10)


def test_any_output_has_an_input_so_the_map_is_onto() -> None:
    settings = NetworkSettings(channels=8)
    drm = shaken(DRM(settings).double())
    assert isinstance(drm, DRM)
    wanted = features(settings, 3), features(settings, 4)
    found = drm.couple(*drm.inverse(*wanted))
    for has, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(has, want, rtol=0, atol=1e-6)


def test_a_coupling_is_equation_2_written_out() -> None:
    coupling = shaken(Coupling(4).double(), seed=5)
    assert isinstance(coupling, Coupling)
    ir, vi = (torch.rand(1, 4, 8, 8, dtype=torch.float64) for _ in range(2))
    vi_new = vi + coupling.to_visible(ir)
    ir_new = ir / (1 + torch.exp(-coupling.scale(vi_new))) + coupling.shift(vi_new)
    has_ir, has_vi = coupling(ir, vi)
    torch.testing.assert_close(has_vi, vi_new * SCALE)
    torch.testing.assert_close(has_ir, ir_new * SCALE)


@pytest.mark.parametrize("couplings", [1, 2, 4])
def test_features_grow_by_less_than_half_a_coupling_at_the_start_of_training(couplings: int) -> None:
    settings = NetworkSettings(channels=8, couplings=couplings)
    with torch.no_grad():
        ir, vi = DRM(settings).double().couple(features(settings, 1), features(settings, 2))
    assert max(float(ir.abs().max()), float(vi.abs().max())) < 1.5**couplings


@pytest.mark.parametrize("module", [DRM, DenseDetail])
def test_the_dense_stand_in_of_the_ablation_fits_in_the_same_place(module: type[DRM | DenseDetail]) -> None:
    settings = preset("lite")
    x = torch.rand(2, settings.channels, 16, 24)
    assert module(settings)(x, x).shape == (2, settings.channels, 16, 24)
