"""Runway, hangars, terminal, tower and lamps of the airfield, each at its own distance."""

from __future__ import annotations

import numpy as np

from vircraft.simulation.ambience import Ambience, Colour, dimmed, scaled, through_haze
from vircraft.simulation.canvas import Canvas, paint, shine
from vircraft.simulation.flight import Flight
from vircraft.simulation.mesh import Points
from vircraft.simulation.settings import Difficulty

_WALLS = ((186, 190, 192), (168, 160, 150), (140, 150, 160), (206, 204, 198), (120, 130, 150), (96, 104, 118))
_LAMPS = ((120, 200, 255), (170, 225, 255), (235, 245, 255), (90, 160, 255))


def draw_airfield(
    canvas: Canvas, flight: Flight, ambience: Ambience, difficulty: Difficulty, rng: np.random.Generator
) -> None:
    """Draw the airfield onto the canvas, far things first."""
    if difficulty in ("rich", "mixed"):
        count = 16 if difficulty == "rich" else 6
        half_angle = 0.55 * canvas.size_wh[0] / canvas.focal_px
        depths = np.sort(rng.uniform(1_000, 2_000, count))[::-1]
        for depth in depths:
            right = float(rng.uniform(-half_angle, half_angle) * depth)
            _building(canvas, ambience, rng, right, float(depth))
        if difficulty == "rich":
            _tower(canvas, ambience, float(rng.uniform(-0.5, 0.5) * half_angle) * 1_150, 1_150)
    _runway(canvas, flight, ambience)
    if difficulty == "rich":
        _masts(canvas, ambience, rng)


def _flat(canvas: Canvas, corners_xy: Points) -> Points:
    return canvas.level(np.c_[corners_xy, np.zeros(len(corners_xy))])


