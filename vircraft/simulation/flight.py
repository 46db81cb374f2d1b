"""The approach: where the aircraft is and how it is turned at each instant, and where the cameras stand.

World axes: x along the landing direction, y to its left, z up; the rig's foot at the origin; metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vircraft.simulation.mesh import Points
from vircraft.simulation.motion import Wander, wander
from vircraft.simulation.settings import ClipSettings

GLIDE_DEG = 3.0

# Ranges of the distance in metres, the degrees above the horizon, and the aspect in degrees (0 is nose on).
_PLACES = {
    "rich": ((420.0, 640.0), (0.9, 1.7), (28.0, 80.0)),
    "mixed": ((420.0, 700.0), (2.4, 3.6), (25.0, 85.0)),
    "plain": ((450.0, 800.0), (6.5, 9.0), (25.0, 80.0)),
    "bare": ((450.0, 800.0), (7.5, 11.0), (30.0, 85.0)),
}


@dataclass(frozen=True)
class Flight:
    """The aircraft's path.

    Attributes:
        start: (3,) place at instant 0.
        velocity: (3,) metres a second.
        touchdown: (3,) where the path meets the ground.
        camera_height_m: of the visible camera above the ground.
    """

    start: Points
    velocity: Points
    touchdown: Points
    camera_height_m: float
    pitch_deg: float
    yaw_deg: float
    sway: tuple[Wander, Wander, Wander]
    turn: tuple[Wander, Wander, Wander]

    def place(self, t_s: float) -> Points:
        """Return the (3,) position of the aircraft's middle."""
        return self.start + self.velocity * t_s + [w(t_s) for w in self.sway]

    def world_from_body(self, t_s: float) -> Points:
        """Return the (3, 3) rotation from the aircraft's axes to the world's."""
        roll, pitch, yaw = (w(t_s) for w in self.turn)
        r, p, y = np.radians([roll, self.pitch_deg + pitch, self.yaw_deg + yaw])
        about_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
        about_y = np.array([[np.cos(p), 0, -np.sin(p)], [0, 1, 0], [np.sin(p), 0, np.cos(p)]])  # nose up
        about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
        return np.asarray(about_z @ about_y @ about_x)


def plan_flight(settings: ClipSettings, rng: np.random.Generator) -> Flight:
    """Draw an approach that suits the clip's difficulty (how high over the horizon the aircraft is seen)."""
    (near, far), (low, high), (smallest, largest) = _PLACES[settings.difficulty]
    distance = float(rng.uniform(near, far))
    elevation = np.radians(rng.uniform(low, high))
    aspect = np.radians(rng.uniform(smallest, largest))
    side = float(rng.choice([-1.0, 1.0]))
    height = float(rng.uniform(4, 9))
    if settings.aircraft == "cargo":
        distance *= 1.25
    speed = float(rng.uniform(66, 76))
    velocity = speed * np.array([np.cos(np.radians(GLIDE_DEG)), 0, -np.sin(np.radians(GLIDE_DEG))])
    middle = np.array(
        [
            -distance * np.cos(aspect),
            side * distance * np.sin(aspect),
            height + distance * np.tan(elevation),
        ]
    )
    middle_s = settings.duration_s / 2
    if settings.difficulty == "rich":
        middle[2] = max(
            middle[2], 9.0 + 0.5 * speed * 0.052 * settings.duration_s
        )  # wheels stay off the ground
    touchdown = middle + velocity * (middle[2] / -velocity[2])
    return Flight(
        start=middle - velocity * middle_s,
        velocity=velocity,
        touchdown=touchdown,
        camera_height_m=height,
        pitch_deg=float(rng.uniform(2.0, 4.5)),
        yaw_deg=float(rng.uniform(-4, 4)),
        sway=(wander(rng, 0.1, 0.1, 0.6), wander(rng, 0.25, 0.1, 0.6), wander(rng, 0.2, 0.1, 0.6)),
        turn=(wander(rng, 1.6, 0.1, 0.7), wander(rng, 0.4, 0.15, 0.8), wander(rng, 0.4, 0.1, 0.6)),
    )
