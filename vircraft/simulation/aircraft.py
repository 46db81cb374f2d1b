"""The aircraft that fly the approach, an airliner and a high-winged cargo one, with their nine keypoints.

Axes: x forward, y left, z up, origin in the middle of the fuselage; metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.simulation.livery import ATLAS, Region
from vircraft.simulation.mesh import Mesh, Points, Section, box, merge, mirrored, revolved, surface, wing

AircraftKind = Literal["airliner", "cargo"]


@dataclass(frozen=True)
class Light:
    """A lamp on the aircraft.

    Attributes:
        kind: `landing`, `taxi`, `navigation_left`, `navigation_right`, `tail`, `beacon` or `strobe`.
        place: (3,) metres.
        facing: (3,) unit direction of the beam.
    """

    kind: str
    place: tuple[float, float, float]
    facing: tuple[float, float, float]


@dataclass(frozen=True)
class Aircraft:
    """A mesh and what is known about places on it.

    Attributes:
        kind: which aircraft.
        mesh: in the aircraft's axes.
        keypoints: (9, 3), in the order of `KEYPOINTS`.
        lights: lamps.
        exhausts: (E, 3) centres of the nozzles; the plume leaves along -x.
        length_m: from nose to tail.
        belly_m: height of the wheels' lowest point.
    """

    kind: AircraftKind
    mesh: Mesh
    keypoints: Points
    lights: tuple[Light, ...]
    exhausts: Points
    length_m: float
    belly_m: float


@dataclass(frozen=True)
class _Shape:
    """Measures of one aircraft, metres and degrees; see `_SHAPES`."""

    length: float
    radius: float
    nose: float  # length of the tapered nose
    nose_drop: float  # how far the tip lies below the axis
    tail: float  # length of the tapered tail
    tail_rise: float  # how far the end lies above the axis
    wing_x: float  # leading edge at the middle of the fuselage
    wing_z: float
    half_span: float
    sweep: float
    dihedral: float
    chords: tuple[float, float, float]  # root, kink, tip
    kink: float  # share of the half span
    engines_y: tuple[float, ...]
    engine_drop: float  # of the engine's axis below the wing
    engine_radius: float
    engine_length: float
    fin_x: float  # leading edge at the root
    fin_height: float
    fin_chords: tuple[float, float]
    fin_sweep: float
    tailplane: tuple[float, float, float, float]  # x, z of the root's leading edge, half span, root chord
    tailplane_dihedral: float
    main_gear: tuple[float, float]  # x, y
    wheels: tuple[int, float]  # axles a side, radius


_SHAPES = {
    "airliner": _Shape(
        length=37.6, radius=2.0, nose=5.6, nose_drop=0.55, tail=13.5, tail_rise=1.15,
        wing_x=6.4, wing_z=-1.15, half_span=17.0, sweep=27.0, dihedral=5.6, chords=(7.4, 4.3, 1.6), kink=0.37,
        engines_y=(5.75,), engine_drop=1.45, engine_radius=1.18, engine_length=4.4,
        fin_x=-10.6, fin_height=6.1, fin_chords=(6.4, 2.1), fin_sweep=40.0,
        tailplane=(-12.9, 0.9, 6.2, 4.0), tailplane_dihedral=6.0,
        main_gear=(-1.4, 3.8), wheels=(1, 0.6),
    ),
    "cargo": _Shape(
        length=47.0, radius=3.05, nose=7.0, nose_drop=0.9, tail=18.0, tail_rise=2.3,
        wing_x=8.5, wing_z=2.75, half_span=25.0, sweep=27.0, dihedral=-3.2, chords=(9.6, 6.2, 2.6), kink=0.42,
        engines_y=(8.4, 14.6), engine_drop=1.7, engine_radius=1.25, engine_length=5.2,
        fin_x=-14.2, fin_height=9.4, fin_chords=(8.6, 5.8), fin_sweep=38.0,
        tailplane=(-21.0, 11.2, 9.6, 5.4), tailplane_dihedral=-2.0,
        main_gear=(-0.8, 2.9), wheels=(3, 0.62),
    ),
}  # fmt: skip


def build_aircraft(kind: AircraftKind, scale: float = 1.0) -> Aircraft:
    """Return an aircraft of its usual size times `scale`."""
    s = _SHAPES[kind]
    parts = [_fuselage(s), *_wings(s), *_tail(s), *_gear(s)]
    nozzles = []
    for y in s.engines_y:
        engine, nozzle = _engine(s, y)
        parts += [engine, mirrored(engine)]
        nozzles += [nozzle, nozzle * [1, -1, 1]]
    if kind == "cargo":
        parts += _sponsons(s)
    mesh = merge(parts)
    mesh = Mesh(mesh.vertices * scale, mesh.normals, mesh.uv, mesh.faces)
    return Aircraft(
        kind,
        mesh,
        _keypoints(s) * scale,
        _lights(s, scale),
        np.array(nozzles) * scale,
        s.length * scale,
        float(mesh.vertices[:, 2].min()),
    )


def _radius_and_rise(s: _Shape, x: float) -> tuple[float, float]:
    """Return the fuselage's radius and the height of its axis at x."""
    front, back = s.length / 2 - x, x + s.length / 2
    if front < s.nose:
        t = 1 - front / s.nose
        return s.radius * float(np.sqrt(max(1 - t**2.3, 0.0))), -s.nose_drop * t**2
    if back < s.tail:
        t = 1 - back / s.tail
        return s.radius * (1 - 0.92 * t**1.7), s.tail_rise * t**1.6
    return s.radius, 0.0


