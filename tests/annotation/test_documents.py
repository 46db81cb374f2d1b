"""The bytes of a label file: encodings, broken JSON, wrong types, coordinates that no picture has."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract_files import SQUARE, H, W, changed, document, good, keypoint, read, refusal, shape, write
from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.rules import read_annotations

GOOD = json.dumps(good())
LONG = "1" * 5000
HEAD = '"label": "Head"'


def with_point(text: str) -> str:
    """Return a good file whose keypoint 9 has these numbers, written as they are."""
    return GOOD.replace(json.dumps(good()["shapes"][9]["points"]), f"[[{text}]]")


ENCODINGS = {
    "utf-16": (GOOD.encode("utf-16"), "bad-encoding"),
    "utf-16-be with its mark": (b"\xfe\xff" + GOOD.encode("utf-16-be"), "bad-encoding"),
    "utf-16-le without a mark": (GOOD.encode("utf-16-le"), "bad-json"),  # ASCII and NULs are UTF-8
    "latin-1": (GOOD.replace(HEAD, '"label": "H\xe9ad"').encode("latin-1"), "bad-encoding"),
    "surrogates in UTF-8": (
        GOOD.replace('"im.png"', '"\ud800"').encode("utf-8", "surrogatepass"),
        "bad-encoding",
    ),
    "overlong": (GOOD.encode().replace(b"im.png", b"im\xc0\xaepng"), "bad-encoding"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "bad-encoding"),
}
BROKEN = {
    "empty": b"",
    "white space": b" \n\t\r ",
    "only a mark": b"\xef\xbb\xbf",
    "NULs": bytes(64),
    "cut off": GOOD[: len(GOOD) // 2].encode(),
    "last brace missing": GOOD[:-1].encode(),
    "cut off after a long integer": f'{{"a": {LONG}, '.encode(),
    "nested lists": b"[" * 100_000,
    "closed nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "nested in a good file": GOOD.replace('"6.3.1"', "[" * 100_000 + "]" * 100_000).encode(),
    "nested after a long integer": f'{{"a": {LONG}, "b": {"[" * 100_000}'.encode(),
    "two documents": (GOOD + GOOD).encode(),
    "trailing comma": (GOOD[:-1] + ",}").encode(),
    "single quotes": GOOD.replace('"', "'").encode(),
    "a comment": b"// label\n" + GOOD.encode(),
    "embedded picture cut off": GOOD.replace('"imageData": null', '"imageData": "AAAA')[:-90].encode(),
}
TYPES = {
    "a list": "[]",
    "a string": '"im.png"',
    "a number": "3",
    "null": "null",
    "NaN": "NaN",
    "a long integer": LONG,
    "a COCO file": '{"images": [], "annotations": [], "categories": []}',
    "no imagePath": "{}",
}
FIELDS = {
    "imagePath null": lambda d: d.update(imagePath=None),
    "imagePath a list": lambda d: d.update(imagePath=["im.png"]),
    "imagePath missing": lambda d: d.pop("imagePath"),
    "shapes missing": lambda d: d.pop("shapes"),
    "shapes null": lambda d: d.update(shapes=None),
    "shapes a string": lambda d: d.update(shapes="aircraft"),
    "height a float": lambda d: d.update(imageHeight=128.0),
    "height a string": lambda d: d.update(imageHeight="128"),
    "width a bool": lambda d: d.update(imageWidth=True),
    "width a list": lambda d: d.update(imageWidth=[160]),
    "flags a list": lambda d: d.update(flags=[]),
    "flag a string": lambda d: d.update(flags={"reviewed": "yes"}),
    "flag a number": lambda d: d.update(flags={"skip": 1}),
    "flag null": lambda d: d.update(flags={"skip": None}),
}
SHAPE_FIELDS = {
    "a list": lambda d: d["shapes"].__setitem__(3, []),
    "null": lambda d: d["shapes"].__setitem__(3, None),
    "label missing": lambda d: d["shapes"][3].pop("label"),
    "label null": lambda d: d["shapes"][3].update(label=None),
    "label a number": lambda d: d["shapes"][3].update(label=3),
    "label a list": lambda d: d["shapes"][3].update(label=["Head"]),
    "group a bool": lambda d: d["shapes"][3].update(group_id=True),
    "group a string": lambda d: d["shapes"][3].update(group_id="1"),
    "group a float": lambda d: d["shapes"][3].update(group_id=1.0),
    "group a list": lambda d: d["shapes"][3].update(group_id=[1]),
    "flags a list": lambda d: d["shapes"][3].update(flags=["occluded"]),
    "flag a string": lambda d: d["shapes"][3].update(flags={"occluded": "true"}),
    "flag zero": lambda d: d["shapes"][3].update(flags={"occluded": 0}),
    "shape_type a number": lambda d: d["shapes"][3].update(shape_type=1),
    "points missing": lambda d: d["shapes"][3].pop("points"),
    "points null": lambda d: d["shapes"][3].update(points=None),
    "points an object": lambda d: d["shapes"][3].update(points={"x": 1}),
    "points flat": lambda d: d["shapes"][3].update(points=[40, 40]),
    "a point of one": lambda d: d["shapes"][3].update(points=[[40]]),
    "a point of three": lambda d: d["shapes"][3].update(points=[[40, 40, 2]]),
    "an object as point": lambda d: d["shapes"][3].update(points=[{"x": 40, "y": 40}]),
    "a null coordinate": lambda d: d["shapes"][3].update(points=[[40, None]]),
    "a bool coordinate": lambda d: d["shapes"][3].update(points=[[40, False]]),
    "a string coordinate": lambda d: d["shapes"][3].update(points=[["40", 40]]),
    "nested deep": lambda d: d["shapes"][3].update(points=json.loads("[" * 400 + "]" * 400)),
}
FAR = {
    "NaN, 40": "non-finite",
    "40, NaN": "non-finite",
    "Infinity, 40": "non-finite",
    "40, -Infinity": "non-finite",
    "1e999, 40": "non-finite",
    "-1e999, 40": "non-finite",
    "1e308, 40": "out-of-range",
    "40, -1e308": "out-of-range",
    "1000000.5, 40": "out-of-range",
    "40, -1000001": "out-of-range",
    f"{LONG}, 40": "out-of-range",
    f"40, -{LONG}": "out-of-range",
    f"{'9' * 310}, 40": "out-of-range",
    f"{'9' * 4300}, 40": "out-of-range",
    "1e6, 40": "keypoint-outside",
    "40, -1e6": "keypoint-outside",
}


@pytest.mark.parametrize(("content", "reason"), ENCODINGS.values(), ids=ENCODINGS)
def test_only_utf8_is_read(tmp_path, content, reason):
    assert refusal(tmp_path, content).reason == reason


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_json_document_is_bad_json(tmp_path, content):
    error = refusal(tmp_path, content)
    assert (error.reason, error.shape) == ("bad-json", None)


@pytest.mark.parametrize("text", TYPES.values(), ids=TYPES)
def test_a_document_of_another_kind_is_bad_type(tmp_path, text):
    assert refusal(tmp_path, text).reason == "bad-type"


@pytest.mark.parametrize("change", FIELDS.values(), ids=FIELDS)
def test_a_field_of_a_wrong_type_is_named(tmp_path, change):
    error = refusal(tmp_path, changed(change))
    assert (error.reason, error.shape) == ("bad-type", None)


@pytest.mark.parametrize("change", SHAPE_FIELDS.values(), ids=SHAPE_FIELDS)
def test_a_shape_with_a_field_of_a_wrong_type_is_named(tmp_path, change):
    error = refusal(tmp_path, changed(change))
    assert (error.reason, error.shape) == ("bad-type", 3)


@pytest.mark.parametrize(("text", "reason"), FAR.items(), ids=[text[:20] for text in FAR])
def test_numbers_that_no_picture_has(tmp_path, text, reason):
    error = refusal(tmp_path, with_point(text))
    assert (error.reason, error.shape) == (reason, 9)


@pytest.mark.parametrize(
    "text", ["0, 0", "-0.0, -0.0", f"{W}, {H}", "1e2, 5e-324", "159.99999999999997, 128.0"]
)
def test_numbers_on_the_border_are_inside(tmp_path, text):
    x, y = json.loads(f"[{text}]")
    assert read(tmp_path, with_point(text)).annotations[0].keypoints[8][:2] == (x - 0.5, y - 0.5)


@pytest.mark.parametrize("field", ["imageHeight", "imageWidth"])
def test_a_size_of_thousands_of_digits_is_another_size(tmp_path, field):
    text = GOOD.replace(f'"{field}": {good()[field]}', f'"{field}": {LONG}')
    assert refusal(tmp_path, text).reason == "size-mismatch"


def test_a_group_id_of_thousands_of_digits_is_a_group(tmp_path):
    assert len(read(tmp_path, GOOD.replace('"group_id": 1,', f'"group_id": {LONG},')).annotations) == 1


def test_the_last_of_two_keys_counts(tmp_path):
    text = GOOD.replace(HEAD, '"label": "wing", "label": "Head"')
    assert read(tmp_path, text) == read(tmp_path, GOOD)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\n\n  "])
def test_a_mark_or_space_before_the_document_is_fine(tmp_path, start):
    assert read(tmp_path, start + GOOD.encode()) == read(tmp_path, GOOD)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(flags=None),
        lambda d: d.pop("flags"),
        lambda d: d.pop("version"),
        lambda d: d.update(version="7.9.0", locked=[], extra=json.loads("[" * 500 + "]" * 500)),
        lambda d: d.update(imageHeight=None, imageWidth=None),
        lambda d: [d.pop("imageHeight"), d.pop("imageWidth")],
        lambda d: d.update(imageData="not base64 \\ \n"),
        lambda d: d.update(imageData=17),
        lambda d: [s.pop("flags") for s in d["shapes"]],
        lambda d: [s.update(flags=None, mask=None, other_data={"a": [None]}) for s in d["shapes"]],
        lambda d: [s.pop("mask") or s.pop("description") for s in d["shapes"]],
        lambda d: [s.update(group_id=None) for s in d["shapes"]],
        lambda d: [s.pop("group_id") for s in d["shapes"]],
        lambda d: d["shapes"][0].pop("shape_type"),
        lambda d: d["shapes"][0].update(shape_type=None, locked=True),
        lambda d: d.update(lineColor=[0, 255, 0, 128], fillColor=[255, 0, 0, 128]),
        lambda d: d["shapes"][0].update(line_color=None, fill_color=None),
    ],
)
def test_files_of_other_versions_say_the_same(tmp_path, change):
    found, expected = (read(tmp_path, d).annotations for d in (changed(change), good()))
    assert [(a.polygons, a.keypoints, a.area, a.box_xyxy) for a in found] == [
        (a.polygons, a.keypoints, a.area, a.box_xyxy) for a in expected
    ]


def test_a_large_embedded_picture_is_not_parsed(tmp_path):
    assert len(read(tmp_path, {**good(), "imageData": "A" * (40 << 20)}).annotations) == 1


def test_more_than_an_embedded_picture_can_hold_is_refused(tmp_path):
    path = write(tmp_path, GOOD)
    os.truncate(path, 300 << 20)
    with pytest.raises(LabelFileError) as caught:
        read_annotations(path, tmp_path)
    assert caught.value.reason == "bad-json"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: None])
def test_a_label_file_that_is_no_file_does_not_hang(tmp_path, make):
    path = tmp_path / "a.json"
    make(path)
    with pytest.raises(LabelFileError) as caught:
        read_annotations(path, tmp_path)
    assert caught.value.reason == "bad-json"


# -- any bytes, any document ------------------------------------------------------------------------------

KINDS = ["polygon", "rectangle", "circle", "oriented_rectangle", "mask", "point", "line"]
KEYS = st.sampled_from(
    [*good(), *shape(), "locked", "occluded", "invisible", "hole", "crowd", "skip", "reviewed"]
)
WORDS = st.sampled_from(
    ["aircraft", "Head", *KINDS, "im.png", "../im.png", "/im.png", "", "\0", "\ud800", "x" * 300]
)
NUMBERS = st.sampled_from([0, 1, -1, 20, 100, 128, 160, 10**6, 10**400, 0.5, -0.0, 1e-17, 5e-324, 1e308]) | (
    st.floats() | st.integers() | st.floats(-10, 170)
)
PLAIN = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=6)
    ),
)
FLAGS = st.dictionaries(
    st.sampled_from(["occluded", "invisible", "hole", "crowd"]), st.booleans(), max_size=2
)
NEAR_SHAPES = st.fixed_dictionaries(
    {
        "label": st.sampled_from(["aircraft"] * 3 + ["Head", "Tail", "wing"]),
        "points": st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=6) | ANYTHING,
        "shape_type": WORDS | st.none(),
    },
    optional={"group_id": st.none() | st.integers(0, 2), "flags": FLAGS | ANYTHING, "mask": WORDS | ANYTHING},
)
NEAR = st.fixed_dictionaries(
    {"imagePath": st.just("im.png") | WORDS, "shapes": st.lists(NEAR_SHAPES, max_size=4) | ANYTHING},
    optional={"flags": FLAGS | ANYTHING, "imageHeight": st.just(H) | PLAIN, "imageWidth": st.just(W) | PLAIN},
)
many = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def ends_in_a_reason_or_annotations(root, content: bytes) -> None:
    path = write(root, content)
    try:
        found = read_annotations(path, root)
    except LabelFileError as error:
        str(error).encode()  # what is wrong can be printed whatever the file holds
        refusal(root, content)
        return
    assert found.skipped or found.size_wh == (W, H)


@many
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_reason(tmp_path, content):
    ends_in_a_reason_or_annotations(tmp_path, content)


@many
@given(ANYTHING | NEAR)
def test_any_document_ends_in_a_reason_or_annotations(tmp_path, value):
    ends_in_a_reason_or_annotations(tmp_path, json.dumps(value).encode())


@many
@given(st.data())
def test_a_good_file_with_one_thing_replaced(tmp_path, data):
    boxed = document(shape(), keypoint(), shape(kind="rectangle", points=SQUARE[::2]))
    found = json.loads(json.dumps(data.draw(st.sampled_from([good(), boxed]))))
    place = found
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not (isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans())):
            break
        place = place[key]
    place[key] = data.draw(ANYTHING)
    ends_in_a_reason_or_annotations(tmp_path, json.dumps(found).encode())


@many
@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=4), st.integers(0, 30))
def test_a_good_file_with_a_few_bytes_replaced(tmp_path, start, new, length):
    content = GOOD.encode()
    ends_in_a_reason_or_annotations(tmp_path, content[:start] + new + content[start + length :])
