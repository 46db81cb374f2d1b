"""Semantic enhancement of the deep features by self and cross attention: SEM, Eq. (3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.backbone import DeepFeatures
from fgfusion_model.settings import NetworkSettings


class DenseBlock(nn.Module):
    """Densely connected 3x3 convolutions, mixed back to the width they started from: I^D of Sec. 2.2.

    Maps (N, inputs, h, w) to (N, outputs, h, w).
    """

    def __init__(self, inputs: int, outputs: int, layers: int) -> None:
        super().__init__()
        growth = outputs // 4
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs + i * growth, growth, 3, padding=1) for i in range(layers)
        )
        self.mix = nn.Conv2d(inputs + layers * growth, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed features."""
        for layer in self.layers:
            x = torch.cat([x, functional.relu(layer(x))], 1)
        mixed: Tensor = self.mix(x)
        return mixed


class Attention(nn.Module):
    """Pre-norm multi-head attention and a feed-forward part, each beside a shortcut.

    `Self(x)` is attention(x, x), `Cross(x, y)` is attention(x, y): the first asks, the second answers.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_norm = nn.LayerNorm(width)
        self.memory_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        """Map tokens (N, L, width) and (N, M, width) to (N, L, width)."""
        asked = self._split(self.query(self.query_norm(query)))
        key, value = self.key_value(self.memory_norm(memory)).chunk(2, -1)
        found = functional.scaled_dot_product_attention(asked, self._split(key), self._split(value))
        x = query + self.out(found.transpose(1, 2).flatten(2))
        out: Tensor = x + self.feed(self.feed_norm(x))
        return out

    def _split(self, tokens: Tensor) -> Tensor:
        count, length, width = tokens.shape
        return tokens.reshape(count, length, self.heads, width // self.heads).transpose(1, 2)


class SEM(nn.Module):
    """The semantic features S of both modalities at 1/4: Eq. (3) at 1/16, raised with laterals."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.widths[2]
        self.dense = DenseBlock(width, width, settings.dense_layers)
        self.position = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.self_infrared = Attention(width, settings.heads)
        self.cross_visible = Attention(width, settings.heads)
        self.self_visible = Attention(width, settings.heads)
        self.cross_both = Attention(width, settings.heads)
        self.rise = Rise(settings)

    def forward(self, infrared: DeepFeatures, visible: DeepFeatures) -> Tensor:
        """Map I^p of both modalities to S, (N, widths[0], H / 4, W / 4)."""
        size = infrared.sixteenth.shape[2:]
        ir = self._tokens(infrared.sixteenth)
        vi = self._tokens(visible.sixteenth)
        ir_e = self.self_infrared(ir, ir)  # Eq. (3): ir_e = Self(ir)
        vi_c = self.cross_visible(vi, ir_e)  # vi_c = Cross(vi, ir_e)
        vi_e = self.self_visible(vi_c, vi_c)  # vi_e = Self(vi_c)
        both = self.cross_both(ir_e, vi_e)  # S = Cross(ir_e, vi_e)
        semantic = both.transpose(1, 2).unflatten(2, size)
        raised: Tensor = self.rise(semantic, infrared, visible)
        return raised

    def _tokens(self, deep: Tensor) -> Tensor:
        """Return I^D with its place, as tokens (N, h w, width)."""
        dense = self.dense(deep)
        tokens: Tensor = dense + self.position(dense)
        return tokens.flatten(2).transpose(1, 2)


class DenseSemantics(nn.Module):
    """Stands for the SEM in the ablation without interaction: a dense block over both, Tab. 5."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        width = settings.widths[2]
        self.dense = DenseBlock(2 * width, width, settings.dense_layers)
        self.rise = Rise(settings)

    def forward(self, infrared: DeepFeatures, visible: DeepFeatures) -> Tensor:
        """Map I^p of both modalities to S, (N, widths[0], H / 4, W / 4)."""
        semantic = self.dense(torch.cat([infrared.sixteenth, visible.sixteenth], 1))
        raised: Tensor = self.rise(semantic, infrared, visible)
        return raised


class Rise(nn.Module):
    """Brings S from 1/16 up to 1/4, because Eq. (7) raises it by 4 more, adding the finer deep features."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        quarter, eighth, sixteenth = settings.widths
        self.laterals = not settings.strict_paper
        self.to_eighth = nn.Conv2d(sixteenth, eighth, 1)
        self.eighth = nn.Conv2d(eighth, eighth, 3, padding=1)
        self.to_quarter = nn.Conv2d(eighth, quarter, 1)
        self.quarter = nn.Conv2d(quarter, quarter, 3, padding=1)

    def forward(self, semantic: Tensor, infrared: DeepFeatures, visible: DeepFeatures) -> Tensor:
        """Map (N, widths[2], H / 16, W / 16) to (N, widths[0], H / 4, W / 4)."""
        x = _twice(self.to_eighth(semantic))
        if self.laterals:
            x = x + infrared.eighth + visible.eighth
        x = _twice(self.to_quarter(functional.relu(self.eighth(x))))
        if self.laterals:
            x = x + infrared.quarter + visible.quarter
        return functional.relu(self.quarter(x))


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
