"""Contact sheets: many labelled pictures on one page, for review at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vircraft.annotation.keypoints import Visibility
from vircraft.report.drawing import Picture, lifted
from vircraft.report.label_picture import draw_key
from vircraft.report.labelled import LabelledPictures
from vircraft.report.layout import ALARM, GAP, GROUND, INK, MUTED, joined, write_line
from vircraft.report.marks import DrawnAircraft, draw_aircraft
from vircraft.report.views import View, around, whole

CELL_WH = (400, 300)
COLUMNS = 4  # pictures across a page
ROWS = 5
TEXT_HEIGHT = 44
MARGIN = 0.12  # of the aircraft's longer side, around it


def draw_contact_sheets(items: Iterable[LabelledPictures]) -> Iterator[Picture]:
    """Yield pages of labelled pictures, (H, W, 3) uint8 BGR each.

    Each picture is cut around its aircraft and enlarged to one size. A pair's pictures stand side by side.

    Args:
        items: what to draw, in order; only a page's worth is held at a time.
    """
    cells: list[Picture] = []
    across = 1  # pictures in a cell; a rejected pair has one where the others have two
    for item in items:
        cells.append(draw_cell(item))
        across = max(across, len(item.pictures))
        columns = max(1, COLUMNS // across)
        if len(cells) >= columns * ROWS:
            yield _page(cells, columns)
            cells = []
    if cells:
        yield _page(cells, max(1, COLUMNS // across))


def draw_cell(item: LabelledPictures) -> Picture:
    """Return one picture, or a pair side by side, with its name and what is missing below it."""
    aircraft = item.labels.aircraft if item.labels else ()
    view = _view(aircraft, item.size_wh)
    shown = [draw_aircraft(view.render(lifted(p)[0]), aircraft, view) for _, p in item.pictures]
    row = np.hstack(joined(shown, 1))
    text = np.full((TEXT_HEIGHT, row.shape[1], 3), GROUND, np.uint8)
    write_line(text, item.name, (2, 16), 0.45, INK)
    words, is_alarm = _words(item)
    write_line(text, words, (2, 35), 0.42, ALARM if is_alarm else MUTED)
    return np.vstack([row, text]).astype(np.uint8)


def _view(aircraft: Sequence[DrawnAircraft], size_wh: tuple[int, int]) -> View:
    """Return the view that holds all aircraft."""
    extents = [extent for one in aircraft if (extent := one.extent()) is not None]
    if not extents:
        return whole(size_wh, CELL_WH)
    x0, y0, x1, y1 = zip(*extents, strict=True)
    box = (
        *(max(-0.5, min(x0)), max(-0.5, min(y0))),
        *(min(size_wh[0] - 0.5, max(x1)), min(size_wh[1] - 0.5, max(y1))),
    )
    if box[2] <= box[0] or box[3] <= box[1]:  # all of it outside, in a file that breaks a rule
        return whole(size_wh, CELL_WH)
    return around(box, size_wh, CELL_WH, MARGIN)


def _words(item: LabelledPictures) -> tuple[str, bool]:
    labels = item.labels
    if labels is None:
        return "no labels", True
    if labels.problem:
        return f"breaks a rule: {labels.problem}", True
    if not labels.aircraft:
        return "skipped" if "skip" in labels.flags else "nothing in view", False
    single = [one for one in labels.aircraft if not one.crowd]
    counts = [sum(one.count(v) for one in single) for v in reversed(Visibility)]
    parts = [f"{len(labels.aircraft)} aircraft"] if len(labels.aircraft) > 1 else []
    parts.append(f"{counts[0]} visible, {counts[1]} occluded, {counts[2]} invisible")
    if len(single) == 1 and 0 < counts[2] < 9:
        parts.append(", ".join(single[0].names(Visibility.INVISIBLE)))
    parts += labels.flags
    return "; ".join(parts), False


def _page(cells: Sequence[Picture], columns: int) -> Picture:
    height, width = cells[0].shape[0], max(cell.shape[1] for cell in cells)
    padded = [
        np.full((height, width, 3), GROUND, np.uint8) for _ in range(-(-len(cells) // columns) * columns)
    ]
    for place, cell in zip(padded, cells, strict=False):
        place[:, : cell.shape[1]] = cell
    rows = [np.hstack(joined(padded[n : n + columns], 1)) for n in range(0, len(padded), columns)]
    page = np.vstack([draw_key(rows[0].shape[1]), *joined(rows, 0)])
    sheet = np.full((page.shape[0] + 2 * GAP, page.shape[1] + 2 * GAP, 3), GROUND, np.uint8)
    sheet[GAP:-GAP, GAP:-GAP] = page
    return sheet
