"""What decides a segmentation network: the paper's recipe (Sec. 3.3.3), and a small one for a CPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fgfusion_model.downstream.settings import FitSettings, chosen_preset
from fgfusion_model.training.settings import ScheduleSettings, check_range
from vircraft.errors import SettingsError

TASK = "segmentation"
PRESETS: tuple[str, ...] = ("paper", "small")
Encoder = Literal["resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2"]


@dataclass(frozen=True)
class Settings:
    """DeepLabV3+ and how it sees pictures; the paper leaves crop, scale and flips unsaid."""

    encoder: Encoder = "resnet50"  # what looks at the picture first
    output_stride: Literal[8, 16] = 16  # pixels of the picture that a cell of the deepest features stands for
    channels: int = 256  # of the decoder
    atrous_rates: tuple[int, int, int] = (12, 24, 36)  # steps between the taps, cells of the deepest features
    dropout: float = 0.5  # of the pooled features, while training
    init: str = "random"  # first weights of the encoder: random, imagenet, or a .safetensors file
    classes: tuple[str, ...] = ()  # names by id; empty: from classes.txt, the layout, or counted
    longest: int = 0  # larger pictures are shrunk until their longer side has so many pixels; 0: never
    crop_wh: tuple[int, int] = (480, 480)  # width and height of what a step sees; multiples of 16
    scale: tuple[float, float] = (0.5, 2.0)  # pictures are shrunk or enlarged by a factor between these
    flip: bool = True  # mirror every second picture
    fit: FitSettings = field(default_factory=lambda: FitSettings(epochs=300, batch=12))

    def __post_init__(self) -> None:
        check_range("channels", self.channels, 8, 1024)
        check_range("dropout", self.dropout, 0, 0.9)
        check_range("longest", self.longest, 0, 16384)
        for value in (*self.atrous_rates, *self.crop_wh):
            check_range("atrous_rates and crop_wh", value, 1, 16384)
        if any(side % 16 for side in self.crop_wh):
            raise SettingsError(f"crop_wh is {list(self.crop_wh)}; both must be multiples of 16")
        check_range("scale[0]", self.scale[0], 0.1, 10)
        check_range("scale[1]", self.scale[1], self.scale[0], 10)
        if len(set(self.classes)) != len(self.classes) or len(self.classes) == 1:
            raise SettingsError(f"classes are {list(self.classes)}; name at least two, each once")
        if len(self.classes) > 255:
            raise SettingsError(f"there are {len(self.classes)} classes; label maps hold 255 at most")
        if self.fit.batch < 2:  # a norm over one pooled value
            raise SettingsError("batch is 1; DeepLabV3+ needs 2 at least to norm its pooled features")


def preset(name: str) -> Settings:
    """Return a recipe: `paper` as published, `small` for minutes on a CPU core.

    Raises:
        SettingsError: an unknown name.
    """
    return chosen_preset({"paper": Settings, "small": _small}, name)


def _small() -> Settings:
    return Settings(
        encoder="resnet18",
        channels=64,
        atrous_rates=(2, 4, 6),
        dropout=0.1,
        longest=160,
        crop_wh=(160, 128),
        scale=(0.75, 1.5),
        fit=FitSettings(epochs=60, batch=8, validate_every=20, schedule=ScheduleSettings(decay="cosine")),
    )
