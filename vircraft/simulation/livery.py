"""The aircraft's texture atlas: paint and markings for visible light, warmth and gloss for infrared."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ATLAS_WH = (1280, 1024)


class Region(Enum):
    """Parts of the aircraft that have their own place in the atlas."""

    FUSELAGE = "fuselage"
    WING = "wing"
    FLAP = "flap"
    TAILPLANE = "tailplane"
    FIN = "fin"
    NACELLE = "nacelle"
    INTAKE = "intake"
    FAN = "fan"
    NOZZLE = "nozzle"
    HOT = "hot"
    PYLON = "pylon"
    STRUT = "strut"
    TYRE = "tyre"
    GEAR_DOOR = "gear door"


@dataclass(frozen=True)
class Rect:
    """A rectangle of the atlas, pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def uv_box(self) -> tuple[float, float, float, float]:
        """Return u0, v0, u1, v1, two pixels inside, so that neighbours do not bleed in."""
        return self.x + 2.0, self.y + 2.0, self.x + self.width - 3.0, self.y + self.height - 3.0

    @property
    def middle(self) -> tuple[float, float]:
        """Return the u, v of the middle."""
        return self.x + self.width / 2, self.y + self.height / 2


ATLAS = {
    Region.FUSELAGE: Rect(0, 0, 1280, 480),
    Region.WING: Rect(0, 480, 256, 544),
    Region.TAILPLANE: Rect(256, 480, 160, 260),
    Region.FLAP: Rect(256, 740, 160, 140),
    Region.PYLON: Rect(256, 880, 160, 144),
    Region.FIN: Rect(416, 480, 288, 544),
    Region.NACELLE: Rect(704, 480, 256, 272),
    Region.INTAKE: Rect(704, 752, 128, 128),
    Region.FAN: Rect(832, 752, 128, 128),
    Region.NOZZLE: Rect(704, 880, 128, 144),
    Region.HOT: Rect(832, 880, 128, 144),
    Region.STRUT: Rect(960, 480, 96, 96),
    Region.TYRE: Rect(960, 576, 96, 128),
    Region.GEAR_DOOR: Rect(960, 704, 96, 96),
}


@dataclass(frozen=True)
class Livery:
    """What the surface looks like in both modalities, one picture each of the whole atlas.

    Attributes:
        paint: (H, W, 4) uint8: blue, green, red reflectance (display values) and light given off at night.
        warmth: (H, W, 2) float32: degrees above the air, and emissivity 0..1.
    """

    paint: NDArray[np.uint8]
    warmth: NDArray[np.float32]


@dataclass(frozen=True)
class Scheme:
    """Colours of an operator, BGR display values."""

    body: tuple[int, int, int]
    belly: tuple[int, int, int]
    stripe: tuple[int, int, int]
    fin: tuple[int, int, int]
    accent: tuple[int, int, int]
    engine: tuple[int, int, int]
    title: str
    pattern: int  # 0 one stripe, 1 two stripes, 2 painted rear, 3 plain


SCHEMES = (
    Scheme(
        (238, 240, 240),
        (190, 188, 184),
        (140, 52, 22),
        (132, 46, 20),
        (40, 60, 220),
        (225, 228, 228),
        "AEROLINE",
        0,
    ),
    Scheme(
        (236, 238, 240),
        (170, 172, 176),
        (40, 36, 196),
        (36, 32, 188),
        (240, 240, 240),
        (40, 36, 196),
        "NORDAVIA",
        2,
    ),
    Scheme(
        (228, 232, 234),
        (228, 232, 234),
        (70, 120, 30),
        (66, 112, 28),
        (60, 200, 235),
        (228, 232, 234),
        "VERDE",
        1,
    ),
    Scheme(
        (200, 204, 208),
        (150, 152, 156),
        (96, 40, 60),
        (90, 36, 54),
        (40, 150, 245),
        (96, 40, 60),
        "SKYBRIDGE",
        2,
    ),
    Scheme(
        (80, 178, 242), (60, 140, 214), (60, 48, 40), (60, 48, 40), (80, 178, 242), (60, 48, 40), "SOLAIR", 0
    ),
)
CARGO_SCHEMES = (
    Scheme(
        (150, 146, 138), (132, 130, 124), (96, 92, 88), (140, 136, 130), (70, 66, 62), (120, 118, 112), "", 3
    ),
    Scheme(
        (234, 236, 238),
        (160, 162, 166),
        (150, 70, 20),
        (150, 70, 20),
        (40, 160, 250),
        (225, 226, 228),
        "HEAVYLIFT",
        0,
    ),
    Scheme(
        (236, 236, 238),
        (190, 190, 194),
        (36, 30, 176),
        (36, 30, 176),
        (40, 200, 250),
        (36, 30, 176),
        "CARGO EXPRESS",
        2,
    ),
)


