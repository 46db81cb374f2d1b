"""Charts as inline SVG, drawn with the page's own colours: the sync curve, series over time, histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Mark:
    """One value of a series over time; `kind` is a verdict and becomes a CSS class."""

    x: float
    y: float | None  # None is drawn as a cross on the lower edge: there is no value
    kind: str


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low`..`high` in data to `start`..`end` in SVG units."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the SVG coordinate of a value, to a hundredth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, most: int) -> list[float]:
        """Return round values along the axis, at most `most` of them."""
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) + 0.0 for n in range(first, last + 1)]


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * 0.999999)


def padded_range(values: Iterable[float], least_span: float) -> tuple[float, float]:
    """Return a range that holds the finite values with a margin and is at least `least_span` wide."""
    finite = [v for v in values if abs(v) < 1e12]  # nan fails, too
    if not finite:
        return 0.0, least_span
    low, high = min(finite), max(finite)
    margin = max(0.08 * (high - low), (least_span - (high - low)) / 2, 1e-9 * max(abs(low), abs(high), 1e-3))
    return low - margin, high + margin


def number(value: float, step: float | None = None) -> str:
    """Return a number for a label, with as many decimals as the step between labels needs."""
    if step is None:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "−")


def sync_chart(
    lags_s: Sequence[float],
    scores: Sequence[float],
    chosen_s: float | None,
    chosen_frames: float | None = None,
    frame_s: float | None = None,
) -> Markup:
    """Draw the correlation of the motion in both streams against the offset, the chosen offset marked.

    Args:
        lags_s: offsets tried, seconds.
        scores: correlation at each, about -1..1.
        chosen_s: the offset in use, seconds; may lie outside the range tried.
        chosen_frames: the same in frames, for its label.
        frame_s: one visible frame, seconds: drawn as the width of the mark.

    Returns:
        The SVG; empty when there are fewer than two points.
    """
    points = [(x, y) for x, y in zip(lags_s, scores, strict=False) if math.isfinite(x) and math.isfinite(y)]
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return Markup("")
    width, height = 640, 220
    xs = [x for x, _ in points] + ([chosen_s] if chosen_s is not None else [])
    x_axis = Axis(*padded_range(xs, 1e-3), 52, width - 14)
    low, high = padded_range([*(y for _, y in points), 0.0], 0.2)
    y_axis = Axis(low, high, height - 40, 22)
    line = " ".join(f"{x_axis(x)},{y_axis(y)}" for x, y in points)
    base = y_axis(max(low, 0.0))
    body = [
        *_grid(x_axis, y_axis, "offset of the visible clock, s", 8),
        Markup('<polygon class="area" points="{},{} {} {},{}"/>').format(
            x_axis(points[0][0]), base, Markup(line), x_axis(points[-1][0]), base
        ),
        Markup('<polyline class="curve" points="{}"/>').format(line),
    ]
    if chosen_s is not None:
        x = x_axis(chosen_s)
        anchor = "end" if x > width - 190 else "start"
        text = f"{number(chosen_s, 0.001)} s"
        if chosen_frames is not None:
            text += f" = {number(chosen_frames, 0.01)} frames"
        if frame_s:
            left, right = (max(x_axis.start, x_axis(chosen_s - frame_s / 2)), x_axis(chosen_s + frame_s / 2))
            body.append(
                Markup('<rect class="chosen-frame" x="{}" y="22" width="{:.2f}" height="{}"/>').format(
                    left, max(0.0, min(right, x_axis.end) - left), height - 62
                )
            )
        body.append(
            Markup(
                '<line class="chosen" x1="{0}" x2="{0}" y1="22" y2="{1}"/>'
                '<text class="chosen-label" x="{2}" y="15" text-anchor="{3}">{4}</text>'
            ).format(x, height - 40, x + (-5 if anchor == "end" else 5), anchor, text)
        )
    summary = "Correlation of the motion in both streams against their offset"
    return _svg(width, height, summary, body)


def series_chart(
    title: str,
    marks: Sequence[Mark],
    *,
    least_span: float,
    from_zero: bool = False,
    wide: bool = False,
    second: Sequence[Mark] = (),
) -> Markup:
    """Draw one quantity over the clip's time, a mark per pair coloured by its verdict.

    Args:
        title: for readers that cannot see it.
        marks: in time order; x in seconds.
        least_span: smallest range of the vertical axis, so that noise does not look like a jump.
        from_zero: the vertical axis starts at 0.
        wide: twice as wide.
        second: another quantity of the same unit, drawn as a dashed line.
    """
    if not marks:
        return Markup("")
    width, height = (1180 if wide else 580), 168
    x_axis = Axis(*padded_range([m.x for m in marks], 0.1), 52, width - 12)
    low, high = padded_range([m.y for m in (*marks, *second) if m.y is not None], least_span)
    if from_zero:
        low, high = 0.0, max(high, least_span)
    y_axis = Axis(low, high, height - 38, 10)
    body = [*_grid(x_axis, y_axis, "time, s", 12 if wide else 6), *_trace(marks, x_axis, y_axis)]
    body += _trace(second, x_axis, y_axis, "second")
    for kind in dict.fromkeys(m.kind for m in marks):
        own = [m for m in marks if m.kind == kind]
        # One path a verdict: a clip may have thousands of pairs.
        dots = "".join(
            f"M{x_axis(m.x)} {y_axis(m.y)}h0" for m in own if m.y is not None and math.isfinite(m.y)
        )
        floor = y_axis(low)
        crosses = "".join(f"M{x_axis(m.x) - 3:.2f} {floor - 3:.2f}l6 6m0 -6l-6 6" for m in own if m.y is None)
        if dots:
            body.append(Markup('<path class="dots {}" d="{}"/>').format(kind, dots))
        if crosses:
            body.append(Markup('<path class="cross {}" d="{}"/>').format(kind, crosses))
    body.append(Markup('<line class="cursor" y1="10" y2="{}"/>').format(height - 38))
    return _svg(width, height, title, body, x_axis)


def histogram(values: Sequence[float], edges: Sequence[float], label: str) -> Markup:
    """Draw how many values fall between neighbouring edges; the last bar takes what lies above, too."""
    if not values or len(edges) < 2:
        return Markup("")
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(0, sum(value >= e for e in edges) - 1), len(counts) - 1)] += 1
    width, height = 580, 168
    slot = (width - 64) / len(counts)
    y_axis = Axis(0.0, max(counts) * 1.15, height - 38, 10)
    body = []
    for n, count in enumerate(counts):
        x = 52 + n * slot
        last = n == len(counts) - 1
        name = f"≥ {edges[n]:g}" if last else f"{edges[n]:g}–{edges[n + 1]:g}"
        body.append(
            Markup(
                '<rect class="bar" x="{:.2f}" y="{}" width="{:.2f}" height="{:.2f}"/>'
                '<text x="{:.2f}" y="{}" text-anchor="middle">{}</text>'
                '<text class="tick" x="{:.2f}" y="{}" text-anchor="middle">{}</text>'
            ).format(
                x + 2,
                y_axis(count),
                slot - 4,
                height - 38 - y_axis(count),
                x + slot / 2,
                y_axis(count) - 3,
                count or "",
                x + slot / 2,
                height - 23,
                name,
            )
        )
    body.append(_axis_label(52, width - 12, height, label))
    summary = ", ".join(f"{edges[n]:g}: {count}" for n, count in enumerate(counts))
    return _svg(width, height, f"{label}: {summary}", body)


def _trace(marks: Sequence[Mark], x_axis: Axis, y_axis: Axis, kind: str = "trace") -> list[Markup]:
    """Return thin lines that join neighbouring values, interrupted where there is none."""
    parts, pen = [], "M"
    for m in marks:
        if m.y is None or not math.isfinite(m.y):
            pen = "M"
            continue
        parts.append(f"{pen}{x_axis(m.x)} {y_axis(m.y)}")
        pen = "L"
    return [Markup('<path class="{}" d="{}"/>').format(kind, "".join(parts))] if parts else []


def _grid(x_axis: Axis, y_axis: Axis, label: str, most: int) -> list[Markup]:
    body = []
    x_ticks, y_ticks = x_axis.ticks(most), y_axis.ticks(4)
    x_step = x_ticks[1] - x_ticks[0] if len(x_ticks) > 1 else 0.01
    y_step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 0.01
    for value in y_ticks:
        body.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
                '<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
            ).format(
                x_axis.start,
                x_axis.end,
                x_axis.start - 6,
                y_axis(value) + 4,
                number(value, y_step),
                y=y_axis(value),
            )
        )
    for value in x_ticks:
        body.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x_axis(value), y_axis.start + 15, number(value, x_step)
            )
        )
    body.append(_axis_label(x_axis.start, x_axis.end, y_axis.start + 38, label))
    return body


def _axis_label(start: float, end: float, height: float, label: str) -> Markup:
    return Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        (start + end) / 2, height - 7, label
    )


def _svg(width: int, height: int, summary: str, body: list[Markup], x_axis: Axis | None = None) -> Markup:
    data = Markup("")
    if x_axis is not None:  # for the script that finds the pair under the pointer
        data = Markup(' data-low="{}" data-high="{}" data-start="{}" data-end="{}"').format(
            x_axis.low, x_axis.high, x_axis.start, x_axis.end
        )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"{}>{}</svg>').format(
        width, height, summary, data, Markup("").join(body)
    )
