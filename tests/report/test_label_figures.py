"""Figures of label statistics: the same shapes as SVG and as PNG, with the right numbers in them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.statistics import LabelledAircraft, count_keypoints
from vircraft.report.chart import COLOURS, PNG_SCALE, Bar, Chart, Label, shortened, to_picture, to_svg
from vircraft.report.label_figures import groups_chart, keypoint_chart, places_chart, sizes_chart

SVG = "{http://www.w3.org/2000/svg}"


def one(visible: int, occluded: int, x: float = 20.0, clip: str = "a") -> LabelledAircraft:
    """An aircraft whose first keypoints are visible, the next occluded, the rest invisible."""
    words = [Visibility.VISIBLE] * visible + [Visibility.OCCLUDED] * occluded
    words += [Visibility.INVISIBLE] * (9 - len(words))
    box = (x, 30.0, x + 40.0, 50.0)
    return LabelledAircraft("p", clip, "", 1, (160, 128), box, 700.0, tuple(words))


AIRCRAFT = [one(9, 0), one(5, 2, 60.0), one(0, 0, 100.0)]


def bars(svg: str, role: str) -> list[float]:
    return [float(r.get("width", 0)) for r in ET.fromstring(svg).iter(f"{SVG}rect") if r.get("class") == role]


def texts(svg: str) -> list[str]:
    return [t.text or "" for t in ET.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_counts():
    svg = to_svg(keypoint_chart(count_keypoints("all", AIRCRAFT)))
    full = bars(svg, "visible")[1] / 2 * 3  # Head: 2 of 3 visible; the first bar is the column's colour
    assert bars(svg, "visible")[1:] == pytest.approx(
        [full * n / 3 for n in (2, 2, 2, 2, 2, 1, 1, 1, 1)], abs=0.02
    )
    assert bars(svg, "occluded")[1:] == pytest.approx([full / 3] * 2, abs=0.02)
    assert bars(svg, "invisible")[1:] == pytest.approx(
        [full * n / 3 for n in (1, 1, 1, 1, 1, 1, 1, 2, 2)], abs=0.02
    )


def test_every_number_can_be_read_also_where_its_bar_has_no_room():
    many = [one(9, 0)] * 5000 + [one(0, 0)]
    found = texts(to_svg(keypoint_chart(count_keypoints("all", many))))
    assert found.count("5,000") == 18  # in the bar and beside it
    assert found.count("1") == 9  # beside it only
    assert [t for t in found if t in KEYPOINTS] == list(KEYPOINTS)


def test_groups_have_a_row_each_and_long_names_are_shortened():
    groups = [count_keypoints(name, AIRCRAFT) for name in ("short", "x" * 80)]
    chart = groups_chart(groups, "clip")
    found = texts(to_svg(chart))
    assert "short" in found
    assert any("…" in text for text in found)
    assert found.count("67") == 10  # 2 of 3 visible: five keypoints in two rows


def test_more_groups_than_a_figure_holds_are_counted():
    chart = groups_chart([count_keypoints(f"clip{n}", AIRCRAFT) for n in range(1000)], "clip")
    assert chart.height < 6000
    assert "and 800 more" in texts(to_svg(chart))


@pytest.mark.parametrize("aircraft", [[], [one(9, 0)], AIRCRAFT, [one(9, 0)] * 3])
def test_any_set_of_aircraft_can_be_drawn(aircraft):
    charts = [keypoint_chart(count_keypoints("all", aircraft)), sizes_chart(aircraft), places_chart(aircraft)]
    for chart in charts:
        svg = to_svg(chart)
        ET.fromstring(svg)
        assert "nan" not in svg
        picture = to_picture(chart)
        assert picture.shape == (chart.height * PNG_SCALE, chart.width * PNG_SCALE, 3)
        assert (picture < 128).any()


def test_nothing_is_drawn_outside_the_figure():
    for chart in (
        keypoint_chart(count_keypoints("all", AIRCRAFT)),
        sizes_chart(AIRCRAFT),
        places_chart(AIRCRAFT),
    ):
        for shape in chart.shapes:
            if isinstance(shape, Bar):
                assert shape.x >= 0
                assert shape.x + shape.width <= chart.width
                assert shape.y + shape.height <= chart.height


def test_svg_and_png_have_the_same_bars():
    chart = Chart(40, 20, "two bars", (Bar(2, 3, 10, 5, "visible"), Bar(20, 3, 8, 12, "occluded", 0.5)))
    picture = to_picture(chart)
    blue = tuple(int(COLOURS["visible"][k : k + 2], 16) for k in (5, 3, 1))
    assert tuple(picture[3 * PNG_SCALE, 2 * PNG_SCALE]) == blue
    assert tuple(picture[8 * PNG_SCALE - 1, 12 * PNG_SCALE - 1]) == blue
    assert tuple(picture[8 * PNG_SCALE, 12 * PNG_SCALE]) == (255, 255, 255)
    orange = np.array([int(COLOURS["occluded"][k : k + 2], 16) for k in (5, 3, 1)])
    assert picture[10, 50].tolist() == pytest.approx(((orange + 255) / 2).tolist(), abs=1)
    assert bars(to_svg(chart), "visible") == [10]


def test_text_is_escaped():
    svg = to_svg(Chart(10, 10, '<a>"', (Label(1, 1, "<script>&"),)))
    assert "<script>" not in svg
    assert texts(svg) == ["<script>&"]


def test_a_shortened_name_keeps_both_ends():
    assert shortened("approach", 200) == "approach"
    cut = shortened("approach_with_a_long_name_000120", 100)
    assert cut.startswith("approa")
    assert cut.endswith("0120")