def paint_livery(kind: str, rng: np.random.Generator) -> Livery:
    """Paint an atlas for one kind of aircraft; the operator is drawn by `rng`."""
    schemes = CARGO_SCHEMES if kind == "cargo" else SCHEMES
    scheme = schemes[int(rng.integers(len(schemes)))]
    width, height = ATLAS_WH
    paint = np.zeros((height, width, 4), np.uint8)
    warmth = np.zeros((height, width, 2), np.float32)
    warmth[..., 1] = 0.93
    _fuselage(paint, warmth, scheme, kind)
    _wings(paint, warmth)
    _fin(paint, warmth, scheme)
    _engines(paint, warmth, scheme)
    _gear(paint, warmth)
    grime = cv2.resize(rng.normal(0, 1, (64, 80)).astype(np.float32), ATLAS_WH, interpolation=cv2.INTER_CUBIC)
    streaks = cv2.resize(
        rng.normal(0, 1, (256, 20)).astype(np.float32), ATLAS_WH, interpolation=cv2.INTER_LINEAR
    )
    shade = 1.0 - 0.02 * grime - 0.015 * np.abs(streaks)
    paint[..., :3] = np.clip(paint[..., :3] * shade[..., None], 0, 255).astype(np.uint8)
    warmth[..., 0] += 0.5 * cv2.resize(
        rng.normal(0, 1, (48, 60)).astype(np.float32), ATLAS_WH, interpolation=cv2.INTER_CUBIC
    )
    return Livery(paint, warmth)


def _view(atlas: NDArray[Any], region: Region) -> NDArray[Any]:
    r = ATLAS[region]
    return atlas[r.y : r.y + r.height, r.x : r.x + r.width]


def _fuselage(paint: NDArray[np.uint8], warmth: NDArray[np.float32], scheme: Scheme, kind: str) -> None:
    right = _side(scheme, kind, nose_right=True)
    left = _side(scheme, kind, nose_right=False)[:, ::-1]
    _view(paint, Region.FUSELAGE)[:] = np.concatenate([left, right[::-1]])
    heat = _side_warmth(kind)
    _view(warmth, Region.FUSELAGE)[..., 0] = np.concatenate([heat, heat[::-1]])


