from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from binocular import INFRARED_WH, pair, pose, scene
from vircraft.errors import InputFileError, PictureError
from vircraft.palettes import palette_table
from vircraft.registration import Registration, RegistrationSettings, corner_error_px, warp_visible
from vircraft.stills import (
    COLUMNS,
    Answer,
    StillPair,
    align_pairs,
    read_pairs_csv,
    read_picture,
    write_answers,
)

TRUTH = pose(0.5, rotation_deg=1.0)
SETTINGS = RegistrationSettings()


def _csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _stills(folder: Path, name: str, seed: int, *, other: int | None = None, rig: str = "") -> StillPair:
    """Write a pair of pictures, of different scenes when `other` is given."""
    visible, infrared = pair(seed, TRUTH)
    cv2.imwrite(str(folder / f"{name}_v.png"), visible if other is None else scene(other))
    cv2.imwrite(str(folder / f"{name}_i.png"), infrared)
    return StillPair(name, folder / f"{name}_v.png", folder / f"{name}_i.png", rig)


def test_paths_are_relative_to_the_csv_and_other_columns_are_ignored(tmp_path: Path) -> None:
    rows = read_pairs_csv(
        _csv(tmp_path, "note,infrared,id,visible,rig\nx,i/a.png, a ,v/a.jpg,r1\ny,b.png,b,c.jpg,\n")
    )
    assert rows == [
        StillPair("a", tmp_path / "v/a.jpg", tmp_path / "i/a.png", "r1"),
        StillPair("b", tmp_path / "c.jpg", tmp_path / "b.png", ""),
    ]


def test_a_byte_order_mark_and_quoted_fields_are_read(tmp_path: Path) -> None:
    text = '\ufeffid,visible,infrared\r\n"a, b","v ""1"".png",i.png\r\n'
    [row] = read_pairs_csv(_csv(tmp_path, text))
    assert (row.id, row.visible.name) == ("a, b", 'v "1".png')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column id, visible, infrared"),
        ("id,visible\na,b\n", "no column infrared"),
        ("id,visible,infrared\na,b,c\na,d,e\n", "line 3: id 'a' stands twice"),
        ("id,visible,infrared\na,b,\n", "line 2: infrared is empty"),
        ("id,visible,infrared\na,b\n", "line 2: infrared is empty"),
        ("id,visible,infrared\n../x,b,c\n", "cannot name a file"),
        ("id,visible,infrared\nx/y,b,c\n", "cannot name a file"),
        ("id,visible,infrared\nx\\y,b,c\n", "cannot name a file"),
        ("id,visible,infrared\n..,b,c\n", "cannot name a file"),
        (b"id,visible,infrared\n\xff\xfe,b,c\n", "UTF-8"),
        ("id,visible,infrared\na," + "b" * 200_000 + ",c\n", "line 2: is not CSV"),
        ("id," + "b" * 200_000 + "\n", "line 1: is not CSV"),
    ],
)
def test_a_wrong_list_is_an_error_that_says_where(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = _csv(tmp_path, text)
    with pytest.raises(InputFileError, match=says) as caught:
        read_pairs_csv(path)
    assert caught.value.path == path


def test_a_list_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="cannot be read"):
        read_pairs_csv(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["ironbow", "inferno", "jet"])
def test_a_known_palette_of_an_infrared_still_is_undone(tmp_path: Path, name: str) -> None:
    _, grey = pair(3, TRUTH)
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), palette_table(name)[grey])
    read = read_picture(path, infrared=True)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - grey).mean() < 4


def test_of_unknown_colours_the_luminance_is_taken(tmp_path: Path) -> None:
    colour = scene(4)
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), colour)
    np.testing.assert_array_equal(read_picture(path, infrared=True), cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))


def test_a_false_colour_pair_is_registered(tmp_path: Path) -> None:
    row = _stills(tmp_path, "a", 1)
    _, infrared = pair(1, TRUTH)
    cv2.imwrite(str(row.infrared), palette_table("jet")[infrared])
    [answer] = align_pairs([row], SETTINGS)
    assert answer.registration.h_ir_from_vis is not None
    assert corner_error_px(TRUTH, answer.registration.h_ir_from_vis, INFRARED_WH) < 2


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 1, 3), (2, 40, 3)])
def test_a_tiny_colour_picture_is_read(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), np.full(shape, (200, 20, 90), np.uint8))
    assert read_picture(path, infrared=True).shape == shape[:2]


def test_sixteen_bits_are_kept_and_an_alpha_channel_is_dropped(tmp_path: Path) -> None:
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png", infrared=True), deep)
    grey = (deep >> 8).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([grey, grey, grey, np.full_like(grey, 255)]))
    np.testing.assert_array_equal(read_picture(tmp_path / "alpha.png", infrared=True), grey)
    assert read_picture(tmp_path / "alpha.png", infrared=False).shape == (64, 64, 3)


