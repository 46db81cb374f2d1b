"""Semantics steer the detail features: SIM, Eq. (4) and (5)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.settings import NetworkSettings


class SIM(nn.Module):
    """F_u = (1 + gamma) * Norm(F) + beta, with gamma and beta from S.

    gamma and beta are computed at 1/4 and interpolated: a sixteenth of the work. Norm has no parameters.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels, width = settings.channels, settings.widths[0]
        self.norm: nn.Module = (
            nn.BatchNorm2d(channels, affine=False)
            if settings.norm == "batch"
            else nn.InstanceNorm2d(channels)
        )
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Conv2d(width, 2 * channels, 3, padding=1)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        """Map F (N, C, H, W) and S (N, widths[0], H / 4, W / 4) to F_u (N, C, H, W)."""
        modulation = self.modulation(functional.relu(self.hidden(semantic)))  # Eq. (5): Conv(ReLU(Conv(S)))
        modulation = functional.interpolate(
            modulation, scale_factor=4.0, mode="bilinear", align_corners=False
        )
        gamma, beta = modulation.chunk(2, 1)
        steered: Tensor = (1 + gamma) * self.norm(detail) + beta  # Eq. (4)
        return steered
