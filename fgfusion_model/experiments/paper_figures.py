"""The figures that the paper prints in Tab. 2 to 5, per cent: facts to compare with."""

from __future__ import annotations

from collections.abc import Mapping

CLASSES = ("background", "car", "person", "bike", "curve", "car stop", "guardrail", "colour cone", "bump")
_IOU = (*(f"IoU {name}" for name in CLASSES), "mIoU")  # the printed header of Tab. 3 is shifted by one

_METHODS = ("Visible", "Infrared", "CDDFuse", "PSFusion", "TarDAL", "MRFS", "GIFNet", "FGFusion")
_AP75 = (60.29, 61.76, 60.29, 63.24, 61.76, 61.76, 60.29, 64.71)
_MAP = (64.85, 63.38, 64.26, 65.44, 63.97, 64.85, 64.85, 66.18)
_SEGMENTATION = {
    "Visible": (97.43, 84.01, 53.32, 64.81, 40.01, 51.00, 54.59, 53.97, 63.68, 62.54),
    "Infrared": (96.87, 76.37, 67.41, 56.76, 33.10, 28.73, 27.84, 28.77, 58.56, 52.71),
    "CDDFuse": (97.91, 85.46, 67.13, 66.90, 46.67, 59.73, 59.31, 59.17, 70.18, 68.05),
    "PSFusion": (97.88, 84.63, 68.82, 67.01, 48.74, 57.71, 58.82, 57.54, 65.80, 67.44),
    "TarDAL": (96.63, 73.42, 63.25, 56.70, 21.91, 36.90, 43.19, 26.41, 42.32, 51.19),
    "GIFNet": (97.64, 82.70, 64.56, 66.30, 46.48, 51.99, 56.78, 41.78, 64.64, 63.65),
    "MRFS": (97.69, 83.50, 64.14, 65.02, 47.69, 58.37, 64.98, 52.01, 61.30, 66.08),
    "FGFusion": (98.11, 84.95, 68.55, 69.71, 52.82, 64.74, 59.90, 60.34, 69.87, 69.89),
}
_DETECTION = {
    "Visible": (80.9, 53.9),
    "Infrared": (77.9, 51.9),
    "CDDFuse": (80.9, 54.5),
    "PSFusion": (81.2, 55.1),
    "TarDAL": (81.0, 54.7),
    "GIFNet": (80.3, 54.3),
    "MRFS": (81.1, 55.0),
    "FGFusion": (81.4, 55.4),
}
_ABLATIONS = {  # keypoint mAP, mIoU, detection mAP
    "Baseline": (58.37, 61.83, 54.4),
    "without foreground": (61.63, 62.93, 54.9),
    "without interaction": (62.31, 63.66, 55.1),
    "without mask weight": (63.94, 58.84, 54.4),
    "FGFusion": (66.18, 69.89, 55.4),
}

ABLATION_TABLE = 5
# table -> method -> score -> per cent; in Tab. 5 the score is the number of the table that it comes from
FIGURES: Mapping[int, Mapping[str, Mapping[str, float]]] = {
    2: {name: {"AP75": ap75, "mAP[50,95]": m} for name, ap75, m in zip(_METHODS, _AP75, _MAP, strict=True)},
    3: {name: dict(zip(_IOU, row, strict=True)) for name, row in _SEGMENTATION.items()},
    4: {name: dict(zip(("AP50", "mAP[50,95]"), row, strict=True)) for name, row in _DETECTION.items()},
    ABLATION_TABLE: {name: dict(zip("234", row, strict=True)) for name, row in _ABLATIONS.items()},
}
REMARKS: Mapping[int, str] = {
    2: "The paper's figures are multiples of 1/68 and 1/680: shares of 68 pictures above a threshold of OKS, "
    "it seems, and no AP as COCO defines it. They are best compared with the columns 'share'.",
    4: "The paper's figures are YOLOv5's; the built-in detector is another one: compare orders, not levels.",
}


def published(table: int, method: str, score: str) -> float | None:
    """Return a figure of the paper as a share, 0..1; None where it prints none. Case does not matter."""
    rows = {name.lower(): row for name, row in FIGURES.get(table, {}).items()}
    value = rows.get(method.lower(), {}).get(score)
    return None if value is None else value / 100
