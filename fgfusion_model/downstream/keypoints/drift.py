"""The drift of each heatmap's peak from its label, as a table and as sheets of the kind of Fig. 11."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.downstream.keypoints.crops import Patch, moved, warp_patch
from fgfusion_model.downstream.keypoints.estimation import Pose
from fgfusion_model.downstream.keypoints.labels import EDGE, KeypointLabels, KeypointObject
from fgfusion_model.downstream.keypoints.scores import distances
from fgfusion_model.downstream.keypoints.settings import Settings
from fgfusion_model.sheet import SheetRow, SheetSettings, spread, write_pages
from vircraft.files import write_atomically

DRIFT_NAME = "drift.csv"
COLUMNS = (
    "picture", "object", "keypoint", "label_x", "label_y", "v", "peak_x", "peak_y", "confidence", "drift_px"
)  # fmt: skip
CELL_PX = 480  # side of a crop on a sheet, at least
PEAK, LABEL, OCCLUDED, LINE = (60, 60, 255), (90, 255, 90), (60, 200, 255), (255, 255, 255)  # BGR
Picture = NDArray[np.uint8]


def write_drift(folder: Path, labels: KeypointLabels, results: Sequence[Mapping[str, Any]]) -> Path:
    """Write `drift.csv`: a row an object and keypoint; coordinates as COCO counts.

    A keypoint without a label (v = 0) has a peak and no drift.

    Raises:
        DatasetError: the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry, result in zip(labels.objects, results, strict=True):
        found = np.asarray(result["keypoints"], np.float64).reshape(-1, 3)
        drift = distances(entry, result)
        for k, name in enumerate(labels.names.names):
            x, y, v = entry.keypoints[k]
            label = (f"{x + EDGE:.3f}", f"{y + EDGE:.3f}") if v else ("", "")
            peak = (f"{found[k, 0]:.3f}", f"{found[k, 1]:.3f}", f"{found[k, 2]:.4f}")
            writer.writerow(
                (entry.stem, entry.id, name, *label, int(v), *peak, f"{drift[k]:.3f}" if v else "")
            )
    path = folder / DRIFT_NAME
    write_atomically(path, text.getvalue().encode())
    return path


def write_sheets(
    folder: Path,
    labels: KeypointLabels,
    patches: Sequence[Patch],
    poses: Sequence[Pose],
    results: Sequence[Mapping[str, Any]],
    settings: Settings,
    most: int,
) -> list[Path]:
    """Write `sheet_01.png`, ...: the crop with labels and peaks, the heatmaps over it, the drifts in pixels.

    Args:
        folder: to write to.
        labels, patches, poses, results: one of each an object.
        settings: of the network.
        most: objects to show, evenly spread over the split.

    Raises:
        DatasetError: the folder cannot be written.
    """
    rows: list[SheetRow] = []
    for which in spread(len(labels.objects), most):
        entry, drift = labels.objects[which], distances(labels.objects[which], results[which])
        crop = _enlarged(patches[which], settings)
        placed = _placed(entry, poses[which], patches[which], settings)
        mean = drift[entry.keypoints[:, 2] > 0].mean()
        rows.append(
            SheetRow(
                f"{entry.stem}, object {entry.id}: mean drift {mean:.1f} px",
                [
                    draw_points(crop, *placed, entry.keypoints[:, 2]),
                    draw_heatmaps(crop, poses[which].heatmaps),
                    draw_drifts(labels.names.names, entry, drift, poses[which], crop.shape),
                ],
            )
        )
    columns = ("label (ring) and peak (dot)", "heatmaps", "drift of the peak from the label; confidence")
    return write_pages(folder, columns, rows, SheetSettings(rows=4, cell_width_px=CELL_PX))


def draw_points(crop: Picture, peaks: Any, labelled: Any, v: Any) -> Picture:
    """Return a crop with rings at the labels, dots at the peaks and lines between them.

    Args:
        crop: (H, W, 3) BGR.
        peaks, labelled: (K, 2), on the crop, pixels.
        v: (K,), as in COCO.
    """
    drawn = crop.copy()
    for peak, label, seen in zip(peaks, labelled, v, strict=True):
        if seen:
            cv2.line(drawn, _at(label), _at(peak), LINE, 1, cv2.LINE_AA, SHIFT)
            cv2.circle(drawn, _at(label), 7 << SHIFT, LABEL if seen > 1 else OCCLUDED, 2, cv2.LINE_AA, SHIFT)
    for peak in peaks:
        cv2.circle(drawn, _at(peak), 3 << SHIFT, PEAK, -1, cv2.LINE_AA, SHIFT)
    return drawn


def draw_heatmaps(crop: Picture, heatmaps: NDArray[np.float64]) -> Picture:
    """Return a crop, (H, W, 3) BGR, under the largest of its heatmaps, (K, h, w), each scaled to peak 1."""
    peaks = heatmaps.max((1, 2), keepdims=True)
    strongest = (heatmaps / np.maximum(peaks, 1e-12)).max(0)
    large = cv2.resize(strongest, (crop.shape[1], crop.shape[0]), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap(np.rint(255 * large.clip(0, 1)).astype(np.uint8), cv2.COLORMAP_JET)
    share = (0.25 + 0.5 * large.clip(0, 1))[..., None]
    return np.asarray(np.rint(crop * (1 - share) + colours * share), np.uint8)


def draw_drifts(
    names: Sequence[str], entry: KeypointObject, drift: Any, pose: Pose, shape: tuple[int, ...]
) -> Picture:
    """Return a page with a line a keypoint: its name, the drift in pixels and the confidence."""
    page = np.full(shape, 250, np.uint8)
    step = min(40, shape[0] // (len(names) + 1))
    size = min(0.55, step / 45)
    for k, name in enumerate(names):
        v = int(entry.keypoints[k, 2])
        drifted = f"{drift[k]:6.1f} px" if v else "      -   "
        texts = ((10, name), (190, drifted), (310, ("not labelled", "occluded", "visible")[v]))
        for left, text in (*texts, (430, f"{pose.confidence[k]:.2f}")):
            at = (round(left * shape[1] / CELL_PX), step * (k + 1))
            cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 1, cv2.LINE_AA)
    return page


SHIFT = 4  # binary digits of a fraction of a pixel in what is drawn


def _at(point: Any) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -4096, 4096) * (1 << SHIFT)).astype(int)
    return int(x), int(y)


def _factor(settings: Settings) -> int:
    return max(1, round(CELL_PX / settings.input_wh[0]))


def _enlarged(patch: Patch, settings: Settings) -> Picture:
    """Return the plain crop, larger, (H, W, 3) BGR."""
    factor = _factor(settings)
    size = settings.input_wh[0] * factor, settings.input_wh[1] * factor
    return np.ascontiguousarray(warp_patch(patch, _enlarging(factor) @ patch.plain, size)[..., ::-1])


def _enlarging(factor: int) -> NDArray[np.float64]:
    shift = (factor - 1) / 2
    return np.array([[factor, 0.0, shift], [0.0, factor, shift], [0.0, 0.0, 1.0]])


def _placed(
    entry: KeypointObject, pose: Pose, patch: Patch, settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return peaks and labels on the enlarged crop."""
    matrix = _enlarging(_factor(settings)) @ patch.plain
    return moved(pose.points, matrix), moved(entry.keypoints[:, :2], matrix)
