"""Labels carried along a clip, against motions that the test makes."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.records import clip_record, pair
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.labelme import LabelFile, LabelFileError, Shape, read_labels, write_labels
from vircraft.annotation.tracking.carry import carry_labels, carry_on, cut_to_picture, open_edge
from vircraft.annotation.tracking.motion import FramePictures
from vircraft.annotation.tracking.propose import propose_clip, read_pictures
from vircraft.annotation.tracking.symmetry import predict_hidden
from vircraft.errors import InputFileError, PictureError
from vircraft.journal import EndRecord, encode

WH = (320, 256)
SQUARE = np.array([[100, 80], [200, 80], [200, 160], [100, 160]], np.float64)
POINTS = {"Head": (105, 120), "Tail": (190, 118), "Left_front": (150, 90), "Right_front": (150, 150)}


def texture(seed: int, size: tuple[int, int] = WH, coarse: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.uniform(40, 215, (size[1] // coarse + 2, size[0] // coarse + 2)).astype(np.float32)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    m = cv2.getRotationMatrix2D((150, 120), degrees, scale)
    m[:, 2] += shift
    return m


def moved(points: np.ndarray, m: np.ndarray) -> np.ndarray:
    return np.atleast_2d(points) @ m[:, :2].T + m[:, 2]


def film(m: np.ndarray, *, dim: float = 1.0, deep: bool = False, noise: float = 2.0) -> FramePictures:
    """Return a textured square after a motion, before a background that stays."""
    object_, background = texture(1), texture(2, coarse=9)
    inside = np.zeros((WH[1], WH[0]), np.float32)
    cv2.fillPoly(inside, [SQUARE.astype(np.int32)], 1.0)
    alpha = cv2.warpAffine(inside, m, WH)
    grey = alpha * cv2.warpAffine(object_, m, WH) + (1 - alpha) * background
    rng = np.random.default_rng(int(1000 * abs(m).sum()) % 2**31)
    infrared = np.clip(grey + rng.normal(0, noise, grey.shape), 0, 255)
    visible = np.clip(dim * (255 - grey) + rng.normal(0, noise, grey.shape), 0, 255).astype(np.uint8)
    bgr = np.repeat(visible[..., None], 3, axis=2)
    if deep:
        return FramePictures((8000 + 5 * infrared).astype(np.uint16), bgr)
    return FramePictures(infrared.astype(np.uint8), bgr)


def shape(label: str, kind: str, points: object, group: int | None = 1, **flags: bool) -> Shape:
    return Shape(label, kind, tuple((float(x), float(y)) for x, y in np.atleast_2d(points)), group, flags)


def drawn(*more: Shape) -> LabelFile:
    shapes = [shape("aircraft", "polygon", SQUARE), shape("aircraft", "rectangle", SQUARE[[0, 2]])]
    shapes += [shape(name, "point", place) for name, place in POINTS.items()]
    return LabelFile("../infrared/a_000000.png", WH, (*shapes, *more))


STILL = similarity(1.0, 0.0, (0, 0))


@pytest.mark.parametrize(
    "m",
    [similarity(1, 0, (23.4, -11.7)), similarity(1.06, 2.0, (-9, 6)), similarity(0.95, -3.0, (4.5, 14))],
)
@pytest.mark.parametrize(("dim", "deep"), [(1.0, False), (0.0, False), (1.0, True)])
def test_labels_go_where_the_object_goes(m: np.ndarray, dim: float, deep: bool):
    # by day; at night, when only the infrared picture shows anything; with 16 bit
    carried = carry_labels(drawn(), film(STILL, dim=dim, deep=deep), film(m, dim=dim, deep=deep))
    for was, now in zip(drawn().shapes, carried.labels.shapes, strict=True):
        if was.shape_type != "rectangle":
            expected = moved(np.array(was.points), m)
            np.testing.assert_allclose(np.array(now.points), expected, atol=1.0)
    assert carried.confidence > 0.8


def test_shapes_keep_label_type_group_flags_and_order():
    hidden = shape("Vertical", "point", (120, 100), occluded=True)
    labels = drawn(hidden, shape("aircraft", "polygon", SQUARE / 3 + 90, hole=True))
    carried = carry_labels(labels, film(STILL), film(similarity(1, 0, (8, 5))))
    kept = [
        replace(now, points=was.points) for was, now in zip(labels.shapes, carried.labels.shapes, strict=True)
    ]
    assert kept == list(labels.shapes)


def test_a_box_that_followed_the_outline_still_does():
    carried = carry_labels(drawn(), film(STILL), film(similarity(1.05, 4, (5, 5))))
    outline, box = (np.array(carried.labels.shapes[n].points) for n in (0, 1))
    np.testing.assert_allclose(box, [outline.min(0), outline.max(0)])


def test_a_box_drawn_wider_than_the_outline_keeps_its_margin():
    wide = shape("aircraft", "rectangle", [(90, 70), (210, 170)])
    labels = LabelFile("a.png", WH, (shape("aircraft", "polygon", SQUARE), wide))
    carried = carry_labels(labels, film(STILL), film(similarity(1, 0, (12, -7))))
    np.testing.assert_allclose(carried.labels.shapes[1].points, [(102, 63), (222, 163)], atol=1)


def test_a_circle_and_an_oriented_rectangle_keep_their_form():
    tilted = np.array([[110, 90], [170, 100], [166, 124], [106, 114]])  # right angles
    labels = LabelFile(
        "a.png",
        WH,
        (
            shape("aircraft", "circle", [(150, 120), (180, 120)]),
            shape("aircraft", "oriented_rectangle", tilted, 2),
        ),
    )
    m = similarity(1.05, 3, (6, -4))
    circle, box = carry_labels(labels, film(STILL), film(m)).labels.shapes
    np.testing.assert_allclose(circle.points, moved(np.array([(150, 120), (180, 120)]), m), atol=1)
    np.testing.assert_allclose(box.points, moved(tilted, m), atol=1)
    sides = np.diff(np.array(box.points), axis=0)
    assert abs(sides[0] @ sides[1]) < 1e-6 * np.linalg.norm(sides[0]) * np.linalg.norm(sides[1])


def test_two_aircraft_are_followed_each_by_itself():
    here = shape("aircraft", "polygon", SQUARE)
    there = shape("aircraft", "polygon", [(240, 180), (300, 180), (300, 240), (240, 240)], 2)  # background
    labels = LabelFile("a.png", WH, (here, there))
    first, second = carry_labels(labels, film(STILL), film(similarity(1, 0, (-20, 10)))).labels.shapes
    np.testing.assert_allclose(first.points, np.add(SQUARE, (-20, 10)), atol=1)
    np.testing.assert_allclose(second.points, there.points, atol=1)


def test_what_leaves_the_picture_is_cut_off():
    shapes = (*(replace(s, points=tuple((x + 150.0, y) for x, y in s.points)) for s in drawn().shapes),)
    cut = cut_to_picture(LabelFile("a.png", WH, shapes)).shapes
    assert np.array(cut[0].points)[:, 0].max() == cut[1].points[1][0] == WH[0] - 0.5
    assert [s.label for s in cut[2:]] == ["Head", "Left_front", "Right_front"]


def test_an_aircraft_that_is_gone_takes_its_keypoints_along():
    outside = shape("aircraft", "polygon", SQUARE + 300)
    labels = LabelFile(
        "a.png", WH, (outside, shape("Head", "point", (50, 50)), shape("Tail", "point", (9, 9), 2))
    )
    assert [s.label for s in cut_to_picture(labels).shapes] == ["Tail"]


def test_an_aircraft_that_has_left_does_not_stop_the_other():
    labels = LabelFile("a.png", WH, (*drawn().shapes, shape("aircraft", "polygon", SQUARE + 400, 2)))
    carried = carry_labels(labels, film(STILL), film(similarity(1, 0, (5, 5))))
    assert {s.group_id for s in carried.labels.shapes} == {1}
    assert carried.confidence > 0.8


@pytest.mark.parametrize("size", [(1, 1), (8, 6), (40, 4), (33, 200)])
def test_small_pictures_are_no_trouble(size: tuple[int, int]):
    picture = FramePictures(texture(3, size).clip(0, 255).astype(np.uint8))
    outline = np.array([[-0.5, -0.5], [0.5, 0], [0.8, 1]]) * size
    labels = LabelFile("a.png", size, (shape("aircraft", "polygon", outline), shape("Head", "point", (0, 0))))
    assert 0 <= carry_labels(labels, picture, picture).confidence <= 1


def test_an_outline_that_was_cut_and_comes_in_is_open():
    cut = LabelFile(
        "a.png", WH, (shape("aircraft", "polygon", [(-0.5, 80), (60, 80), (60, 160), (-0.5, 160)]),)
    )
    came = replace(cut, shapes=(shape("aircraft", "polygon", [(9.5, 80), (70, 80), (70, 160), (9.5, 160)]),))
    assert open_edge(cut, came) == pytest.approx(9.5 / np.hypot(60.5, 80))
    assert open_edge(cut, cut) <= 0.0
    assert open_edge(drawn(), drawn()) == 0.0


def test_another_scene_gives_no_confidence():
    other = FramePictures(texture(9).clip(0, 255).astype(np.uint8))
    assert carry_labels(drawn(), film(STILL), other).confidence < 0.3


def test_pictures_without_any_structure_give_no_confidence():
    flat = FramePictures(np.full((WH[1], WH[0]), 90, np.uint8), np.zeros((WH[1], WH[0], 3), np.uint8))
    carried = carry_labels(drawn(), flat, flat)
    assert carried.confidence < 0.3
    assert all(np.isfinite(s.points).all() for s in carried.labels.shapes)


def test_errors_do_not_pile_up_along_a_clip():
    steps = [similarity(1.01**k, 0.7 * k, (6.0 * k, -3.0 * k)) for k in range(9)]
    *_, last = carry_on(drawn(), [film(m) for m in steps])
    np.testing.assert_allclose(last.labels.shapes[0].points, moved(SQUARE, steps[-1]), atol=3)
    assert 0.5 < last.confidence < 1


@pytest.mark.parametrize(
    "shapes",
    [(), (Shape("aircraft", "mask", ((1.0, 1.0), (9.0, 9.0)), mask_png=b""),)],
)
def test_nothing_and_masks_are_not_carried(shapes: tuple[Shape, ...]):
    with pytest.raises(ValueError, match="nothing to carry"):
        carry_labels(LabelFile("a.png", WH, shapes), film(STILL), film(STILL))


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"labels are for \(320, 256\).*\(64, 48\)"):
        carry_labels(drawn(), film(STILL), FramePictures(np.zeros((48, 64), np.uint8)))


# -- hidden keypoints: an aircraft in space, seen by an affine camera


def aircraft() -> dict[str, np.ndarray]:
    """Return metres along the fuselage, to the right and up."""
    half = {"front": (-2, 17, 1), "root": (4, 2, 0), "behind": (-4, 17, 1.2)}
    body = {"Head": (19, 0, 0), "Vertical": (-18, 0, 9), "Tail": (-19, 0, 1.5)}
    for end, (x, y, z) in half.items():
        body[f"Left_{end}"], body[f"Right_{end}"] = (x, -y, z), (x, y, z)
    return {name: np.array(body[name], np.float64) for name in KEYPOINTS}


def seen(yaw: float, roll: float, shift: float) -> dict[str, np.ndarray]:
    y, r = np.radians([yaw, roll])
    about_z = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    camera = np.array([[8.0, 0, 0], [0, 1.5, -8.0]])  # a little from above
    return {name: camera @ about_z @ about_x @ p + (300 + shift, 200) for name, p in aircraft().items()}


def test_the_symmetry_tells_the_hidden_wing():
    before, after = seen(20, 0, 0), seen(28, 4, 5)
    hidden = {"Left_front", "Left_behind", "Left_root"}
    names = [n for n in before if n not in hidden]
    a = np.c_[[before[n] for n in names], np.ones(len(names))]
    flat_map = np.linalg.lstsq(a, np.array([after[n] for n in names]), rcond=None)[0]
    flat = {n: np.append(p, 1) @ flat_map for n, p in before.items()}
    told = predict_hidden(before, flat, {n: after[n] for n in names})
    assert set(told) == hidden
    for name, place in told.items():
        assert np.hypot(*(flat[name] - after[name])) > 5  # what a flat aircraft would make of it
        assert np.hypot(*(place - after[name])) < 1.5


def test_too_few_found_points_tell_nothing():
    before = seen(20, 0, 0)
    assert predict_hidden(before, before, {n: before[n] for n in ("Head", "Tail", "Vertical")}) == {}


def test_a_hidden_point_without_its_mirror_image_is_left_to_the_tracks():
    before = {n: p for n, p in seen(20, 0, 0).items() if n != "Right_front"}
    found = {n: p for n, p in before.items() if n != "Left_front"}
    assert predict_hidden(before, before, found) == {}


# -- datasets


def dataset(root: Path, count: int = 5, **changes: object) -> Path:
    """Write a dataset of one clip in which the square goes right by 6 pixels a pair."""
    records = [pair(10 * k, infrared_wh=WH, **changes) for k in range(count)]
    for folder in ("journal", "infrared", "visible", "labels"):
        (root / folder).mkdir(parents=True)
    for k, record in enumerate(records):
        frame = film(similarity(1, 0, (6.0 * k, 0)))
        cv2.imwrite(str(root / "infrared" / f"{record.id}.png"), frame.infrared)
        cv2.imwrite(str(root / "visible" / f"{record.id}.png"), frame.visible)
    lines = [clip_record(), *records, EndRecord("a", {"accepted": count})]
    (root / "journal" / "a.jsonl").write_bytes(b"".join(map(encode, lines)))
    return root


def label(root: Path, tick: int, labels: LabelFile | None = None, **flags: bool) -> None:
    labels = drawn() if labels is None else labels
    write_labels(root / "labels" / f"a_{tick:06d}.json", replace(labels, flags=flags))


def ids(root: Path, **options: object) -> list[str]:
    return [p.pair_id for p in propose_clip(root, "a", **options)]


def test_pairs_after_a_labelled_one_get_proposals_that_say_so(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 10, replace(drawn(), extras={"coco_image_id": 7}), reviewed=True)
    found = propose_clip(root, "a")
    assert [p.pair_id for p in found] == ["a_000020", "a_000030", "a_000040"]
    assert {p.source_id for p in found} == {"a_000010"}
    assert [p.labels.flags for p in found] == [{"proposed": True}] * 3
    assert [p.labels.image_path for p in found] == [f"../infrared/{p.pair_id}.png" for p in found]
    assert not any(p.labels.extras for p in found)  # another picture has another id
    np.testing.assert_allclose(found[-1].labels.shapes[0].points, np.add(SQUARE, (18, 0)), atol=1.5)
    assert all(a.confidence >= b.confidence for a, b in itertools.pairwise(found))


def test_nothing_is_written(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    label(root, 0)
    assert ids(root) == ["a_000010"]
    assert [p.name for p in (root / "labels").iterdir()] == ["a_000000.json"]


def test_proposals_can_be_written_and_read_back(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    label(root, 0)
    (found,) = propose_clip(root, "a")
    path = root / "labels" / f"{found.pair_id}.json"
    assert write_labels(path, found.labels)
    back = read_labels(path)
    assert back.flags == {"proposed": True}
    for was, now in zip(found.labels.shapes, back.shapes, strict=True):
        np.testing.assert_allclose(was.points, now.points, atol=1e-5)


def test_the_nearest_labelled_pair_before_is_the_source(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 0)
    label(root, 20, replace(drawn(), shapes=drawn().shapes[:1]))
    assert [(p.pair_id[-2:], p.source_id[-2:]) for p in propose_clip(root, "a")] == [
        ("10", "00"),
        ("30", "20"),
        ("40", "20"),
    ]


@pytest.mark.parametrize("flag", ["skip", "proposed"])
def test_skipped_and_unchecked_labels_are_passed_over(tmp_path: Path, flag: str):
    root = dataset(tmp_path / "d")
    label(root, 0)
    label(root, 20, **{flag: True})
    assert [(p.pair_id[-2:], p.source_id[-2:]) for p in propose_clip(root, "a")] == [
        ("10", "00"),
        ("30", "00"),
        ("40", "00"),
    ]


def test_an_empty_picture_ends_the_carrying(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 0)
    label(root, 20, LabelFile("../infrared/a_000020.png", WH))
    assert ids(root) == ["a_000010"]


def test_the_limit_counts_pairs_from_the_source(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 0)
    assert ids(root, limit=2) == ["a_000010", "a_000020"]
    assert ids(root, limit=0) == []


def test_it_stops_where_the_object_is_gone(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 0)
    for tick in (20, 30, 40):  # another scene from here on
        cv2.imwrite(str(root / "infrared" / f"a_{tick:06d}.png"), texture(7).clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "visible" / f"a_{tick:06d}.png"), np.zeros((WH[1], WH[0], 3), np.uint8))
    assert ids(root) == ["a_000010"]


def test_rejected_pairs_have_no_pictures_and_are_passed_over(tmp_path: Path):
    root = dataset(tmp_path / "d", 3)
    lines = (root / "journal" / "a.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = encode(pair(10, infrared_wh=WH, verdict="rejected", h_ir_from_vis=None))
    (root / "journal" / "a.jsonl").write_bytes(b"".join(lines))
    (root / "infrared" / "a_000010.png").unlink()
    label(root, 0)
    assert ids(root) == ["a_000020"]


def test_an_unreadable_label_file_is_an_error_or_passed_over(tmp_path: Path):
    root = dataset(tmp_path / "d")
    label(root, 0)
    (root / "labels" / "a_000010.json").write_text("{")
    with pytest.raises(LabelFileError, match="a_000010"):
        propose_clip(root, "a")
    errors: list[LabelFileError] = []
    assert ids(root, on_unreadable=errors.append) == ["a_000020", "a_000030", "a_000040"]
    assert [e.reason for e in errors] == ["bad-json"]


def test_labels_of_another_size_are_no_source(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    label(root, 0, replace(drawn(), size_wh=(640, 512)))
    with pytest.raises(LabelFileError, match=r"640x512.*320x256") as caught:
        propose_clip(root, "a")
    assert caught.value.reason == "size-mismatch"


def test_a_missing_picture_is_named(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    label(root, 0)
    (root / "visible" / "a_000010.png").unlink()
    with pytest.raises(PictureError, match=r"a_000010\.png.*register"):
        propose_clip(root, "a")


def test_a_picture_that_cannot_be_used_is_passed_over(tmp_path: Path):
    root = dataset(tmp_path / "d", 6)
    label(root, 0)
    (root / "visible" / "a_000010.png").unlink()
    (root / "infrared" / "a_000030.png").write_bytes(b"no picture")
    cv2.imwrite(str(root / "infrared" / "a_000040.png"), np.zeros((48, 64), np.uint8))
    errors: list[InputFileError] = []
    found = propose_clip(root, "a", on_unreadable=errors.append)
    assert [p.pair_id for p in found] == ["a_000020", "a_000050"]
    np.testing.assert_allclose(found[0].labels.shapes[0].points, np.add(SQUARE, (12, 0)), atol=1.5)
    assert [(e.path.stem, e.reason) for e in errors if e.path] == [
        ("a_000010", "unreadable"),
        ("a_000030", "unreadable"),
        ("a_000040", "size-mismatch"),
    ]


def test_without_the_source_s_picture_the_next_source_goes_on(tmp_path: Path):
    root = dataset(tmp_path / "d", 4)
    label(root, 0)
    label(root, 20)
    (root / "infrared" / "a_000000.png").unlink()
    errors: list[InputFileError] = []
    assert ids(root, on_unreadable=errors.append) == ["a_000030"]
    assert [e.path.stem for e in errors if e.path] == ["a_000000"]


def comb(teeth: int) -> np.ndarray:
    """Return an outline whose teeth end just before the picture's right edge."""
    y = np.linspace(20, 230, 2 * teeth)
    x = np.where(np.arange(2 * teeth) % 2, WH[0] - 3.0, WH[0] - 40.0)
    return np.vstack([np.column_stack([x, y]), [[WH[0] - 100, 230], [WH[0] - 100, 20]]])


