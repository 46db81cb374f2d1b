"""Shallow and deep features of each modality: SFEB and DFEB, Eq. (1)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.settings import NetworkSettings


class DeepFeatures(NamedTuple):
    """What the DFEB sees of one modality: (N, widths[i], H / s, W / s) at s = 4, 8 and 16."""

    quarter: Tensor
    eighth: Tensor
    sixteenth: Tensor


class SFEB(nn.Module):
    """Shallow features I^s at full resolution, Eq. (1): a 7x7 first layer, no downsampling.

    Maps (N, 1, H, W) to (N, C, H, W), not negative.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 7, padding=3)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, picture: Tensor) -> Tensor:
        """Return I^s of one modality."""
        return functional.relu(self.norm(self.second(functional.relu(self.first(picture)))))


class ResidualBlock(nn.Module):
    """The block of a ResNet: two 3x3 convolutions with BatchNorm beside a shortcut; stride 1 or 2."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(x))


class DFEB(nn.Module):
    """Deep features I^p, Eq. (1): a stride-2 convolution and a max-pool to 1/4, residual stages to 1/16."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        quarter, eighth, sixteenth = settings.widths
        self.down = nn.Conv2d(settings.channels, quarter, 3, 2, 1, bias=False)
        self.down_norm = nn.BatchNorm2d(quarter)
        self.quarter = _stage(quarter, quarter, 1, settings.stage_blocks)
        self.eighth = _stage(quarter, eighth, 2, settings.stage_blocks)
        self.sixteenth = _stage(eighth, sixteenth, 2, settings.stage_blocks)

    def forward(self, shallow: Tensor) -> DeepFeatures:
        """Return I^p of one modality from its shallow features (N, C, H, W); H and W multiples of 16."""
        half = functional.relu(self.down_norm(self.down(shallow)))
        quarter = self.quarter(functional.max_pool2d(half, 3, 2, 1))
        eighth = self.eighth(quarter)
        return DeepFeatures(quarter, eighth, self.sixteenth(eighth))


def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    rest = (ResidualBlock(outputs, outputs) for _ in range(blocks - 1))
    return nn.Sequential(ResidualBlock(inputs, outputs, stride), *rest)
