"""Labels as an SVG that lies over a picture in the report's viewer."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, SKELETON, Visibility
from vircraft.annotation.labelme import LabelFile, Point
from vircraft.report.drawing import keypoint_bgr, keypoints_of


def labels_svg(labels: LabelFile) -> Markup:
    """Return outline, box, skeleton and keypoints of a label file, sized to whatever holds it.

    A disc is a visible keypoint, a ring an occluded one; red is the aircraft's left, green its right, blue
    its axis.
    """
    width, height = labels.size_wh
    body = []
    for shape in labels.shapes:
        if shape.label == AIRCRAFT and shape.shape_type == "polygon":
            body.append(Markup('<polygon class="outline" points="{}"/>').format(_points(shape.points)))
        elif shape.label == AIRCRAFT and shape.shape_type == "rectangle":
            (x0, y0), (x1, y1) = shape.points
            corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
            body.append(Markup('<polygon class="box" points="{}"/>').format(_points(corners)))
    for group in dict.fromkeys(shape.group_id for shape in labels.shapes):
        found = keypoints_of(labels.shapes, group)
        for a, b in ((KEYPOINTS[i], KEYPOINTS[j]) for i, j in SKELETON):
            if a in found and b in found:
                ends = _points((found[a][0], found[b][0]))
                body.append(Markup('<polyline class="bone" points="{}"/>').format(ends))
        for name, ((x, y), visibility) in found.items():
            blue, green, red = keypoint_bgr(name)
            kind = "ring" if visibility is Visibility.OCCLUDED else "disc"
            body.append(
                Markup(
                    '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}" style="--c:rgb({},{},{})"/>'
                ).format(kind, x, y, max(width, height) / 150, red, green, blue)
            )
    # pixel centres are at integers
    return Markup('<svg viewBox="-0.5 -0.5 {} {}" aria-hidden="true">{}</svg>').format(
        width, height, Markup("").join(body)
    )


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
