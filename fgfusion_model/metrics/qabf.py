"""Qabf: how much of the sources' edges the fused picture keeps (Xydeas and Petrovic)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fgfusion_model.metrics.sobel import sobel

Edges = tuple[Tensor, Tensor]  # magnitude and angle


def qabf(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Return the kept share of the edges, each weighted by its magnitude, 0..1; (N, H, W) to (N,).

    0 where neither source has an edge.
    """
    edges_f, edges_a, edges_b = _edges(fused), _edges(infrared), _edges(visible)
    kept = (_kept(edges_a, edges_f) * edges_a[0] + _kept(edges_b, edges_f) * edges_b[0]).sum(dim=(-2, -1))
    there = (edges_a[0] + edges_b[0]).sum(dim=(-2, -1))
    return torch.where(there > 0, kept / there, 0.0)


def _edges(pictures: Tensor) -> Edges:
    gx, gy = sobel(pictures, "constant")
    angle = torch.where(gx == 0, math.pi / 2, torch.atan(-gy / gx))
    return (gx.square() + gy.square()).sqrt(), angle


def _kept(source: Edges, fused: Edges) -> Tensor:
    larger = torch.maximum(source[0], fused[0])
    strength = torch.where(larger == 0, 1.0, torch.minimum(source[0], fused[0]) / larger)
    turn = 1 - (source[1] - fused[1]).abs() / (math.pi / 2)
    q_strength = 0.9994 / (1 + torch.exp(-15 * (strength - 0.5)))
    q_turn = 0.9879 / (1 + torch.exp(-22 * (turn - 0.8)))
    return q_strength * q_turn
