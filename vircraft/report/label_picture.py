"""One labelled picture, large: the whole of it, small aircraft enlarged, names, what the labels say."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vircraft.annotation.keypoints import Visibility
from vircraft.report.drawing import Picture, keypoint_bgr, lifted
from vircraft.report.labelled import DrawnLabels, LabelledPictures
from vircraft.report.layout import ALARM, GROUND, INK, MUTED, joined, panel, write_line
from vircraft.report.marks import DrawnAircraft, draw_aircraft, draw_marker, marker_radius, paint_mask
from vircraft.report.name_places import leader_end, place_names
from vircraft.report.views import View, around, whole

PANEL_WIDTHS = (1280, 800, 640)  # of one, two, or more panels side by side
MOST_ENLARGED = 3  # aircraft with a panel of their own
WORTHWHILE = 1.8  # an aircraft gets a panel of its own where that shows it so many times larger
LINE_HEIGHT = 22
FONT = cv2.FONT_HERSHEY_SIMPLEX
_WORDS = {Visibility.VISIBLE: "visible", Visibility.OCCLUDED: "occluded", Visibility.INVISIBLE: "invisible"}


def draw_labelled(item: LabelledPictures, *, names: bool = True) -> Picture:
    """Draw the labels of one picture or pair for a person to judge.

    A row a picture: the whole picture and, for each of the first aircraft that are small in it, the aircraft
    enlarged with the names of its keypoints. Above, what the labels say in words, and a key.

    Args:
        item: pictures and labels.
        names: write the names of the keypoints.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    aircraft = item.labels.aircraft if item.labels else ()
    small = [one for one in aircraft if _is_small(one, item.size_wh)][:MOST_ENLARGED]
    boxes_only = [_box_only(one) if one in small else one for one in aircraft]
    titled = [(title, *lifted(picture)) for title, picture in item.pictures]
    side_by_side = not small and len(titled) > 1
    count = len(titled) if side_by_side else 1 + len(small)
    canvas_wh = _canvas(item.size_wh, PANEL_WIDTHS[min(count, len(PANEL_WIDTHS)) - 1])
    views = [whole(item.size_wh, canvas_wh)]
    views += [around(one.extent() or (0, 0, 1, 1), item.size_wh, canvas_wh) for one in small]
    rows = []
    for title, picture, factor in titled:
        panels = []
        for n, view in enumerate(views):
            named = aircraft if not small else [small[n - 1]] if n else []
            shown = _named(view, picture, aircraft if n else boxes_only, named if names else [])
            panels.append(panel(_title(title, factor, view, small[n - 1] if n else None), shown))
        rows.append(panels)
    if side_by_side:
        rows = [[panels[0] for panels in rows]]
    lines = [np.hstack(joined(row, 1)) for row in rows]
    return np.vstack([_caption(item, lines[0].shape[1]), *joined(lines, 0)]).astype(np.uint8)


def draw_key(width: int) -> Picture:
    """Return a line that explains the marks."""
    strip = np.full((LINE_HEIGHT + 4, width, 3), GROUND, np.uint8)
    x = 12
    for visibility, text in ((Visibility.VISIBLE, "visible"), (Visibility.OCCLUDED, "occluded")):
        draw_marker(strip, np.array([x, 12.0]), INK, visibility, 5.0)
        x += 14 + write_line(strip, text, (x + 12, 17), 0.5, MUTED) + 18
    for name, text in (("Left", "aircraft's left"), ("Right", "right"), ("Head", "axis")):
        draw_marker(strip, np.array([x, 12.0]), keypoint_bgr(name), Visibility.VISIBLE, 5.0)
        x += 14 + write_line(strip, text, (x + 12, 17), 0.5, MUTED) + 18
    return strip


def describe(one: DrawnAircraft) -> str:
    """Return what the labels of one aircraft say, in words; occluded and invisible keypoints by name."""
    name = "aircraft" if one.group_id is None else f"aircraft {one.group_id}"
    parts = []
    if one.box_xyxy:
        width, height = one.box_xyxy[2] - one.box_xyxy[0], one.box_xyxy[3] - one.box_xyxy[1]
        parts.append(f"box {width:.0f} x {height:.0f} px")
    parts.append("outline" if one.outlines or one.rle is not None else "no outline")
    if one.crowd:
        return f"crowd ({name}): {', '.join(parts)}"
    for visibility in Visibility.VISIBLE, Visibility.OCCLUDED, Visibility.INVISIBLE:
        found = one.names(visibility)
        listed = f" ({', '.join(found)})" if visibility < Visibility.VISIBLE and 0 < len(found) < 9 else ""
        parts.append(f"{len(found)} {_WORDS[visibility]}{listed}")
    return f"{name}: {', '.join(parts)}"


