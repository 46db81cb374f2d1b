"""Register one pair, or the pairs of one rig or clip, of infrared and visible pictures (paper Sec. 3.1)."""

from vircraft.registration.clip import register_clip
from vircraft.registration.pair import register_pair
from vircraft.registration.result import Registration
from vircraft.registration.rig import register_rig
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import corner_error_px, warp_visible

__all__ = [
    "Registration",
    "RegistrationSettings",
    "corner_error_px",
    "register_clip",
    "register_pair",
    "register_rig",
    "warp_visible",
]
