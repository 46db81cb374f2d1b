"""What a simulated clip shows and how it is filmed; drawn from a seed, stored with the clip's truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from vircraft.errors import SettingsError
from vircraft.simulation.aircraft import AircraftKind

Light = Literal["day", "dusk", "night"]
Difficulty = Literal["rich", "mixed", "plain", "bare"]
LIGHTS: tuple[Light, ...] = get_args(Light)
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
AIRCRAFT_KINDS: tuple[AircraftKind, ...] = get_args(AircraftKind)


@dataclass(frozen=True)
class ClipSettings:
    """One clip. Everything else (path of flight, weather, livery, ...) follows from these and the seed."""

    name: str  # NAME in NAME_infrared.mp4, NAME_visible.mp4, NAME.truth.json
    seed: int
    light: Light = "day"
    difficulty: Difficulty = (
        "rich"  # rich: airfield and hills; mixed: treeline; plain: clouds; bare: clear sky
    )
    aircraft: AircraftKind = "airliner"
    zoom: bool = False  # whether the two lenses zoom during the clip, each in its own way
    duration_s: float = 2.4
    infrared_wh: tuple[int, int] = (640, 512)
    visible_wh: tuple[int, int] = (1280, 720)
    infrared_fps: float = 50.0
    visible_fps: float = 50.0
    offset_frames: float = 0.0  # infrared tick i shows the instant of visible tick i + offset_frames
    drift_ppm: float = 0.0  # how much faster the visible clock runs than the infrared one
    lost_infrared: tuple[int, ...] = ()  # slots whose frames never reach the file
    lost_visible: tuple[int, ...] = ()
    true_start_times: bool = False  # files carry start times of one common clock; else both start at 0
    field_share: float = 0.5  # width of the infrared field of view as a share of the visible one
    baseline_m: float = 0.2  # the infrared camera sits this far below the visible one
    roll_deg: float = 1.0  # of the infrared camera against the visible one
    size_share: float = 0.58  # width of the aircraft as a share of the infrared picture, mid clip
    quality: int = 21  # H.264 constant rate factor of the visible file; the infrared one takes 3 less

    def __post_init__(self) -> None:
        _one_of("light", self.light, LIGHTS)
        _one_of("difficulty", self.difficulty, DIFFICULTIES)
        _one_of("aircraft", self.aircraft, AIRCRAFT_KINDS)
        if not self.name or set(self.name) & set('/\\:*?"<>|'):
            raise SettingsError(f"clip name {self.name!r} cannot be a file name")
        for what, wh, least in (("infrared", self.infrared_wh, 64), ("visible", self.visible_wh, 96)):
            if any(v < least or v > 4096 or v % 2 for v in wh):
                raise SettingsError(
                    f"{what} size is {wh[0]}x{wh[1]}; both must be even, at least {least} and at most 4096"
                )
        _between("duration_s", self.duration_s, 0.2, 60)
        _between("infrared_fps", self.infrared_fps, 1, 240)
        _between("visible_fps", self.visible_fps, 1, 240)
        _between("offset_frames", self.offset_frames, -600, 600)
        _between("drift_ppm", self.drift_ppm, -5000, 5000)
        _between("field_share", self.field_share, 0.2, 0.9)
        _between("baseline_m", self.baseline_m, 0, 2)
        _between("roll_deg", self.roll_deg, -15, 15)
        _between("size_share", self.size_share, 0.1, 1.2)
        _between("quality", self.quality, 0, 40)
        tall = (
            self.field_share
            * (self.infrared_wh[1] / self.infrared_wh[0])
            / (self.visible_wh[1] / self.visible_wh[0])
        )
        if tall > 0.93:
            raise SettingsError(
                f"field_share {self.field_share} makes the infrared picture {100 * tall:.0f} % as high as "
                "the visible one; up to 93 % stays inside. Lower it or make the visible one taller"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ClipSettings:
        """Build settings from `as_dict`; unknown keys are errors."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise SettingsError(f"unknown scene settings: {', '.join(unknown)}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class PlanSettings:
    """What `plan_clips` may vary over the clips of a set; None leaves it to the seed."""

    clips: int = 4
    seed: int = 1
    duration_s: float = 2.4
    infrared_wh: tuple[int, int] = (640, 512)
    visible_wh: tuple[int, int] = (1280, 720)
    infrared_fps: float = 50.0
    visible_fps: float = 50.0
    lights: tuple[Light, ...] = ("day", "dusk", "night", "day")
    difficulties: tuple[Difficulty, ...] = ("rich", "mixed", "plain", "bare")
    aircraft: tuple[AircraftKind, ...] = ("airliner", "cargo", "airliner", "airliner")
    zoom: bool | None = None
    offset_frames: float | None = None
    drift_ppm: float | None = None
    lost: int | None = None  # infrared frames lost per clip
    quality: int = 21
    prefix: str = "approach"

    def __post_init__(self) -> None:
        if not 1 <= self.clips <= 999:
            raise SettingsError(f"clips is {self.clips}; it is between 1 and 999")
        if not 0 <= self.seed < 2**32:
            raise SettingsError(f"seed is {self.seed}; it is between 0 and {2**32 - 1}")
        if self.lost is not None and not 0 <= self.lost <= 200:
            raise SettingsError(f"lost is {self.lost}; it is between 0 and 200")
        if not (self.lights and self.difficulties and self.aircraft):
            raise SettingsError("lights, difficulties and aircraft need at least one entry each")