def _side(scheme: Scheme, kind: str, nose_right: bool) -> NDArray[np.uint8]:
    """Paint one side as it is looked at, from the top line (row 0) to the keel (row 239)."""
    rect = ATLAS[Region.FUSELAGE]
    w, h = rect.width, rect.height // 2
    side = np.zeros((h, w, 4), np.uint8)
    side[..., :3] = scheme.body
    side[165:, :, :3] = scheme.belly

    def at(share: float) -> int:
        """Return the column of a place given as a share of the length from the tail."""
        return round(share * (w - 1)) if nose_right else round((1 - share) * (w - 1))

    def block(
        start: float, end: float, top: int, bottom: int, colour: tuple[int, ...], channels: int = 3
    ) -> None:
        a, b = sorted((at(start), at(end)))
        side[top:bottom, a : b + 1, :channels] = colour[:channels]

    if scheme.pattern == 2:
        slanted = np.array([[at(0.0), 0], [at(0.36), 0], [at(0.20), h], [at(0.0), h]], np.int32)
        colour = np.ascontiguousarray(side[..., :3])
        side[..., :3] = cv2.fillPoly(colour, [slanted], scheme.stripe, cv2.LINE_AA)
        block(0.355, 0.375, 0, 12, scheme.accent)
    if scheme.pattern in (0, 1):
        block(0.0, 0.985, 126, 142, scheme.stripe)
        if scheme.pattern == 1:
            block(0.0, 0.985, 148, 154, scheme.accent)
    windows = kind == "airliner"
    if windows:
        for share in np.arange(0.17, 0.885, 0.0137):
            block(share, share + 0.0062, 96, 112, (70, 62, 56))
            block(share, share + 0.0062, 96, 112, (70, 62, 56, 235), 4)
    doors = (0.155, 0.90) if windows else (0.88,)
    for share in (*doors, *((0.5, 0.53) if windows else ())):
        a, b = sorted((at(share), at(share + 0.022)))
        colour = np.ascontiguousarray(side[..., :3])
        side[..., :3] = cv2.rectangle(colour, (a, 84), (b, 140), (96, 96, 96), 2)
    if not windows:
        a, b = sorted((at(0.70), at(0.80)))
        colour = np.ascontiguousarray(side[..., :3])
        side[..., :3] = cv2.rectangle(colour, (a, 70), (b, 150), (90, 90, 90), 2)
    for start, end in ((0.947, 0.957), (0.959, 0.968), (0.970, 0.977)):
        block(start, end, 36, 74, (48, 42, 38))
        block(start, end, 36, 74, (48, 42, 38, 70), 4)
    block(0.984, 1.0, 0, h, tuple(int(0.85 * c) for c in scheme.body))
    if scheme.title:
        colour = np.ascontiguousarray(side[..., :3])
        (tw, _), _ = cv2.getTextSize(scheme.title, cv2.FONT_HERSHEY_DUPLEX, 1.5, 4)
        a = at(0.84) - tw if nose_right else at(0.84)
        side[..., :3] = cv2.putText(
            colour, scheme.title, (a, 76), cv2.FONT_HERSHEY_DUPLEX, 1.5, scheme.stripe, 4, cv2.LINE_AA
        )
    colour = np.ascontiguousarray(side[..., :3])
    registration = "VC-" + scheme.title[:3] if scheme.title else "VC-117"
    a = at(0.10) if nose_right else at(0.19)
    side[..., :3] = cv2.putText(
        colour, registration, (a, 100), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (60, 60, 60), 2, cv2.LINE_AA
    )
    return side


def _side_warmth(kind: str) -> NDArray[np.float32]:
    """Degrees above the air for one side, tail (column 0) to nose, top line to keel."""
    rect = ATLAS[Region.FUSELAGE]
    w, h = rect.width, rect.height // 2
    heat = np.full((h, w), 1.0, np.float32)

    def block(start: float, end: float, top: int, bottom: int, degrees: float) -> None:
        heat[top:bottom, round(start * w) : round(end * w)] = degrees

    block(0.15, 0.93, 30, 160, 2.2)  # the heated cabin behind the skin
    for frame in np.arange(0.16, 0.93, 0.028):  # frames and joints of the skin
        block(frame, frame + 0.003, 20, 175, 1.0)
    if kind == "airliner":
        block(0.17, 0.885, 97, 111, 4.2)
    block(0.945, 0.978, 36, 74, 11.0)  # heated windscreen
    block(0.986, 1.0, 0, h, -1.5)  # radome
    block(0.50, 0.60, 190, h, 9.0)  # air conditioning packs
    block(0.80, 0.88, 205, h, 5.0)  # avionics bay
    block(0.0, 0.025, 60, 200, 14.0)  # auxiliary power unit
    block(0.30, 0.305, 200, h, 12.0)  # drain mast
    return np.asarray(cv2.GaussianBlur(heat, (0, 0), 1.6), np.float32)


