"""The background as one wide picture per camera, drawn once and looked at through a homography.

The head turns about a fixed point, so each camera sees the world from one place: whatever stands at
whatever depth can be drawn once onto a plane of directions, with the parallax between the cameras in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.ambience import Colour, as_array
from vircraft.simulation.mesh import Points
from vircraft.simulation.rig import Camera, Rig, look

MAX_PIXELS = 9_000_000


@dataclass(frozen=True)
class Canvas:
    """Directions around one azimuth, on a plane that stands upright: the horizon is a straight row.

    Attributes:
        azimuth: radians, of the plane's middle.
        focal_px: canvas pixels per unit of tangent.
        column0: of the azimuth.
        row0: of the horizon (may lie outside the picture).
        size_wh: of both pictures.
        eye_vis_m: height of the visible camera above the ground.
        eye_ir_m: height of the infrared camera.
        visible: (H, W, 3) float32 while drawn, blue green red, 0..255.
        thermal: (H, W) float32, apparent temperature, degrees Celsius.
        lamps: (H, W, 3) float32: light that lamps add to the visible picture.
    """

    azimuth: float
    focal_px: float
    column0: float
    row0: float
    size_wh: tuple[int, int]
    eye_vis_m: float
    eye_ir_m: float
    visible: NDArray[np.float32]
    thermal: NDArray[np.float32]
    lamps: NDArray[np.float32]

    def from_camera(self, camera: Camera) -> Points:
        """Return the (3, 3) homography from a camera's pixels to canvas pixels."""
        k = np.array([[self.focal_px, 0, self.column0], [0, self.focal_px, self.row0], [0, 0, 1.0]])
        return np.asarray(k @ self.directions(camera))

    def directions(self, camera: Camera) -> Points:
        """Return the (3, 3) homography from a camera's pixels to tangents right and down of the azimuth."""
        h = look(self.azimuth, 0.0) @ camera.rotation.T @ np.linalg.inv(camera.matrix)
        return np.asarray(h / h[2, 2])

    def level(self, points: Points) -> Points:
        """Return (N, 3) right, up and depth of world points (N, 3), up counted from the ground."""
        c, s = np.cos(self.azimuth), np.sin(self.azimuth)
        x, y, z = points.T
        return np.stack([x * s - y * c, z, x * c + y * s], -1)

    def place(self, right_up_depth: Points, eye_m: float) -> Points:
        """Return the (N, 2) canvas pixels of points given by `level`, seen from a height."""
        right, up, depth = right_up_depth.T
        return np.stack(
            [self.column0 + self.focal_px * right / depth, self.row0 + self.focal_px * (eye_m - up) / depth],
            -1,
        )

    def elevation_deg(self) -> NDArray[np.float32]:
        """Return (H, 1) degrees above the horizon of each row."""
        rows = np.arange(self.size_wh[1], dtype=np.float32)
        angle = np.degrees(np.arctan((self.row0 - rows) / self.focal_px))
        return np.asarray(angle, np.float32)[:, None]


def open_canvas(rig: Rig, times_s: Points) -> Canvas:
    """Return an empty canvas that covers what both cameras see at the given instants."""
    cameras = [camera for t in times_s for camera in (rig.visible(t), rig.infrared(t))]
    middle = np.mean([c.rotation[2] for c in cameras], axis=0)
    azimuth = float(np.arctan2(middle[1], middle[0]))
    level = look(azimuth, 0.0)
    tangents = []
    for camera in cameras:
        w, h = camera.size_wh
        corners = np.array([[-4, -4, 1], [w + 3, -4, 1], [w + 3, h + 3, 1], [-4, h + 3, 1.0]])
        directions = corners @ np.linalg.inv(camera.matrix).T @ camera.rotation @ level.T
        tangents.append(directions[:, :2] / directions[:, 2:])
    low, high = np.min(tangents, axis=(0, 1)), np.max(tangents, axis=(0, 1))
    pad = 0.02 * (high - low)
    low, high = low - pad, high + pad
    focal = max(c.focal_px for c in cameras if c.size_wh == rig.settings.visible_wh)
    focal = min(focal, float(np.sqrt(MAX_PIXELS / np.prod(high - low))))
    width, height = (int(v) for v in np.ceil((high - low) * focal))
    eye = rig.flight.camera_height_m
    return Canvas(
        azimuth,
        focal,
        -float(low[0]) * focal,
        -float(low[1]) * focal,
        (width, height),
        eye,
        eye - rig.settings.baseline_m,
        np.zeros((height, width, 3), np.float32),
        np.zeros((height, width), np.float32),
        np.zeros((height, width, 3), np.float32),
    )


