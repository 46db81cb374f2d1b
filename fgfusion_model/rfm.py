"""The fused picture from the steered features: RFM, Eq. (6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fgfusion_model.drm import ReB
from fgfusion_model.settings import NetworkSettings


class RFM(nn.Module):
    """I_fu from F_u after residual blocks.

    With `strict_paper` it is Eq. (6), I_fu = (tanh(Conv(F_u)) + 1) / 2: every pixel is made anew. Otherwise
    tanh(Conv(F_u)) are three maps that mix the inputs, I_fu = (1/2 + a) I + (1/2 + b) V + c, cut off at 0 and
    1: fine detail comes from the inputs themselves, as faint as it may be in the dark, and an untrained
    network, whose convolution starts from zero, returns the mean picture.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.mixes = not settings.strict_paper
        self.blocks = nn.Sequential(*(ReB(settings.channels) for _ in range(settings.refinement_blocks)))
        self.out = nn.Conv2d(settings.channels, 3 if self.mixes else 1, 3, padding=1)
        if self.mixes:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, steered: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
        """Map F_u (N, C, H, W) and both inputs (N, 1, H, W) to I_fu (N, 1, H, W) in [0, 1], float32."""
        maps = torch.tanh(self.out(self.blocks(steered)).float())
        if not self.mixes:
            return (maps + 1) / 2  # Eq. (6)
        of_infrared, of_visible, offset = torch.split(maps, 1, 1)
        mixed = (0.5 + of_infrared) * infrared.float() + (0.5 + of_visible) * visible.float() + offset
        return mixed.clamp(0, 1)
