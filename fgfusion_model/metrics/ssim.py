"""SSIM and MS-SSIM (Wang et al.) with both sources, over the valid part."""

from __future__ import annotations

import torch
from torch import Tensor

from fgfusion_model.metrics.windows import gaussian_taps, valid_mean

WINDOW, SIGMA = 11, 1.5  # pixels
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales
LEAST_SIZE = WINDOW  # pixels, for SSIM
LEAST_SIZE_MULTISCALE = WINDOW * 2 ** (len(WEIGHTS) - 1)  # pixels, for MS-SSIM


def ssim_pair(fused: Tensor, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means over both sources of SSIM and of MS-SSIM, each (N, H, W) to (N,).

    The first scale serves both. nan below 11 pixels, and for MS-SSIM below 176.
    """
    nothing = fused.new_full((len(fused),), torch.nan)
    size = min(fused.shape[-2:])
    if size < LEAST_SIZE:
        return nothing, nothing
    sources = torch.stack([infrared, visible])
    full, contrast = _similarity(sources, fused)
    single = full.mean(dim=0)
    if size < LEAST_SIZE_MULTISCALE:
        return single, nothing
    product = contrast.clamp(min=0) ** WEIGHTS[0]
    for weight in WEIGHTS[1:]:
        sources, fused = _halve(sources), _halve(fused)
        full, contrast = _similarity(sources, fused)
        product = product * (full if weight is WEIGHTS[-1] else contrast).clamp(min=0) ** weight
    return single, product.mean(dim=0)


def _similarity(sources: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean SSIM and mean contrast-structure term of (2, M, H, W) with (N, H, W), each (2, N)."""
    taps = gaussian_taps(WINDOW, SIGMA)
    mean_s, mean_f = valid_mean(sources, taps), valid_mean(fused, taps)
    var_s = valid_mean(sources.square(), taps) - mean_s.square()
    var_f = valid_mean(fused.square(), taps) - mean_f.square()
    both = mean_s * mean_f
    cov = valid_mean(sources * fused, taps) - both
    contrast = (2 * cov + C2) / (var_s + var_f + C2)
    luminance = (2 * both + C1) / (mean_s.square() + mean_f.square() + C1)
    return (luminance * contrast).mean(dim=(-2, -1)), contrast.mean(dim=(-2, -1))


def _halve(pictures: Tensor) -> Tensor:
    """Return the means of 2 x 2 pixels; a last odd row or column is dropped."""
    height, width = (length // 2 * 2 for length in pictures.shape[-2:])
    p = pictures[..., :height, :width]
    return (p[..., ::2, ::2] + p[..., 1::2, ::2] + p[..., ::2, 1::2] + p[..., 1::2, 1::2]) / 4
