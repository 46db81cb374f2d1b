"""Side-by-side sheets: a row for each pair, a column for each source and method, as PNG pages.

"Look at a sheet of twenty before you believe a table."
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vircraft.files import encode_png, write_atomically

Picture = NDArray[np.uint8]

GAP_PX, HEADER_PX, CAPTION_PX = 4, 24, 16
WIDEST_PAGE_PX = 3200
MOST_ENLARGED = 2.0  # small pictures are not blown up further
INK, PAPER = (20, 20, 20), (250, 250, 250)


@dataclass(frozen=True)
class SheetSettings:
    """How pages look."""

    pairs: int = 20  # rows on all pages, evenly spread over what there is
    rows: int = 5  # on a page
    cell_width_px: int = 400  # less when the columns would make a page wider than 3200 pixels


@dataclass(frozen=True, eq=False)
class SheetRow:
    """A row: its caption and one picture a column, (H, W) or (H, W, 3) BGR, uint8, of any size."""

    caption: str
    pictures: Sequence[NDArray[Any]]


def spread(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` indices of `count` things, evenly spread, the first and the last among them."""
    if count <= wanted:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, wanted).round()] if wanted > 1 else [0]


def fit(picture: NDArray[Any], width: int) -> Picture:
    """Return a picture as BGR at the cell's width, or as wide as `MOST_ENLARGED` lets it be."""
    scale = min(width / picture.shape[1], MOST_ENLARGED)
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    colour = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.resize(colour, size, interpolation=how), np.uint8)


def draw_page(columns: Sequence[str], rows: Sequence[SheetRow], settings: SheetSettings) -> Picture:
    """Return a page, (H, W, 3) BGR; every row is as high as its highest picture at the cell's width."""
    width = _cell_width(len(columns), settings)
    bands = [_band([fit(picture, width) for picture in row.pictures], width) for row in rows]
    page_wh = (
        GAP_PX + len(columns) * (width + GAP_PX),
        HEADER_PX + sum(CAPTION_PX + band.shape[0] for band in bands),
    )
    page = np.full((page_wh[1], page_wh[0], 3), PAPER, np.uint8)
    texts = [((GAP_PX + c * (width + GAP_PX), 4), name, 15) for c, name in enumerate(columns)]
    top = HEADER_PX
    for row, band in zip(rows, bands, strict=True):
        texts.append(((GAP_PX, top), row.caption, 11))
        page[top + CAPTION_PX : top + CAPTION_PX + band.shape[0], : band.shape[1]] = band
        top += CAPTION_PX + band.shape[0]
    return _write(page, texts, width)


def write_pages(
    folder: Path, columns: Sequence[str], rows: Sequence[SheetRow], settings: SheetSettings, first: int = 1
) -> list[Path]:
    """Write rows as `sheet_01.png`, ... and return the paths.

    Raises:
        DatasetError: the folder cannot be written.
    """
    paths: list[Path] = []
    for start in range(0, len(rows), settings.rows):
        paths.append(folder / f"sheet_{first + len(paths):02d}.png")
        write_atomically(
            paths[-1], encode_png(draw_page(columns, rows[start : start + settings.rows], settings))
        )
    return paths


def _cell_width(columns: int, settings: SheetSettings) -> int:
    return max(64, min(settings.cell_width_px, (WIDEST_PAGE_PX - GAP_PX) // columns - GAP_PX))


def _band(pictures: Sequence[Picture], width: int) -> Picture:
    height = max(picture.shape[0] for picture in pictures)
    band = np.full((height + GAP_PX, GAP_PX + len(pictures) * (width + GAP_PX), 3), PAPER, np.uint8)
    for column, picture in enumerate(pictures):
        left = GAP_PX + column * (width + GAP_PX)
        band[: picture.shape[0], left : left + picture.shape[1]] = picture
    return band


def _write(page: Picture, texts: Sequence[tuple[tuple[int, int], str, int]], width: int) -> Picture:
    canvas = Image.fromarray(page)
    draw = ImageDraw.Draw(canvas)
    for place, text, size in texts:
        font = ImageFont.load_default(size)
        shown = text
        while len(shown) > 1 and draw.textlength(shown, font=font) > width:
            shown = shown[:-2] + "…" if shown.endswith("…") else shown[:-1] + "…"
        draw.text(place, shown, fill=INK, font=font)
    return np.asarray(canvas)
