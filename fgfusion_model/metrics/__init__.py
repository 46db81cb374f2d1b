"""The field's fusion metrics, vectorised: `score` computes all of them in float64.

A = infrared, B = visible luminance, F = fused luminance, 8-bit values on 0..255, no stretch.
The docstring of each function defines its metric.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from fgfusion_model.metrics.agreement import cc, psnr, scd
from fgfusion_model.metrics.content import ag, en, sd, sf
from fgfusion_model.metrics.contrast import foreground_contrast
from fgfusion_model.metrics.histograms import mi
from fgfusion_model.metrics.nabf import nabf
from fgfusion_model.metrics.qabf import qabf
from fgfusion_model.metrics.ssim import ssim_pair
from fgfusion_model.metrics.vif import vif
from vircraft.errors import PictureError, SettingsError

Convention = Literal["cddfuse", "tang"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        name: its key and column.
        decimals: that mean something.
        lower_is_better: artefacts, not merits, are counted.
    """

    name: str
    decimals: int = 3
    lower_is_better: bool = False


METRICS = (
    *(Metric("EN"), Metric("SD", 2), Metric("SF", 2), Metric("AG"), Metric("MI"), Metric("SCD")),
    *(Metric("VIF"), Metric("Qabf"), Metric("Nabf", lower_is_better=True), Metric("SSIM")),
    *(Metric("MS-SSIM"), Metric("CC"), Metric("PSNR", 2), Metric("contrast")),
)

# What each computation yields; each takes fused, infrared, visible.
_OF_FUSED: dict[str, Callable[[Tensor], Tensor]] = {"EN": en, "SD": sd, "SF": sf, "AG": ag}
_OF_THREE: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    **{"MI": mi, "SCD": scd, "VIF": vif, "Qabf": qabf, "Nabf": nabf, "CC": cc, "PSNR": psnr}
}


@torch.no_grad()
def score(
    fused: Tensor,
    infrared: Tensor,
    visible: Tensor,
    mask: Tensor | None = None,
    convention: Convention = "cddfuse",
) -> dict[str, Tensor]:
    """Return every metric of each picture, (N,) float64, by the names of METRICS in their order.

    Constant pictures: correlations (SCD, CC) are 0, VIF's term is 1, Qabf and Nabf are 0; PSNR is inf where
    all three are the same. A metric whose windows do not fit is nan: VIF below 41 pixels, SSIM below 11,
    MS-SSIM below 176.

    Args:
        fused: (N, 1, H, W), whole numbers on 0..255, any dtype; the work is done where it lies.
        infrared: (N, 1, H, W), or (1, 1, H, W) for all fused pictures, which saves time.
        visible: the same, luminance.
        mask: the same, foreground where not 0; without it there is no `contrast`.
        convention: `cddfuse`, or `tang`: MI in bits, SSIM and MS-SSIM summed over the sources instead of
            averaged, PSNR 48.13 dB higher (its errors are on 0..1, its peak is 255).

    Raises:
        PictureError: sizes differ, or values are no 8-bit ones.
        SettingsError: there is no such convention.
    """
    if convention not in CONVENTIONS:
        raise SettingsError(f"convention {convention!r} is not known; use one of {', '.join(CONVENTIONS)}")
    f = _checked(fused, "fused")
    a, b = (_checked(p, name, f) for p, name in ((infrared, "infrared"), (visible, "visible")))
    found = {name: function(f) for name, function in _OF_FUSED.items()}
    found |= {name: function(f, a, b) for name, function in _OF_THREE.items()}
    found["SSIM"], found["MS-SSIM"] = ssim_pair(f, a, b)
    if mask is not None:
        found["contrast"] = foreground_contrast(f, _checked(mask, "mask", f).to(torch.bool))
    if convention == "tang":
        _to_tang(found)
    return {metric.name: found[metric.name] for metric in METRICS if metric.name in found}


def _to_tang(found: dict[str, Tensor]) -> None:
    found["MI"] = found["MI"] / math.log(2)
    found["SSIM"], found["MS-SSIM"] = 2 * found["SSIM"], 2 * found["MS-SSIM"]
    found["PSNR"] = found["PSNR"] + 20 * math.log10(255)


def _checked(pictures: Tensor, name: str, like: Tensor | None = None) -> Tensor:
    """Return (N, H, W) float64, or say what is wrong with the pictures."""
    if pictures.dim() != 4 or pictures.shape[1] != 1:
        raise PictureError(f"{name} has shape {tuple(pictures.shape)}; it must be (N, 1, H, W), luminance")
    if min(pictures.shape[-2:]) < 2 or len(pictures) == 0:
        raise PictureError(f"{name} has shape {tuple(pictures.shape)}; metrics need at least 2 x 2 pixels")
    if like is not None:
        _check_fit(pictures, name, like)
    values = pictures[:, 0].to(torch.float64)
    low, high = (float(value) for value in values.aminmax())
    if not (low >= 0 and high <= 255):
        raise PictureError(f"{name} has values from {low:g} to {high:g}; metrics need 8-bit values, 0..255")
    if bool((values != values.round()).any()):
        raise PictureError(
            f"{name} has values that are no whole numbers (largest {high:g}); metrics need 8-bit values: "
            "multiply pictures on 0..1 by 255 and round"
        )
    return values


def _check_fit(pictures: Tensor, name: str, fused: Tensor) -> None:
    (height, width), (other_height, other_width) = fused.shape[-2:], pictures.shape[-2:]
    if (height, width) != (other_height, other_width):
        raise PictureError(
            f"{name} is {other_width}x{other_height}, fused {width}x{height}; sizes must agree",
            reason="size-mismatch",
        )
    if len(pictures) not in (1, len(fused)):
        raise PictureError(f"there are {len(pictures)} {name} pictures for {len(fused)} fused ones")
