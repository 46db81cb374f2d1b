"""Small simulated clips for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vircraft.simulation.film import ClipFiles, Scene
from vircraft.simulation.settings import ClipSettings
from vircraft.simulation.truth import ClipTruth


def small(name: str = "small", seed: int = 11, **changes: object) -> ClipSettings:
    values: dict[str, object] = {
        "duration_s": 1.0,
        "infrared_fps": 25.0,
        "visible_fps": 25.0,
        "infrared_wh": (320, 256),
        "visible_wh": (640, 360),
        **changes,
    }
    return ClipSettings(name=name, seed=seed, **values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Filmed:
    settings: ClipSettings
    folder: Path
    files: ClipFiles
    truth: ClipTruth
    scene: Scene
