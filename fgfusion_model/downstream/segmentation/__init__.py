"""Segmentation with DeepLabV3+ (Sec. 3.3.3): train it, judge it by IoU, use it."""

from fgfusion_model.downstream.results import Predicted
from fgfusion_model.downstream.segmentation.judge import evaluate, predict
from fgfusion_model.downstream.segmentation.label_maps import MSRS_CLASSES, find_label_maps
from fgfusion_model.downstream.segmentation.problem import train
from fgfusion_model.downstream.segmentation.settings import PRESETS, Settings, preset

__all__ = [
    "MSRS_CLASSES",
    "PRESETS",
    "Predicted",
    "Settings",
    "evaluate",
    "find_label_maps",
    "predict",
    "preset",
    "train",
]
