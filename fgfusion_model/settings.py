"""What the network and its losses are made of: frozen, checked where they are built, with the presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from vircraft.errors import SettingsError

PresetName = Literal["paper", "base", "lite"]
PRESETS: tuple[PresetName, ...] = ("paper", "base", "lite")
AblationName = Literal["full", "without_foreground", "without_interaction", "without_mask_weight", "baseline"]
ABLATIONS: tuple[AblationName, ...] = (
    "full",
    "without_foreground",
    "without_interaction",
    "without_mask_weight",
    "baseline",
)
MAX_WIDTH = (
    4096  # channels of one layer; a stranger's settings may not ask for more memory than a network has
)


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of the network; stored beside its weights, which fit no other."""

    channels: int = 32  # C, of the shallow features and of everything at full resolution
    widths: tuple[int, int, int] = (64, 128, 256)  # of the deep features at 1/4, 1/8 and 1/16
    stage_blocks: int = 2  # residual blocks of each deep stage
    shared_body: bool = False  # one set of deep stages for both modalities
    couplings: int = 2  # K, stacked bijective couplings of the DRM, Eq. (2)
    heads: int = 8  # of every attention, Eq. (3)
    dense_layers: int = 3  # of the dense block before the attention
    refinement_blocks: int = 2  # residual blocks of the RFM, Eq. (6)
    norm: Literal["batch", "instance"] = "batch"  # of the SIM, Eq. (4): instance lets tiles disagree
    foreground: bool = True  # False: no foreground branch (Tab. 5, "w/o Ex")
    interaction: bool = True  # False: dense connections for the INN and the attention ("w/o FE")
    strict_paper: bool = False  # True: Eq. (6) as printed in the RFM; S raised to 1/4 without laterals

    def __post_init__(self) -> None:
        if len(self.widths) != 3:
            raise SettingsError(f"widths has {len(self.widths)} entries; it has 3: at 1/4, 1/8 and 1/16")
        for name, value in (("channels", self.channels), *(("widths", width) for width in self.widths)):
            _check_range(name, value, 4, MAX_WIDTH)
        for name in ("stage_blocks", "couplings", "heads", "dense_layers", "refinement_blocks"):
            _check_range(name, getattr(self, name), 1, 64)
        if self.widths[2] % self.heads:
            raise SettingsError(
                f"heads is {self.heads}, which does not divide the {self.widths[2]} channels at 1/16; "
                "change heads or the last of widths"
            )
        if self.norm not in ("batch", "instance"):
            raise SettingsError(f"norm is {self.norm!r}; it is batch or instance")


@dataclass(frozen=True)
class LossSettings:
    """The weights and readings of Eq. (8)-(11); the defaults are the paper's."""

    ssim: float = 1.0  # lambda 1, of the structure term
    intensity: float = 10.0  # lambda 2
    gradient: float = 10.0  # lambda 3
    foreground: float = 5.0  # lambda 4
    differences: float = 0.0  # of 1 - the mean of corr(F - V, I) and corr(F - I, V); not in the paper
    information: float = 0.0  # of 1 - the mean visual information fidelity; not in the paper
    contrast: float = 0.0  # of what foregrounds lack of the better input's contrast; not in the paper
    mask_weight: float = 3.0  # W of a foreground pixel; 1 elsewhere, and everywhere without a mask
    structure: Literal["correlation", "ssim"] = "correlation"  # what L_ssim compares
    intensity_target: Literal[
        "variance", "global_variance", "variance_or_foreground", "max", "mean", "sum"
    ] = "variance"  # what Eq. (10) pulls the fused picture to
    intensity_window: int = (
        9  # pixels, odd: of the local variance and of the box over the squared error; 1: none
    )
    foreground_gain: float = 1.0  # of the intensity target on foreground; above 1 it stands out more
    gradient_kind: Literal["direction", "magnitude", "vector"] = "direction"  # what Eq. (9) compares

    def __post_init__(self) -> None:
        for name in ("ssim", "intensity", "gradient", "foreground", "differences", "information", "contrast"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise SettingsError(f"loss weight {name} is {value}; it is 0 or more")
        if not (math.isfinite(self.mask_weight) and self.mask_weight > 0):
            raise SettingsError(f"mask_weight is {self.mask_weight}; it is more than 0 (1: no weighting)")
        if not 0.1 <= self.foreground_gain <= 10:
            raise SettingsError(f"foreground_gain is {self.foreground_gain}; it is from 0.1 to 10")
        _check_range("intensity_window", self.intensity_window, 1, 63)
        if self.intensity_window % 2 == 0:
            raise SettingsError(f"intensity_window is {self.intensity_window}; it is odd")


def preset(name: PresetName) -> NetworkSettings:
    """Return the settings of a preset.

    Args:
        name: `paper` follows the equations to the letter; `base` has the same size with our readings; `lite`
            is a fifth of it (1.2 M parameters), for a CPU.

    Raises:
        SettingsError: no such preset.
    """
    if name == "paper":
        return NetworkSettings(strict_paper=True)
    if name == "base":
        return NetworkSettings()
    if name == "lite":
        return NetworkSettings(
            channels=16, widths=(32, 64, 128), stage_blocks=1, shared_body=True, heads=4, dense_layers=2
        )
    raise SettingsError(f"network preset is {name!r}; it is one of {', '.join(PRESETS)}")


def ablation(
    name: AblationName, network: NetworkSettings, loss: LossSettings
) -> tuple[NetworkSettings, LossSettings]:
    """Return the settings with the parts taken out that a row of Tab. 5 goes without.

    Raises:
        SettingsError: no such ablation.
    """
    if name not in ABLATIONS:
        raise SettingsError(f"ablation is {name!r}; it is one of {', '.join(ABLATIONS)}")
    if name in ("without_foreground", "baseline"):
        network = dataclasses.replace(network, foreground=False)
    if name in ("without_interaction", "baseline"):
        network = dataclasses.replace(network, interaction=False)
    if name in ("without_mask_weight", "baseline"):
        loss = dataclasses.replace(loss, mask_weight=1.0)
    return network, loss


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name} is {value}; it is from {low} to {high}")
