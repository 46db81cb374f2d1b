"""A chart as bars, lines and texts: written as SVG, painted as PNG, the same in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from markupsafe import Markup

from vircraft.report.drawing import Picture

Anchor = Literal["start", "middle", "end"]

# What a shape is for -> its colour on paper. In a page, CSS classes of the same names override it. Blue,
# orange and grey are told apart by people who see fewer colours, and in print.
COLOURS = {
    "ground": "#ffffff",
    "ink": "#1b2129",
    "muted": "#586372",
    "rule": "#d9dee5",
    "visible": "#2a6fb0",
    "occluded": "#f2a541",
    "invisible": "#c3cad3",
    "heat": "#2a6fb0",
    "on-dark": "#ffffff",
    "on-light": "#1b2129",
}
PNG_SCALE = 2
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_PX = 30.0  # height of a line of that font at size 1


@dataclass(frozen=True)
class Bar:
    """A filled rectangle; `strength` below 1 lets the ground through."""

    x: float
    y: float
    width: float
    height: float
    role: str
    strength: float = 1.0


@dataclass(frozen=True)
class Rule:
    """A thin straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    role: str = "rule"


@dataclass(frozen=True)
class Label:
    """One line of text; (x, y) is on its baseline."""

    x: float
    y: float
    text: str
    role: str = "ink"
    anchor: Anchor = "start"
    size: float = 12.0


@dataclass(frozen=True)
class Chart:
    """A drawing of a size in SVG units; `summary` is for readers who cannot see it."""

    width: int
    height: int
    summary: str
    shapes: tuple[Bar | Rule | Label, ...]


def to_svg(chart: Chart) -> Markup:
    """Return the chart as an SVG element that also stands alone as a file."""
    body = Markup("\n").join(_svg_shape(shape) for shape in chart.shapes)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="drawn" viewBox="0 0 {w} {h}" width="{w}" '
        'height="{h}" role="img" aria-label="{summary}" font-family="system-ui, sans-serif">\n'
        '<rect class="ground" width="{w}" height="{h}" fill="{ground}"/>\n{body}\n</svg>\n'
    ).format(w=chart.width, h=chart.height, summary=chart.summary, ground=COLOURS["ground"], body=body)


def to_picture(chart: Chart) -> Picture:
    """Return the chart as (H, W, 3) uint8 BGR, `PNG_SCALE` pixels a unit."""
    size = (chart.height * PNG_SCALE, chart.width * PNG_SCALE, 3)
    canvas = np.full(size, _bgr("ground"), np.uint8)
    for shape in chart.shapes:
        if isinstance(shape, Bar):
            _paint_bar(canvas, shape)
        elif isinstance(shape, Rule):
            ends = [(round(x * PNG_SCALE), round(y * PNG_SCALE)) for x, y in _ends(shape)]
            cv2.line(canvas, ends[0], ends[1], _bgr(shape.role), PNG_SCALE // 2, cv2.LINE_AA)
        else:
            _paint_label(canvas, shape)
    return canvas


def text_width(text: str, size: float = 12.0) -> float:
    """Return about how wide a text is, in SVG units."""
    return 0.58 * size * len(text)


def shortened(text: str, width: float, size: float = 12.0) -> str:
    """Return a text cut in its middle so that it fits a width."""
    most = max(4, int(width / (0.58 * size)))
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def _svg_shape(shape: Bar | Rule | Label) -> Markup:
    colour = COLOURS[shape.role]
    if isinstance(shape, Bar):
        return Markup(
            '<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" fill="{}"{}/>'
        ).format(
            *(shape.role, shape.x, shape.y, shape.width, shape.height, colour),
            Markup(' fill-opacity="{:.3f}"').format(shape.strength) if shape.strength < 1 else "",
        )
    if isinstance(shape, Rule):
        return Markup(
            '<line class="{}" x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}" stroke="{}"/>'
        ).format(shape.role, shape.x1, shape.y1, shape.x2, shape.y2, colour)
    return Markup(
        '<text class="{}" x="{:.2f}" y="{:.2f}" text-anchor="{}" font-size="{:g}" fill="{}">{}</text>'
    ).format(shape.role, shape.x, shape.y, shape.anchor, shape.size, colour, shape.text)


def _ends(rule: Rule) -> list[tuple[float, float]]:
    return [(rule.x1, rule.y1), (rule.x2, rule.y2)]


def _paint_bar(canvas: Picture, bar: Bar) -> None:
    x0, y0 = round(bar.x * PNG_SCALE), round(bar.y * PNG_SCALE)
    x1, y1 = round((bar.x + bar.width) * PNG_SCALE), round((bar.y + bar.height) * PNG_SCALE)
    part = canvas[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    part[:] = np.round(part * (1 - bar.strength) + np.array(_bgr(bar.role)) * bar.strength).astype(np.uint8)


def _paint_label(canvas: Picture, label: Label) -> None:
    # OpenCV's font knows ASCII only
    text = label.text.replace("…", "..").replace("–", "-").replace("×", "x").replace("−", "-")
    text = text.encode("ascii", "replace").decode()
    size = label.size * PNG_SCALE / _FONT_PX
    width = cv2.getTextSize(text, _FONT, size, 1)[0][0]
    left = label.x * PNG_SCALE - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    at = (round(left), round(label.y * PNG_SCALE))
    cv2.putText(canvas, text, at, _FONT, size, _bgr(label.role), 1, cv2.LINE_AA)


def _bgr(role: str) -> tuple[int, int, int]:
    value = COLOURS[role]
    return int(value[5:7], 16), int(value[3:5], 16), int(value[1:3], 16)
