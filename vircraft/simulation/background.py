"""Sky, clouds, hills, trees and ground of a clip, in visible light and in infrared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.simulation.airfield import draw_airfield, draw_town_lamps
from vircraft.simulation.ambience import Ambience, as_array, dimmed, through_haze
from vircraft.simulation.canvas import Canvas
from vircraft.simulation.flight import Flight
from vircraft.simulation.noise import fractal, ridge, smoothstep
from vircraft.simulation.settings import Difficulty

# Share of the sky under cloud, and how strongly clouds stand out in visible light and in infrared (degrees).
_CLOUDS = {
    "rich": (0.45, 1.0, 12.0),
    "mixed": (0.55, 0.9, 12.0),
    "plain": (0.6, 0.75, 10.0),
    "bare": (0.35, 0.07, 0.9),
}


def draw_background(
    canvas: Canvas, flight: Flight, ambience: Ambience, difficulty: Difficulty, rng: np.random.Generator
) -> None:
    """Draw everything behind the aircraft onto the canvas, far things first."""
    _sky(canvas, ambience, difficulty, rng)
    if canvas.row0 < -0.02 * canvas.focal_px + 0 or canvas.row0 > canvas.size_wh[1] + 0.09 * canvas.focal_px:
        return  # nothing but sky in view
    if difficulty in ("rich", "mixed"):
        height = 2.6 if difficulty == "rich" else 1.3
        _hills(canvas, ambience, rng, 14_000, height, 0.75)
        _hills(canvas, ambience, rng, 6_000, 0.55 * height, 0.5)
    _ground(canvas, ambience, rng)
    draw_town_lamps(canvas, ambience, rng)
    _trees(canvas, ambience, rng, 2_300, 15)
    draw_airfield(canvas, flight, ambience, difficulty, rng)
    if ambience.lamps > 0.5:
        bloom = cv2.GaussianBlur(canvas.lamps, (0, 0), 7)
        canvas.lamps[:] += 1.2 * bloom
    np.clip(canvas.visible + ambience.lamps * canvas.lamps, 0, 255, out=canvas.visible)


def _sky(canvas: Canvas, ambience: Ambience, difficulty: Difficulty, rng: np.random.Generator) -> None:
    w, h = canvas.size_wh
    up = np.clip(canvas.elevation_deg(), 0, None)
    blend = (1 - np.exp(-up / 6.0))[..., None]
    horizon, zenith = as_array(ambience.horizon), as_array(ambience.zenith)
    canvas.visible[:] = horizon + blend * (zenith - horizon)
    canvas.thermal[:] = ambience.sky_horizon_c + (1 - np.exp(-up / 5.0)) * (
        ambience.sky_c - ambience.sky_horizon_c
    )
    sun_azimuth = float(np.arctan2(ambience.sun_direction[1], ambience.sun_direction[0])) - canvas.azimuth
    columns = -np.arctan((np.arange(w, dtype=np.float32) - canvas.column0) / canvas.focal_px)
    away = np.degrees(np.hypot(np.angle(np.exp(1j * (columns - sun_azimuth))), 1e-3))
    glow = np.exp(-away / 14.0)[None] * np.exp(-up / 5.0)
    canvas.visible[:] += glow[..., None].astype(np.float32) * as_array(ambience.glow)

    share, contrast, degrees = _CLOUDS[difficulty]
    # Clouds near the horizon are seen from the side: flat below it, piled up above.
    cell = 0.085 * canvas.focal_px
    shape = fractal(rng, (w, h), (cell, 0.42 * cell), gain=0.56, finest_px=3)
    own_vis = fractal(rng, (w, h), (0.5 * cell, 0.25 * cell), gain=0.6, finest_px=3, octaves=4)
    own_ir = fractal(rng, (w, h), (0.6 * cell, 0.3 * cell), gain=0.6, finest_px=4, octaves=4)
    level = float(np.quantile(shape[::8, ::8], 1 - share))
    edge = 0.35 if difficulty in ("rich", "mixed") else 0.9
    cover = smoothstep(shape, level - edge, level + edge + 0.5)
    # Tops are bright and bases grey: lit by how the cloud thins out upwards, over lengths of a tenth of it.
    reach = max(int(0.06 * cell), 1)
    thick = cv2.GaussianBlur(shape, (0, 0), 0.35 * reach + 0.8)
    lit = np.roll(thick, -reach, 0) - np.roll(thick, reach, 0)
    lit[:reach], lit[-reach:] = lit[reach], lit[-reach - 1]
    lit = np.clip(
        0.45 * lit / max(float(lit.std()), 1e-6) + 0.14 * own_vis + 0.35 * (shape - level) * 0.4, -1, 1
    )
    white = _cloud_colours(ambience)
    cloud = white[0] + (0.5 + 0.5 * lit[..., None]) * (white[1] - white[0])
    veil = (contrast * cover)[..., None]
    canvas.visible[:] += veil * (cloud - canvas.visible)
    canvas.thermal[:] += cover * (degrees * (0.75 + 0.18 * own_ir)) * (0.35 + 0.65 * np.clip(up / 6, 0, 1))
    if difficulty == "bare":
        canvas.visible[:] += 0.5 * own_vis[..., None]
        canvas.thermal[:] += 0.15 * own_ir


def _cloud_colours(ambience: Ambience) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the colours of a cloud's shaded and lit sides."""
    horizon = as_array(ambience.horizon)
    if ambience.dark == 0:
        return as_array([196, 188, 180]), as_array([250, 250, 250])
    if ambience.dark < 1:
        return 0.55 * horizon + as_array([42, 26, 20]), 0.8 * horizon + as_array([20, 46, 70])
    return 0.7 * horizon, 1.35 * horizon


