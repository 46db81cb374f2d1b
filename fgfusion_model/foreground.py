"""The foreground branch that guides the training: Eq. (7)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.settings import NetworkSettings


class ForegroundHead(nn.Module):
    """I_ex = up4 Conv(S), Eq. (7): two transposed convolutions of stride 2, one logit a pixel."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.widths[0]
        self.conv = nn.Conv2d(width, width // 2, 3, padding=1)
        self.to_half = nn.ConvTranspose2d(width // 2, width // 4, 2, 2)
        self.to_full = nn.ConvTranspose2d(width // 4, 1, 2, 2)

    def forward(self, semantic: Tensor) -> Tensor:
        """Map S (N, widths[0], H / 4, W / 4) to logits (N, 1, H, W)."""
        half = functional.relu(self.to_half(functional.relu(self.conv(semantic))))
        logits: Tensor = self.to_full(half)
        return logits
