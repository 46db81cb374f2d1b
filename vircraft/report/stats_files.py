"""The statistics of labels as files: CSV, figures as SVG and PNG, and one page that needs nothing else."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vircraft import __version__
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.statistics import KeypointCounts, LabelStatistics, centre_heat, size_quartiles
from vircraft.files import encode_png, write_atomically
from vircraft.report.chart import Chart, to_picture, to_svg
from vircraft.report.environment import TEMPLATES, make_environment
from vircraft.report.label_figures import groups_chart, keypoint_chart, places_chart, sizes_chart

KEYPOINT_COLUMNS = ("group", "keypoint", "visible", "occluded", "invisible")
BOX_COLUMNS = (
    *("picture", "clip", "split", "group_id", "picture_width", "picture_height"),
    *("x", "y", "width", "height", "area", "share_of_picture", "mask_pixels", "centre_x", "centre_y"),
)
SIZE_COLUMNS = ("quantity", "count", "least", "lower_quartile", "median", "upper_quartile", "most")
PLACE_COLUMNS = ("x_from", "x_to", "y_from", "y_to", "aircraft")
FAILURE_COLUMNS = ("file", "reason", "shape", "message")


def write_statistics(statistics: LabelStatistics, folder: Path, title: str) -> list[Path]:
    """Write what the labels hold into a folder, which is made when missing.

    `keypoints.csv` (a row a keypoint and group), `boxes.csv` (a row an aircraft; x, y, width and height in
    pixels counted from the picture's edge, as in COCO), `sizes.csv`, `places.csv`, `left_out.csv` (files that
    break a rule), the figures `keypoints`, `groups`, `sizes` and `places` as SVG and PNG, and `stats.html`.

    Returns:
        The files, the page last.

    Raises:
        DatasetError: the disk is full or read-only.
    """
    tables = {
        "keypoints.csv": _csv(KEYPOINT_COLUMNS, keypoint_rows(statistics)),
        "boxes.csv": _csv(BOX_COLUMNS, box_rows(statistics)),
        "sizes.csv": _csv(SIZE_COLUMNS, _size_rows(statistics)),
        "places.csv": _csv(PLACE_COLUMNS, _place_rows(statistics)),
        "left_out.csv": _csv(FAILURE_COLUMNS, _failure_rows(statistics)),
    }
    charts = figures(statistics)
    contents = {name: _bytes(text) for name, text in tables.items()}
    for name, chart in charts.items():
        contents[f"{name}.svg"] = _bytes(to_svg(chart))
        contents[f"{name}.png"] = encode_png(to_picture(chart))
    contents["stats.html"] = _bytes(statistics_page(statistics, charts, title))
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def figures(statistics: LabelStatistics) -> dict[str, Chart]:
    """Return the figures by name; that of the groups only where there are some."""
    charts = {"keypoints": keypoint_chart(statistics.everything)}
    if statistics.groups:
        charts["groups"] = groups_chart(statistics.groups, str(statistics.grouping))
    charts["sizes"] = sizes_chart(statistics.aircraft)
    charts["places"] = places_chart(statistics.aircraft)
    return charts


def statistics_page(statistics: LabelStatistics, charts: dict[str, Chart], title: str) -> str:
    """Return the page, with its style and figures inside."""
    environment = make_environment()
    return environment.get_template("stats.html.j2").render(
        version=__version__,
        title=title,
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        stats=statistics,
        everything=statistics.everything,
        rows=list(zip(KEYPOINTS, statistics.everything.counts, strict=True)),
        sizes=_size_rows(statistics),
        figures={name: to_svg(chart) for name, chart in charts.items()},
        failures=_failure_rows(statistics),
        readable=readable,
    )


def readable(value: float | None) -> str:
    """Return a number for people: four digits, thousands separated; a dash when there is none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def keypoint_rows(statistics: LabelStatistics) -> list[list[Any]]:
    """Return the rows of `keypoints.csv`: all aircraft first, then each group."""
    return [row for counts in (statistics.everything, *statistics.groups) for row in _counts_rows(counts)]


def box_rows(statistics: LabelStatistics) -> list[list[Any]]:
    """Return the rows of `boxes.csv`."""
    rows = []
    for one in statistics.aircraft:
        left, top = one.box_xyxy[0] + 0.5, one.box_xyxy[1] + 0.5
        width, height, area, share, mask_px = one.quantities()
        numbers = [left, top, width, height, area, share, mask_px, *one.centre_share]
        names = [one.picture, one.clip, one.split, one.group_id, *one.size_wh]
        rows.append([*names, *(None if v is None else round(v, 6) for v in numbers)])
    return rows


def _counts_rows(counts: KeypointCounts) -> list[list[Any]]:
    return [[counts.group, name, *row] for name, row in zip(KEYPOINTS, counts.counts, strict=True)]


def _size_rows(statistics: LabelStatistics) -> list[list[Any]]:
    rows = []
    for q in size_quartiles(statistics.aircraft):
        values = (q.least, q.lower, q.median, q.upper, q.most)
        rows.append([q.quantity, q.count, *(None if math.isnan(v) else round(v, 6) for v in values)])
    return rows


def _place_rows(statistics: LabelStatistics) -> list[list[Any]]:
    """Return the fields of the heat map; edges as shares of the picture's width and height."""
    heat = centre_heat(statistics.aircraft)
    rows, columns = heat.shape
    return [
        [
            *(round(column / columns, 6), round((column + 1) / columns, 6)),
            *(round(row / rows, 6), round((row + 1) / rows, 6), int(count)),
        ]
        for (row, column), count in np.ndenumerate(heat)
    ]


def _failure_rows(statistics: LabelStatistics) -> list[list[Any]]:
    return [[one.name, one.reason, one.shape, one.message] for one in statistics.failures]


def _bytes(text: str) -> bytes:
    """Return a text as UTF-8; bytes in names of files that are none are escaped."""
    return text.encode("utf-8", "backslashreplace")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