def test_what_is_not_a_picture_is_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    cv2.imwrite(str(tmp_path / "float.tiff"), np.zeros((20, 20), np.float32))
    for name, reason in (
        ("none.png", "missing"),
        ("folder.png", "missing"),
        ("empty.png", "unreadable"),
        ("text.png", "unreadable"),
        ("float.tiff", "pixel-type"),
    ):
        with pytest.raises(PictureError, match=name) as caught:
            read_picture(tmp_path / name, infrared=True)
        assert caught.value.reason == reason


def test_every_row_gets_an_answer_and_a_missing_picture_stops_no_other(tmp_path: Path) -> None:
    rows = [
        _stills(tmp_path, "good", 1),
        StillPair("gone", tmp_path / "gone.png", tmp_path / "good_i.png"),
        _stills(tmp_path, "other", 2, other=90),
    ]
    answers = {a.id: a for a in align_pairs(rows, SETTINGS)}
    assert list(answers) == ["good", "gone", "other"]
    assert answers["good"].status == "fine"
    assert answers["good"].ms > 0
    assert not answers["good"].failure
    assert (answers["gone"].status, answers["gone"].registration.reason) == ("refused", "missing")
    assert "gone.png" in answers["gone"].failure
    assert answers["other"].status == "refused"
    assert not answers["other"].failure


def test_pairs_of_one_rig_share_a_homography_wherever_they_stand(tmp_path: Path) -> None:
    rows = [
        _stills(tmp_path, "a", 1, rig="r"),
        _stills(tmp_path, "b", 5),
        _stills(tmp_path, "c", 2, rig="r"),
        StillPair("d", tmp_path / "none.png", tmp_path / "a_i.png", "r"),
    ]
    answers = {a.id: a.registration for a in align_pairs(rows, SETTINGS)}
    assert sorted(answers) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(answers["a"].h_ir_from_vis, answers["c"].h_ir_from_vis)  # type: ignore[arg-type]
    assert not np.array_equal(answers["a"].h_ir_from_vis, answers["b"].h_ir_from_vis)  # type: ignore[arg-type]
    assert answers["d"].reason == "missing"


def test_pictures_of_different_sizes_in_one_rig_are_registered_apart(tmp_path: Path) -> None:
    rows = [_stills(tmp_path, "a", 1, rig="r"), _stills(tmp_path, "b", 2, rig="r")]
    small = cv2.resize(cv2.imread(str(rows[1].visible)), (320, 240), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(rows[1].visible), small)
    answers = {a.id: a.registration for a in align_pairs(rows, SETTINGS)}
    assert answers["a"].status == answers["b"].status == "fine"
    assert not np.array_equal(answers["a"].h_ir_from_vis, answers["b"].h_ir_from_vis)  # type: ignore[arg-type]


def test_the_warped_visible_picture_is_written_for_accepted_pairs_only(tmp_path: Path) -> None:
    rows = [_stills(tmp_path, "a", 1), _stills(tmp_path, "b", 2, other=90)]
    [a, _] = align_pairs(rows, SETTINGS, tmp_path / "w" / "deep")
    assert [p.name for p in (tmp_path / "w" / "deep").iterdir()] == ["a.png"]
    assert a.registration.h_ir_from_vis is not None
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "w" / "deep" / "a.png")),
        warp_visible(cv2.imread(str(rows[0].visible)), a.registration.h_ir_from_vis, INFRARED_WH),
    )


def test_the_table_has_exactly_its_columns_and_numbers_that_come_back(tmp_path: Path) -> None:
    h = pose(0.37, rotation_deg=1.234, perspective=(1e-3, -2e-3))
    answers = [
        Answer("a", Registration("fine", h, 1.23456), 12.345),
        Answer("b", Registration("refused", reason="low-score"), 3.0),
        Answer("c", Registration("coarse", h, float("nan"), reason="few-matches"), 3.0),
    ]
    write_answers(answers, tmp_path / "est.csv")
    with (tmp_path / "est.csv").open(newline="") as file:
        table = csv.DictReader(file)
        rows = list(table)
    assert table.fieldnames == [
        "id", "status", "h00", "h01", "h02", "h10", "h11", "h12", "h20", "h21", "h22",
        "predicted_error_px", "reason", "ms",
    ]  # fmt: skip
    assert tuple(table.fieldnames) == COLUMNS
    np.testing.assert_array_equal([float(rows[0][c]) for c in COLUMNS[2:11]], h.ravel())
    assert float(rows[0]["predicted_error_px"]) == pytest.approx(1.235)
    assert [rows[1][c] for c in COLUMNS[2:13]] == [""] * 10 + ["low-score"]
    assert (rows[2]["predicted_error_px"], rows[2]["status"]) == ("", "coarse")