def paint(
    canvas: Canvas,
    points: Points,
    colour: Colour | None,
    degrees: float | None,
    strength: float = 1.0,
    glow: Colour = (0.0, 0.0, 0.0),
) -> None:
    """Fill a polygon of (N, 3) right, up, depth on all pictures, each from its camera's height.

    Args:
        canvas: drawn on.
        points: the polygon; parts nearer than 40 m are cut off.
        colour: in the visible picture; None leaves it alone.
        degrees: apparent temperature in the infrared picture; None leaves it alone.
        strength: 0..1, how much of it covers what is there.
        glow: light that it gives off itself; lamps behind it are covered.
    """
    points = _cut_near(points, 40.0)
    if len(points) < 3:
        return
    if colour is not None:
        low, cover = _cover(canvas, points, canvas.eye_vis_m, strength)
        window = (slice(low[1], low[1] + cover.shape[0]), slice(low[0], low[0] + cover.shape[1]))
        for picture, value in ((canvas.visible, colour), (canvas.lamps, glow)):
            part = picture[window]
            part += cover[..., None] * (as_array(value) - part)
    if degrees is not None:
        low, cover = _cover(canvas, points, canvas.eye_ir_m, strength)
        part = canvas.thermal[low[1] : low[1] + cover.shape[0], low[0] : low[0] + cover.shape[1]]
        part += cover * (np.float32(degrees) - part)


def _cover(
    canvas: Canvas, points: Points, eye_m: float, strength: float
) -> tuple[tuple[int, int], NDArray[np.float32]]:
    """Return where a polygon's window begins on the canvas and how much of each pixel it covers."""
    xy = canvas.place(points, eye_m)
    low = np.clip(np.floor(xy.min(0)).astype(int) - 1, 0, canvas.size_wh)
    high = np.clip(np.ceil(xy.max(0)).astype(int) + 2, low, canvas.size_wh)
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    if mask.size:
        fixed = np.round(np.clip(xy - low, -8000, 16000) * 8).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 3)
    return (int(low[0]), int(low[1])), mask.astype(np.float32) * np.float32(strength / 255)


def shine(canvas: Canvas, point: Points, colour: Colour, radius_px: float) -> None:
    """Add a lamp at (3,) right, up, depth to the visible picture."""
    if point[2] < 40:
        return
    x, y = canvas.place(point[None], canvas.eye_vis_m)[0]
    reach = int(np.ceil(4 * radius_px)) + 1
    x0, y0 = round(x) - reach, round(y) - reach
    w, h = canvas.size_wh
    if not (0 <= x0 < w - 2 * reach - 1 and 0 <= y0 < h - 2 * reach - 1):
        return
    span = np.arange(2 * reach + 1)
    bell = np.exp(-((span[None] + x0 - x) ** 2 + (span[:, None] + y0 - y) ** 2) / (2 * radius_px**2))
    canvas.lamps[y0 : y0 + len(span), x0 : x0 + len(span)] += bell[..., None].astype(np.float32) * as_array(
        colour
    )


def _cut_near(points: Points, depth: float) -> Points:
    """Clip a polygon against the plane at a depth (Sutherland and Hodgman)."""
    out = []
    for a, b in zip(points, np.roll(points, -1, 0), strict=True):
        if a[2] >= depth:
            out.append(a)
        if (a[2] >= depth) != (b[2] >= depth):
            out.append(a + (b - a) * (depth - a[2]) / (b[2] - a[2]))
    return np.array(out).reshape(-1, 3)