def test_an_outline_that_cannot_be_cut_keeps_what_came_before(tmp_path: Path):
    root = dataset(tmp_path / "d", 4)
    label(root, 0)
    label(root, 20, LabelFile("a.png", WH, (shape("aircraft", "polygon", comb(12_000)),)))
    moves = [similarity(1, 0, (6.0 * k, 0)) for k in range(4)]
    for k, m in enumerate(moves):  # all of the picture moves to the right, the comb over the edge
        picture = cv2.warpAffine(texture(1), m, WH, borderMode=cv2.BORDER_REFLECT)
        cv2.imwrite(str(root / "infrared" / f"a_{10 * k:06d}.png"), picture.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "visible" / f"a_{10 * k:06d}.png"), np.zeros((WH[1], WH[0], 3), np.uint8))
    errors: list[InputFileError] = []
    assert ids(root, on_unreadable=errors.append) == ["a_000010"]
    assert [(e.path.name, e.reason) for e in errors if e.path] == [("a_000020.json", "out-of-range")]
    assert "cuts the outline" in str(errors[0])


def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    (root / "infrared" / "a_000000.png").unlink()
    os.mkfifo(root / "infrared" / "a_000000.png")
    with pytest.raises(PictureError, match="no regular file"):
        read_pictures(root, "a_000000")


def test_a_circle_without_size_is_carried_nowhere(tmp_path: Path):
    dot = shape("aircraft", "circle", [(150, 120), (150, 120)])
    labels = LabelFile("a.png", WH, (dot, *drawn().shapes))
    carried = carry_labels(labels, film(STILL), film(similarity(1, 0, (8, 5))))
    assert [s.shape_type for s in carried.labels.shapes][:2] == ["polygon", "rectangle"]


def test_a_clip_without_labels_costs_nothing(tmp_path: Path):
    root = dataset(tmp_path / "d", 2)
    (root / "infrared" / "a_000000.png").unlink()  # would be an error if it were read
    assert ids(root) == []
    assert propose_clip(root, "unknown") == []


def test_16_bit_infrared_is_read_as_it_is(tmp_path: Path):
    root = dataset(tmp_path / "d", 1)
    cv2.imwrite(str(root / "infrared" / "a_000000.png"), film(STILL, deep=True).infrared)
    assert read_pictures(root, "a_000000").infrared.dtype == np.uint16
