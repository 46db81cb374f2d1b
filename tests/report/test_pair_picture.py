"""One pair as one picture, in the library and as `vircraft show`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from report_dataset import INFRARED_WH
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.labelme import LabelFile, Shape, write_labels
from vircraft.dataset import label_path, picture_path
from vircraft.errors import DatasetError
from vircraft.report import draw_pair
from vircraft.report.drawing import OUTLINE_BGR, keypoint_bgr
from vircraft.report.layout import GAP, TITLE_HEIGHT
from vircraft.report.marks import TINT, draw_labels
from vircraft.report.pair_picture import CAPTION_HEIGHT, PANEL_WIDTH
from vircraft_cli.show import command

PANEL_HEIGHT = PANEL_WIDTH * INFRARED_WH[1] // INFRARED_WH[0]


def panel(picture: np.ndarray, row: int, column: int) -> np.ndarray:
    top = CAPTION_HEIGHT + row * (TITLE_HEIGHT + PANEL_HEIGHT + GAP) + TITLE_HEIGHT
    left = column * (PANEL_WIDTH + GAP)
    return picture[top : top + PANEL_HEIGHT, left : left + PANEL_WIDTH]


def test_a_registered_pair_has_four_panels(make_dataset):
    picture = draw_pair(make_dataset(), "approach_000000")
    assert picture.dtype == np.uint8
    assert picture.shape == (
        CAPTION_HEIGHT + 2 * (TITLE_HEIGHT + PANEL_HEIGHT) + GAP,
        2 * PANEL_WIDTH + GAP,
        3,
    )


def test_the_panels_show_the_pictures_of_the_dataset(make_dataset):
    root = make_dataset()
    picture = draw_pair(root, "approach_000000")
    for column, kind in enumerate(("infrared", "visible")):
        stored = cv2.imread(str(picture_path(root, kind, "approach_000000")), cv2.IMREAD_COLOR)
        shown = cv2.resize(panel(picture, 0, column), INFRARED_WH, interpolation=cv2.INTER_AREA)
        assert np.abs(shown.astype(int) - stored).mean() < 3


def test_a_rejected_pair_shows_its_two_frames(make_dataset):
    picture = draw_pair(make_dataset(), "approach_000020")
    assert picture.shape[0] == CAPTION_HEIGHT + TITLE_HEIGHT + PANEL_HEIGHT


def test_16_bit_infrared_is_stretched(make_dataset):
    picture = draw_pair(make_dataset({"a": ["accepted"]}, bits=16), "a_000000")
    assert panel(picture, 0, 0).max() > 240


def labels_with(*points: tuple[str, float, float, bool]) -> LabelFile:
    square = ((20.0, 20.0), (100.0, 20.0), (100.0, 80.0), (20.0, 80.0))
    shapes = [Shape("aircraft", "polygon", square, 1), Shape("aircraft", "rectangle", square[::2], 1)]
    shapes += [Shape(name, "point", ((x, y),), 1, {"occluded": hidden}) for name, x, y, hidden in points]
    return LabelFile("../infrared/a_000000.png", INFRARED_WH, tuple(shapes))


def test_labels_are_drawn_where_they_are(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    plain = draw_pair(root, "a_000000")
    label_path(root, "a_000000").parent.mkdir()
    write_labels(label_path(root, "a_000000"), labels_with(("Head", 30, 50, False)))
    labelled = draw_pair(root, "a_000000")
    scale = PANEL_WIDTH / INFRARED_WH[0]
    for column in (0, 1):
        changed = (panel(plain, 0, column) != panel(labelled, 0, column)).any(-1)
        ys, xs = np.nonzero(changed)
        assert (xs.min(), xs.max()) == pytest.approx((20.5 * scale, 100.5 * scale), abs=4)
        assert (ys.min(), ys.max()) == pytest.approx((20.5 * scale, 80.5 * scale), abs=4)
    assert (panel(plain, 1, 0) == panel(labelled, 1, 0)).all()


def test_occluded_points_are_rings_and_visible_ones_discs():
    ground = np.zeros((INFRARED_WH[1], INFRARED_WH[0], 3), np.uint8)
    for hidden in (False, True):
        picture = draw_labels(ground, labels_with(("Head", 50, 50, hidden)))
        assert (picture[50, 50].max() < 60) == hidden
    invisible = Shape("Head", "point", ((50.0, 50.0),), 1, {"invisible": True})
    labels = LabelFile("a.png", INFRARED_WH, (invisible,))
    assert (draw_labels(ground, labels) == ground).all()


def test_every_keypoint_and_bone_can_be_drawn():
    ground = np.zeros((INFRARED_WH[1], INFRARED_WH[0], 3), np.uint8)
    points = [(name, 10 + 15 * n, 10 + 11 * (n % 5), n % 2 == 0) for n, name in enumerate(KEYPOINTS)]
    picture = draw_labels(ground, labels_with(*points))
    for n, (_, x, y, hidden) in enumerate(points):
        filled = picture[round(y), round(x)].tolist() == list(keypoint_bgr(KEYPOINTS[n]))
        assert filled != hidden, KEYPOINTS[n]
    assert picture[77, 97].tolist() == pytest.approx([TINT * v for v in OUTLINE_BGR], abs=1)  # the fill


def test_labels_far_outside_the_picture_do_no_harm(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    label_path(root, "a_000000").parent.mkdir()
    far = Shape("aircraft", "polygon", ((-1e9, 0.0), (1e9, 0.0), (0.0, 1e9)), 1)
    write_labels(label_path(root, "a_000000"), LabelFile("a.png", INFRARED_WH, (far,)))
    draw_pair(root, "a_000000")


def test_unreadable_labels_do_not_hide_the_pair(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    label_path(root, "a_000000").parent.mkdir()
    label_path(root, "a_000000").write_text("{")
    draw_pair(root, "a_000000")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("aproach_000000", "did you mean approach_000000"),
        ("approach", "did you mean approach_000000"),
        ("zzz", "is one of its 4"),
        ("", "is one of its 4"),
        ("../../etc/passwd", "is one of its 4"),
    ],
)
def test_an_unknown_pair_names_near_ones(make_dataset, asked: str, hint: str):
    with pytest.raises(DatasetError, match=hint):
        draw_pair(make_dataset(), asked)


def test_a_dataset_without_pairs_is_told_apart(make_dataset):
    with pytest.raises(DatasetError, match="no pair yet"):
        draw_pair(make_dataset({}), "a_000000")


def test_a_missing_picture_names_the_file_and_what_to_do(make_dataset):
    root = make_dataset({"a": ["accepted"]})
    picture_path(root, "visible", "a_000000").unlink()
    with pytest.raises(DatasetError, match=r"visible.a_000000\.png.*register"):
        draw_pair(root, "a_000000")


def test_show_writes_the_png_and_prints_its_path(make_dataset, tmp_path: Path):
    root, out = make_dataset(), tmp_path / "pair.png"
    result = CliRunner().invoke(command, [str(root), "approach_000000", "-o", str(out)])
    assert (result.exit_code, result.output.strip()) == (0, str(out))
    np.testing.assert_array_equal(cv2.imread(str(out)), draw_pair(root, "approach_000000"))


def test_show_takes_the_path_of_a_file_and_a_folder_to_write_to(make_dataset, tmp_path: Path):
    root = make_dataset()
    result = CliRunner().invoke(
        command, [str(root), "infrared/approach_000030.png", "-o", str(tmp_path), "-q"]
    )
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "approach_000030.png").is_file()


def test_show_prints_the_record_as_json(make_dataset, tmp_path: Path):
    out = tmp_path / "a.png"
    result = CliRunner().invoke(command, [str(make_dataset()), "approach_000020", "-o", str(out), "--json"])
    record = json.loads(result.output)
    assert (record["picture"], record["verdict"], record["reason"]) == (str(out), "rejected", "low-score")


def test_show_refuses_a_name_that_is_no_png(make_dataset, tmp_path: Path):
    result = CliRunner().invoke(
        command, [str(make_dataset()), "approach_000000", "-o", str(tmp_path / "a.jpg")]
    )
    assert result.exit_code == 2
    assert "a.png" in result.output
