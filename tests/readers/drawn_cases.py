"""A folder of Labelme files with known truth: every awkward thing that a COCO file may hold.

Outlines run along pixel edges, so that their pixels are known by construction; one is slanted, whose pixels
are what pycocotools paints.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from truth import (
    KEYPOINTS,
    Instance,
    Mask,
    Picture,
    Point,
    extent,
    pixel_extent,
    pixels_by_definition,
    pixels_inside,
)

Polygon = tuple[Point, ...]
Keypoints = Mapping[str, tuple[float, float, int]]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """Return the four corners."""
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def cross(x0: int, y0: int, arm: int) -> Polygon:
    """Return an aircraft of sorts: a fuselage and wings, each `arm` wide and three arms long."""
    steps = ((1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 2), (0, 2), (0, 1), (1, 1))
    return tuple((x0 + arm * i, y0 + arm * j) for i, j in steps)


@dataclass
class Drawing:
    """Shapes of one Labelme file and the truth about them, collected side by side."""

    file_name: str
    size_wh: tuple[int, int]
    deep: bool = False  # a 16-bit picture
    shapes: list[dict[str, Any]] = field(default_factory=list)
    instances: list[tuple[int, Instance]] = field(default_factory=list)

    def draw(self, label: str, kind: str, points: Sequence[Point], group: int | None, **more: Any) -> None:
        """Add one shape."""
        shape = {"label": label, "points": [list(p) for p in points], "group_id": group, "shape_type": kind}
        self.shapes.append(shape | {"flags": {}, "description": "", "mask": None} | more)

    def points(self, keypoints: Keypoints, group: int | None) -> tuple[tuple[float, float, int], ...]:
        """Draw keypoints and return all nine as COCO has them; what is not given is not drawn."""
        for name, (x, y, v) in keypoints.items():
            flags = {"occluded": v == 1, "invisible": v == 0}
            self.draw(name, "point", [(x, y)], group, flags=flags)
        seen = {name: point for name, point in keypoints.items() if point[2] > 0}
        return tuple(seen.get(name, (0.0, 0.0, 0)) for name in KEYPOINTS)

    def outlined(
        self,
        polygons: tuple[Polygon, ...],
        keypoints: Keypoints | None = None,
        *,
        group: int | None = None,
        box: Polygon | None = None,
        kind: str = "polygon",
        hole: Polygon | None = None,
        crowd: bool = False,
        clipped: tuple[Polygon, ...] | None = None,
    ) -> None:
        """Draw an aircraft with an outline along pixel edges; `clipped` is what lies inside the picture."""
        for polygon in polygons:
            self.draw("aircraft", kind, polygon, group, flags={"crowd": True} if crowd else {})
        if hole:
            self.draw("aircraft", "polygon", hole, group, flags={"hole": True})
        if box:
            self.draw("aircraft", "rectangle", (box[2], box[0]), group)  # drawn from the lower right
        points = self.points(keypoints or {}, group)
        mask = np.logical_or.reduce([pixels_inside(polygon, self.size_wh) for polygon in polygons])
        if hole:
            mask &= ~pixels_inside(hole, self.size_wh)
        kept = () if hole or crowd else (clipped or polygons)
        around = extent((box,) if box else clipped or polygons)
        self.instances.append((group or 0, Instance(around, points, mask, kept, crowd)))

    def slanted(self, polygon: Polygon, keypoints: Keypoints, group: int | None = None) -> None:
        """Draw an aircraft whose outline has any direction and fractions of a pixel."""
        self.draw("aircraft", "polygon", polygon, group)
        points = self.points(keypoints, group)
        mask = pixels_by_definition((polygon,), self.size_wh)
        self.instances.append((group or 0, Instance(extent((polygon,)), points, mask, (polygon,))))

    def brushed(self, crop: Mask, x0: int, y0: int, group: int | None = None) -> None:
        """Draw an aircraft as a mask shape, whose two points are its first and last pixel."""
        height, width = crop.shape
        stream = io.BytesIO()
        Image.fromarray(crop.astype(np.uint8)).save(stream, "PNG")
        corners = [(x0, y0), (x0 + width - 1, y0 + height - 1)]
        self.draw("aircraft", "mask", corners, group, mask=base64.b64encode(stream.getvalue()).decode())
        mask = np.zeros(self.size_wh[::-1], bool)
        mask[y0 : y0 + height, x0 : x0 + width] = crop
        self.instances.append((group or 0, Instance(pixel_extent(mask), mask=mask)))

    def boxed(self, box: Polygon, keypoints: Keypoints, group: int | None = None) -> None:
        """Draw an aircraft as a box without an outline."""
        self.draw("aircraft", "rectangle", (box[0], box[2]), group)
        self.instances.append((group or 0, Instance(extent((box,)), self.points(keypoints, group))))

    def picture(self) -> Picture:
        """Return the truth, aircraft by ascending group."""
        ordered = sorted(self.instances, key=lambda numbered: numbered[0])
        return Picture(self.file_name, self.size_wh, tuple(instance for _, instance in ordered))


def all_keypoints(x0: float, y0: float, arm: float) -> Keypoints:
    """Return nine keypoints with fractions of a pixel on a `cross`, two of them occluded, one invisible."""
    where = {
        "Head": (0.0, 1.5, 2),
        "Vertical": (2.8, 1.24, 2),
        "Tail": (3.0, 1.5, 2),
        "Left_front": (1.013, 3.0, 2),
        "Right_front": (1.013, 0.0, 2),
        "Left_root": (1.0, 2.0, 1),
        "Right_root": (1.0, 1.0, 1),
        "Left_behind": (2.0, 2.971, 2),
        "Right_behind": (2.0, 0.5, 0),
    }
    return {name: (round(x0 + arm * x, 3), round(y0 + arm * y, 3), v) for name, (x, y, v) in where.items()}


def drawings() -> list[Drawing]:
    """Return one drawing per picture."""
    plain = Drawing("infrared/plain.png", (160, 128))
    plain.outlined((cross(20, 30, 20),), all_keypoints(20, 30, 20))

    parts = Drawing("infrared/two parts 1.png", (160, 128))
    halves = (rectangle(20, 50, 60, 70), rectangle(81, 50, 140, 71))
    box = rectangle(18.25, 44.5, 143.75, 76.125)
    parts.outlined(halves, {"Head": (20, 60, 2), "Tail": (139.9995, 60.4, 1)}, group=3, box=box)

    hole = Drawing("infrared/Übung 飞机.png", (97, 131), deep=True)
    hole.outlined((rectangle(10, 11, 80, 101),), all_keypoints(10, 11, 23), hole=rectangle(30, 40, 51, 61))

    several = Drawing("infrared/several.png", (320, 256))
    several.outlined((cross(200, 20, 30),), all_keypoints(200, 20, 30), group=7)
    comb = np.zeros((12, 21), bool)
    comb[:, ::2] = comb[5] = True
    comb[8, 4] = False
    several.brushed(comb, 30, 200, group=2)
    several.boxed(rectangle(15.5, 20.25, 120.125, 130.75), all_keypoints(20, 30, 25.3), group=5)
    several.shapes = several.shapes[::3] + several.shapes[1::3] + several.shapes[2::3]  # groups interleaved

    crowd = Drawing("infrared/crowd.png", (200, 100))
    crowd.outlined((rectangle(100, 10, 190, 50),), group=1, crowd=True)
    crowd.outlined((rectangle(10, 60, 90, 90),), {"Head": (10.5, 75.5, 2)}, group=2)

    nothing = Drawing("infrared/nothing.png", (64, 48))

    sizes = Drawing("visible/sizes.png", (640, 480), deep=True)  # small, medium and large, as COCO counts
    sizes.outlined((cross(10, 10, 8),), all_keypoints(10, 10, 8), group=1)
    sizes.outlined((cross(100, 50, 30),), all_keypoints(100, 50, 30), group=2)
    sizes.outlined((cross(240, 60, 125),), all_keypoints(240, 60, 125), group=3)

    slanted = Drawing("infrared/slanted.png", (160, 128))
    outline = ((20.37, 60.02), (75.81, 40.66), (139.499, 61.5), (77.123, 90.25), (60.6, 71.4))
    slanted.slanted(outline, {"Head": (20.37, 60.02, 2), "Tail": (139.499, 61.5, 2)})

    out = Drawing("infrared/partly out.png", (120, 90))
    beyond, inside = rectangle(-15, 20, 40, 110), rectangle(0, 20, 40, 90)
    on_the_edge = {"Head": (0, 55.5, 2), "Tail": (120, 90, 2)}
    out.outlined((beyond,), on_the_edge, clipped=(inside,))

    turned = Drawing("infrared/oriented.png", (100, 80))
    turned.outlined((rectangle(11, 22, 77, 48),), {}, group=4, kind="oriented_rectangle")
    return [plain, parts, hole, several, crowd, nothing, sizes, slanted, out, turned]


def write_folder(root: Path) -> list[Picture]:
    """Write pictures and Labelme files below a new folder and return what is true of them."""
    for number, drawing in enumerate(drawings()):
        picture = root / drawing.file_name
        picture.parent.mkdir(parents=True, exist_ok=True)
        width, height = drawing.size_wh
        grey = np.random.default_rng(number).integers(0, 65536, (height, width)).astype(np.uint16)
        Image.fromarray(grey if drawing.deep else (grey >> 8).astype(np.uint8)).save(picture)
        document = {
            "version": "6.3.1",
            "flags": {},
            "shapes": drawing.shapes,
            "imagePath": f"../{drawing.file_name}",
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        label = root / "labels" / f"{picture.stem}.json"
        label.parent.mkdir(exist_ok=True)
        label.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return [drawing.picture() for drawing in drawings()]
