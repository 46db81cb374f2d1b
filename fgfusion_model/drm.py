"""Detail retention between the shallow features of both modalities: DRM, Eq. (2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.settings import NetworkSettings

SCALE = 0.5  # of a coupling's outputs: a stack grows by 1.3 a coupling, not 2.6; dividing undoes it exactly


class ReB(nn.Module):
    """Residual block of a coupling: x + conv(relu(conv(x))), the last convolution from zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        out: Tensor = x + self.second(functional.relu(self.first(x)))
        return out


class Coupling(nn.Module):
    """One bijective step of Eq. (2); its second line uses the updated vi', or it had no inverse."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.to_visible = ReB(channels)
        self.scale = ReB(channels)
        self.shift = ReB(channels)

    def forward(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return (ir', vi'), each (N, C, H, W), times SCALE."""
        visible = visible + self.to_visible(infrared)  # Eq. (2): vi' = vi + ReB(ir)
        # Eq. (2): ir' = ir * sigmoid(ReB(vi')) + ReB(vi')
        infrared = infrared * torch.sigmoid(self.scale(visible)) + self.shift(visible)
        return infrared * SCALE, visible * SCALE

    def inverse(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (ir, vi) that `forward` maps to these."""
        infrared, visible = infrared / SCALE, visible / SCALE
        infrared = (infrared - self.shift(visible)) / torch.sigmoid(self.scale(visible))
        return infrared, visible - self.to_visible(infrared)


class DRM(nn.Module):
    """K stacked couplings; what enters and every state after is put side by side and mixed to F."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.couplings = nn.ModuleList(Coupling(channels) for _ in range(settings.couplings))
        self.mix = nn.Conv2d(2 * channels * (settings.couplings + 1), channels, 1)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Map I^s of both modalities, (N, C, H, W), to the fused detail features F, (N, C, H, W)."""
        states = [infrared, visible]
        for coupling in self.couplings:
            infrared, visible = coupling(infrared, visible)
            states += [infrared, visible]
        mixed: Tensor = self.mix(torch.cat(states, 1))
        return mixed

    def couple(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Return both modalities after the last coupling."""
        for coupling in self.couplings:
            infrared, visible = coupling(infrared, visible)
        return infrared, visible

    def inverse(self, infrared: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `couple` exactly, up to rounding."""
        for coupling in reversed(self.couplings):
            assert isinstance(coupling, Coupling)
            infrared, visible = coupling.inverse(infrared, visible)
        return infrared, visible


class DenseDetail(nn.Module):
    """Stands for the DRM in the ablation without interaction: densely connected convolutions, Tab. 5."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.layers = nn.ModuleList(
            nn.Conv2d(channels * (2 + i), channels, 3, padding=1) for i in range(2 * settings.couplings)
        )
        self.mix = nn.Conv2d(channels * (2 + 2 * settings.couplings), channels, 1)

    def forward(self, infrared: Tensor, visible: Tensor) -> Tensor:
        """Map I^s of both modalities, (N, C, H, W), to F, (N, C, H, W)."""
        features = torch.cat([infrared, visible], 1)
        for layer in self.layers:
            features = torch.cat([features, functional.relu(layer(features))], 1)
        mixed: Tensor = self.mix(features)
        return mixed