def _fuselage(s: _Shape) -> Mesh:
    nose = s.length / 2 - s.nose * (1 - np.cos(np.linspace(0, np.pi / 2, 12)))
    middle = np.linspace(s.length / 2 - s.nose, -s.length / 2 + s.tail, 8)[1:-1]
    tail = np.linspace(-s.length / 2 + s.tail, -s.length / 2, 12)
    x = np.concatenate([nose, middle, tail])
    angle = np.linspace(0, 2 * np.pi, 29)
    rings = []
    for station in x:
        radius, rise = _radius_and_rise(s, float(station))
        rings.append(
            np.stack([0 * angle + station, radius * np.sin(angle), rise + radius * np.cos(angle)], -1)
        )
    end_radius, rise = _radius_and_rise(s, -s.length / 2)
    rings.append(np.stack([0 * angle - s.length / 2 - 0.3 * end_radius, 0 * angle, 0 * angle + rise], -1))
    region = ATLAS[Region.FUSELAGE]
    along = np.append((x + s.length / 2) / s.length, 0.0)
    u = np.repeat((region.x + along * region.width)[:, None], len(angle), 1)
    v = np.repeat((region.y + angle / (2 * np.pi) * region.height)[None], len(along), 0)
    return surface(np.array(rings), np.stack([u, v], -1))


def _wing_edge(s: _Shape, y: float) -> tuple[float, float, float]:
    """Return the leading edge of the left wing at y."""
    rise = np.tan(np.radians(s.dihedral)) * y + 0.35 * (y / s.half_span) ** 2
    return s.wing_x - np.tan(np.radians(s.sweep)) * y, y, s.wing_z + float(rise)


def _chord(s: _Shape, y: float) -> float:
    return float(np.interp(y / s.half_span, [0, s.kink, 1], s.chords))


