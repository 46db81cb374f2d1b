"""Light and temperature of a scene: sun, sky, air and haze by day, at dusk and at night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.mesh import Points
from vircraft.simulation.settings import ClipSettings

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Ambience:
    """How the scene is lit and how warm it is.

    Colours are blue, green, red: display values 0..255 for parts of the picture, linear strengths for light.

    Attributes:
        sun_direction: (3,) unit vector towards the sun, world.
        sun: linear strength.
        sky_light: linear strength from above.
        ground_light: linear strength from below.
        zenith: colour of the sky overhead (10 degrees up is most of the way).
        horizon: colour of the sky at the horizon.
        glow: colour added towards the sun.
        haze: share of the horizon's colour laid over things 1 km away.
        dark: 0 by day, 1 at night.
        lamps: strength of artificial lights.
        air_c: temperature of the air.
        sky_c: apparent infrared temperature of the sky 15 degrees up.
        sky_horizon_c: at the horizon.
        sun_warmth_c: how much a surface that faces the sun is warmer.
    """

    sun_direction: Points
    sun: Colour
    sky_light: Colour
    ground_light: Colour
    zenith: Colour
    horizon: Colour
    glow: Colour
    haze: float
    dark: float
    lamps: float
    air_c: float
    sky_c: float
    sky_horizon_c: float
    sun_warmth_c: float


def as_array(colour: Sequence[float]) -> NDArray[np.float32]:
    """Return a colour as a (3,) array, to calculate with pictures."""
    return np.asarray(colour, np.float32)


def choose_ambience(settings: ClipSettings, view_azimuth: float, rng: np.random.Generator) -> Ambience:
    """Draw the weather of a clip; the sun mostly stands behind the cameras by day, before them at dusk."""
    air = float(rng.uniform(6, 24))
    hazy = {"rich": 0.10, "mixed": 0.12, "plain": 0.16, "bare": 0.22}[settings.difficulty] * float(
        rng.uniform(0.7, 1.3)
    )
    turn = float(rng.uniform(-1.2, 1.2))
    if settings.light == "day":
        height = float(rng.uniform(0.45, 0.95))
        warm = float(rng.uniform(0, 1))
        return Ambience(
            sun_direction=_direction(view_azimuth + np.pi + turn, height),
            sun=(0.62, 0.68, 0.72),
            sky_light=(0.36, 0.32, 0.29),
            ground_light=(0.11, 0.13, 0.14),
            zenith=(205 - 10 * warm, 152 + 8 * warm, 98 + 22 * warm),
            horizon=(228, 216, 200 + 8 * warm),
            glow=(10, 14, 18),
            haze=hazy,
            dark=0.0,
            lamps=0.25,
            air_c=air,
            sky_c=air - float(rng.uniform(26, 36)),
            sky_horizon_c=air - float(rng.uniform(5, 9)),
            sun_warmth_c=float(rng.uniform(5, 9)),
        )
    if settings.light == "dusk":
        late = float(rng.uniform(0, 1))  # from orange to violet
        return Ambience(
            sun_direction=_direction(view_azimuth + 0.55 * turn, 0.06),
            sun=(0.07, 0.14, 0.26),
            sky_light=(0.17, 0.145, 0.135),
            ground_light=(0.045, 0.045, 0.05),
            zenith=(128 - 14 * late, 92 - 18 * late, 70 - 8 * late),
            horizon=(112 + 34 * late, 148 - 16 * late, 208 - 22 * late),
            glow=(10, 46 - 14 * late, 90 - 24 * late),
            haze=hazy * 1.1,
            dark=0.55,
            lamps=0.8,
            air_c=air - 3,
            sky_c=air - float(rng.uniform(28, 36)),
            sky_horizon_c=air - 9,
            sun_warmth_c=1.5,
        )
    return Ambience(
        sun_direction=_direction(view_azimuth + np.pi + turn, 0.7),  # a moon
        sun=(0.012, 0.011, 0.010),
        sky_light=(0.024, 0.020, 0.017),
        ground_light=(0.016, 0.022, 0.027),
        zenith=(38, 27, 20),
        horizon=(60, 54, 53),
        glow=(0, 0, 0),
        haze=hazy,
        dark=1.0,
        lamps=1.0,
        air_c=air - 7,
        sky_c=air - float(rng.uniform(34, 42)),
        sky_horizon_c=air - 13,
        sun_warmth_c=0.0,
    )


def through_haze(colour: Colour, depth_m: float, ambience: Ambience) -> Colour:
    """Return a display colour as seen from a distance: it fades into the horizon's colour."""
    clear = float(np.exp(-ambience.haze * depth_m / 1000))
    b, g, r = (h + (c - h) * clear for c, h in zip(colour, ambience.horizon, strict=True))
    return b, g, r


def scaled(colour: Colour, strength: float) -> Colour:
    """Return a colour times a strength."""
    return colour[0] * strength, colour[1] * strength, colour[2] * strength


def dimmed(colour: Colour, ambience: Ambience) -> Colour:
    """Return a daylight colour as it looks in this light."""
    if ambience.dark == 0:
        return colour
    tint = (0.42, 0.36, 0.36) if ambience.dark < 1 else (0.10, 0.085, 0.08)
    return colour[0] * tint[0], colour[1] * tint[1], colour[2] * tint[2]


def _direction(azimuth: float, elevation: float) -> Points:
    ce = np.cos(elevation)
    return np.array([ce * np.cos(azimuth), ce * np.sin(azimuth), np.sin(elevation)])