def plan_clips(plan: PlanSettings) -> tuple[ClipSettings, ...]:
    """Return the settings of every clip of a set; clip k is the same whatever the number of clips."""
    return tuple(_plan_clip(plan, k) for k in range(plan.clips))


def _plan_clip(plan: PlanSettings, k: int) -> ClipSettings:
    rng = np.random.default_rng([plan.seed, k, 1])
    light = plan.lights[k % len(plan.lights)]
    # Every further round shifts the pairing, so that all lights meet all difficulties.
    difficulty = plan.difficulties[(k + k // len(plan.difficulties)) % len(plan.difficulties)]
    aspect = (plan.visible_wh[1] / plan.visible_wh[0]) / (plan.infrared_wh[1] / plan.infrared_wh[0])
    widest = min(0.62, 0.86 * aspect)
    share = float(rng.uniform(min(0.4, 0.8 * widest), widest))
    offset = float(np.round(rng.uniform(-8, 8), 2))
    drift = float(np.round(rng.uniform(-120, 120), 1))
    ticks = max(round(plan.duration_s * plan.infrared_fps), 2)
    count = int(rng.integers(1, 5)) if plan.lost is None else plan.lost
    room = np.arange(1, ticks - 1)
    lost = np.sort(rng.choice(room, min(count, len(room) // 3), replace=False))
    visible_ticks = max(round(plan.duration_s * plan.visible_fps), 2)
    lost_visible = (
        [int(rng.integers(1, visible_ticks - 1))] if rng.random() < 0.4 and plan.lost is None else []
    )
    zoom = bool(rng.random() < 0.5) if k > 1 else k == 1
    start_times = bool(rng.random() < 0.25)
    roll = float(np.round(rng.uniform(-3.0, 3.0), 2))
    size = float(np.round(rng.uniform(0.5, 0.66), 3))
    return ClipSettings(
        name=f"{plan.prefix}_{k + 1:02d}_{light}",
        seed=int(np.random.default_rng([plan.seed, k, 2]).integers(2**31)),
        light=light,
        difficulty=difficulty,
        aircraft=plan.aircraft[k % len(plan.aircraft)],
        zoom=zoom if plan.zoom is None else plan.zoom,
        duration_s=plan.duration_s,
        infrared_wh=plan.infrared_wh,
        visible_wh=plan.visible_wh,
        infrared_fps=plan.infrared_fps,
        visible_fps=plan.visible_fps,
        offset_frames=offset if plan.offset_frames is None else plan.offset_frames,
        drift_ppm=drift if plan.drift_ppm is None else plan.drift_ppm,
        lost_infrared=tuple(int(i) for i in lost),
        lost_visible=tuple(lost_visible) if visible_ticks > 4 else (),
        true_start_times=start_times,
        field_share=round(share, 3),
        roll_deg=roll,
        size_share=size,
        quality=plan.quality,
    )


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses nan
        raise SettingsError(f"{name} is {value}; it is between {low} and {high}")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}; it is one of {', '.join(allowed)}")
