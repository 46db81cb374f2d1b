"""What decides a detector: the paper's numbers (Sec. 3.3.4) for one built in, and a small one for a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fgfusion_model.downstream.settings import FitSettings, chosen_preset
from fgfusion_model.training.settings import ScheduleSettings, check_range
from vircraft.errors import SettingsError

TASK = "detection"
PRESETS: tuple[str, ...] = ("paper", "small")
DetectorName = Literal["fcos", "yolo"]
Backbone = Literal["resnet18", "resnet34", "resnet50"]
YoloProgram = Literal["yolo", "yolov5"]


@dataclass(frozen=True)
class YoloSettings:
    """The program that the user installed for `detector = "yolo"`; its other settings are its defaults."""

    program: YoloProgram = "yolo"  # of ultralytics; yolov5: of the package of that name
    model: str = "yolov5s.pt"  # what it starts from, as it understands it: a name, a .pt or a .yaml file


def _paper_fit() -> FitSettings:
    """Return epochs and batch of the paper; the rest follows YOLOv5's defaults as far as they carry over."""
    return FitSettings(
        epochs=300,
        batch=8,
        optimiser="sgd",
        learning_rate=1e-2,
        weight_decay=5e-4,
        clip_norm=10.0,
        ema=0.999,
        schedule=ScheduleSettings(warmup=0.01, decay="polynomial", power=1.0, final=0.01),
    )


@dataclass(frozen=True)
class Settings:
    """FCOS with a feature pyramid, and how it sees pictures."""

    detector: DetectorName = "fcos"  # yolo: a program that the user installed
    backbone: Backbone = "resnet50"  # of fcos
    channels: int = 256  # of the pyramid and the heads; a multiple of 64: their norms have 32 groups
    head_convs: int = 4  # convolutions of each head
    init: str = "random"  # first weights of the backbone: random, imagenet, or a .safetensors file
    classes: tuple[str, ...] = ()  # names; empty: those of the labels
    longest: int = 640  # larger pictures are shrunk until their longer side has so many pixels
    scale: tuple[float, float] = (0.5, 1.5)  # pictures are shrunk or enlarged by a factor between these
    flip: bool = True  # mirror every second picture
    light: float = 0.3  # brightness is multiplied by a factor up to so much above or below 1
    score_least: float = 0.01  # boxes with a lower score are dropped
    nms_iou: float = 0.6  # of two boxes of a class that overlap more, the better stays
    yolo: YoloSettings = field(default_factory=YoloSettings)
    fit: FitSettings = field(default_factory=_paper_fit)

    def __post_init__(self) -> None:
        check_range("channels", self.channels, 64, 1024)
        if self.channels % 64:  # a group of one channel has no spread where a level is one pixel
            raise SettingsError(f"channels is {self.channels}; it is a multiple of 64")
        check_range("head_convs", self.head_convs, 1, 8)
        check_range("longest", self.longest, 64, 8192)
        check_range("scale[0]", self.scale[0], 0.1, 10)
        check_range("scale[1]", self.scale[1], self.scale[0], 10)
        check_range("light", self.light, 0, 0.9)
        check_range("score_least", self.score_least, 0, 0.99)
        check_range("nms_iou", self.nms_iou, 0.01, 1)
        if len(set(self.classes)) != len(self.classes):
            raise SettingsError(f"classes are {list(self.classes)}; name each once")


def preset(name: str) -> Settings:
    """Return a recipe: `paper` as published, `small` for minutes on a CPU core.

    Raises:
        SettingsError: an unknown name.
    """
    return chosen_preset({"paper": Settings, "small": _small}, name)


def _small() -> Settings:
    fit = FitSettings(
        epochs=60,
        batch=8,
        optimiser="adamw",
        learning_rate=1e-3,
        weight_decay=1e-2,
        clip_norm=5.0,
        validate_every=20,
        schedule=ScheduleSettings(warmup=0.03, decay="cosine"),
    )
    return Settings(backbone="resnet18", channels=64, head_convs=2, longest=192, scale=(0.75, 1.33), fit=fit)
