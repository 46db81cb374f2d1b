"""Clipping outlines to the picture, against painting them on a larger canvas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vircraft.annotation.polygons import clip_to_picture, pixel_count, signed_area

W, H = 64, 48
FINE = 16  # painted pixels per pixel, so that the reference is good to about the outline's length / FINE
TOLERANCE = 0.15 * (W + H)  # px^2: a sixteenth of a pixel along the longest outline


def painted_area(polygons, inside_only: bool) -> float:
    """Area by painting on a fine canvas three pictures wide, px^2."""
    canvas = np.zeros((3 * H * FINE, 3 * W * FINE), np.uint8)
    for polygon in polygons:
        points = (np.asarray(polygon) + 0.5 + (W, H)) * FINE - 0.5
        piece = np.zeros_like(canvas)
        cv2.fillPoly(piece, [np.round(points).astype(np.int32)], 1)
        canvas |= piece
    if inside_only:
        canvas = canvas[H * FINE : 2 * H * FINE, W * FINE : 2 * W * FINE]
    return float(canvas.sum()) / FINE**2


@st.composite
def stars(draw):
    """Polygons around a point that don't cross themselves, spiky enough to be cut into several pieces."""
    count = draw(st.integers(4, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    angle = (np.arange(count) + rng.uniform(0, 1, count)) * 2 * np.pi / count
    radius = rng.uniform(3, 45, count)
    centre = rng.uniform([-10, -10], [W + 10, H + 10])
    points = centre + np.c_[np.cos(angle), np.sin(angle)] * radius[:, None]
    return np.round(points) - 0.5 if draw(st.booleans()) else points


@settings(max_examples=60, deadline=None)
@given(stars())
def test_what_remains_is_what_lies_inside(polygon):
    pieces = clip_to_picture(polygon, (W, H))
    for piece in pieces:
        assert piece.min() >= -0.5
        assert (piece.max(0) <= [W - 0.5, H - 0.5]).all()
    expected = painted_area([polygon], inside_only=True)
    assert sum(abs(signed_area(p)) for p in pieces) == pytest.approx(expected, abs=TOLERANCE)
    assert painted_area(pieces, inside_only=False) == pytest.approx(expected, abs=TOLERANCE)


def test_an_outline_inside_the_picture_is_left_alone():
    polygon = np.array([[-0.5, -0.5], [63.5, -0.5], [63.5, 47.5], [-0.5, 47.5]])
    (piece,) = clip_to_picture(polygon, (W, H))
    np.testing.assert_array_equal(piece, polygon)


def test_two_wings_that_come_in_from_outside_are_two_pieces():
    # a U whose bottom lies left of the picture
    u = np.array([[-20, 5], [30, 5], [30, 10], [-10, 10], [-10, 20], [30, 20], [30, 25], [-20, 25]]) - 0.5
    pieces = clip_to_picture(u, (W, H))
    assert sorted(abs(signed_area(p)) for p in pieces) == [150.0, 150.0]


@pytest.mark.parametrize("shift", [(-100, 0), (100, 0), (0, -100), (0, 100)])
def test_an_outline_outside_the_picture_leaves_nothing(shift):
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]]) + shift
    assert clip_to_picture(square, (W, H)) == []


def test_pixels_are_counted_from_edge_to_edge():
    square = np.array([[1.5, 2.5], [5.5, 2.5], [5.5, 7.5], [1.5, 7.5]])  # pixels 2..5 x 3..7
    assert pixel_count([square], (W, H)) == 4 * 5
    assert pixel_count([square, square + np.array([2, 0])], (W, H)) == 6 * 5
    assert pixel_count([], (W, H)) == 0