def _below(canvas: Canvas, outline_rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (H, W) cover, 0..1, of what lies below an outline of (W,) rows."""
    rows = np.arange(canvas.size_wh[1], dtype=np.float32)[:, None]
    return np.asarray(np.clip(rows - outline_rows[None] + 0.5, 0, 1), np.float32)


def _hills(
    canvas: Canvas,
    ambience: Ambience,
    rng: np.random.Generator,
    depth_m: float,
    height_deg: float,
    rough: float,
) -> None:
    w, h = canvas.size_wh
    f = canvas.focal_px
    outline = ridge(rng, w, 0.10 * f, gain=0.48)
    tall = np.radians(height_deg) * f * (0.55 + 0.22 * outline)
    # Folds that run down the slopes, lit from one side, and woods and meadows that infrared sees otherwise.
    folds = fractal(rng, (w, h), (0.022 * f, 0.032 * f), gain=0.62, finest_px=3)
    texture = fractal(rng, (w, h), (0.03 * f, 0.008 * f), gain=0.7, finest_px=2.5)
    own = fractal(rng, (w, h), (0.02 * f, 0.012 * f), gain=0.62, finest_px=2.5)
    slopes = cv2.Sobel(cv2.GaussianBlur(folds, (0, 0), 0.0006 * f + 0.6), cv2.CV_32F, 1, 0, ksize=3)
    slopes = np.clip(slopes / max(float(slopes.std()), 1e-6), -2.5, 2.5)
    cover_vis = _below(canvas, canvas.row0 - tall)
    colour = as_array(through_haze(dimmed((92, 108, 98), ambience), 0.45 * depth_m, ambience))
    strength = float(np.exp(-ambience.haze * depth_m / 2500)) * (1 - 0.85 * ambience.dark)
    shaded = colour + (strength * (10 * slopes + 6 * texture))[..., None] * as_array([0.8, 1, 0.95])
    canvas.visible[:] += cover_vis[..., None] * (shaded - canvas.visible)
    warm = (
        ambience.air_c
        - 2.0
        - depth_m / 9000
        + rough * (0.9 * slopes * (ambience.sun_warmth_c > 1) + 1.1 * own + 0.5 * texture)
    )
    canvas.thermal[:] += cover_vis * (warm - canvas.thermal)


def _ground(canvas: Canvas, ambience: Ambience, rng: np.random.Generator) -> None:
    """Grass out to the horizon, drawn row by row at its true depth from each camera's height."""
    w, h = canvas.size_wh
    tile_vis = fractal(rng, (512, 512), (96, 96), gain=0.7)
    tile_ir = 0.6 * tile_vis + 0.8 * fractal(rng, (512, 512), (64, 64), gain=0.65)
    right = ((np.arange(w, dtype=np.float32) - canvas.column0) / canvas.focal_px)[None]
    for picture, eye, tile in (
        (canvas.visible, canvas.eye_vis_m, tile_vis),
        (canvas.thermal, canvas.eye_ir_m, tile_ir),
    ):
        first = max(int(np.ceil(canvas.row0 + 0.5)), 0)
        if first >= h:
            return
        rows = np.arange(first, h, dtype=np.float32)[:, None]
        depth = canvas.focal_px * eye / (rows - canvas.row0)
        x = np.broadcast_to(right * depth, (h - first, w))
        z = np.broadcast_to(depth, (h - first, w))
        far = cv2.remap(tile, _fold(x / 2.2), _fold(z / 7.0), cv2.INTER_LINEAR)
        near = cv2.remap(tile, _fold(x * 2.4), _fold(z / 1.2), cv2.INTER_LINEAR)
        mixed = far * np.clip(2500 / depth, 0.25, 1) + near * np.clip(220 / depth, 0, 1)
        if picture.ndim == 3:
            clear = np.exp(-ambience.haze * np.minimum(depth, 12_000) / 1000)[..., None]
            horizon = as_array(ambience.horizon)
            grass = as_array(dimmed((74, 118, 112), ambience)) * (1 + 0.16 * mixed[..., None])
            picture[first:] = horizon + (grass - horizon) * clear
        else:
            base = ambience.air_c + 0.5 * ambience.sun_warmth_c - 2.2 * ambience.dark
            picture[first:] = base + (1.1 - 0.3 * ambience.dark) * mixed - np.clip(depth / 4000, 0, 2)


def _fold(value: NDArray[np.floating]) -> NDArray[np.float32]:
    """Fold coordinates into the 512-pixel tile, mirrored at its borders so that there is no seam."""
    return np.asarray(511.0 - np.abs(np.mod(value, 1022.0) - 511.0), np.float32)


def _trees(
    canvas: Canvas, ambience: Ambience, rng: np.random.Generator, depth_m: float, height_m: float
) -> None:
    """A line of trees at one depth."""
    w, h = canvas.size_wh
    scale = canvas.focal_px / depth_m  # canvas pixels per metre
    crowns = ridge(rng, w, 60 * scale, gain=0.72)
    gaps = smoothstep(ridge(rng, w, 260 * scale, octaves=3), -0.8, 0.1)
    tall = scale * height_m * np.clip(0.75 + 0.2 * crowns, 0.15, 1.6) * gaps
    foot_vis = canvas.row0 + scale * canvas.eye_vis_m
    foot_ir = canvas.row0 + scale * canvas.eye_ir_m
    top = max(int(foot_ir - tall.max() - 4), 0)
    bottom = min(int(np.ceil(foot_vis)) + 3, h)
    if bottom <= top:
        return
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]
    leaves = fractal(rng, (w, bottom - top), (5 * scale, 4 * scale), gain=0.75, finest_px=1.5)
    own = fractal(rng, (w, bottom - top), (8 * scale, 6 * scale), gain=0.7, finest_px=1.5)
    for picture, foot in ((canvas.visible, foot_vis), (canvas.thermal, foot_ir)):
        cover = np.clip(rows - (foot - tall)[None] + 0.5, 0, 1) * np.clip(foot - rows + 0.5, 0, 1)
        part = picture[top:bottom]
        if part.ndim == 3:
            dark = as_array(dimmed((38, 66, 56), ambience))
            shade = (
                dark
                * (1 + 0.28 * leaves[..., None])
                * (0.75 + 0.4 * np.clip((foot - rows) / (scale * height_m), 0, 1))[..., None]
            )
            clear = float(np.exp(-ambience.haze * depth_m / 1000))
            horizon = as_array(ambience.horizon)
            part += cover[..., None] * (horizon + (shade - horizon) * clear - part)
            canvas.lamps[top:bottom] *= 1 - cover[..., None]
        else:
            part += cover * (ambience.air_c - 0.6 + 0.8 * own + 0.35 * leaves - part)
