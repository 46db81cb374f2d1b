"""Masks: PNGs of every kind in label files, run lengths against pycocotools and NumPy."""

from __future__ import annotations

import base64
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from contract_files import (
    SQUARE,
    H,
    W,
    annotation_record,
    chunk,
    decoded,
    document,
    in_base64,
    keypoint,
    mask,
    png,
    read,
    refusal,
    shape,
)
from vircraft.annotation import masks

many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RNG = np.random.default_rng(1)
BLOB = cv2.GaussianBlur(RNG.random((40, 50)), (0, 0), 3) > 0.5


def record(root, *shapes):
    found = read(root, document(*shapes))
    (annotation,) = found.annotations
    return annotation_record(annotation), set(found.warnings)


def on_picture(pixels, at) -> np.ndarray:
    """Paint a mask on a canvas three pictures wide; return the picture in its middle."""
    canvas = np.zeros((3 * H, 3 * W), bool)
    x, y = at[0] + W, at[1] + H
    canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    return canvas[H : 2 * H, W : 2 * W]


def box_of(pixels) -> list[int]:
    y, x = np.nonzero(pixels)
    return [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]


def encoded(pixels) -> masks.Rle:
    rle = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


# -- in label files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [1, 255])
def test_a_mask_comes_out_to_the_bit(tmp_path, on):
    found, warnings = record(tmp_path, mask(BLOB * np.uint8(on), (30, 20)), keypoint())
    expected = on_picture(BLOB, (30, 20))
    np.testing.assert_array_equal(decoded(found["segmentation"]), expected)
    assert found["segmentation"]["size"] == [H, W]
    assert (found["area"], found["bbox"]) == (BLOB.sum(), box_of(expected))
    assert (found["num_keypoints"], found["iscrowd"], warnings) == (1, 0, set())


@pytest.mark.parametrize(
    "at", [(-10, 5), (W - 20, 5), (5, -7), (5, H - 30), (-10, -10), (W - 1, H - 1), (-49, -39)]
)
def test_a_mask_partly_outside_is_clipped(tmp_path, at):
    full = np.ones_like(BLOB)
    found, warnings = record(tmp_path, mask(full * np.uint8(255), at))
    expected = on_picture(full, at)
    np.testing.assert_array_equal(decoded(found["segmentation"]), expected)
    assert (found["area"], found["bbox"], warnings) == (expected.sum(), box_of(expected), {"clipped"})


def test_a_mask_that_only_has_empty_parts_outside_is_not_clipped(tmp_path):
    pixels = np.zeros((20, 20), np.uint8)
    pixels[10:, 10:] = 255
    found, warnings = record(tmp_path, mask(pixels, (-10, -10)))
    assert (found["bbox"], found["area"], warnings) == ([0, 0, 10, 10], 100, set())


@pytest.mark.parametrize("at", [(0, 0), (W - 1, H - 1), (0, H - 1), (80, 64)])
def test_a_mask_of_one_pixel(tmp_path, at):
    found, _ = record(tmp_path, mask(np.full((1, 1), 255, np.uint8), at))
    assert (found["area"], found["bbox"]) == (1, [*at, 1, 1])


def test_a_mask_of_the_whole_picture(tmp_path):
    found, warnings = record(tmp_path, mask(np.ones((H, W), np.uint8), (0, 0)))
    assert (found["area"], found["bbox"], warnings) == (W * H, [0, 0, W, H], set())


PIXELS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]], bool)
BITS = b"".join(b"\0" + bytes([row]) for row in (0b01100000, 0b10000000, 0b00100000))


def bytes_of(values: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in values)


def colours(*one: int, off: tuple[int, ...] = (0, 0, 0, 0), dtype=np.uint8) -> bytes:
    values = np.zeros((3, 3, len(one)), dtype)
    values[:] = off[: len(one)]
    values[PIXELS] = one
    return bytes_of(values.astype(np.dtype(dtype).newbyteorder(">")))


PALETTE = chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255, 0, 255, 0]))
KINDS = {
    "1 bit grey": png((3, 3), BITS, 1),
    "8 bit grey": png((3, 3), colours(255)),
    "8 bit grey of 1": png((3, 3), colours(1)),
    "16 bit grey": png((3, 3), colours(65535, dtype=np.uint16), 16),
    "16 bit grey of 1": png((3, 3), colours(1, dtype=np.uint16), 16),
    "16 bit grey of 256": png((3, 3), colours(256, dtype=np.uint16), 16),
    "grey and alpha": png((3, 3), colours(255, 255, off=(0, 255)), 8, 4),
    "colour": png((3, 3), colours(0, 0, 9), 8, 2),
    "16 bit colour": png((3, 3), colours(0, 65535, 0, dtype=np.uint16), 16, 2),
    "colour and alpha": png((3, 3), colours(255, 255, 255, 255, off=(0, 0, 0, 255)), 8, 6),
    "palette of 1 bit": png((3, 3), BITS, 1, 3, PALETTE),
    "palette": png((3, 3), colours(2), 8, 3, PALETTE),
    "a text beside": png((3, 3), BITS, 1, 0, chunk(b"tEXt", b"Title\0mask") + chunk(b"eXIf", b"II*\0")),
}


