"""Object detection (Sec. 3.3.4): train a detector built in or a YOLO program, judge it by AP, use it."""

from fgfusion_model.downstream.detection.boxes import find_boxes
from fgfusion_model.downstream.detection.judge import evaluate, predict
from fgfusion_model.downstream.detection.problem import train
from fgfusion_model.downstream.detection.settings import PRESETS, Settings, YoloSettings, preset
from fgfusion_model.downstream.detection.voc_labels import M3FD_CLASSES
from fgfusion_model.downstream.detection.yolo_program import ProgramError
from fgfusion_model.downstream.results import Predicted

__all__ = [
    "M3FD_CLASSES",
    "PRESETS",
    "Predicted",
    "ProgramError",
    "Settings",
    "YoloSettings",
    "evaluate",
    "find_boxes",
    "predict",
    "preset",
    "train",
]