def _strip(x0: float, x1: float, y0: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _upright(x0: float, x1: float, z0: float, z1: float, depth: float) -> Points:
    """Return a rectangle that faces the cameras."""
    return np.array([[x0, z0, depth], [x1, z0, depth], [x1, z1, depth], [x0, z1, depth]])


def _runway(canvas: Canvas, flight: Flight, ambience: Ambience) -> None:
    x, y, _ = flight.touchdown
    start, end = x - 650, x + 2_500
    depth = float(np.hypot(x, y))
    lay = (
        (
            _strip(start - 60, end + 60, y - 37, y + 37),
            (86, 112, 104),
            ambience.air_c + 0.5 * ambience.sun_warmth_c,
        ),
    )
    asphalt = ambience.air_c + (1.2 * ambience.sun_warmth_c if ambience.dark == 0 else 4.0)
    for corners, colour, degrees in (*lay, (_strip(start, end, y - 22.5, y + 22.5), (96, 96, 98), asphalt)):
        # In pieces, so that haze deepens with distance.
        for a, b in zip(
            np.linspace(corners[0, 0], corners[1, 0], 13)[:-1],
            np.linspace(corners[0, 0], corners[1, 0], 13)[1:],
            strict=True,
        ):
            piece = _strip(a, b + 0.5, corners[0, 1], corners[2, 1])
            away = float(np.hypot(*piece.mean(0)))
            paint(
                canvas, _flat(canvas, piece), through_haze(dimmed(colour, ambience), away, ambience), degrees
            )
    white = through_haze(dimmed((225, 228, 228), ambience), depth, ambience)
    for k in range(6):  # threshold
        for side in (-1, 1):
            middle = y + side * (3.0 + 3.2 * k)
            paint(
                canvas,
                _flat(canvas, _strip(start + 6, start + 36, middle - 0.9, middle + 0.9)),
                white,
                asphalt - 1.0,
            )
    for a in np.arange(start + 60, end - 60, 50.0):
        paint(canvas, _flat(canvas, _strip(a, a + 30, y - 0.5, y + 0.5)), white, asphalt - 1.0)
    for a, half in ((x - 20, 6.0), (x + 130, 3.0), (x + 280, 3.0)):
        for side in (-1, 1):
            paint(
                canvas,
                _flat(canvas, _strip(a, a + 45, y + side * 9 - half / 2, y + side * 9 + half / 2)),
                white,
                asphalt - 1.0,
            )
    rubber = _strip(x - 60, x + 500, y - 7, y + 7)
    paint(canvas, _flat(canvas, rubber), dimmed((60, 60, 62), ambience), asphalt + 1.2, 0.5)
    for a in np.arange(start, end, 60.0):
        for side in (-1, 1):
            lamp = canvas.level(np.array([[a, y + side * 24.0, 0.5]]))[0]
            shine(canvas, lamp, (150, 215, 245), 1.0)


def _building(
    canvas: Canvas, ambience: Ambience, rng: np.random.Generator, right: float, depth: float
) -> None:
    width, height = float(rng.uniform(25, 110)), float(rng.uniform(7, 20))
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    warm = ambience.air_c + float(rng.uniform(-1.5, 3.0)) + 0.4 * ambience.sun_warmth_c

    def seen(colour: Colour) -> Colour:
        return through_haze(dimmed(colour, ambience), depth, ambience)

    def face(
        x0: float, x1: float, z0: float, z1: float, colour: Colour | None, degrees: float | None
    ) -> None:
        paint(canvas, _upright(x0, x1, z0, z1, depth), colour, degrees)

    left, end = right - width / 2, right + width / 2
    shaded = seen((0.6 * wall[0], 0.6 * wall[1], 0.6 * wall[2]))
    side = float(rng.uniform(0.08, 0.22)) * width
    face(left, end, 0, height, seen(wall), warm)
    face(end - side, end, 0, height, shaded, warm - 2.0)  # the wall that lies in the shade
    if rng.random() < 0.5:  # a hangar: vaulted roof and tall doors
        arc = np.linspace(0, np.pi, 15)
        roof = np.stack(
            [right + width / 2 * np.cos(arc), height + 0.28 * height * np.sin(arc), 0 * arc + depth], -1
        )
        paint(canvas, roof, seen((120, 122, 126)), warm + 0.6 * ambience.sun_warmth_c + 1.0)
        door = 0.62 * (width - side)
        middle = left + (width - side) / 2
        face(middle - door / 2, middle + door / 2, 0, 0.8 * height, seen((70, 74, 80)), warm + 1.8)
        for x in np.linspace(middle - door / 2, middle + door / 2, 7)[1:-1]:
            face(x - 0.25, x + 0.25, 0, 0.8 * height, seen((150, 150, 150)), warm + 0.2)
    else:
        face(left, end, height, height + 0.9, seen((90, 90, 92)), warm + 0.5 * ambience.sun_warmth_c + 1.0)
        storeys = max(int(height / 3.6), 1)
        for storey in range(storeys):
            z = 1.2 + storey * 3.6
            for x in np.arange(left + 1.5, end - side - 2.5, 4.2):
                lit = rng.random() < 0.45
                lamp = scaled(_LAMPS[int(rng.integers(3))], float(rng.uniform(0.35, 0.75)))
                corners = _upright(x, x + 2.6, z, z + 1.6, depth)
                warmth = warm + 1.5 if lit else ambience.air_c - 5.0
                paint(canvas, corners, seen((92, 78, 66)), warmth, glow=lamp if lit else (0, 0, 0))
        for _ in range(int(rng.integers(1, 4))):  # ventilation, seen by heat alone
            x = float(rng.uniform(left + 2, end - side - 4))
            face(
                x,
                x + 2.5,
                height + 0.9,
                height + 2.6,
                seen((150, 150, 152)),
                warm + float(rng.uniform(4, 12)),
            )
    shine(canvas, np.array([left + 0.2 * width, height + 1, depth]), (150, 215, 255), 1.4)


def _tower(canvas: Canvas, ambience: Ambience, right: float, depth: float) -> None:
    def part(
        half_bottom: float, half_top: float, z0: float, z1: float, colour: Colour, degrees: float
    ) -> None:
        corners = np.array(
            [
                [right - half_bottom, z0, depth],
                [right + half_bottom, z0, depth],
                [right + half_top, z1, depth],
                [right - half_top, z1, depth],
            ]
        )
        paint(canvas, corners, through_haze(dimmed(colour, ambience), depth, ambience), degrees)

    warm = ambience.air_c + 0.3 * ambience.sun_warmth_c
    part(3.0, 2.4, 0, 26, (190, 192, 194), warm + 1)
    part(0.8, 0.8, 0, 26, (130, 132, 136), warm - 1)
    part(3.2, 5.0, 26, 28, (150, 152, 156), warm + 2)
    part(4.6, 5.4, 28, 31.5, (84, 70, 58), ambience.air_c - 4)
    part(5.6, 5.2, 31.5, 33, (176, 178, 182), warm + 4)
    part(0.25, 0.15, 33, 41, (110, 110, 112), warm)
    shine(canvas, np.array([right, 29.5, depth]), (140, 200, 235), 2.4)
    shine(canvas, np.array([right, 41.0, depth]), (30, 30, 255), 1.5)


def _masts(canvas: Canvas, ambience: Ambience, rng: np.random.Generator) -> None:
    """Floodlight masts of the apron."""
    half_angle = 0.5 * canvas.size_wh[0] / canvas.focal_px
    for angle in np.linspace(-half_angle, half_angle, 9):
        depth = float(rng.uniform(900, 1_000))
        x = float(angle) * depth
        top = 19.0
        for x0, x1, z0, z1 in ((x - 0.25, x + 0.25, 0.0, top), (x - 2.2, x + 2.2, top, top + 0.9)):
            corners = np.array([[x0, z0, depth], [x1, z0, depth], [x1, z1, depth], [x0, z1, depth]])
            paint(
                canvas,
                corners,
                through_haze(dimmed((120, 122, 124), ambience), depth, ambience),
                ambience.air_c + 1 + 3 * ambience.dark,
            )
        for k in (-1.6, 0.0, 1.6):
            shine(canvas, np.array([x + k, top + 0.4, depth]), (170, 225, 255), 1.6)


def draw_town_lamps(canvas: Canvas, ambience: Ambience, rng: np.random.Generator) -> None:
    """Put the lamps of a town on the slopes behind the airfield."""
    if ambience.lamps < 0.5:
        return
    half_angle = 0.5 * canvas.size_wh[0] / canvas.focal_px
    clusters = rng.uniform(-half_angle, half_angle, 14)
    for _ in range(420):
        depth = float(rng.uniform(2_500, 9_000))
        angle = float(clusters[int(rng.integers(14))] + rng.normal(0, 0.014))
        colour = _LAMPS[int(rng.integers(len(_LAMPS)))]
        strength = float(rng.uniform(0.15, 0.8))
        shine(
            canvas,
            np.array([angle * depth, float(rng.uniform(0, 0.008)) * depth, depth]),
            scaled(colour, strength),
            0.8,
        )
