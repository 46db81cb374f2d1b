"""Write a table of scores: every picture as CSV, the means as Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fgfusion_model.metrics import Metric
from fgfusion_model.scoring.table import ScoreTable
from vircraft.files import write_atomically

CSV_NAME, MARKDOWN_NAME = "scores.csv", "scores.md"


def write_scores(table: ScoreTable, folder: Path) -> tuple[Path, ...]:
    """Write `scores.csv` and `scores.md` into a folder, each whole or not at all; return their paths.

    Raises:
        DatasetError: the folder cannot be written.
    """
    files = {CSV_NAME: scores_csv(table), MARKDOWN_NAME: scores_markdown(table)}
    for name, text in files.items():
        write_atomically(folder / name, text.encode())
    return tuple(folder / name for name in files)


def scores_csv(table: ScoreTable) -> str:
    """Return a row for every picture and method; a value that is not defined is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("picture", "method", *(metric.name for metric in table.metrics)))
    for picture, rows in zip(table.pictures, table.values, strict=True):
        for method, row in zip(table.methods, rows, strict=True):
            writer.writerow((picture, method, *("" if math.isnan(v) else f"{v:.6f}" for v in row)))
    return text.getvalue()


def scores_markdown(table: ScoreTable) -> str:
    """Return the means with the best and second best marked, and below them the intervals."""
    low, high = table.intervals
    percent = f"{table.settings.confidence:.0%}"
    lines = [
        f"{_count(table)}, convention `{table.settings.convention}`. Means; **best**, "
        f"<u>second best</u>; `=` marks what cannot be told from the best ({percent} interval of the paired "
        "differences holds 0).",
        "",
        *_rows(table, lambda m, k: marked(table, m, k)),
        "",
        f"{percent} intervals of the means, bootstrap over pictures ({table.settings.resamples} resamples, "
        f"seed {table.settings.seed}):",
        "",
        *_rows(table, lambda m, k: _range(table.metrics[k], float(low[m, k]), float(high[m, k]))),
    ]
    partial = [m.name for k, m in enumerate(table.metrics) if table.counts[:, k].max() < len(table.pictures)]
    if partial:
        counts = {name: int(table.counts[0, k]) for k, name in _indexed(table) if name in partial}
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        lines += ["", f"Pictures that have a value: {listed}."]
    if table.failures:
        lines += ["", f"Left out ({len(table.failures)}):", ""]
        lines += [f"- {failure.message} [{failure.reason}]" for failure in table.failures]
    return "\n".join(lines) + "\n"


def scores_json(table: ScoreTable) -> dict[str, Any]:
    """Return the means, intervals and ranks as plain values; what is not defined or infinite is None."""
    low, high = table.intervals
    methods = {
        method: {
            metric.name: {
                "mean": _plain(table.means[m, k]),
                "low": _plain(low[m, k]),
                "high": _plain(high[m, k]),
                "place": int(table.places[m, k]),
                "level_with_best": bool(table.level_with_best[m, k]),
                "pictures": int(table.counts[m, k]),
            }
            for k, metric in enumerate(table.metrics)
        }
        for m, method in enumerate(table.methods)
    }
    return {
        "convention": table.settings.convention,
        "confidence": table.settings.confidence,
        "pictures": list(table.pictures),
        "methods": methods,
        "lower_is_better": [metric.name for metric in table.metrics if metric.lower_is_better],
        "failures": [{"picture": f.name, "reason": f.reason, "message": f.message} for f in table.failures],
    }


def shown(metric: Metric, value: float) -> str:
    """Return a value with the metric's decimals; nothing for nan."""
    return "" if math.isnan(value) else f"{value:.{metric.decimals}f}"


def marked(table: ScoreTable, method: int, metric: int) -> str:
    """Return a mean as Markdown: best bold, second best underlined, `=` for what is level with the best."""
    text = shown(table.metrics[metric], float(table.means[method, metric]))
    place = int(table.places[method, metric])
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(place, text)
    return f"{text} =" if place > 1 and table.level_with_best[method, metric] else text


def _rows(table: ScoreTable, cell: Callable[[int, int], str]) -> list[str]:
    names = [f"{m.name} (lower)" if m.lower_is_better else m.name for m in table.metrics]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for m, method in enumerate(table.methods):
        cells = " | ".join(cell(m, k) for k in range(len(names)))
        lines.append(f"| {method.replace('|', chr(92) + '|')} | {cells} |")
    return lines


def _range(metric: Metric, low: float, high: float) -> str:
    return "" if np.isnan(low) else f"{shown(metric, low)} - {shown(metric, high)}"


def _indexed(table: ScoreTable) -> list[tuple[int, str]]:
    return [(k, metric.name) for k, metric in enumerate(table.metrics)]


def _count(table: ScoreTable) -> str:
    return f"{len(table.pictures)} picture{'' if len(table.pictures) == 1 else 's'}"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
