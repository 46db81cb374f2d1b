"""Where tiles lie and how they blend."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfusion_model.inference.tiles import GRID, MARGIN, plan_spans, plan_tiles
from vircraft.errors import SettingsError


@given(st.integers(32, 5000), st.integers(6, 80).map(lambda k: 16 * k), st.integers(33, 160))
def test_spans_cover_a_side_with_weights_that_sum_to_1(length: int, size: int, overlap: int):
    overlap = min(overlap, size // 2)
    spans = plan_spans(length, size, overlap)
    total = np.zeros(length)
    for span in spans:
        assert span.weights.shape == (span.stop - span.start,)
        assert (span.weights >= 0).all()
        total[span.pixels] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert all(span.start % GRID == 0 for span in spans)
    assert all(32 <= span.stop - span.start <= size + GRID - 1 for span in spans)
    assert all(before.stop - after.start >= overlap for before, after in pairwise(spans))


def test_what_lies_beside_a_cut_gets_no_weight_but_the_pictures_border_does():
    first, *_, last = plan_spans(1000, 320, 128)
    assert (first.weights[-MARGIN:] == 0).all()
    assert (last.weights[:MARGIN] == 0).all()
    assert first.weights[0] == last.weights[-1] == 1


def test_a_picture_that_fits_is_one_tile():
    (tile,) = plan_tiles(100, 90, 100, 48)
    assert tile.place == (slice(0, 100), slice(0, 90))
    assert (tile.weights == 1).all()


def test_tiles_put_together_give_back_the_picture():
    picture = np.random.default_rng(0).random((333, 517), np.float32)
    canvas = np.zeros_like(picture)
    tiles = plan_tiles(*picture.shape, 160, 64)
    for tile in tiles:
        canvas[tile.place] += picture[tile.place] * tile.weights
    assert len(tiles) > 6
    np.testing.assert_allclose(canvas, picture, atol=1e-6)


def test_a_12_megapixel_picture_costs_a_third_more_in_tiles_of_1024():
    pixels = sum(tile.weights.size for tile in plan_tiles(3072, 4096, 1024, 128))
    assert pixels < 1.35 * 4096 * 3072


@pytest.mark.parametrize(("size", "overlap"), [(64, 40), (256, 200), (256, 20)])
def test_tiles_that_are_mostly_overlap_are_refused(size: int, overlap: int):
    with pytest.raises(SettingsError, match="pixels"):
        plan_tiles(500, 500, size, overlap)