def _is_small(one: DrawnAircraft, size_wh: tuple[int, int]) -> bool:
    extent = one.extent()
    if extent is None or one.crowd:
        return False
    return around(extent, size_wh, size_wh).scale >= WORTHWHILE


def _box_only(one: DrawnAircraft) -> DrawnAircraft:
    """Return the place of an aircraft that has a panel of its own: marks would only hide it here."""
    return DrawnAircraft(one.group_id, box_xyxy=one.extent())


def _canvas(size_wh: tuple[int, int], width: int) -> tuple[int, int]:
    """Return the size of a panel: as wide as asked, never higher than wide."""
    return width, min(width, max(64, round(size_wh[1] * width / size_wh[0])))


def _title(title: str, factor: float, view: View, one: DrawnAircraft | None) -> str:
    parts = [title]
    if one is not None:
        parts.append("aircraft" if one.group_id is None else f"aircraft {one.group_id}")
    parts += [f"enlarged {view.scale:.1f} times"] if view.scale > 1.05 else []
    parts += [f"made {factor:.1f} times brighter"] if factor > 1.05 else []
    return ", ".join(parts)


def _named(
    view: View, picture: Picture, aircraft: Sequence[DrawnAircraft], named: Sequence[DrawnAircraft]
) -> Picture:
    """Return a panel with all labels, and the names of the keypoints of some aircraft."""
    canvas = draw_aircraft(view.render(picture), aircraft, view)
    covered = paint_mask(aircraft, view) if named else np.zeros((1, 1), np.uint8)
    for one in named:
        covered = _write_names(canvas, one, view, covered)
    return canvas


def _write_names(canvas: Picture, one: DrawnAircraft, view: View, covered: Picture) -> Picture:
    """Write the names of one aircraft's keypoints; return what is covered now, for the next one's."""
    size = 0.4 if canvas.shape[1] <= 800 else 0.5
    width, height = view.canvas_wh
    places = {name: view(point) for name, (point, _) in one.keypoints.items()}
    points = {n: (float(x), float(y)) for n, (x, y) in places.items() if 0 <= x < width and 0 <= y < height}
    texts = {name: cv2.getTextSize(name, FONT, size, 1)[0] for name in points}
    rects = place_names(points, {n: (w + 8, h + 8) for n, (w, h) in texts.items()}, covered)
    radius = marker_radius(one, view)
    for name, rect in rects.items():
        end = np.array(leader_end(points[name], rect))
        towards = end - np.array(points[name])
        length = float(np.hypot(*towards))
        if length > radius + 2:  # from the mark's edge, so that a ring stays hollow
            start = np.array(points[name]) + towards * (radius + 1) / length
            cv2.line(canvas, _whole(start), _whole(end), keypoint_bgr(name), 1, cv2.LINE_AA)
    for name, rect in rects.items():
        left, top, right, bottom = (round(v) for v in rect)
        ground = canvas[top:bottom, left:right]
        ground[:] = (0.35 * ground + 0.65 * np.array(GROUND)).astype(np.uint8)
        cv2.putText(canvas, name, (left + 4, bottom - 5), FONT, size, keypoint_bgr(name), 1, cv2.LINE_AA)
        covered[top:bottom, left:right] = 255
    return covered


def _whole(point: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _caption(item: LabelledPictures, width: int) -> Picture:
    """Return the name of the picture, what its labels say, and the key of the marks."""
    lines, alarm = _words(item.labels)
    strip = np.full((34 + LINE_HEIGHT * len(lines), width, 3), GROUND, np.uint8)
    x = 4 + write_line(strip, item.name, (4, 24), 0.75, INK, 2) + 16
    if alarm:
        write_line(strip, alarm, (x, 24), 0.6, ALARM, 1)
    for n, line in enumerate(lines):
        write_line(strip, line, (4, 46 + LINE_HEIGHT * n), 0.5, MUTED)
    return np.vstack([strip, draw_key(width)]).astype(np.uint8)


def _words(labels: DrawnLabels | None) -> tuple[list[str], str]:
    """Return what to say below the name, and what to say beside it in red."""
    if labels is None:
        return [], "no labels"
    alarm = f"breaks a rule: {labels.problem}" if labels.problem else ""
    lines = [describe(one) for one in labels.aircraft[:6]]
    if len(labels.aircraft) > len(lines):
        lines.append(f"and {len(labels.aircraft) - len(lines)} more")
    if labels.problem:
        lines.insert(0, labels.message)
    elif not labels.aircraft:
        lines.append("skipped" if "skip" in labels.flags else "labelled: nothing in view")
    notes = [*labels.flags, *labels.warnings]
    return lines + ([f"flags and warnings: {', '.join(notes)}"] if notes else []), alarm
