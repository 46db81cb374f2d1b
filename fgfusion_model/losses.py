"""What training minimises: Eq. (8) to (11), with the readings that the paper leaves open as settings."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.information import LEAST_SIDE, information
from fgfusion_model.network import Fusion
from fgfusion_model.settings import LossSettings

EPS = 1e-6  # added to variances of pictures on [0, 1]: flat ones then count as not correlated
VARIANCE_SIGMA = 1.5  # pixels, of the Gaussian window of the local variance
RING_PX = 15  # pixels, of the surroundings that a foreground is compared with
CONTRAST_GOAL = 1.25  # times the contrast of the better input; what saturates stays below
LEAST_FOREGROUND_PX = 20  # pixels; smaller ones are noise
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5  # pixels
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


class LossTerms(NamedTuple):
    """The terms of Eq. (8), scalars, before their lambdas; `total` has them.

    Attributes:
        total: what to minimise; it holds also what the settings add to the paper's terms.
        ssim: 1 - mean agreement with both inputs, from 0 (better) to 2.
        intensity: weighted mean of Eq. (10).
        gradient: weighted mean of Eq. (9).
        foreground: weighted mean of Eq. (11); 0 without a mask or a foreground branch.
    """

    total: Tensor
    ssim: Tensor
    intensity: Tensor
    gradient: Tensor
    foreground: Tensor


class FusionLoss(nn.Module):
    """Eq. (8): l1 L_ssim + sum((l2 L_int + l3 L_grad + l4 L_ex) W) / sum(W), natural logarithm in L_ex."""

    def __init__(self, settings: LossSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, fusion: Fusion, infrared: Tensor, visible: Tensor, mask: Tensor | None) -> LossTerms:
        """Return the terms for a batch, in float32 whatever the network ran in.

        Args:
            fusion: what the network returned.
            infrared: (N, 1, H, W), in [0, 1].
            visible: (N, 1, H, W), in [0, 1].
            mask: (N, 1, H, W), 1 on foreground and 0 elsewhere; None where there are no masks. A picture
                whose mask is NaN has none: its W is 1 and it has no part in L_ex.
        """
        s = self.settings
        fused, infrared, visible = fusion.fused.float(), infrared.float(), visible.float()
        known = torch.zeros_like(fused) if mask is None else torch.isfinite(mask).float()
        mask = torch.zeros_like(fused) if mask is None else torch.nan_to_num(mask.float())
        weight = 1 + (s.mask_weight - 1) * mask  # W of Eq. (8)
        structure = structure_loss(fused, infrared, visible, s)
        intensity = _weighted(intensity_map(fused, infrared, visible, mask, s), weight)
        gradient = _weighted(gradient_map(fused, infrared, visible, s), weight)
        foreground = fused.new_zeros(())
        if fusion.foreground is not None:
            logits = fusion.foreground.float()
            crossed = functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")  # Eq. (11)
            foreground = _weighted(crossed * known, weight)
        total = s.ssim * structure + s.intensity * intensity + s.gradient * gradient
        total = total + s.foreground * foreground + added_loss(fused, infrared, visible, mask, s)
        return LossTerms(total, structure, intensity, gradient, foreground)


def structure_loss(fused: Tensor, infrared: Tensor, visible: Tensor, settings: LossSettings) -> Tensor:
    """Return L_ssim, a scalar from 0 to 2, by `settings.structure`.

    `correlation`: the paper's "normalised cross correlation", over each picture, with both inputs. `ssim`:
    the mean SSIM with both.
    """
    measure = ssim if settings.structure == "ssim" else correlation
    return 1 - ((measure(fused, infrared) + measure(fused, visible)) / 2).mean()


def added_loss(
    fused: Tensor, infrared: Tensor, visible: Tensor, mask: Tensor, settings: LossSettings
) -> Tensor:
    """Return the weighted terms that the paper does not have, a scalar; 0 with its settings.

    `differences`: what is left of the fused picture without one input should be the other. `information`:
    how much of both inputs it tells; pictures below 41 pixels have none. `contrast`: see `contrast_loss`.
    """
    added = fused.new_zeros(())
    if settings.differences:
        kept = correlation(fused - visible, infrared) + correlation(fused - infrared, visible)
        added = added + settings.differences * (1 - (kept / 2).mean())
    if settings.information and min(fused.shape[2:]) >= LEAST_SIDE:
        told = information(fused, infrared) + information(fused, visible)
        added = added + settings.information * (1 - (told / 2).mean())
    if settings.contrast:
        added = added + settings.contrast * contrast_loss(fused, infrared, visible, mask)
    return added


def contrast_loss(fused: Tensor, infrared: Tensor, visible: Tensor, mask: Tensor) -> Tensor:
    """Return by how much foregrounds stand out less than they should, a scalar from 0.

    They should stand out CONTRAST_GOAL times as much as in infrared or in the brighter input, whichever is
    more. Each picture counts the same, however small its foreground.
    """
    side = 2 * RING_PX + 1
    rows = functional.max_pool2d(mask, (1, side), 1, (0, RING_PX))
    ring = functional.max_pool2d(rows, (side, 1), 1, (RING_PX, 0)) * (1 - mask)
    best = torch.maximum(
        _contrast(infrared, mask, ring), _contrast(torch.maximum(infrared, visible), mask, ring)
    )
    lacking = functional.relu(CONTRAST_GOAL * best - _contrast(fused, mask, ring))
    judged = ((mask.sum((1, 2, 3)) >= LEAST_FOREGROUND_PX) & (ring.sum((1, 2, 3)) > 0)).float()
    return (lacking * judged).sum() / len(judged)


def _contrast(picture: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Return the mean on the mask minus the mean on the ring, (N,)."""
    inside = (picture * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)
    return inside - (picture * ring).sum((1, 2, 3)) / ring.sum((1, 2, 3)).clamp(min=1)


