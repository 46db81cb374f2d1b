"""Charts as inline SVG: well formed, in range, nothing but numbers in them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vircraft.report.figures import Axis, Mark, histogram, padded_range, series_chart, sync_chart

finite = st.floats(-1e6, 1e6, allow_nan=False)
kinds = st.sampled_from(["accepted", "coarse_only", "rejected"])


def coordinates(svg: str) -> list[float]:
    """All x coordinates of dots, lines and curves."""
    return [float(x) for x in re.findall(r"[ML](-?[\d.]+) ", svg)]


@given(st.lists(st.builds(Mark, finite, st.none() | finite, kinds), min_size=1, max_size=30))
def test_any_series_is_well_formed_and_stays_inside(marks):
    svg = series_chart("Scale over time", marks, least_span=0.1)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert "nan" not in svg
    assert "inf" not in svg
    assert all(0 <= x <= 580 for x in coordinates(svg))


def test_every_value_is_drawn_once_and_missing_ones_are_crosses():
    marks = [
        Mark(0, 1.0, "accepted"),
        Mark(1, None, "rejected"),
        Mark(2, 3.0, "accepted"),
        Mark(3, 2, "human"),
    ]
    svg = series_chart("t", marks, least_span=1)
    assert len(re.findall(r"h0", svg)) == 3
    assert svg.count('class="cross rejected"') == 1
    # the line is interrupted where there is no pose
    trace = re.search(r'class="trace" d="([^"]+)"', svg)
    assert trace is not None
    assert re.sub(r"[^ML]", "", trace[1]) == "MML"


def test_the_chosen_offset_is_marked_at_its_place_on_the_curve():
    svg = sync_chart([-1.0, 0.0, 1.0], [0.1, 0.9, 0.2], 0.0, 0.0, 0.04)
    peak = svg.split('class="curve" points="')[1].split(" ")[1].split(",")[0]
    assert f'class="chosen" x1="{peak}" x2="{peak}"' in svg
    assert "0.000 s = 0.00 frames" in svg


def test_an_offset_outside_the_range_tried_is_still_in_the_picture():
    svg = sync_chart([-1.0, 0.0, 1.0], [0.1, 0.9, 0.2], 7.5, None, None)
    x = float(svg.split('class="chosen" x1="')[1].split('"')[0])
    assert 52 <= x <= 640
    ET.fromstring(svg)


@pytest.mark.parametrize(("lags", "scores"), [((), ()), ((0.0,), (1.0,)), ((0.0, 0.0), (1.0, 1.0))])
def test_no_curve_no_chart(lags, scores):
    assert sync_chart(lags, scores, 0.0) == ""


def test_no_pairs_no_charts():
    assert series_chart("t", [], least_span=1) == ""
    assert histogram([], (0, 1, 2), "px") == ""


def test_a_histogram_counts_every_value():
    svg = histogram([0.1, 0.5, 1.5, 7.0, 99.0], (0, 1, 2, 4), "px")
    root = ET.fromstring(svg)
    counts = [t.text for t in root.iter("text") if not t.get("class")]
    assert counts == ["2", "1", "2"]


def test_labels_are_escaped():
    svg = series_chart('<script>"&', [Mark(0, 1.0, "accepted")], least_span=1)
    assert "<script>" not in svg
    assert ET.fromstring(svg).get("aria-label") == '<script>"&'


@given(finite, st.floats(1e-6, 1e6), st.integers(2, 12))
def test_ticks_are_few_and_inside(low, span, most):
    axis = Axis(low, low + span, 0, 100)
    if axis.high - axis.low < span / 2:  # lost to rounding
        return
    ticks = axis.ticks(most)
    assert len(ticks) <= most + 1
    slack = 1e-6 * max(span, abs(low), 1)
    assert all(axis.low - slack <= t <= axis.high + slack for t in ticks)


@given(st.lists(st.floats(), max_size=9), st.floats(1e-3, 10))
def test_a_range_is_never_empty(values, span):
    low, high = padded_range(values, span)
    assert math.isfinite(low)
    assert high > low
