"""The aircraft as each camera sees it: paint in sunlight, heat in infrared, drawn over the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.aircraft import Aircraft
from vircraft.simulation.ambience import Ambience, as_array
from vircraft.simulation.livery import Livery
from vircraft.simulation.mesh import Points
from vircraft.simulation.rasteriser import Fragments, rasterise
from vircraft.simulation.rig import Camera

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Silhouette:
    """The aircraft's pixels in one picture, on a grid finer by `SUPERSAMPLING` than the picture.

    Attributes:
        corner: (x, y) of the picture's pixel at the top left of the window.
        size_wh: of the window, picture pixels.
        fragments: covered pixels of the fine grid.
        normals: (P, 3) world directions, unit length.
        uv: (P, 2) places in the atlas.
    """

    corner: tuple[int, int]
    size_wh: tuple[int, int]
    fragments: Fragments
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]

    @property
    def mask(self) -> NDArray[np.uint8]:
        """Return 255 where the fine grid is covered."""
        w, h = self.size_wh
        mask = np.zeros(h * w * SUPERSAMPLING**2, np.uint8)
        mask[self.fragments.pixels] = 255
        return mask.reshape(h * SUPERSAMPLING, w * SUPERSAMPLING)


def silhouette(aircraft: Aircraft, place: Points, turn: Points, camera: Camera) -> Silhouette | None:
    """Find the aircraft in a camera's picture; None when no part of it is in view.

    Args:
        aircraft: the model.
        place: (3,) of its middle, world.
        turn: (3, 3) world from its own axes.
        camera: that looks at it.
    """
    xy, depth = camera.project(aircraft.mesh.vertices @ turn.T + place)
    if depth.min() < 5:
        return None
    low = np.maximum(np.floor(xy.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(xy.max(0)).astype(int) + 2, camera.size_wh)
    if (high - low < 2).any():
        return None
    s = SUPERSAMPLING
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    fine = (xy - low + 0.5) * s - 0.5
    found = rasterise(fine, depth, aircraft.mesh.faces, (size[0] * s, size[1] * s))
    if len(found.pixels) == 0:
        return None
    corners = aircraft.mesh.faces[found.faces]
    attributes = np.concatenate([aircraft.mesh.normals @ turn.T, aircraft.mesh.uv], 1).astype(np.float32)
    mixed = found.weights[:, :1] * attributes[corners[:, 0]]
    for k in (1, 2):
        mixed += found.weights[:, k : k + 1] * attributes[corners[:, k]]
    normals = mixed[:, :3]
    normals /= np.sqrt(np.maximum(np.einsum("pc,pc->p", normals, normals), 1e-6))[:, None]
    return Silhouette((int(low[0]), int(low[1])), size, found, normals, mixed[:, 3:])


def draw_visible(
    picture: NDArray[np.uint8],
    shape: Silhouette,
    livery: Livery,
    ambience: Ambience,
    camera: Camera,
    distance_m: float,
) -> None:
    """Draw the aircraft into a (H, W, 3) BGR picture, in place."""
    texture = _look_up(livery.paint, shape.uv)
    albedo = (texture[:, :3] / 255) ** 2.2
    n = shape.normals
    facing = np.clip(n @ ambience.sun_direction.astype(np.float32), 0, 1)
    up = 0.5 + 0.5 * n[:, 2]
    light = (
        facing[:, None] * as_array(ambience.sun)
        + up[:, None] * as_array(ambience.sky_light)
        + (1 - up)[:, None] * as_array(ambience.ground_light)
    )
    halfway = ambience.sun_direction - camera.rotation[2]
    halfway = (halfway / np.linalg.norm(halfway)).astype(np.float32)
    gloss = np.clip(n @ halfway, 0, 1) ** 60 * 0.5
    radiance = albedo * light + gloss[:, None] * as_array(ambience.sun)
    radiance += (texture[:, 3:] / 255 * ambience.lamps * 0.5 * ambience.dark) * as_array([0.55, 0.8, 1.0])
    colour = 255 * np.clip(radiance, 0, 1) ** (1 / 2.2)
    clear = float(np.exp(-ambience.haze * distance_m / 1000))
    colour = as_array(ambience.horizon) * (1 - clear) + colour * clear
    _blend(picture, shape, colour)


def draw_thermal(picture: NDArray[np.float32], shape: Silhouette, livery: Livery, ambience: Ambience) -> None:
    """Draw the aircraft into a (H, W) picture of apparent temperatures, degrees Celsius, in place."""
    texture = _look_up(livery.warmth, shape.uv)
    n = shape.normals
    skin = ambience.air_c - 2.0 + texture[:, 0]
    skin += ambience.sun_warmth_c * 0.8 * np.clip(n @ ambience.sun_direction.astype(np.float32), 0, 1)
    up = n[:, 2]
    reflected = np.where(up > 0, ambience.sky_c, ambience.air_c)
    reflected = np.where(up > 0, ambience.air_c - 4 + (ambience.sky_c - ambience.air_c + 4) * up, reflected)
    emissivity = texture[:, 1]
    _blend(picture, shape, (emissivity * skin + (1 - emissivity) * reflected)[:, None])


def draw_plumes(
    picture: NDArray[np.float32], aircraft: Aircraft, place: Points, turn: Points, camera: Camera
) -> None:
    """Add the engines' exhaust to a picture of temperatures: hot at the nozzle, gone after some 15 metres."""
    along = np.linspace(0.0, 1.0, 14) ** 1.3
    points = aircraft.exhausts[:, None] + along[:, None] * [-14.0, 0, 0]
    spread = 0.55 + 1.2 * along
    xy, depth = camera.project(points.reshape(-1, 3) @ turn.T + place)
    radius = np.tile(spread, len(aircraft.exhausts)) * camera.focal_px / depth
    degrees = np.tile(9.0 * np.exp(-3.2 * along), len(aircraft.exhausts))
    low = np.maximum(np.floor((xy - 3 * radius[:, None]).min(0)).astype(int), 0)
    high = np.minimum(np.ceil((xy + 3 * radius[:, None]).max(0)).astype(int) + 1, camera.size_wh)
    if (high - low < 8).any():
        return
    coarse = np.maximum((high - low) // 4, 2)  # a plume is smooth: drawn small, then enlarged
    xs = low[0] - 0.5 + (np.arange(coarse[0]) + 0.5) * (high[0] - low[0]) / coarse[0]
    ys = low[1] - 0.5 + (np.arange(coarse[1]) + 0.5) * (high[1] - low[1]) / coarse[1]
    bell_x = np.exp(-0.5 * ((xs - xy[:, :1]) / radius[:, None]) ** 2)
    bell_y = np.exp(-0.5 * ((ys - xy[:, 1:]) / radius[:, None]) ** 2) * degrees[:, None]
    small = (bell_y.T @ bell_x).astype(np.float32)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    picture[low[1] : high[1], low[0] : high[0]] += cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def draw_lamps(
    picture: NDArray[np.uint8],
    aircraft: Aircraft,
    place: Points,
    turn: Points,
    camera: Camera,
    ambience: Ambience,
    hidden: NDArray[np.bool_],
    t_s: float,
) -> None:
    """Add the aircraft's lamps with their glare to a (H, W, 3) BGR picture, in place.

    Args:
        picture: drawn on.
        aircraft: the model.
        place: of its middle, world.
        turn: world from its own axes.
        camera: that looks at it.
        ambience: of the scene; by day lamps have little glare.
        hidden: for each lamp, whether the aircraft hides it.
        t_s: instant, for those that flash.
    """
    points = np.array([lamp.place for lamp in aircraft.lights]) @ turn.T + place
    xy, _ = camera.project(points)
    metre = camera.focal_px / float(np.linalg.norm(place - camera.centre))
    for lamp, at, point, gone in zip(aircraft.lights, xy, points, hidden, strict=True):
        colour, strength, size, width = _LAMPS[lamp.kind]
        towards = camera.centre - point
        towards = towards / np.linalg.norm(towards)
        aligned = float(np.clip(turn @ np.asarray(lamp.facing) @ towards, 0, 1))
        beam = aligned**width if width else 1.0
        if lamp.kind in ("beacon", "strobe"):
            phase = (
                t_s * (1.0 if lamp.kind == "beacon" else 1.25) + (0.5 if lamp.kind == "strobe" else 0)
            ) % 1.0
            beam *= float(phase < 0.12)
        power = strength * beam * (0.35 + 0.65 * ambience.dark)
        if gone or power < 0.02:
            continue
        _glare(
            picture, at, as_array(colour) * power, size * metre * (0.5 + 0.5 * ambience.dark), ambience.dark
        )


# kind -> colour, strength, radius of the bright spot in metres, narrowness of the beam
_LAMPS: dict[str, tuple[tuple[float, float, float], float, float, float]] = {
    "landing": ((235, 250, 255), 1.6, 0.75, 3.0),
    "taxi": ((225, 245, 255), 1.3, 0.55, 3.0),
    "navigation_left": ((40, 40, 255), 0.9, 0.32, 0.3),
    "navigation_right": ((90, 255, 60), 0.9, 0.32, 0.3),
    "tail": ((230, 240, 240), 0.8, 0.3, 0.5),
    "beacon": ((30, 30, 255), 1.3, 0.5, 0.0),
    "strobe": ((255, 255, 255), 1.5, 0.5, 0.0),
}


def _glare(
    picture: NDArray[np.uint8], at: Points, colour: NDArray[np.float32], radius_px: float, dark: float
) -> None:
    reach = int(min(np.ceil(radius_px * (5 + 9 * dark)), 90))
    low = np.maximum(np.floor(at).astype(int) - reach, 0)
    high = np.minimum(np.floor(at).astype(int) + reach + 1, picture.shape[1::-1])
    if (high <= low).any():
        return
    dx = np.arange(low[0], high[0]) - at[0]
    dy = (np.arange(low[1], high[1]) - at[1])[:, None]
    squared = ((dx**2 + dy**2) / radius_px**2).astype(np.float32)
    edge = np.clip(1 - np.sqrt(squared) * radius_px / reach, 0, 1)
    bell = 1.3 * np.exp(-0.7 * squared) + (0.05 + 0.30 * dark) / (1 + 1.5 * squared) * edge
    part = picture[low[1] : high[1], low[0] : high[0]]
    part[:] = np.clip(part + bell[..., None] * colour, 0, 255).astype(np.uint8)


def _look_up(atlas: NDArray[Any], uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sample the atlas at (P, 2) places."""
    row = 1024  # OpenCV takes no picture with a side above 32767
    padded = np.zeros((-(-len(uv) // row) * row, 2), np.float32)
    padded[: len(uv)] = uv
    places = padded.reshape(-1, row, 2)
    found = cv2.remap(atlas, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    return np.asarray(found.reshape(-1, atlas.shape[2])[: len(uv)], np.float32)


def _blend(picture: NDArray[Any], shape: Silhouette, values: NDArray[np.float32]) -> None:
    """Lay (P, C) values of the fine grid over the picture, averaged down to its pixels."""
    w, h = shape.size_wh
    s = SUPERSAMPLING
    channels = values.shape[1]
    fine = np.zeros((h * s * w * s, channels + 1), np.float32)
    fine[shape.fragments.pixels, :channels] = values
    fine[shape.fragments.pixels, channels] = 1.0
    small = cv2.resize(fine.reshape(h * s, w * s, channels + 1), (w, h), interpolation=cv2.INTER_AREA)
    x, y = shape.corner
    part = picture[y : y + h, x : x + w]
    open_share = 1 - small[..., channels]
    if part.ndim == 3:
        part[:] = (part * open_share[..., None] + small[..., :channels]).astype(part.dtype)
    else:
        part[:] = part * open_share + small[..., 0]
