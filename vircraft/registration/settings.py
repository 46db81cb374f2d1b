"""What the registration may search for and when it may accept; stored with every dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vircraft.errors import SettingsError

Recipe = Literal["vircraft", "paper"]


@dataclass(frozen=True)
class RegistrationSettings:
    """Ranges of the coarse search and thresholds of the gate.

    `scale` is the width of the infrared field of view as a share of the visible picture's width.
    """

    recipe: Recipe = "vircraft"  # "paper": edge template and grey ORB as printed, nothing checked
    scale_min: float = 0.30  # smallest share of the visible width that the infrared view may span
    scale_max: float = 0.95  # largest share
    rotation_deg: float = 8.0  # the roll between the cameras is searched within +- this
    accept_probability: float = 0.55  # gate: below it a pair is not accepted as fine
    coarse_probability: float = 0.45  # between the two the coarse pose is given, with its larger error
    max_error_px: float = 10.0  # an answer predicted worse than this is refused

    def __post_init__(self) -> None:
        if self.recipe not in ("vircraft", "paper"):
            raise SettingsError(f"recipe is {self.recipe!r}; it is 'vircraft' or 'paper'")
        if not 0.05 <= self.scale_min < self.scale_max <= 1.5:
            raise SettingsError(
                f"scale range {self.scale_min}..{self.scale_max}: needs 0.05 <= scale_min < scale_max <= 1.5"
            )
        if not 0 <= self.rotation_deg <= 45:
            raise SettingsError(f"rotation_deg is {self.rotation_deg}; it is between 0 and 45")
        if not 0 <= self.coarse_probability <= self.accept_probability <= 1:
            raise SettingsError(
                f"coarse_probability {self.coarse_probability} and accept_probability"
                f" {self.accept_probability}: needs 0 <= coarse_probability <= accept_probability <= 1"
            )
        if not self.max_error_px > 0:
            raise SettingsError(f"max_error_px is {self.max_error_px}; it is above 0")
