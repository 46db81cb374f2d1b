"""The side-by-side sheet of a scoring job: what the methods make of some pairs, in their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.baselines import BASELINES
from fgfusion_model.colour import with_colour
from fgfusion_model.inference.picture_files import Appearance, read_picture, survey, visible_full
from fgfusion_model.scoring.job import all_methods
from fgfusion_model.scoring.pictures import ScoredPair, Sources, match_fused, read_scored_pair
from fgfusion_model.scoring.table import ScoreTable
from fgfusion_model.sheet import SheetRow, SheetSettings, fit, spread, write_pages


def write_sheets(
    table: ScoreTable,
    methods: Mapping[str, Path],
    sources: Sources,
    folder: Path,
    settings: SheetSettings | None = None,
) -> list[Path]:
    """Write pages of pairs that were scored, evenly spread; old pages are overwritten.

    Args:
        table: what `score_folders` returned.
        methods: name to folder, as scored.
        sources: as scored.
        folder: where `sheet_01.png`, ... go.
        settings: how many pairs, and how large.

    Raises:
        DatasetError: the folder cannot be written.
        PictureError: a picture changed since it was scored.
    """
    settings = settings or SheetSettings()
    pairs, _ = match_fused(sources, methods)
    appearance = survey([pair.sources for pair in pairs])
    scored = [pair for pair in pairs if pair.name in set(table.pictures)]
    chosen = [scored[i] for i in spread(len(scored), settings.pairs)]
    paths: list[Path] = []
    for start in range(0, len(chosen), settings.rows):
        rows = [
            _row(pair, appearance, settings.cell_width_px) for pair in chosen[start : start + settings.rows]
        ]
        columns = ("infrared", "visible", *table.methods)
        paths += write_pages(folder, columns, rows, settings, first=len(paths) + 1)
    return paths


def _row(pair: ScoredPair, appearance: Appearance, width: int) -> SheetRow:
    read = read_scored_pair(pair, appearance)
    visible = _eight_bit(visible_full(read_picture(pair.sources.visible), appearance))
    fused = all_methods(read)
    baselines = [with_colour(fused[name][0, 0].numpy() / 255, visible) for name in BASELINES]
    own = [_eight_bit(read_picture(path)) for path in pair.fused.values()]
    pictures: Sequence[NDArray[Any]] = (read.infrared, visible, *baselines, *own)
    return SheetRow(pair.name, [fit(picture, width) for picture in pictures])  # a page of them in memory


def _eight_bit(picture: NDArray[Any]) -> NDArray[np.uint8]:
    if picture.dtype == np.uint16:
        return np.rint(picture / 257).astype(np.uint8)
    return picture
