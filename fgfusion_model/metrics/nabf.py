"""Nabf: edges that neither source has; lower is better (Petrovic, modified by Shreyamsha Kumar)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fgfusion_model.metrics.sobel import sobel

LEAST_EDGE = 2.0  # of a magnitude that counts, grey levels a pixel
Edges = tuple[Tensor, Tensor]  # magnitude and angle


def nabf(fused: Tensor, infrared: Tensor, visible: Tensor) -> Tensor:
    """Return the share of invented edges, 0 and up; (N, H, W) to (N,). 0 where no source has an edge."""
    edges_f, edges_a, edges_b = _edges(fused), _edges(infrared), _edges(visible)
    weight_a, weight_b = _weight(edges_a), _weight(edges_b)
    invented = (edges_f[0] > edges_a[0]) & (edges_f[0] > edges_b[0])
    lost = (1 - _kept(edges_a, edges_f)) * weight_a + (1 - _kept(edges_b, edges_f)) * weight_b
    there = (weight_a + weight_b).sum(dim=(-2, -1))
    return torch.where(there > 0, (lost * invented).sum(dim=(-2, -1)) / there, 0.0)


def _edges(pictures: Tensor) -> Edges:
    gx, gy = (gradient / 8 for gradient in sobel(pictures, "replicate"))
    angle = torch.where((gx == 0) & (gy == 0), 0.0, torch.atan(gx / gy))
    return (gx.square() + gy.square()).sqrt(), angle


def _weight(edges: Edges) -> Tensor:
    return torch.where(edges[0] >= LEAST_EDGE, edges[0] ** 1.5, 0.0)


def _kept(source: Edges, fused: Edges) -> Tensor:
    larger = torch.maximum(source[0], fused[0])
    strength = torch.where(larger == 0, 0.0, torch.minimum(source[0], fused[0]) / larger)
    turn = ((source[1] - fused[1]).abs() - math.pi / 2).abs() * (2 / math.pi)
    q_strength = 0.9999 / (1 + torch.exp(-19 * (strength - 0.5)))
    q_turn = 0.9995 / (1 + torch.exp(-22 * (turn - 0.5)))
    return (q_strength * q_turn).sqrt()
