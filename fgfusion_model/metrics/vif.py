"""VIF: visual information fidelity in the pixel domain (Sheikh and Bovik), summed over both sources."""

from __future__ import annotations

import torch
from torch import Tensor

from fgfusion_model.metrics.windows import gaussian_taps, valid_mean

WINDOWS = (17, 9, 5, 3)  # of the four scales, pixels; sigma is a fifth
NOISE_VARIANCE = 2.0  # sigma_n^2, of the visual channel
TINY = 1e-10  # variances below count as none
LEAST_SIZE = 41  # pixels; below, the last window does not fit


def vif(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Return vifp(A, F) + vifp(B, F), the source being the reference; (N, H, W) to (N,).

    A source without any variance has no information to lose: its term is 1. nan below 41 pixels.
    """
    if min(fused.shape[-2:]) < LEAST_SIZE:
        return fused.new_full((len(fused),), torch.nan)
    references = torch.stack([infrared, visible])
    # variances do not know an offset, and rounding errors are smaller without
    references = references - references.mean(dim=(-2, -1), keepdim=True)
    distorted = fused - fused.mean(dim=(-2, -1), keepdim=True)
    kept, held = fused.new_zeros(()), fused.new_zeros(())
    for scale, size in enumerate(WINDOWS):
        taps = gaussian_taps(size, size / 5)
        if scale:
            references = valid_mean(references, taps)[..., ::2, ::2]
            distorted = valid_mean(distorted, taps)[..., ::2, ::2]
        more_kept, more_held = _information(references, distorted, taps)
        kept, held = kept + more_kept, held + more_held
    return torch.where(held > 0, kept / held, 1.0).sum(dim=0)


def _information(references: Tensor, distorted: Tensor, taps: list[float]) -> tuple[Tensor, Tensor]:
    """Return what the distorted picture keeps, (2, N), and what the references hold, (2, M); nats."""
    mean_r, mean_d = valid_mean(references, taps), valid_mean(distorted, taps)
    var_r = (valid_mean(references.square(), taps) - mean_r.square()).clamp_(min=0)
    var_d = (valid_mean(distorted.square(), taps) - mean_d.square()).clamp_(min=0)
    cov = valid_mean(references * distorted, taps) - mean_r * mean_d
    gain = cov / (var_r + TINY)
    rest = var_d - gain * cov
    flat_r, flat_d, opposed = var_r < TINY, var_d < TINY, cov < 0
    gain = gain.masked_fill_(flat_r | flat_d | opposed, 0)
    rest = torch.where(flat_r | opposed, var_d, rest)
    rest = rest.masked_fill_(flat_d, 0).clamp_(min=TINY)
    var_r = var_r.masked_fill(flat_r, 0)
    kept = torch.log1p(gain.square_().mul_(var_r).div_(rest.add_(NOISE_VARIANCE)))
    held = torch.log1p(var_r / NOISE_VARIANCE)
    return kept.sum(dim=(-2, -1)), held.sum(dim=(-2, -1))
