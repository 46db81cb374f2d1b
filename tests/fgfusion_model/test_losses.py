"""Each loss of Eq. (8)-(11), and what is added to them, against plain NumPy loops over pixels."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fgfusion_model.information import information
from fgfusion_model.losses import (
    FusionLoss,
    LossTerms,
    contrast_loss,
    correlation,
    local_variance,
    sobel,
    ssim,
)
from fgfusion_model.network import Fusion
from fgfusion_model.settings import LossSettings
from vircraft.errors import SettingsError

Array = NDArray[np.float64]
SIZE_HW = (20, 24)


def pictures(seed: int = 0) -> tuple[Array, Array, Array, Array, Array]:
    """Fused, infrared, visible, mask and logits, each (H, W)."""
    rng = np.random.default_rng(seed)
    fused, infrared, visible = (rng.random(SIZE_HW) for _ in range(3))
    mask = np.zeros(SIZE_HW)
    mask[5:12, 6:15] = 1
    return fused, infrared, visible, mask, rng.normal(0, 3, SIZE_HW)


def tensor(*arrays: Array) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))[:, None].float()


def terms(settings: LossSettings, arrays: tuple[Array, ...], *, masked: bool = True) -> LossTerms:
    fused, infrared, visible, mask, logits = map(tensor, arrays)
    loss = FusionLoss(settings)
    return loss(Fusion(fused, logits), infrared, visible, mask if masked else None)


def filtered(picture: Array, kernel: Array) -> Array:
    """Correlate with a kernel, borders repeated, one pixel after the other."""
    radius = kernel.shape[0] // 2
    padded = np.pad(picture, radius, mode="edge")
    out = np.empty_like(picture)
    for y, x in np.ndindex(picture.shape):
        out[y, x] = (padded[y : y + kernel.shape[0], x : x + kernel.shape[1]] * kernel).sum()
    return out


def gaussian(window: int, sigma: float) -> Array:
    x = np.arange(window) - window // 2
    line = np.exp(-(x**2) / (2 * sigma**2))
    kernel: Array = np.outer(line, line) / line.sum() ** 2
    return kernel


def sobel_by_hand(picture: Array) -> tuple[Array, Array]:
    kernel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    return filtered(picture, kernel), filtered(picture, kernel.T)


def variance_by_hand(picture: Array) -> Array:
    kernel = gaussian(9, 1.5)
    return filtered(picture**2, kernel) - filtered(picture, kernel) ** 2


def weighted(values: Array, mask: Array, mask_weight: float) -> float:
    weight = np.where(mask > 0, mask_weight, 1)
    return float((values * weight).sum() / weight.sum())


def targets_by_hand(arrays: tuple[Array, ...]) -> dict[str, Array]:
    _, infrared, visible, mask, _ = arrays
    local = variance_by_hand(infrared) > variance_by_hand(visible)
    largest = np.maximum(infrared, visible)
    both = infrared + visible
    return {
        "variance": np.where(local, infrared, visible),
        "global_variance": infrared if infrared.var() > visible.var() else visible,
        "variance_or_foreground": np.where(local | (mask > 0), infrared, visible),
        "max": largest,
        "mean": both / 2,
        "sum": np.clip(both - both.mean() + largest.mean(), 0, 1),
    }


@pytest.mark.parametrize("kind", list(targets_by_hand(pictures())))
def test_intensity_is_equation_10(kind: Any) -> None:
    arrays = pictures()
    error = filtered((arrays[0] - targets_by_hand(arrays)[kind]) ** 2, np.full((9, 9), 1 / 81))
    has = terms(LossSettings(intensity_target=kind), arrays).intensity
    assert float(has) == pytest.approx(weighted(error, arrays[3], 3), rel=1e-5)


def test_a_window_of_one_pixel_is_the_plain_squared_error() -> None:
    arrays = pictures()
    fused, infrared, visible, mask, _ = arrays
    has = terms(LossSettings(intensity_target="max", intensity_window=1), arrays).intensity
    wanted = weighted((fused - np.maximum(infrared, visible)) ** 2, mask, 3)
    assert float(has) == pytest.approx(wanted, rel=1e-5)


def test_a_foreground_gain_asks_for_a_brighter_foreground_only() -> None:
    arrays = pictures()
    fused, infrared, visible, mask, _ = arrays
    settings = LossSettings(intensity_target="mean", intensity_window=1, foreground_gain=1.5)
    target = np.clip((infrared + visible) / 2 * np.where(mask > 0, 1.5, 1), 0, 1)
    wanted = weighted((fused - target) ** 2, mask, 3)
    assert float(terms(settings, arrays).intensity) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", ["direction", "magnitude", "vector"])
def test_gradient_is_equation_9(kind: Any) -> None:
    arrays = pictures()
    (fx, fy), (ix, iy), (vx, vy) = (sobel_by_hand(picture) for picture in arrays[:3])
    length_i, length_v = np.hypot(ix, iy), np.hypot(vx, vy)
    if kind == "direction":
        error = abs(fx - np.where(abs(ix) > abs(vx), ix, vx)) + abs(fy - np.where(abs(iy) > abs(vy), iy, vy))
    elif kind == "vector":
        longer = length_i > length_v
        error = abs(fx - np.where(longer, ix, vx)) + abs(fy - np.where(longer, iy, vy))
    else:
        error = abs(np.hypot(fx, fy) - np.maximum(length_i, length_v))
    has = terms(LossSettings(gradient_kind=kind), arrays).gradient
    assert float(has) == pytest.approx(weighted(error, arrays[3], 3), rel=1e-5)


def test_foreground_is_cross_entropy_with_the_natural_logarithm() -> None:
    arrays = pictures()
    mask, logits = arrays[3], arrays[4]
    chance = 1 / (1 + np.exp(-logits))
    error = -(mask * np.log(chance) + (1 - mask) * np.log(1 - chance))
    assert float(terms(LossSettings(), arrays).foreground) == pytest.approx(
        weighted(error, mask, 3), rel=1e-5
    )


def test_correlation_is_pearsons() -> None:
    fused, infrared, visible, _, _ = pictures()
    wanted = 1 - (np.corrcoef(fused.ravel(), infrared.ravel())[0, 1]
                  + np.corrcoef(fused.ravel(), visible.ravel())[0, 1]) / 2  # fmt: skip
    assert float(terms(LossSettings(), pictures()).ssim) == pytest.approx(wanted, abs=1e-4)


def test_differences_are_what_each_input_adds() -> None:
    arrays = pictures()
    fused, infrared, visible, _, _ = arrays
    kept = (np.corrcoef((fused - visible).ravel(), infrared.ravel())[0, 1]
            + np.corrcoef((fused - infrared).ravel(), visible.ravel())[0, 1]) / 2  # fmt: skip
    more = terms(LossSettings(differences=2), arrays).total - terms(LossSettings(), arrays).total
    assert float(more) == pytest.approx(2 * (1 - kept), abs=1e-4)


def fidelity_by_hand(source: Array, fused: Array) -> float:
    """Pixel-domain VIF of two pictures on [0, 1], reference first, by its formula."""
    kept = held = 0.0
    for scale, size in enumerate((17, 9, 5, 3)):
        kernel, radius = gaussian(size, size / 5), size // 2
        inner = np.s_[radius:-radius, radius:-radius]
        if scale:
            source, fused = filtered(source, kernel)[inner], filtered(fused, kernel)[inner]
            source, fused = source[::2, ::2], fused[::2, ::2]
        mean_s, mean_f = filtered(source, kernel)[inner], filtered(fused, kernel)[inner]
        var_s = filtered(source**2, kernel)[inner] - mean_s**2
        var_f = filtered(fused**2, kernel)[inner] - mean_f**2
        cov = filtered(source * fused, kernel)[inner] - mean_s * mean_f
        gain = np.where(cov > 0, cov / var_s, 0)
        noise = 2 / 255**2
        kept += np.log(1 + gain**2 * var_s / (var_f - gain * cov + noise)).sum()
        held += np.log(1 + var_s / noise).sum()
    return kept / held


def test_information_is_visual_information_fidelity() -> None:
    rng = np.random.default_rng(2)
    source = filtered(rng.random((48, 50)), gaussian(5, 1.0))
    fused = 0.8 * source + 0.1 * filtered(rng.random((48, 50)), gaussian(5, 1.0))
    has = float(information(tensor(fused), tensor(source)))
    assert has == pytest.approx(fidelity_by_hand(source, fused), rel=1e-3)
    assert float(information(tensor(source), tensor(source))) == pytest.approx(1, abs=1e-3)


def contrast_by_hand(picture: Array, mask: Array) -> float:
    ring = np.zeros_like(mask, bool)
    for y, x in np.argwhere(mask > 0):
        ring[max(y - 15, 0) : y + 16, max(x - 15, 0) : x + 16] = True
    return float(picture[mask > 0].mean() - picture[ring & (mask == 0)].mean())


def test_contrast_asks_for_a_quarter_more_than_the_better_input_has() -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros((64, 64))
    mask[20:30, 22:30] = 1
    infrared, visible = rng.random((64, 64)) / 4 + 0.5 * mask, rng.random((64, 64)) / 4
    fused = (infrared + visible) / 2
    best = max(contrast_by_hand(p, mask) for p in (infrared, np.maximum(infrared, visible)))
    has = contrast_loss(*map(tensor, (fused, infrared, visible, mask)))
    assert float(has) == pytest.approx(1.25 * best - contrast_by_hand(fused, mask), rel=1e-4)
    assert float(contrast_loss(*map(tensor, (infrared + mask, infrared, visible, mask)))) == 0
    assert float(contrast_loss(*map(tensor, (fused, infrared, visible, 0 * mask)))) == 0


def test_information_is_left_out_of_pictures_too_small_for_its_windows() -> None:
    with_it = terms(LossSettings(information=1), pictures()).total
    assert float(with_it) == float(terms(LossSettings(), pictures()).total)


def test_ssim_is_that_of_its_paper_over_valid_windows() -> None:
    a, b = pictures()[:2]
    kernel, inner = gaussian(11, 1.5), np.s_[5:-5, 5:-5]
    mean_a, mean_b = filtered(a, kernel)[inner], filtered(b, kernel)[inner]
    var_a, var_b = filtered(a * a, kernel)[inner] - mean_a**2, filtered(b * b, kernel)[inner] - mean_b**2
    cov = filtered(a * b, kernel)[inner] - mean_a * mean_b
    top = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    wanted = (top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))).mean()
    assert float(ssim(tensor(a), tensor(b))) == pytest.approx(wanted, abs=1e-5)
    assert float(ssim(tensor(a), tensor(a))) == pytest.approx(1, abs=1e-6)


def test_the_total_is_equation_8() -> None:
    settings = LossSettings(ssim=2, intensity=3, gradient=5, foreground=7)
    has = terms(settings, pictures())
    wanted = 2 * has.ssim + 3 * has.intensity + 5 * has.gradient + 7 * has.foreground
    assert float(has.total) == pytest.approx(float(wanted), rel=1e-6)


def test_without_masks_every_pixel_weighs_the_same_and_nothing_is_asked_of_the_foreground() -> None:
    arrays = pictures()
    plain = terms(LossSettings(), arrays, masked=False)
    even = terms(LossSettings(mask_weight=1), arrays)
    assert float(plain.foreground) == 0
    assert float(plain.gradient) == pytest.approx(float(even.gradient), rel=1e-6)
    assert float(plain.intensity) == pytest.approx(float(even.intensity), rel=1e-6)


def test_a_picture_whose_mask_is_nan_has_none() -> None:
    arrays = pictures()
    unknown = (*arrays[:3], np.full(SIZE_HW, np.nan), arrays[4])
    for has, wanted in zip(
        terms(LossSettings(), unknown), terms(LossSettings(), arrays, masked=False), strict=True
    ):
        assert float(has) == pytest.approx(float(wanted), rel=1e-6)


def test_a_network_without_foreground_branch_has_no_foreground_loss() -> None:
    fused, infrared, visible, mask, _ = map(tensor, pictures())
    assert float(FusionLoss(LossSettings())(Fusion(fused, None), infrared, visible, mask).foreground) == 0


def test_flat_and_equal_pictures_have_finite_losses_and_gradients() -> None:
    flat = torch.full((1, 1, 48, 48), 0.5)
    for structure in ("correlation", "ssim"):
        for kind in ("direction", "magnitude", "vector"):
            settings = LossSettings(
                structure=structure,  # type: ignore[arg-type]
                gradient_kind=kind,  # type: ignore[arg-type]
                differences=1,
                information=1,
            )
            fused = flat.clone().requires_grad_()
            total = FusionLoss(settings)(Fusion(fused, None), flat, flat, None).total
            total.backward()
            assert fused.grad is not None
            assert bool(torch.isfinite(total))
            assert bool(torch.isfinite(fused.grad).all())


def test_building_blocks_agree_with_loops() -> None:
    a, b = pictures(1)[:2]
    np.testing.assert_allclose(sobel(tensor(a))[0].numpy(), sobel_by_hand(a), atol=1e-5)
    np.testing.assert_allclose(local_variance(tensor(a), 9)[0, 0].numpy(), variance_by_hand(a), atol=1e-5)
    both = correlation(tensor(a, b), tensor(b, b)).numpy()
    np.testing.assert_allclose(both, [np.corrcoef(a.ravel(), b.ravel())[0, 1], 1], atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gradient": -1},
        {"ssim": float("nan")},
        {"mask_weight": 0},
        {"foreground_gain": 0},
        {"intensity_window": 8},
    ],
)
def test_losses_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        dataclasses.replace(LossSettings(), **wrong)  # type: ignore[arg-type]
