"""How much of each input the fused picture still tells: visual information fidelity, to train with.

Not in the paper. The definition is that of the VIF metric (Sheikh and Bovik, pixel domain), written without
steps in place and with bounds, so that its gradient is finite everywhere.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

WINDOWS = (17, 9, 5, 3)  # pixels, of the four scales; sigma is a fifth
NOISE_VARIANCE = 2.0 / 255**2  # sigma_n^2 = 2 on 0..255, here on [0, 1]
LEAST_SIDE = 41  # pixels; below it the last window does not fit
TINY = 1e-10  # of variances on [0, 1]


def information(fused: Tensor, source: Tensor) -> Tensor:
    """Return vifp(source, fused) of each picture, (N,): 0 nothing, 1 the source itself, more when sharper.

    Args:
        fused: (N, 1, H, W) in [0, 1], float32; H and W from 41 up.
        source: the same shape.
    """
    kept, held = fused.new_zeros(len(fused)), fused.new_zeros(len(fused))
    both = torch.cat([source, fused], 1)
    for scale, size in enumerate(WINDOWS):
        taps = _taps(size, fused)
        if scale:
            both = _blur(both, taps)[..., ::2, ::2]
        more_kept, more_held = _at_one_scale(both, taps)
        kept, held = kept + more_kept, held + more_held
    return kept / held.clamp(min=TINY)


def _at_one_scale(both: Tensor, taps: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the fused picture keeps and what the source holds, (N,) each, nats."""
    centred = both - both.mean((2, 3), keepdim=True)  # smaller rounding errors in the variances
    source, fused = centred.split(1, 1)  # type: ignore[no-untyped-call]
    moments = _blur(torch.cat([source, fused, source**2, fused**2, source * fused], 1), taps)
    mean_s, mean_f, ss, ff, sf = torch.split(moments, 1, 1)
    var_s, var_f = (ss - mean_s**2).clamp(min=0), (ff - mean_f**2).clamp(min=0)
    gain = ((sf - mean_s * mean_f) / (var_s + TINY)).clamp(min=0)
    rest = (var_f - gain * (sf - mean_s * mean_f)).clamp(min=0)
    kept = torch.log1p(gain**2 * var_s / (rest + NOISE_VARIANCE))
    held = torch.log1p(var_s / NOISE_VARIANCE)
    return kept.sum((1, 2, 3)), held.sum((1, 2, 3))


def _taps(size: int, like: Tensor) -> Tensor:
    x = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    taps = torch.exp(-(x**2) / (2 * (size / 5) ** 2))
    return taps / taps.sum()


def _blur(pictures: Tensor, taps: Tensor) -> Tensor:
    """Filter (N, K, H, W) along rows and columns, valid parts only."""
    count = pictures.shape[1]
    rows = functional.conv2d(pictures, taps.view(1, 1, 1, -1).expand(count, 1, 1, -1), groups=count)
    return functional.conv2d(rows, taps.view(1, 1, -1, 1).expand(count, 1, -1, 1), groups=count)
