"""The camera pair on its pan and tilt head: poses, lenses, and the homographies between the two pictures.

Camera axes: x right, y down, z along the optical axis. A camera's rotation takes world axes to camera axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vircraft.simulation.flight import Flight
from vircraft.simulation.mesh import Points
from vircraft.simulation.motion import Wander, wander
from vircraft.simulation.settings import ClipSettings


@dataclass(frozen=True)
class Camera:
    """One camera at one instant.

    Attributes:
        rotation: (3, 3) camera from world.
        centre: (3,) metres, world.
        focal_px: focal length in pixels.
        principal: (2,) where the optical axis meets the picture.
        size_wh: picture size.
    """

    rotation: Points
    centre: Points
    focal_px: float
    principal: Points
    size_wh: tuple[int, int]

    @property
    def matrix(self) -> Points:
        """Return the (3, 3) matrix from camera directions to pixels."""
        cx, cy = self.principal
        return np.array([[self.focal_px, 0, cx], [0, self.focal_px, cy], [0, 0, 1.0]])

    def project(self, points: Points) -> tuple[Points, Points]:
        """Return the (N, 2) pixels and (N,) depths of (N, 3) world points."""
        local = (points - self.centre) @ self.rotation.T
        return local[:, :2] / local[:, 2:] * self.focal_px + self.principal, local[:, 2]


def h_ir_from_vis(infrared: Camera, visible: Camera, depth_m: float = np.inf) -> Points:
    """Return the homography of the plane that faces the visible camera at a depth, visible to infrared.

    K_ir (R + t n' / d) K_vis^-1, with h22 = 1.
    """
    turn = infrared.rotation @ visible.rotation.T
    shift = infrared.rotation @ (visible.centre - infrared.centre)
    h = infrared.matrix @ (turn + np.outer(shift, [0, 0, 1.0 / depth_m])) @ np.linalg.inv(visible.matrix)
    return np.asarray(h / h[2, 2])


@dataclass(frozen=True)
class Zoom:
    """A lens whose focal length moves smoothly from one value to another."""

    start_px: float
    end_px: float
    from_s: float
    to_s: float

    def __call__(self, t_s: float) -> float:
        """Return the focal length in pixels at an instant."""
        x = float(np.clip((t_s - self.from_s) / (self.to_s - self.from_s), 0, 1))
        return float(self.start_px * (self.end_px / self.start_px) ** (x * x * (3 - 2 * x)))


@dataclass(frozen=True)
class Rig:
    """Both cameras at any instant; the head follows the aircraft, late and not quite steadily."""

    flight: Flight
    settings: ClipSettings
    zoom_ir: Zoom
    zoom_vis: Zoom
    aim: tuple[Wander, Wander]  # slow tracking error, radians
    shake: tuple[Wander, Wander, Wander]  # pan, tilt, roll, radians
    misalignment: Points  # (3, 3) infrared camera from visible camera
    principal_ir: Points
    principal_vis: Points
    lag_s: float

    def visible(self, t_s: float) -> Camera:
        """Return the visible camera at an instant."""
        return Camera(
            self._rotation(t_s), self.centre, self.zoom_vis(t_s), self.principal_vis, self.settings.visible_wh
        )

    def infrared(self, t_s: float) -> Camera:
        """Return the infrared camera at an instant, `baseline_m` below the visible one."""
        head = self._rotation(t_s)
        centre = self.centre + head.T @ [0, self.settings.baseline_m, 0]
        return Camera(
            self.misalignment @ head, centre, self.zoom_ir(t_s), self.principal_ir, self.settings.infrared_wh
        )

    @property
    def centre(self) -> Points:
        """Return where the visible camera stands; the head turns about it."""
        return np.array([0.0, 0.0, self.flight.camera_height_m])

    def _rotation(self, t_s: float) -> Points:
        target = self.flight.place(t_s - self.lag_s) - self.centre
        azimuth = np.arctan2(target[1], target[0]) + self.aim[0](t_s) + self.shake[0](t_s)
        elevation = (
            np.arctan2(target[2], np.hypot(target[0], target[1])) + self.aim[1](t_s) + self.shake[1](t_s)
        )
        level = look(float(azimuth), float(elevation))
        return turned(0, 0, self.shake[2](t_s)) @ level


def look(azimuth: float, elevation: float) -> Points:
    """Return the rotation of a level camera that looks along a direction, radians."""
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    return np.array([[sa, -ca, 0], [se * ca, se * sa, -ce], [ce * ca, ce * sa, se]])


def turned(pan: float, tilt: float, roll: float) -> Points:
    """Return a small rotation about the camera's own axes, radians."""
    cp, sp, ct, st, cr, sr = np.cos(pan), np.sin(pan), np.cos(tilt), np.sin(tilt), np.cos(roll), np.sin(roll)
    about_y = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


def build_rig(settings: ClipSettings, flight: Flight, vertices: Points, rng: np.random.Generator) -> Rig:
    """Choose lenses that show the aircraft at the wanted size, and a rig that is nearly, not quite, aligned.

    Args:
        settings: of the clip.
        flight: of the aircraft.
        vertices: (V, 3) of the aircraft, its own axes.
        rng: draws misalignment, shake and zoom.
    """
    eye = np.array([0.0, 0.0, flight.camera_height_m])
    end_s = settings.duration_s
    width_ir, height_ir = settings.infrared_wh
    spans = []
    for t in np.linspace(0, end_s, 9):
        azimuth, elevation = _bearing(flight.place(t) - eye)
        local = (vertices @ flight.world_from_body(t).T + flight.place(t) - eye) @ look(azimuth, elevation).T
        extent = np.ptp(local[:, :2] / local[:, 2:], axis=0)
        spans.append(max(extent[0] / width_ir, 1.35 * extent[1] / height_ir))
    focal = settings.size_share / spans[len(spans) // 2]
    focal = min(focal, 0.80 / max(spans))
    share = settings.field_share
    change_ir, change_vis = (1.0, 1.0)
    if settings.zoom:
        change_ir = float(rng.choice([rng.uniform(0.72, 0.85), rng.uniform(1.15, 1.35)]))
        change_vis = change_ir * float(rng.choice([rng.uniform(0.85, 0.95), rng.uniform(1.04, 1.1)]))
        change_ir = min(change_ir, 0.86 / (focal * spans[-1]))
        change_vis = min(change_vis, change_ir * 1.1)
    # `field_share` is the largest share of the clip: zooming never takes the infrared view out of the visible
    focal_vis = focal * settings.visible_wh[0] / width_ir * share / max(1.0, change_vis / change_ir)
    start, stop = 0.15 * end_s, 0.85 * end_s
    fov_ir = width_ir / focal
    slack = 0.012 * fov_ir  # the infrared view stays inside the visible one
    pan, tilt = rng.uniform(-1, 1, 2) * slack
    return Rig(
        flight=flight,
        settings=settings,
        zoom_ir=Zoom(focal, focal * change_ir, start, stop),
        zoom_vis=Zoom(focal_vis, focal_vis * change_vis, start + 0.04 * end_s, stop - 0.05 * end_s),
        aim=(wander(rng, 0.020 * fov_ir, 0.1, 0.7, 8), wander(rng, 0.014 * fov_ir, 0.1, 0.7, 8)),
        shake=(
            wander(rng, 0.9 / focal, 2, 11, 16),
            wander(rng, 0.9 / focal, 2, 11, 16),
            wander(rng, 0.0006, 1, 6, 9),
        ),
        misalignment=turned(float(pan), float(tilt), float(np.radians(settings.roll_deg))),
        principal_ir=(np.array(settings.infrared_wh) - 1) / 2 + rng.uniform(-0.006, 0.006, 2) * width_ir,
        principal_vis=(np.array(settings.visible_wh) - 1) / 2 + rng.uniform(-0.006, 0.006, 2) * width_ir,
        lag_s=float(rng.uniform(0.0, 0.03)),
    )


def _bearing(direction: Points) -> tuple[float, float]:
    return (
        float(np.arctan2(direction[1], direction[0])),
        float(np.arctan2(direction[2], np.hypot(direction[0], direction[1]))),
    )
