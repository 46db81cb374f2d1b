"""What decides a keypoint network: the published recipe (Sec. 3.3.2) and a small one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fgfusion_model.downstream.settings import FitSettings, chosen_preset
from fgfusion_model.training.settings import ScheduleSettings, check_range
from vircraft.errors import SettingsError

STRIDE = 4  # input pixels a heatmap cell, of HRNet's highest resolution
COARSEST = 32  # input pixels a cell of its lowest resolution: sizes are multiples of it
PRESETS: tuple[str, ...] = ("paper", "small")
NetworkName = Literal[
    "hrnet_w32", "hrnet_w18", "hrnet_w48", "hrnet_w18_small", "hrnet_w18_small_v2", "hrnet_tiny"
]


@dataclass(frozen=True)
class AugmentSettings:
    """How a crop is varied while training; the paper does not say."""

    flips: float = 0.5  # share of crops that are mirrored; left and right change places
    rotate_deg: float = 20.0  # greatest turn to either side
    zoom: float = 0.25  # at most so much larger (1 + zoom) or smaller (its inverse)
    shift: float = 0.08  # greatest shift to each side, share of the crop's width and height
    brightness: float = 0.15  # greatest change, share of the range
    contrast: float = 0.2  # greatest change of the contrast's factor

    def __post_init__(self) -> None:
        check_range("augment.flips", self.flips, 0, 1)
        check_range("augment.rotate_deg", self.rotate_deg, 0, 180)
        check_range("augment.zoom", self.zoom, 0, 2)
        check_range("augment.shift", self.shift, 0, 0.5)
        check_range("augment.brightness", self.brightness, 0, 1)
        check_range("augment.contrast", self.contrast, 0, 0.9)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a keypoint network's weights (Sec. 3.3.2)."""

    network: NetworkName = "hrnet_w32"  # timm's; hrnet_tiny is ours: one module of 16 channels a stage
    init: str = "random"  # first weights: random, imagenet (timm downloads them), or a .safetensors of timm's
    input_wh: tuple[int, int] = (256, 256)  # pixels of the crop that the network sees
    padding: float = 1.25  # sides of the crop over those of the labelled box
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"  # over heatmap positions, or on Gaussian heatmaps
    sigma: float = 1.5  # of the target, heatmap cells; 0: the nearest cell alone (cross entropy only)
    flip_test: bool = True  # judge with the mean over a crop and its mirror image
    category: str = ""  # whose keypoints; "": the only one that has some
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        for side in self.input_wh:
            check_range("input_wh", side, COARSEST, 2048)
            if side % COARSEST:
                raise SettingsError(f"input_wh is {list(self.input_wh)}; both are multiples of {COARSEST}")
        check_range("padding", self.padding, 1, 4)
        check_range("sigma", self.sigma, 0, 32)
        if self.loss == "mse" and not self.sigma:
            raise SettingsError("sigma is 0; the loss mse needs a Gaussian: choose one above 0, such as 2")


def preset(name: str) -> Settings:
    """Return the settings of a preset.

    Args:
        name: `paper` (200 epochs of HRNet-w32 with Adam, as published) or `small`, which trains in minutes
            on a core of a CPU.

    Raises:
        SettingsError: no such preset.
    """
    return chosen_preset({"paper": Settings, "small": _small}, name)


def _small() -> Settings:
    return Settings(
        network="hrnet_w18_small",
        input_wh=(192, 96),  # an aircraft on approach is two and a half to four times as wide as high
        sigma=1.0,
        fit=FitSettings(
            epochs=40,
            batch=8,
            validate_every=5.0,
            clip_norm=5.0,
            schedule=ScheduleSettings(warmup=0.05, decay="cosine", final=0.01),
        ),
    )