def _wings(s: _Shape) -> list[Mesh]:
    stations = [0.0, 0.1, 0.2, s.kink, 0.55, 0.75, 0.92, 1.0]
    sections = []
    for t in stations:
        y = t * s.half_span
        sections.append(Section(_wing_edge(s, y), _chord(s, y), 0.13 - 0.03 * t, 0.03 * _chord(s, y)))
    region = ATLAS[Region.WING]
    main = wing(sections, (0, 0, 1), region.uv_box)
    # Flaps out for landing: a slotted panel behind and below the trailing edge of the inner wing.
    flaps = []
    for start, end in ((0.13, s.kink - 0.015), (s.kink + 0.015, 0.72)):
        panel = []
        for t in (start, end):
            y = t * s.half_span
            x, _, z = _wing_edge(s, y)
            chord = _chord(s, y)
            panel.append(Section((x - 0.93 * chord, y, z - 0.075 * chord), 0.24 * chord, 0.10, 0.13 * chord))
        flaps.append(wing(panel, (0, 0, 1), ATLAS[Region.FLAP].uv_box))
    for t in (0.24, 0.46, 0.64):  # fairings of the flap tracks
        y = t * s.half_span
        x, _, z = _wing_edge(s, y)
        chord = _chord(s, y)
        profile = np.array([[0.0, 0.0], [-0.2, 0.7], [-0.5, 1.0], [-0.8, 0.6], [-1.0, 0.0]]) * [
            0.6 * chord,
            0.22,
        ]
        centre = np.array([x - 0.55 * chord, y, z - 0.08 * chord])
        flaps.append(revolved(profile, centre, ATLAS[Region.FLAP].uv_box, 8))
    left = merge([main, *flaps])
    return [left, mirrored(left)]


def _tail(s: _Shape) -> list[Mesh]:
    sweep = np.tan(np.radians(s.fin_sweep))
    _, rise = _radius_and_rise(s, s.fin_x - s.fin_chords[0] / 2)
    radius, _ = _radius_and_rise(s, s.fin_x - s.fin_chords[0] / 2)
    bottom = rise + radius * 0.8
    fin = [
        Section(
            (s.fin_x - sweep * t * s.fin_height, 0, bottom + t * s.fin_height),
            float(np.interp(t, [0, 1], s.fin_chords)),
            0.1,
        )
        for t in (0.0, 0.33, 0.66, 1.0)
    ]
    x, z, half_span, chord = s.tailplane
    slope = np.tan(np.radians(s.tailplane_dihedral))
    plane = [
        Section((x - 0.6 * y, y, z + slope * y), chord * (1 - 0.62 * y / half_span), 0.1)
        for y in np.linspace(0, half_span, 4)
    ]
    left = wing(plane, (0, 0, 1), ATLAS[Region.TAILPLANE].uv_box)
    return [wing(fin, (0, 1, 0), ATLAS[Region.FIN].uv_box), left, mirrored(left)]


def _engine(s: _Shape, y: float) -> tuple[Mesh, Points]:
    """Return the left engine at y with its pylon, and the centre of its nozzle."""
    x, _, z = _wing_edge(s, y)
    r, length = s.engine_radius, s.engine_length
    centre = np.array([x + 0.62 * length, y, z - s.engine_drop])
    outer = np.array(
        [[0.0, 0.82], [0.02, 0.9], [-0.04, 0.96], [-0.2, 1.0], [-0.45, 0.99], [-0.7, 0.86], [-0.8, 0.76]]
    )
    lip = np.array([[0.0, 0.82], [-0.04, 0.78], [-0.22, 0.76]])
    core = np.array([[-0.68, 0.58], [-0.85, 0.52], [-1.0, 0.42]])
    cone = np.array([[-0.9, 0.26], [-1.0, 0.2], [-1.14, 0.02]])
    fan = np.array([[-0.22, 0.77], [-0.21, 0.25], [-0.08, 0.0]])
    hot = np.array([[-0.985, 0.42], [-0.97, 0.2]])
    measure = np.array([length, r])
    parts = [
        revolved(outer * measure, centre, ATLAS[Region.NACELLE].uv_box, 24),
        revolved(lip * measure, centre, ATLAS[Region.INTAKE].uv_box, 24, inward=True),
        _facing(revolved(fan * measure, centre, ATLAS[Region.FAN].uv_box, 24), 1.0),
        _facing(
            revolved(
                np.array([[-0.78, 0.8], [-0.77, 0.5]]) * measure, centre, ATLAS[Region.INTAKE].uv_box, 24
            ),
            -1.0,
        ),
        revolved(core * measure, centre, ATLAS[Region.NOZZLE].uv_box, 20),
        _facing(revolved(hot * measure, centre, ATLAS[Region.HOT].uv_box, 20), -1.0),
        revolved(cone * measure, centre, ATLAS[Region.HOT].uv_box, 12),
    ]
    pylon = [
        Section((float(centre[0] - 0.25 * length), y, float(centre[2] + 0.85 * r)), 1.0 * length, 0.08),
        Section((x - 0.02 * length, y, z + 0.02 * s.engine_drop), 0.9 * length, 0.06),
    ]
    parts.append(wing(pylon, (0, 1, 0), ATLAS[Region.PYLON].uv_box))
    return merge(parts), centre - [1.0 * length, 0, 0]


