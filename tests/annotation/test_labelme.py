"""Labelme files: what is written, what is never overwritten, what is read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vircraft.annotation import labelme
from vircraft.annotation.labelme import LabelFile, LabelFileError, Shape, read_labels, to_json, write_labels

coordinates = st.floats(-1e5, 1e5, allow_nan=False)
points = st.tuples(coordinates, coordinates)
flags = st.dictionaries(st.sampled_from(["occluded", "invisible", "hole"]), st.booleans())
groups = st.none() | st.integers(0, 9)
shapes = st.one_of(
    st.builds(
        Shape,
        st.text(),
        st.just("polygon"),
        st.lists(points, min_size=3).map(tuple),
        groups,
        flags,
        st.text(),
    ),
    st.builds(Shape, st.text(), st.just("rectangle"), st.tuples(points, points), groups),
    st.builds(Shape, st.text(), st.just("point"), st.tuples(points), groups, flags),
)
files = st.builds(
    LabelFile,
    st.text(min_size=1),
    st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    st.lists(shapes, max_size=4).map(tuple),
    flags,
)
SMALL = LabelFile("../infrared/a.png", (640, 512), (Shape("Head", "point", ((10.0, 20.25),), 1),))


def test_the_file_has_the_fields_of_labelme_5():
    document = json.loads(to_json(SMALL))
    assert list(document) == [
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
    ]
    assert document["imageData"] is None
    assert (document["imageWidth"], document["imageHeight"]) == (640, 512)
    assert set(document["shapes"][0]) == {
        "label",
        "points",
        "group_id",
        "description",
        "shape_type",
        "flags",
        "mask",
    }


def test_half_a_pixel_is_added_once():
    # the centre of the top left pixel is (0, 0) here and (0.5, 0.5) where edges are counted
    document = json.loads(to_json(LabelFile("a.png", (4, 4), (Shape("Head", "point", ((0.0, 3.0),)),))))
    assert document["shapes"][0]["points"] == [[0.5, 3.5]]


@given(files)
def test_what_is_written_is_read_back(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("labels") / "a.json"
    assert write_labels(path, labels)
    found = read_labels(path)
    assert (found.image_path, found.size_wh, found.flags) == (labels.image_path, labels.size_wh, labels.flags)
    assert len(found.shapes) == len(labels.shapes)
    for a, b in zip(found.shapes, labels.shapes, strict=True):
        assert (a.label, a.shape_type, a.group_id, a.flags, a.description) == (
            b.label,
            b.shape_type,
            b.group_id,
            b.flags,
            b.description,
        )
        assert [v for p in a.points for v in p] == pytest.approx(
            [v for p in b.points for v in p], abs=1e-5, rel=0
        )


def test_human_work_is_never_overwritten(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_text("drawn by a person")
    assert not write_labels(path, SMALL)
    assert path.read_text() == "drawn by a person"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_while_writing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.json"
    link = labelme.os.link

    def slow_link(source, target):
        path.write_text("drawn meanwhile")
        link(source, target)

    monkeypatch.setattr(labelme.os, "link", slow_link)
    assert not write_labels(path, SMALL)
    assert path.read_text() == "drawn meanwhile"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(source, target):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(labelme.os, "link", refuse)
    path = tmp_path / "a.json"
    assert write_labels(path, SMALL)
    assert read_labels(path) == SMALL
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_an_os_error_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_labels(tmp_path / "nowhere" / "a.json", SMALL)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe{", "bad-encoding"),
        (b'{"shapes": [', "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b"[]", "bad-type"),
        (b'{"imagePath": 3}', "bad-type"),
        (b'{"imagePath": "a.png", "imageWidth": true, "imageHeight": 4, "shapes": []}', "bad-type"),
        (b'{"imagePath": "a.png", "imageWidth": 0, "imageHeight": 4, "shapes": []}', "bad-type"),
    ],
)
def test_bytes_that_are_no_label_file_end_in_a_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(LabelFileError, match=r"a\.json") as caught:
        read_labels(path)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"points": [["1", 2]]}, "bad-type"),
        ({"points": [[True, 2]]}, "bad-type"),
        ({"points": [[1, 2, 3]]}, "bad-type"),
        ({"points": [[float("nan"), 2]]}, "non-finite"),
        ({"points": [[10**400, 2]]}, "out-of-range"),
        ({"points": []}, "degenerate-shape"),
        ({"shape_type": ["point"]}, "bad-type"),
        ({"shape_type": "blob"}, "wrong-shape-type"),
        ({"group_id": "1"}, "bad-type"),
        ({"flags": {"occluded": 1}}, "bad-type"),
        ({"label": None}, "bad-type"),
    ],
)
def test_a_shape_that_breaks_the_rules_is_named(tmp_path: Path, change: dict, reason: str):
    document = json.loads(to_json(SMALL))
    document["shapes"] += [{**document["shapes"][0], **change}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    with pytest.raises(LabelFileError, match="shape 1") as caught:
        read_labels(path)
    assert caught.value.reason == reason


def test_a_byte_order_mark_is_fine(tmp_path: Path):
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + to_json(SMALL).encode())
    assert read_labels(path) == SMALL


@pytest.mark.parametrize(
    "arguments",
    [
        ("aircraft", "polygon", ((0, 0), (1, 1))),
        ("aircraft", "rectangle", ((0, 0),)),
        ("Head", "point", ((float("nan"), 0),)),
        ("Head", "blob", ((0, 0), (1, 1))),
    ],
)
def test_a_shape_is_checked_where_it_is_built(arguments):
    with pytest.raises(ValueError, match=r"point|finite|shape type"):
        Shape(*arguments)
