"""Keypoints of aircraft by heatmaps (Sec. 3.3.2): train, judge and use HRNet on any pictures."""

from fgfusion_model.downstream.keypoints.evaluation import evaluate
from fgfusion_model.downstream.keypoints.prediction import Found, predict
from fgfusion_model.downstream.keypoints.settings import PRESETS, AugmentSettings, Settings, preset
from fgfusion_model.downstream.keypoints.training import train

__all__ = ["PRESETS", "AugmentSettings", "Found", "Settings", "evaluate", "predict", "preset", "train"]
