"""Figures of what labels hold: keypoint visibility (the paper's Fig. 8), sizes and places of aircraft."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.statistics import KeypointCounts, LabelledAircraft, centre_heat
from vircraft.report.chart import Bar, Chart, Label, Rule, shortened, text_width

VISIBILITIES = ("visible", "occluded", "invisible")
WIDTH = 980
MOST_GROUPS = 200  # rows of one figure; `keypoints.csv` has them all
_TEXT_ON = {"visible": "on-dark", "occluded": "on-light", "invisible": "on-light"}
_LEFT = 110  # of the bars
_ROW = 30
_NUMBERS = 64  # width of a column of numbers


def keypoint_chart(counts: KeypointCounts, title: str = "") -> Chart:
    """Draw how often each keypoint is visible, occluded and invisible: one bar each, numbers beside it."""
    right = WIDTH - 3 * _NUMBERS - 28
    title = title or f"Visibility of the keypoints, {_aircraft(counts.aircraft)}"
    shapes: list[Bar | Rule | Label] = [Label(12, 24, title, size=15)]
    for n, name in enumerate(VISIBILITIES):
        x = right + 12 + (n + 1) * _NUMBERS
        shapes += [Label(x, 48, name, "muted", "end"), Bar(x - _NUMBERS + 8, 53, _NUMBERS - 8, 4, name)]
    rows = [*zip(KEYPOINTS, counts.counts, strict=True)]
    bottom = 64 + len(rows) * _ROW
    shapes += _share_axis(_LEFT, right, 64, bottom)
    for n, (name, row) in enumerate(rows):
        y = 64 + n * _ROW
        shapes.append(Label(_LEFT - 10, y + 18, name, anchor="end"))
        shapes += _stack(row, counts.aircraft, (_LEFT, y + 3, right - _LEFT, _ROW - 8))
        shapes += [
            Label(right + 12 + (k + 1) * _NUMBERS, y + 18, f"{v:,}", anchor="end") for k, v in enumerate(row)
        ]
    summary = "; ".join(f"{name}: {v} visible, {o} occluded, {i} invisible" for name, (v, o, i) in rows)
    return Chart(WIDTH, bottom + 34, f"{title}. {summary}", tuple(shapes))


def groups_chart(groups: Sequence[KeypointCounts], word: str) -> Chart:
    """Draw the same for several clips or splits: a row a group, a small bar a keypoint.

    The number in a bar is the share that is visible, per cent.
    """
    left, count, cell = 190, 60, (WIDTH - 190 - 60 - 12) / len(KEYPOINTS)
    title = f"Visible, occluded and invisible keypoints by {word}"
    shapes: list[Bar | Rule | Label] = [Label(12, 24, title, size=15), *_key(WIDTH - 12, 24)]
    shapes.append(Label(left + count - 12, 52, "aircraft", "muted", "end", 11))
    for n, name in enumerate(KEYPOINTS):
        shapes.append(Label(left + count + (n + 0.5) * cell, 52, name, "muted", "middle", 11))
    for k, group in enumerate(groups[:MOST_GROUPS]):
        y = 62 + k * 26
        shapes.append(Label(12, y + 15, shortened(group.group, left - 60)))
        shapes.append(Label(left + count - 12, y + 15, f"{group.aircraft:,}", anchor="end"))
        for n, row in enumerate(group.counts):
            place = (left + count + n * cell + 3, y + 2, cell - 6, 18)
            shapes += _stack(row, group.aircraft, place, per_cent=True)
    shown = groups[:MOST_GROUPS]
    bottom = 62 + 26 * len(shown)
    if len(shown) < len(groups):
        shapes.append(Label(12, bottom + 15, f"and {len(groups) - len(shown):,} more", "muted"))
        bottom += 26
    rows = "; ".join(f"{g.group}: {g.total[0]} visible of {9 * g.aircraft}" for g in shown)
    return Chart(WIDTH, bottom + 10, f"{title}. {rows}", tuple(shapes))


def sizes_chart(aircraft: Sequence[LabelledAircraft]) -> Chart:
    """Draw how wide and high the boxes are and how much of the picture they take, as three histograms."""
    width = WIDTH / 3
    columns = (
        ("box width, px", [one.box_wh[0] for one in aircraft]),
        ("box height, px", [one.box_wh[1] for one in aircraft]),
        ("share of the picture, %", [100 * one.box_share for one in aircraft]),
    )
    title = f"Sizes of the boxes, {_aircraft(len(aircraft))}"
    shapes: list[Bar | Rule | Label] = [Label(12, 24, title, size=15)]
    texts = []
    for n, (name, values) in enumerate(columns):
        if values:
            shapes += _histogram(n * width + 12, (n + 1) * width - 12, name, values)
            texts.append(f"{name}: median {np.median(values):.3g}")
    return Chart(WIDTH, 240, f"{title}. {'; '.join(texts)}", tuple(shapes))


def places_chart(aircraft: Sequence[LabelledAircraft]) -> Chart:
    """Draw where the centres of the boxes lie in the picture, as a heat map with counts."""
    heat = centre_heat(aircraft)
    rows, columns = heat.shape
    size, left, top = 36, 12, 42
    title = f"Centres of the boxes in the picture, {_aircraft(len(aircraft))}"
    shapes: list[Bar | Rule | Label] = [Label(12, 24, title, size=15)]
    most = max(1, int(heat.max()))
    for (row, column), count in np.ndenumerate(heat):
        if count:
            strength = 0.15 + 0.85 * float(count) / most
            x, y = left + column * size, top + row * size
            shapes.append(Bar(x, y, size, size, "heat", strength))
            role = "on-dark" if strength > 0.55 else "ink"
            shapes.append(Label(x + size / 2, y + size / 2 + 4, f"{count}", role, "middle", 11))
    right, bottom = left + columns * size, top + rows * size
    for x1, y1, x2, y2 in (
        (left, top, right, top),
        (left, bottom, right, bottom),
        (left, top, left, bottom),
        (right, top, right, bottom),
    ):
        shapes.append(Rule(x1, y1, x2, y2, "muted"))
    shapes.append(Label(left, bottom + 18, "the frame is the picture, whatever its size", "muted", size=11))
    return Chart(right + 12, bottom + 30, f"{title}, {columns} by {rows} fields", tuple(shapes))


def _aircraft(count: int) -> str:
    return f"{count:,} aircraft"


def _stack(
    row: tuple[int, int, int], total: int, place: tuple[float, float, float, float], per_cent: bool = False
) -> list[Bar | Rule | Label]:
    """Return one bar of three parts; the count in each part that has room, or the visible share."""
    x, y, width, height = place
    shapes: list[Bar | Rule | Label] = []
    for name, count in zip(VISIBILITIES, row, strict=True):
        part = width * count / max(1, total)
        if not count:
            continue
        shapes.append(Bar(x, y, part, height, name))
        text = f"{count:,}"
        if not per_cent and text_width(text) + 8 < part:
            shapes.append(Label(x + part / 2, y + height / 2 + 4, text, _TEXT_ON[name], "middle"))
        x += part
    if per_cent and total:
        seen = width * row[0] / total
        text = f"{100 * row[0] / total:.0f}"
        fits = seen > text_width(text, 11) + 8  # in the visible part, else behind it
        at = place[0] + (5 if fits else seen + 4)
        shapes.append(Label(at, y + height / 2 + 4, text, "on-dark" if fits else "on-light", size=11))
    return shapes


def _share_axis(left: float, right: float, top: float, bottom: float) -> list[Bar | Rule | Label]:
    shapes: list[Bar | Rule | Label] = []
    for per_cent in (0, 25, 50, 75, 100):
        x = left + (right - left) * per_cent / 100
        shapes.append(Rule(x, top, x, bottom + 5))
        shapes.append(Label(x, bottom + 19, f"{per_cent} %", "muted", "middle", 11))
    return shapes


def _key(right: float, y: float) -> list[Bar | Rule | Label]:
    """Return the three colours and their names, ending at `right`."""
    shapes: list[Bar | Rule | Label] = []
    x = right
    for name in reversed(VISIBILITIES):
        x -= text_width(name)
        shapes.append(Label(x, y, name, "muted"))
        shapes.append(Bar(x - 17, y - 10, 11, 11, name))
        x -= 32
    return shapes


def _histogram(left: float, right: float, name: str, values: Sequence[float]) -> list[Bar | Rule | Label]:
    """Return a histogram with its quartiles marked below."""
    top, bottom = 60.0, 190.0
    low, high = float(min(values)), float(max(values))
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(values, bins=min(24, max(6, round(len(values) ** 0.5))), range=(low, high))
    step = (right - left) / len(counts)
    shapes: list[Bar | Rule | Label] = [Rule(left, bottom, right, bottom, "muted")]
    for n, count in enumerate(counts):
        height = (bottom - top) * float(count) / max(1, int(counts.max()))
        shapes.append(Bar(left + n * step + 1, bottom - height, step - 2, height, "visible"))
    shapes.append(Label(left, 50, f"{name}; highest bar {int(counts.max()):,}", "muted", size=11))
    shapes += [
        Label(left, bottom + 17, f"{low:.3g}", "muted", "start", 11),
        Label(right, bottom + 17, f"{high:.3g}", "muted", "end", 11),
    ]
    quarter, middle, three = (float(v) for v in np.percentile(values, (25, 50, 75)))
    x = [left + (right - left) * (v - low) / (high - low) for v in (quarter, middle, three)]
    shapes += [Bar(x[0], bottom + 24, max(1.0, x[2] - x[0]), 7, "invisible")]
    shapes += [Bar(x[1] - 1, bottom + 22, 2, 11, "ink")]
    text = f"median {middle:.3g}, middle half {quarter:.3g} – {three:.3g}"
    shapes.append(Label((left + right) / 2, bottom + 46, text, "muted", "middle", 11))
    return shapes