@pytest.mark.parametrize("content", KINDS.values(), ids=KINDS)
def test_a_mask_is_what_is_not_zero_in_any_png(tmp_path, content):
    found, _ = record(tmp_path, shape(points=[[10, 20], [12, 22]], kind="mask", mask=in_base64(content)))
    np.testing.assert_array_equal(decoded(found["segmentation"]), on_picture(PIXELS, (10, 20)))


def test_base64_may_have_line_breaks(tmp_path):
    text = base64.encodebytes(KINDS["8 bit grey"]).decode()
    assert "\n" in text
    assert (
        record(tmp_path, shape(points=[[10, 20], [12, 22]], kind="mask", mask=text))[0]["area"]
        == PIXELS.sum()
    )


GOOD = KINDS["8 bit grey"]
BOMB = zlib.compress(bytes(50_000_000))
JPEG = bytes(cv2.imencode(".jpg", np.ones((3, 3), np.uint8))[1])
BAD = {
    "absent": None,
    "empty": "",
    "no base64": "!!!notbase64",
    "a letter too few": in_base64(GOOD)[:-3],
    "characters": "航空機",
    "a lone surrogate": "\ud800",
    "no PNG": in_base64(b"GIF89a" + bytes(99)),
    "a JPEG": in_base64(JPEG),
    "a data URL": "data:image/png;base64," + in_base64(GOOD),
    "only a signature": in_base64(GOOD[:8]),
    "cut off in the header": in_base64(GOOD[:20]),
    "cut off in the pixels": in_base64(GOOD[:45]),
    "rows missing": in_base64(png((3, 3), colours(255)[:5])),
    "no pixels": in_base64(png((3, 3), None)),
    "broken data": in_base64(GOOD[:41] + b"\xff\xff" + GOOD[43:]),
    "wider": in_base64(png((4, 3), bytes(15))),
    "higher": in_base64(png((3, 4), bytes(16))),
    "of no size": in_base64(png((0, 0), None)),
    "a header of 60,000 x 60,000": in_base64(png((60_000, 60_000), None)),
    "a text bomb": in_base64(png((3, 3), BITS, 1, 0, chunk(b"zTXt", b"a\0\0" + BOMB))),
    "a profile bomb": in_base64(png((3, 3), BITS, 1, 0, chunk(b"iCCP", b"a\0\0" + BOMB))),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_mask_is_a_bad_mask(tmp_path, text):
    error = refusal(tmp_path, document(shape(points=[[10, 20], [12, 22]], kind="mask", mask=text)))
    assert (error.reason, error.shape) == ("bad-mask", 0)


@pytest.mark.parametrize(
    "points",
    [
        [[10, 20], [13, 23]],  # half-open, as if the second point were outside
        [[10, 20], [12, 23]],
        [[12, 22], [10, 20]],  # turned round
        [[10, 20], [10, 20]],
        [[0, 0], [8192, 8192]],
        [[-1e6, -1e6], [1e6, 1e6]],
    ],
)
def test_corners_that_do_not_fit_are_a_bad_mask(tmp_path, points):
    found = shape(points=points, kind="mask", mask=in_base64(GOOD))
    assert refusal(tmp_path, document(found)).reason == "bad-mask"


def test_noise_is_a_bad_mask(tmp_path):
    side = 2048
    rows = (b"\0" + b"\xaa" * (side // 8) + b"\0" + b"\x55" * (side // 8)) * (side // 2)
    found = shape(points=[[0, 0], [side - 1] * 2], kind="mask", mask=in_base64(png((side, side), rows, 1)))
    (tmp_path / "im.png").write_bytes(png((side, side), None))
    content = document(found, imageHeight=side, imageWidth=side)
    assert refusal(tmp_path, content).reason == "bad-mask"


@pytest.mark.parametrize("points", [[], [[10, 20]], [[10, 20], [11, 21], [12, 22]]])
def test_a_mask_has_two_points(tmp_path, points):
    found = shape(points=points, kind="mask", mask=in_base64(GOOD))
    assert refusal(tmp_path, document(found)).reason == "degenerate-shape"


@pytest.mark.parametrize(
    ("pixels", "at"), [(np.zeros((9, 9)), (5, 5)), (np.eye(9) * 255, (-9, 5)), (np.eye(9), (5, H))]
)
def test_a_mask_without_pixels_in_the_picture_is_empty(tmp_path, pixels, at):
    error = refusal(tmp_path, document(shape(group=2), mask(pixels.astype(np.uint8), at)))
    assert (error.reason, error.shape) == ("empty-mask", 1)


def test_masks_polygons_and_holes_are_joined(tmp_path):
    hole = np.zeros((30, 30), np.uint8)
    hole[5:25, 10:20] = 1
    found, _ = record(
        tmp_path,
        mask(BLOB * np.uint8(255), (90, 10)),
        shape(),
        mask(hole, (80, 30), flags={"hole": True}),
        shape(points=[[20, 20], [30, 20], [30, 30], [20, 30]], flags={"hole": True}),
    )
    expected = on_picture(BLOB, (90, 10))
    expected[20:100, 20:100] = True
    expected &= ~on_picture(hole, (80, 30))
    expected[20:30, 20:30] = False
    np.testing.assert_array_equal(decoded(found["segmentation"]), expected)
    assert found["area"] == expected.sum()
    assert found["bbox"] == [20, 10, 120, 90]  # of polygon and mask together


def test_a_mask_as_hole_that_takes_everything_leaves_an_empty_mask(tmp_path):
    found = document(shape(), mask(np.ones((H, W), np.uint8), (0, 0), flags={"hole": True}))
    assert refusal(tmp_path, found).reason == "empty-mask"


def test_a_drawn_box_comes_before_the_mask(tmp_path):
    box = shape(points=SQUARE[::2], kind="rectangle")
    assert record(tmp_path, mask(BLOB * np.uint8(1), (30, 20)), box)[0]["bbox"] == [20, 20, 80, 80]


@many
@given(
    arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.integers(-14, W + 2),
    st.integers(-14, H + 2),
)
def test_any_mask_comes_out_to_the_bit(tmp_path, pixels, x, y):
    expected = on_picture(pixels, (x, y))
    drawn = mask(pixels.astype(np.uint8) * 255, (x, y))
    if not expected.any():
        assert refusal(tmp_path, document(drawn)).reason == "empty-mask"
        return
    found, warnings = record(tmp_path, drawn)
    np.testing.assert_array_equal(decoded(found["segmentation"]), expected)
    assert (found["area"], found["bbox"]) == (expected.sum(), box_of(expected))
    assert ("clipped" in warnings) == (expected.sum() < pixels.sum())


# -- run lengths -------------------------------------------------------------------------------------

bitmaps = array_shapes(min_dims=2, max_dims=2, max_side=20).flatmap(lambda size: arrays(bool, size))
pairs = array_shapes(min_dims=2, max_dims=2, max_side=20).flatmap(lambda size: arrays(bool, (3, *size)))


@many
@given(bitmaps)
def test_run_lengths_agree_with_pycocotools(pixels):
    height, width = pixels.shape
    rle = encoded(pixels)
    np.testing.assert_array_equal(masks.decode(rle), pixels)
    found = masks.from_pixels(pixels, (0, 0), (width, height))
    assert found == rle
    assert masks.from_toggles(masks.toggles(rle), (width, height)) == rle
    assert masks.area(rle) == pixels.sum()
    if pixels.any():
        x, y, w, h = box_of(pixels)
        assert masks.extent(rle) == (x, y, x + w, y + h)
    else:
        assert masks.extent(rle) is None


@many
@given(pairs)
def test_union_and_difference_are_those_of_pixels(pixels):
    a, b, c = pixels
    rles = [encoded(v) for v in pixels]
    np.testing.assert_array_equal(decoded(masks.union(rles)), a | b | c)
    np.testing.assert_array_equal(decoded(masks.subtract(rles[0], rles[1:])), a & ~b & ~c)
    assert masks.subtract(rles[0], []) == rles[0]


@many
@given(bitmaps, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_part_of_a_mask_lies_where_it_belongs(pixels, left, top, right, bottom):
    whole = np.pad(pixels, ((top, bottom), (left, right)))
    found = masks.from_pixels(pixels, (left, top), whole.shape[::-1])
    np.testing.assert_array_equal(decoded(found), whole)


@many
@given(st.lists(st.integers(0, (1 << 28) - 1), min_size=1, max_size=20))
def test_long_runs_are_read_as_they_are_written(runs):
    counts = masks.compressed_counts(np.array(runs))
    assert list(masks.run_lengths(counts)) == list(masks.run_lengths(counts.encode())) == runs


@many
@given(
    st.lists(st.integers(0, (1 << 28) - 1), min_size=1, max_size=3)
    | st.lists(st.integers(0, 10**6), min_size=1)
)
def test_runs_are_compressed_as_pycocotools_does(runs):
    total = sum(runs)
    expected = coco_mask.frPyObjects({"size": [total, 1], "counts": runs}, total, 1)["counts"]
    assert masks.compressed_counts(np.array(runs)).encode() == expected


@many
@given(st.lists(st.tuples(st.floats(0, 7200), st.floats(0, 7200)), min_size=3, max_size=8))
def test_polygons_in_a_large_picture_are_painted_as_pycocotools_does(points):
    side = 7200  # more than 3 * 2^24 pixels
    flat = [v for point in points for v in point]
    expected = coco_mask.frPyObjects([flat], side, side)[0]
    assert masks.paint([flat], (side, side)) == {**expected, "counts": expected["counts"].decode()}


@pytest.mark.parametrize("counts", ["o", "0o", "~~", "0 0", "é", "\x7f", "@", "PP"])
def test_counts_that_stand_for_nothing_are_refused(counts):
    with pytest.raises(ValueError, match="counts"):
        masks.run_lengths(counts)


@many
@given(bitmaps)
def test_a_mask_png_is_what_was_drawn(pixels):
    found = cv2.imdecode(np.frombuffer(masks.encode_mask_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, pixels * np.uint8(255))