def _facing(disc: Mesh, direction: float) -> Mesh:
    """Turn a flat disc so that all of it looks along +x or -x."""
    corners = disc.vertices[disc.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 0]
    faces = np.where((cross * direction < 0)[:, None], disc.faces[:, ::-1], disc.faces)
    normals = np.where(disc.normals[:, :1] * direction < 0, -disc.normals, disc.normals)
    return Mesh(disc.vertices, normals, disc.uv, faces)


def _gear(s: _Shape) -> list[Mesh]:
    x_main, y_main = s.main_gear
    axles, radius = s.wheels
    ground = -s.radius - 2.0
    strut, tyre = ATLAS[Region.STRUT].middle, ATLAS[Region.TYRE]
    parts = []
    for x, y, count, size, top in (
        (s.length / 2 - 1.15 * s.nose, 0.0, 1, 0.68 * radius, -s.radius * 0.8),
        (x_main, y_main, axles, radius, -s.radius * 0.5 if s.wing_z < 0 else -s.radius * 0.75),
    ):
        axle = ground + size
        leg = [box((0.32, 0.32, top - axle), (x, y, (top + axle) / 2), strut)]
        leg.append(
            box((0.9, 0.06, 0.9), (x + 0.1, y + 0.5 * (y > 0), top - 0.55), ATLAS[Region.GEAR_DOOR].middle)
        )
        leg.append(box((0.16, 0.16, 0.55 * (top - axle)), (x - 0.45, y, top - 0.3 * (top - axle)), strut))
        for i in range(count):
            place = x + (i - (count - 1) / 2) * 2.4 * size
            for side in (-0.42, 0.42):
                leg.append(_wheel((place, y + side, axle), size, 0.36 * (size / 0.6), tyre))
        if count > 1:
            leg.append(box((2.4 * size * (count - 1), 0.25, 0.25), (x, y, axle), strut))
        gear = merge(leg)
        parts += [gear, mirrored(gear)] if y else [gear]
    return parts


def _wheel(centre: tuple[float, float, float], radius: float, width: float, tyre: Region | object) -> Mesh:
    profile = np.array(
        [
            [0.5, 0.0],
            [0.5, 0.55],
            [0.5, 0.9],
            [0.25, 1.0],
            [-0.25, 1.0],
            [-0.5, 0.9],
            [-0.5, 0.55],
            [-0.5, 0.0],
        ]
    )
    turned = revolved(profile * [width, radius], np.zeros(3), ATLAS[Region.TYRE].uv_box, 14)
    axes = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # the axle lies along y
    return Mesh(turned.vertices @ axes + centre, turned.normals @ axes, turned.uv, turned.faces)


