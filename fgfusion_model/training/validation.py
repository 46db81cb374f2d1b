"""Judge a network on the pairs kept aside: its loss, a few metrics, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fgfusion_model.data.feed import whole_picture
from fgfusion_model.data.store import Store
from fgfusion_model.losses import FusionLoss, LossTerms
from fgfusion_model.metrics import score
from fgfusion_model.network import MIN_SIDE, FGFusion
from fgfusion_model.settings import LossSettings

METRICS = ("VIF", "Qabf", "SCD", "SSIM")  # those that fusions are compared by
COLUMNS = ("loss", *LossTerms._fields[1:], *METRICS, "foreground_iou")
MOST_SCORED = 16  # pictures whose metrics are computed: a second of CPU each
SHOWN, SHOWN_WIDTH = 4, 320  # pairs of a sheet, and the width of a picture in it


class Judged(NamedTuple):
    """What came out.

    Attributes:
        scores: name of COLUMNS -> mean over the pictures that have it.
        sheet: (H, W) uint8; a row a pair: infrared, visible, fused, and the foreground map if there is one.
    """

    scores: dict[str, float]
    sheet: NDArray[np.uint8]


class _Picture(NamedTuple):
    infrared: Tensor
    visible: Tensor
    mask: Tensor
    fused: Tensor
    foreground: Tensor | None


def judge(network: FGFusion, store: Store, numbers: Sequence[int], settings: LossSettings) -> Judged:
    """Fuse whole pictures and judge them.

    Args:
        network: it is switched to `eval` mode.
        store: of the pictures.
        numbers: which of them, at least one.
        settings: of the loss.
    """
    loss = FusionLoss(settings)
    found: dict[str, list[float]] = {name: [] for name in COLUMNS}
    rows = []
    device = next(network.parameters()).device
    with torch.inference_mode():
        for done, (picture, terms) in enumerate(_fused(network.eval(), store, numbers, loss, device)):
            for name, value in zip(COLUMNS, terms, strict=False):
                found[name].append(value)
            if done < MOST_SCORED:
                for name, value in _metrics(picture).items():
                    found[name].append(value)
            if done < SHOWN:
                rows.append(_row(picture))
    scores = {name: float(np.nanmean(v)) for name, v in found.items() if v and not np.isnan(v).all()}
    return Judged(scores, _stacked(rows))


def _fused(
    network: FGFusion, store: Store, numbers: Sequence[int], loss: FusionLoss, device: torch.device
) -> Iterator[tuple[_Picture, list[float]]]:
    for number in numbers:
        infrared, visible, mask = (_enlarged(x) for x in whole_picture(store, number, device))
        fusion = network(infrared, visible)
        terms = loss(fusion, infrared, visible, mask)
        yield _Picture(infrared, visible, mask, *fusion), [float(term) for term in terms]


def _metrics(picture: _Picture) -> dict[str, float]:
    """Return METRICS, and how well the foreground map agrees with a known mask."""
    fused, infrared, visible = ((x * 255).round() for x in (picture.fused, picture.infrared, picture.visible))
    every = score(fused, infrared, visible)
    found = {name: float(every[name][0]) for name in METRICS if name in every}
    if picture.foreground is not None and bool(torch.isfinite(picture.mask).all()):
        ours, theirs = picture.foreground > 0, picture.mask > 0.5
        union = float((ours | theirs).sum())
        found["foreground_iou"] = float((ours & theirs).sum()) / union if union else 1.0
    return found


def _row(picture: _Picture) -> NDArray[np.uint8]:
    shown = [picture.infrared, picture.visible, picture.fused]
    if picture.foreground is not None:
        shown.append(torch.sigmoid(picture.foreground))
    height = max(1, round(picture.fused.shape[2] * SHOWN_WIDTH / picture.fused.shape[3]))
    panels = [np.asarray((x[0, 0].float() * 255).round().byte().cpu()) for x in shown]
    resized = [cv2.resize(p, (SHOWN_WIDTH, height), interpolation=cv2.INTER_AREA) for p in panels]
    return np.asarray(np.hstack(resized), np.uint8)


def _stacked(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.vstack(rows)


def _enlarged(picture: Tensor) -> Tensor:
    """Return a picture with sides that the network takes; only tiny ones are padded."""
    height, width = picture.shape[2:]
    pad = (0, max(0, MIN_SIDE - width), 0, max(0, MIN_SIDE - height))
    return functional.pad(picture, pad, mode="replicate") if any(pad) else picture