def _wings(paint: NDArray[np.uint8], warmth: NDArray[np.float32]) -> None:
    for region, grey in (
        (Region.WING, 176),
        (Region.TAILPLANE, 190),
        (Region.FLAP, 164),
        (Region.PYLON, 182),
    ):
        _view(paint, region)[..., :3] = (grey + 4, grey, grey - 2)
    for region in (Region.WING, Region.TAILPLANE):
        view, heat = _view(paint, region), _view(warmth, region)
        h, w = view.shape[:2]
        view[:, : w // 14, :3] = 205  # polished leading edge
        view[:, int(0.70 * w) : int(0.71 * w) + 1, :3] = 110
        for half in (0, h // 2):
            for share in (0.36, 0.38, 0.72, 0.95):
                row = half + int(share * h / 2)
                view[row : row + 2, int(0.7 * w) :, :3] = 120
            # walkway
            view[half + int(0.12 * h / 2) : half + int(0.30 * h / 2), int(0.30 * w) : int(0.62 * w), :3] = 150
        heat[:, : w // 9, 0] = 9.0  # anti-icing
        heat[:, : w // 14, 1] = 0.7
        if region is Region.WING:
            heat[:, int(0.15 * w) : int(0.62 * w), 0] = -4.5  # fuel, cold from the cruise
            heat[int(0.80 * h / 2) : h // 2, int(0.15 * w) : int(0.62 * w), 0] = 0.0
            heat[int(0.80 * h / 2) + h // 2 :, int(0.15 * w) : int(0.62 * w), 0] = 0.0
    _view(warmth, Region.FLAP)[..., 0] = 3.0
    _view(warmth, Region.PYLON)[..., 0] = 4.0


def _fin(paint: NDArray[np.uint8], warmth: NDArray[np.float32], scheme: Scheme) -> None:
    view = _view(paint, Region.FIN)
    h, w = view.shape[:2]
    colour = np.empty((h, w, 3), np.uint8)
    colour[:] = scheme.fin
    if scheme.pattern != 3:
        for half in (0, h // 2):  # each side of the fin: root at the first row, tip at the last
            cv2.ellipse(
                colour,
                (int(0.52 * w), half + int(0.30 * h)),
                (w // 4, h // 9),
                0,
                0,
                360,
                scheme.accent,
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                colour,
                (int(0.44 * w), half + int(0.27 * h)),
                (w // 5, h // 11),
                0,
                0,
                360,
                scheme.fin,
                -1,
                cv2.LINE_AA,
            )
            cv2.line(
                colour, (0, half + int(0.05 * h)), (w, half + int(0.12 * h)), scheme.accent, 6, cv2.LINE_AA
            )
    colour[:, : w // 16] = 200
    colour[:, int(0.68 * w) : int(0.69 * w) + 1] = 100
    view[..., :3] = colour
    view[..., 3] = 40  # logo lights
    heat = _view(warmth, Region.FIN)
    heat[..., 0] = 1.5
    heat[:, : w // 9, 0] = 7.0
    heat[:, int(0.68 * w) :, 0] = 2.5


def _engines(paint: NDArray[np.uint8], warmth: NDArray[np.float32], scheme: Scheme) -> None:
    nacelle, heat = _view(paint, Region.NACELLE), _view(warmth, Region.NACELLE)
    w = nacelle.shape[1]
    nacelle[..., :3] = scheme.engine
    nacelle[:, : int(0.22 * w), :3] = 212  # bare lip
    nacelle[:, int(0.62 * w) : int(0.63 * w) + 1, :3] = 90
    along = np.linspace(0, 1, w, dtype=np.float32)
    heat[..., 0] = 4 + 13 * along**2
    heat[:, : int(0.22 * w), 0] = 11.0
    heat[:, : int(0.22 * w), 1] = 0.55
    for region, grey, degrees in (
        (Region.INTAKE, 70, 10.0),
        (Region.NOZZLE, 60, 120.0),
        (Region.HOT, 34, 260.0),
    ):
        _view(paint, region)[..., :3] = grey
        _view(warmth, region)[..., 0] = degrees
    fan, fan_heat = _view(paint, Region.FAN), _view(warmth, Region.FAN)
    fan[..., :3] = 46
    fan[::6, :, :3] = 84  # blades
    fan[:, -18:, :3] = 120  # spinner
    fan_heat[..., 0] = 7.0


def _gear(paint: NDArray[np.uint8], warmth: NDArray[np.float32]) -> None:
    _view(paint, Region.STRUT)[..., :3] = 150
    _view(warmth, Region.STRUT)[..., 0] = 5.0
    _view(paint, Region.GEAR_DOOR)[..., :3] = 200
    _view(warmth, Region.GEAR_DOOR)[..., 0] = 2.0
    tyre, heat = _view(paint, Region.TYRE), _view(warmth, Region.TYRE)
    w = tyre.shape[1]
    tyre[..., :3] = 38
    heat[..., 0] = 4.0
    for start, end in ((0.0, 0.25), (0.75, 1.0)):
        tyre[:, int(start * w) : int(end * w), :3] = 150  # rims
        heat[:, int(start * w) : int(end * w), 0] = 18.0  # brakes
