"""From heatmaps to places: the highest cell, and a parabola through the logarithm about it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgfusion_model.downstream.keypoints.settings import STRIDE

Heatmaps = NDArray[np.float64]  # (N, K, H, W)
LEAST = 1e-12  # of a heatmap's value, before its logarithm
FARTHEST_STEP = 1.0  # cells that the parabola may move a peak


def likelihoods(outputs: Tensor, loss: Literal["cross_entropy", "mse"]) -> Tensor:
    """Return a network's outputs, (B, K, H, W), as values that are not negative.

    With the cross entropy they are a distribution, with the MSE heatmaps of peak 1.
    """
    if loss == "mse":
        return outputs.clamp_min(0)
    return outputs.flatten(2).softmax(-1).view_as(outputs)


def unmirrored(heatmaps: Tensor, order: list[int]) -> Tensor:
    """Return the heatmaps of mirrored crops, (B, K, H, W), as those of the crops.

    Args:
        heatmaps: of mirrored crops.
        order: for each keypoint which one it becomes in a mirror.
    """
    return heatmaps[:, order].flip(-1)


def find_peaks(heatmaps: Heatmaps) -> NDArray[np.float64]:
    """Return the places of the peaks, (N, K, 2), cells, x first; exact for a Gaussian of any width.

    The logarithm of a Gaussian is a parabola; its top is found from the cells about the highest one. Where
    these form no hill, or at the border, the highest cell itself is the answer.

    Args:
        heatmaps: not negative.
    """
    count, keypoints, height, width = heatmaps.shape
    flat = np.log(np.maximum(heatmaps, LEAST)).reshape(-1, height, width)
    highest = flat.reshape(len(flat), -1).argmax(1)
    y, x = np.divmod(highest, width)
    peaks = np.stack([x, y], -1).astype(np.float64)
    edge = (x < 1) | (y < 1) | (x > width - 2) | (y > height - 2)
    for which in np.flatnonzero(~edge):
        around = flat[which, y[which] - 1 : y[which] + 2, x[which] - 1 : x[which] + 2]
        peaks[which] += _step(around)
    return peaks.reshape(count, keypoints, 2)


def confidences(
    heatmaps: Heatmaps, loss: Literal["cross_entropy", "mse"], sigma: float
) -> NDArray[np.float64]:
    """Return how sure each peak is, (N, K), 0..1.

    Args:
        heatmaps: likelihoods.
        loss: cross_entropy: the share of the distribution in the cells about the peak, two sigmas to each
            side; mse: the peak's value.
        sigma: of the targets, cells.
    """
    count, keypoints, height, width = heatmaps.shape
    flat = heatmaps.reshape(-1, height, width)
    highest = flat.reshape(len(flat), -1).argmax(1)
    if loss == "mse":
        values = flat.reshape(len(flat), -1).max(1)
        return np.asarray(np.clip(values, 0, 1).reshape(count, keypoints), np.float64)
    reach = max(1, round(2 * sigma))
    y, x = np.divmod(highest, width)
    shares = np.array(
        [
            one[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1].sum()
            for one, u, v in zip(flat, x, y, strict=True)
        ]
    )
    return np.asarray(np.clip(shares, 0, 1).reshape(count, keypoints), np.float64)


def crop_places(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places on the heatmap, cells, as places on the crop, pixels; centres at integers on both."""
    return (cells + 0.5) * STRIDE - 0.5


def as_arrays(heatmaps: Tensor) -> Heatmaps:
    """Return heatmaps in the CPU's memory, as 64-bit numbers."""
    return np.asarray(heatmaps.detach().to("cpu", torch.float64).numpy(), np.float64)


def _step(log: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the top of a parabola through (3, 3) values is from their middle, x first."""
    dx, dy = (log[1, 2] - log[1, 0]) / 2, (log[2, 1] - log[0, 1]) / 2
    dxx, dyy = log[1, 2] - 2 * log[1, 1] + log[1, 0], log[2, 1] - 2 * log[1, 1] + log[0, 1]
    dxy = (log[2, 2] - log[2, 0] - log[0, 2] + log[0, 0]) / 4
    bent = dxx * dyy - dxy**2
    if not (dxx < 0 and bent > 0):
        return np.zeros(2)
    step = np.array([dxy * dy - dyy * dx, dxy * dx - dxx * dy]) / bent
    return np.asarray(np.clip(step, -FARTHEST_STEP, FARTHEST_STEP), np.float64)
