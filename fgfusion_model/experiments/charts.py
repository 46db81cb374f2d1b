"""A chart of a table's main score: a line a method, a dot a seed, the mean with its spread."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fgfusion_model.experiments.tables import Entry, Table

SCALE = 2  # everything is drawn twice as large and brought down: smooth edges
LABEL_PX, PLOT_PX, RIGHT_PX, LINE_PX, TOP_PX, BOTTOM_PX = 190, 560, 110, 34, 44, 40
INK, GREY, PALE, PAPER = (30, 30, 30), (130, 130, 130), (225, 225, 225), (255, 255, 255)
ACCENT, BEST = (70, 105, 150), (190, 75, 40)
TICKS = 6  # at most


def draw_chart(table: Table) -> NDArray[np.uint8]:
    """Return a chart, (H, W, 3) BGR: small dots are seeds, large ones means, bars one standard deviation.

    A hollow diamond is the paper's figure. The axis is in per cent and need not begin at 0.
    """
    entries = [row.entries[table.main] for row in table.rows]
    size = (LABEL_PX + PLOT_PX + RIGHT_PX, TOP_PX + LINE_PX * len(entries) + BOTTOM_PX)
    image = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), PAPER)
    chart = _Chart(image, *axis(entries))
    chart.text(12, 14, f"Tab. {table.number}: {table.title}, {table.columns[table.main]}, per cent", 15)
    chart.ticks(TOP_PX, size[1] - BOTTOM_PX)
    for number, (row, entry) in enumerate(zip(table.rows, entries, strict=True)):
        chart.row(TOP_PX + LINE_PX * number + LINE_PX // 2, row.name, entry)
    small = image.resize(size, Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(small)[..., ::-1])


def axis(entries: Sequence[Entry]) -> tuple[float, float, float]:
    """Return the lowest and highest tick and the step between, per cent: round numbers around all values."""
    shown = [100 * value for entry in entries for value in _extent(entry)]
    low, high = min(shown), max(shown)
    span = max(high - low, 0.5)
    step = next(s for s in _round_steps() if span / s <= TICKS - 1)
    first = math.floor(low / step + 1e-9)
    return first * step, max(first + 1, math.ceil(high / step - 1e-9)) * step, step


def _round_steps() -> Iterator[float]:
    """Yield 0.1, 0.2, 0.5, 1, ... without end."""
    return (factor * 10.0**power for power in itertools.count(-1) for factor in (1, 2, 5))


def _extent(entry: Entry) -> list[float]:
    values = list(entry.values)
    if values and not math.isnan(entry.std):
        values += _bar(entry)
    return values if entry.published is None else [*values, entry.published]


def _bar(entry: Entry) -> list[float]:
    """Return the ends of a bar of one standard deviation; shares beyond 0 and 1 there are none."""
    low, high = entry.mean - entry.std, entry.mean + entry.std
    return [max(low, min(0.0, *entry.values)), min(high, max(1.0, *entry.values))]


class _Chart:
    def __init__(self, image: Image.Image, low: float, high: float, step: float) -> None:
        self.draw, self.low, self.high, self.step = ImageDraw.Draw(image), low, high, step

    def x(self, share: float) -> float:
        return LABEL_PX + PLOT_PX * (100 * share - self.low) / (self.high - self.low)

    def text(self, x: float, y: float, text: str, size: int, fill: Any = INK, anchor: str = "la") -> None:
        font = ImageFont.load_default(size * SCALE)
        self.draw.text((x * SCALE, y * SCALE), text, fill=fill, font=font, anchor=anchor)

    def line(self, a: tuple[float, float], b: tuple[float, float], fill: Any, width: int = 1) -> None:
        self.draw.line([tuple(v * SCALE for v in p) for p in (a, b)], fill=fill, width=width * SCALE)

    def dot(self, x: float, y: float, radius: float, fill: Any) -> None:
        box = [(x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE]
        self.draw.ellipse(box, fill=fill)

    def ticks(self, top: float, bottom: float) -> None:
        for number in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + number * self.step
            x = self.x(value / 100)
            self.line((x, top), (x, bottom), PALE)
            self.text(x, bottom + 8, f"{value:g}", 12, GREY, "ma")

    def row(self, y: float, name: str, entry: Entry) -> None:
        self.text(LABEL_PX - 12, y, _short(name), 14, INK, "rm")
        if entry.published is not None:
            x, r = self.x(entry.published) * SCALE, 5 * SCALE
            diamond = [(x - r, y * SCALE), (x, y * SCALE - r), (x + r, y * SCALE), (x, y * SCALE + r)]
            self.draw.polygon(diamond, outline=GREY, fill=PAPER, width=SCALE)
        if not entry.values:
            self.text(LABEL_PX + 8, y, "no result", 12, GREY, "lm")
            return
        colour = BEST if entry.place == 1 else ACCENT
        if not math.isnan(entry.std):
            low, high = map(self.x, _bar(entry))
            self.line((low, y), (high, y), colour, 2)
        for value in entry.values:
            self.dot(self.x(value), y, 2.5, GREY)
        self.dot(self.x(entry.mean), y, 5, colour)
        spread = "" if math.isnan(entry.std) else f" ± {100 * entry.std:.2f}"
        self.text(LABEL_PX + PLOT_PX + 14, y, f"{100 * entry.mean:.2f}{spread}", 12, colour, "lm")


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
