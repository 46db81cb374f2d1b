"""The report's pages: an index over all clips and a page for each clip, static, with relative links."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from vircraft import __version__
from vircraft.dataset import picture_path
from vircraft.files import write_atomically
from vircraft.report import words
from vircraft.report.drawing import edge_overlay
from vircraft.report.environment import TEMPLATES, make_environment
from vircraft.report.figures import Mark, histogram, series_chart, sync_chart
from vircraft.report.media import MEDIA, MEDIA_KINDS, media_path, read_picture, write_media
from vircraft.report.model import (
    ClipView,
    DatasetView,
    PairView,
    count_verdicts,
    doubt,
    median,
    read_dataset_view,
    table_of,
)

DOUBTFUL_ON_INDEX = 8
ERROR_EDGES_PX = (0, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 10)
_STREAM_FACTS = (
    ("size_wh", "size"),
    ("rate_fps", "frames per second"),
    ("frame_count", "frames"),
    ("duration_s", "duration, s"),
    ("start_time_s", "start time, s"),
    ("codec", "codec"),
    ("pixel_format", "pixel format"),
    ("bit_depth", "bit depth"),
    ("rotation_deg", "rotation, degrees"),
    ("palette", "false-colour map"),
    ("lost_count", "lost frames"),
    ("doubled_count", "doubled frames"),
    ("late_count", "late frames"),
)


def write_report(dataset_root: Path) -> Path:
    """Write `report/index.html` and a page for each clip from what the dataset holds.

    Pictures that are missing are made again where the dataset has both frames of the pair. Pages and
    pictures of clips and pairs that are gone are removed.

    Args:
        dataset_root: the dataset's folder.

    Returns:
        The path of the index.

    Raises:
        DatasetError: no dataset is there, or the report cannot be written.
    """
    report_dir = dataset_root / "report"
    view = read_dataset_view(dataset_root)
    if _complete_media(dataset_root, view):
        view = read_dataset_view(dataset_root)
    environment = _environment()
    clip_template = environment.get_template("clip.html.j2")
    pages = {}
    for n, clip in enumerate(view.clips):
        neighbours = {
            "before": view.clips[n - 1] if n else None,
            "after": view.clips[n + 1] if n + 1 < len(view.clips) else None,
        }
        pages[clip.page] = clip_template.render(data=view, root="../", **_clip_context(clip), **neighbours)
    for name in ("report.css", "report.js"):
        write_atomically(report_dir / name, (TEMPLATES / name).read_bytes())
    for page, text in pages.items():
        write_atomically(report_dir / page, text.encode())
    _remove_orphans(report_dir, view)
    index = report_dir / "index.html"
    text = environment.get_template("index.html.j2").render(data=view, root="", **_index_context(view))
    write_atomically(index, text.encode())
    return index


def _environment() -> Environment:
    environment = make_environment()
    environment.globals.update(
        version=__version__,
        signs=words.VERDICT_SIGNS,
        verdict_words=words.VERDICT_WORDS,
        skip_words=words.SKIP_WORDS,
        reason_words=words.reason_words,
        sync_facts=sync_facts,
    )
    return environment


def _index_context(view: DatasetView) -> dict[str, Any]:
    errors = [p.record.predicted_error_px for p in view.pairs if p.record.predicted_error_px is not None]
    return {
        "counts": count_verdicts(view.pairs),
        "median_error": median(list(errors)),
        "median_region_error": median([p.record.predicted_region_error_px for p in view.pairs]),
        "doubtful": _doubtful(view),
        "error_histogram": histogram(errors, ERROR_EDGES_PX, "predicted corner error, infrared pixels"),
        "provenance": _provenance(view),
    }


def _doubtful(view: DatasetView) -> list[tuple[ClipView, PairView]]:
    """Return pairs of all clips to look at: rejected and kept ones, half of each where there are enough."""
    pairs = sorted(((clip, pair) for clip in view.clips for pair in clip.pairs), key=lambda e: doubt(e[1]))
    rejected = [entry for entry in pairs if not entry[1].registered]
    kept = [entry for entry in pairs if entry[1].registered]
    share = max(DOUBTFUL_ON_INDEX // 2, DOUBTFUL_ON_INDEX - len(kept))
    return [*rejected[:share], *kept][:DOUBTFUL_ON_INDEX]


def _clip_context(clip: ClipView) -> dict[str, Any]:
    probe = clip.journal.clip.probe if clip.journal.clip else {}
    return {
        "clip": clip,
        "streams": _stream_rows(table_of(probe, "infrared"), table_of(probe, "visible")),
        "sync": sync_facts(clip),
        "sync_chart": _sync_chart(clip),
        "charts": _pose_charts(clip.pairs),
    }


def sync_facts(clip: ClipView) -> dict[str, str]:
    """Return what synchronisation decided, in words and with units."""
    sync = clip.sync
    frames, offset_s, confidence = (_number(sync.get(k)) for k in ("offset_frames", "offset_s", "confidence"))
    drift = _number(sync.get("drift_ppm"))
    source = str(sync.get("source", ""))
    seconds = "" if offset_s is None else f"{offset_s:+.4f} s between the presentation times"
    return {
        "frames": "unknown" if frames is None else f"{frames:.2f}".replace("-", "−"),
        "seconds": seconds.replace("-", "−"),
        "source": words.SOURCE_WORDS.get(source, source or "not recorded"),
        "confidence": "" if confidence is None else f"{confidence:.2f}",
        "sure": "" if confidence is None else words.confidence_words(confidence),
        "drift": f"{abs(drift):.0f} ppm {'faster' if drift > 0 else 'slower'}" if drift else "",
    }


def _sync_chart(clip: ClipView) -> Markup:
    sync = clip.sync
    lags, scores = sync.get("curve_lags_s") or (), sync.get("curve_score") or ()
    numbers = [
        (float(x), float(y)) for x, y in zip(lags, scores, strict=False) if x is not None and y is not None
    ]
    probe = clip.journal.clip.probe if clip.journal.clip else {}
    rate = _number(table_of(probe, "visible").get("rate_fps"))
    return sync_chart(
        [x for x, _ in numbers],
        [y for _, y in numbers],
        _number(sync.get("offset_s")),
        _number(sync.get("offset_frames")),
        1 / rate if rate else None,
    )


def _pose_charts(pairs: tuple[PairView, ...]) -> list[tuple[str, str, Markup]]:
    """Return (title, unit, chart) for each part of the pose; the predicted error comes last."""
    if not pairs:
        return []
    poses = [pose(pair) for pair in pairs]
    parts = (
        ("Scale", "infrared pixels per visible pixel, at the centre", 0.02),
        ("Rotation", "degrees, clockwise on the screen", 0.5),
        ("Centre, across", "visible x shown at the infrared centre, px", 10.0),
        ("Centre, down", "visible y shown at the infrared centre, px", 10.0),
    )
    charts = []
    for n, (title, unit, span) in enumerate(parts):
        values = [None if p is None else p[n] for p in poses]
        charts.append(
            (title, unit, series_chart(f"{title} over time", _marks(pairs, values), least_span=span))
        )
    errors = [pair.record.predicted_error_px for pair in pairs]
    region = [pair.record.predicted_region_error_px for pair in pairs]
    chart = series_chart(
        "Predicted error over time",
        _marks(pairs, errors),
        least_span=4.0,
        from_zero=True,
        wide=True,
        second=_marks(pairs, region),
    )
    unit = "mean of the four infrared corners, infrared pixels"
    if any(value is not None for value in region):
        unit += "; dashed: over the structure that both pictures show"
    return [*charts, ("Predicted error", unit, chart)]


def pose(pair: PairView) -> tuple[float, float, float, float] | None:
    """Return scale, rotation in degrees and the visible point (x, y) at the centre of the infrared picture.

    Scale and rotation are those of the homography's derivative there; None without a homography.
    """
    h = pair.record.homography
    if h is None:
        return None
    centre_ir = np.array([(n - 1) / 2 for n in pair.record.infrared_wh] + [1.0])
    try:
        x, y, w = np.linalg.solve(h, centre_ir)
    except np.linalg.LinAlgError:
        return None
    x, y = x / w, y / w
    u, v, w = h @ (x, y, 1.0)
    jacobian = (h[:2, :2] - np.outer((u / w, v / w), h[2, :2])) / w
    scale = math.sqrt(abs(np.linalg.det(jacobian)))
    rotation_deg = math.degrees(math.atan2(jacobian[1, 0] - jacobian[0, 1], jacobian[0, 0] + jacobian[1, 1]))
    return scale, rotation_deg, float(x), float(y)


def _marks(pairs: tuple[PairView, ...], values: Iterable[float | None]) -> list[Mark]:
    return [
        Mark(p.record.infrared_time_s, value, p.record.verdict)
        for p, value in zip(pairs, values, strict=True)
    ]


def _stream_rows(infrared: Mapping[str, Any], visible: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for key, label in _STREAM_FACTS:
        if infrared.get(key) or visible.get(key):
            rows.append((label, _fact(infrared.get(key)), _fact(visible.get(key))))
    return rows


def _fact(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return " × ".join(str(v) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _provenance(view: DatasetView) -> list[tuple[str, list[tuple[str, str]]]]:
    tables = (("Settings", view.dataset.settings), ("Versions", view.dataset.software))
    shown = [(title, list(_flat(table))) for title, table in tables if table]
    inputs = [
        (f"{clip.name} {kind}", f"{facts.get('name', '')} {facts.get('blake2b', '')}")
        for clip in view.clips
        if clip.journal.clip is not None
        for kind, facts in clip.journal.clip.inputs.items()
    ]
    return [*shown, ("Input files and their hashes", inputs)] if inputs else shown


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", "–" if value is None else str(value)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _complete_media(root: Path, view: DatasetView) -> bool:
    """Make the report's pictures that are missing and can be made from the dataset; True when one was."""
    made = False
    for pair in view.pairs:
        if not pair.registered or pair.edges:
            continue
        pair_id = pair.record.id
        infrared = read_picture(picture_path(root, "infrared", pair_id))
        visible = read_picture(picture_path(root, "visible", pair_id))
        if infrared is None or visible is None or infrared.shape[:2] != visible.shape[:2]:
            continue
        write_media(root / "report", pair_id, "edges", edge_overlay(infrared, visible))
        write_media(root / "report", pair_id, "infrared", None if infrared.dtype == np.uint8 else infrared)
        made = True
    return made


def _remove_orphans(report_dir: Path, view: DatasetView) -> None:
    """Remove pages and pictures of clips and pairs that are gone; leave all while a journal is unreadable."""
    if any(failure.reason == "damaged-journal" for failure in view.failures):
        return
    pages = {Path(clip.page).name for clip in view.clips}
    known = {media_path(report_dir, pair.record.id, kind).name for pair in view.pairs for kind in MEDIA_KINDS}
    for folder, pattern, kept in (("clips", "*.html", pages), (MEDIA, "*.jpg", known)):
        for path in (report_dir / folder).glob(pattern):
            if path.name not in kept:
                path.unlink(missing_ok=True)