def _sponsons(s: _Shape) -> list[Mesh]:
    """Return the bulges that hold a cargo aircraft's main gear, and the fairing over the wing's middle."""
    profile = np.array([[7.0, 0.0], [6.0, 0.6], [3.5, 1.05], [-2.5, 1.1], [-5.5, 0.7], [-7.5, 0.0]])
    left = revolved(
        profile,
        np.array([s.main_gear[0] + 0.4, s.radius * 0.86, -s.radius * 0.62]),
        ATLAS[Region.PYLON].uv_box,
        14,
    )
    hump = revolved(
        np.array([[7.0, 0.0], [5.0, 0.7], [2.5, 1.0], [-4.0, 1.0], [-8.0, 0.0]]) * [1, 1.9],
        np.array([s.wing_x - 4.8, 0, s.wing_z - 0.85]),
        ATLAS[Region.PYLON].uv_box,
        16,
    )
    return [left, mirrored(left), hump]


def _root(s: _Shape) -> tuple[float, float, float]:
    """Return where the left wing's leading edge leaves the fuselage."""
    for y in np.linspace(0, s.half_span / 2, 2000):
        x, _, z = _wing_edge(s, float(y))
        radius, rise = _radius_and_rise(s, x)
        if y**2 + (z - rise) ** 2 > radius**2:
            return x, float(y), z
    raise AssertionError("the leading edge never leaves the fuselage")


def _keypoints(s: _Shape) -> Points:
    front, root = np.array(_wing_edge(s, s.half_span)), np.array(_root(s))
    behind = front - [s.chords[2], 0, 0.03 * s.chords[2]]
    _, tail_rise = _radius_and_rise(s, -s.length / 2)
    end_radius, _ = _radius_and_rise(s, -s.length / 2)
    top = _fin_top(s)
    flip = np.array([1.0, -1.0, 1.0])
    places = {
        "Head": np.array([s.length / 2, 0, -s.nose_drop]),
        "Vertical": top,
        "Tail": np.array([-s.length / 2 - 0.3 * end_radius, 0, tail_rise]),
        "Left_front": front,
        "Right_front": front * flip,
        "Left_root": root,
        "Right_root": root * flip,
        "Left_behind": behind,
        "Right_behind": behind * flip,
    }
    return np.array([places[name] for name in KEYPOINTS])


def _fin_top(s: _Shape) -> Points:
    """Return the middle of the fin's upper edge."""
    radius, rise = _radius_and_rise(s, s.fin_x - s.fin_chords[0] / 2)
    x = s.fin_x - np.tan(np.radians(s.fin_sweep)) * s.fin_height - s.fin_chords[1] / 2
    return np.array([x, 0.0, rise + 0.8 * radius + s.fin_height])


def _lights(s: _Shape, scale: float) -> tuple[Light, ...]:
    front = np.array(_wing_edge(s, s.half_span))
    root = np.array(_root(s))
    ahead, flip = (1.0, 0.0, 0.0), np.array([1.0, -1.0, 1.0])
    nose_gear = np.array([s.length / 2 - 1.15 * s.nose + 0.3, 0, -s.radius - 1.0])
    wing_lamp = root + np.array([0.1, 0.5, 0.0])
    lamp, strobe = front + np.array([0, 0.05, 0]), front + np.array([-0.3, 0.05, 0])
    places = [
        ("landing", wing_lamp, ahead),
        ("landing", wing_lamp * flip, ahead),
        ("taxi", nose_gear, ahead),
        ("navigation_left", lamp, (0.7, 0.7, 0.0)),
        ("navigation_right", lamp * flip, (0.7, -0.7, 0.0)),
        ("tail", np.array([-s.length / 2 - 0.2, 0, s.tail_rise]), (-1.0, 0.0, 0.0)),
        ("beacon", np.array([0.0, 0, s.radius + (1.2 if s.wing_z > 0 else 0.15)]), (0.0, 0.0, 1.0)),
        ("beacon", np.array([0.0, 0, -s.radius - 0.15]), (0.0, 0.0, -1.0)),
        ("strobe", strobe, (0.0, 1.0, 0.0)),
        ("strobe", strobe * flip, (0.0, -1.0, 0.0)),
    ]
    return tuple(
        Light(kind, (float(p[0]) * scale, float(p[1]) * scale, float(p[2]) * scale), facing)
        for kind, p, facing in places
    )