def intensity_map(
    fused: Tensor, infrared: Tensor, visible: Tensor, mask: Tensor, settings: LossSettings
) -> Tensor:
    """Return L_int of each pixel, (N, 1, H, W): the box-filtered squared error to the target, Eq. (10)."""
    target = intensity_target(infrared, visible, mask, settings)
    target = (target * (1 + (settings.foreground_gain - 1) * mask)).clamp(0, 1)
    return _box((fused - target) ** 2, settings.intensity_window)


def intensity_target(infrared: Tensor, visible: Tensor, mask: Tensor, settings: LossSettings) -> Tensor:
    """Return what Eq. (10) pulls the fused picture to, (N, 1, H, W), by `settings.intensity_target`.

    `variance`: each pixel from the input with the larger local variance. `global_variance`: the whole picture
    from one input. `variance_or_foreground`: the first, but infrared on foreground. `max`: the brighter one.
    `mean`: their mean. `sum`: both inputs' departures from their own mean, about the mean of their maximum.
    """
    kind = settings.intensity_target
    if kind == "max":
        return torch.maximum(infrared, visible)
    if kind == "mean":
        return (infrared + visible) / 2
    if kind == "sum":
        level = torch.maximum(infrared, visible).mean((2, 3), keepdim=True)
        departures = infrared + visible - (infrared + visible).mean((2, 3), keepdim=True)
        return (level + departures).clamp(0, 1)
    if kind == "global_variance":
        pick = infrared.var((2, 3), keepdim=True) > visible.var((2, 3), keepdim=True)
    else:
        window = settings.intensity_window
        pick = local_variance(infrared, window) > local_variance(visible, window)
    if kind == "variance_or_foreground":
        pick = pick | (mask > 0)
    return torch.where(pick, infrared, visible)


def gradient_map(fused: Tensor, infrared: Tensor, visible: Tensor, settings: LossSettings) -> Tensor:
    """Return L_grad of each pixel, (N, 1, H, W): L1 to the larger Sobel gradient of the two, Eq. (9).

    `direction`: the larger of x and of y, each with its sign. `magnitude`: the larger length. `vector`: both
    components of the longer gradient.
    """
    g, g_ir, g_vi = sobel(fused), sobel(infrared), sobel(visible)
    if settings.gradient_kind == "magnitude":
        larger = torch.maximum(_length(g_ir), _length(g_vi))
        return (_length(g) - larger).abs()
    if settings.gradient_kind == "vector":
        target = torch.where(_length(g_ir) > _length(g_vi), g_ir, g_vi)
    else:
        target = torch.where(g_ir.abs() > g_vi.abs(), g_ir, g_vi)
    return (g - target).abs().sum(1, keepdim=True)


def sobel(picture: Tensor) -> Tensor:
    """Return the Sobel gradient of (N, 1, H, W) as (N, 2, H, W): x, then y; borders repeated."""
    smooth, slope = picture.new_tensor([1.0, 2.0, 1.0]), picture.new_tensor([-1.0, 0.0, 1.0])
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    return functional.conv2d(functional.pad(picture, (1, 1, 1, 1), mode="replicate"), kernels)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return the Pearson correlation of each picture of (N, 1, H, W), (N,)."""
    a = a - a.mean((2, 3), keepdim=True)
    b = b - b.mean((2, 3), keepdim=True)
    spread = torch.sqrt(((a * a).mean((1, 2, 3)) + EPS) * ((b * b).mean((1, 2, 3)) + EPS))
    return (a * b).mean((1, 2, 3)) / spread


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the SSIM of each pair of pictures on [0, 1], (N,): Gaussian 11x11, valid windows."""
    moments = _blur_valid(torch.cat([a, b, a * a, b * b, a * b], 1))
    mean_a, mean_b, aa, bb, ab = torch.split(moments, 1, 1)
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    light = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    similar: Tensor = (light * (2 * cov + SSIM_C2) / (var_a + var_b + SSIM_C2)).mean((1, 2, 3))
    return similar


def local_variance(picture: Tensor, window: int) -> Tensor:
    """Return the variance under a Gaussian window about each pixel, (N, 1, H, W), not negative."""
    kernel = _gaussian(window, VARIANCE_SIGMA, picture)
    mean = _separable(_padded(picture, window), kernel)
    return (_separable(_padded(picture**2, window), kernel) - mean**2).clamp(min=0)


def _weighted(map_: Tensor, weight: Tensor) -> Tensor:
    return (map_ * weight).sum() / weight.sum()


def _length(gradient: Tensor) -> Tensor:
    return torch.sqrt((gradient**2).sum(1, keepdim=True) + EPS**2)


def _box(map_: Tensor, window: int) -> Tensor:
    return functional.avg_pool2d(_padded(map_, window), window, 1) if window > 1 else map_


def _padded(picture: Tensor, window: int) -> Tensor:
    return functional.pad(picture, (window // 2,) * 4, mode="replicate")


def _gaussian(window: int, sigma: float, like: Tensor) -> Tensor:
    x = torch.arange(window, dtype=like.dtype, device=like.device) - (window - 1) / 2
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def _blur_valid(pictures: Tensor) -> Tensor:
    return _separable(pictures, _gaussian(SSIM_WINDOW, SSIM_SIGMA, pictures))


def _separable(pictures: Tensor, kernel: Tensor) -> Tensor:
    """Filter (N, K, H, W) along rows and columns, valid parts only."""
    count = pictures.shape[1]
    rows = functional.conv2d(pictures, kernel.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    return functional.conv2d(rows, kernel.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
