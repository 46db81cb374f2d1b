"""The report's own pictures of a pair."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from report_dataset import INFRARED_WH, VISIBLE_WH, registration, scene, true_pose
from vircraft.errors import DatasetError
from vircraft.registration.warp import warp_visible
from vircraft.report.drawing import EDGE_BGR, checkerboard, displayable, edge_overlay, strong_edges
from vircraft.report.media import MAX_WIDTH, media_path, write_media, write_pair_media
from vircraft.sampling import FramePair


def pair_of(bits: int = 8, pair_id: str = "a_000000") -> FramePair:
    visible, infrared = scene(0, bits)
    return FramePair(pair_id, "a", 0, 0, 0, 0.0, 0.0, infrared, visible)


def warped(pair: FramePair) -> np.ndarray:
    return warp_visible(pair.visible, true_pose(), INFRARED_WH)


def names(report: Path) -> set[str]:
    return {path.name for path in (report / "media").iterdir()}


def test_an_accepted_pair_needs_its_edges_only(tmp_path: Path):
    pair = pair_of()
    write_pair_media(tmp_path, pair, registration(0, "accepted"), warped(pair))
    assert names(tmp_path) == {"a_000000_edges.jpg"}


def test_a_16_bit_frame_gets_a_copy_that_browsers_show(tmp_path: Path):
    pair = pair_of(16)
    write_pair_media(tmp_path, pair, registration(0, "accepted"), warped(pair))
    assert names(tmp_path) == {"a_000000_edges.jpg", "a_000000_infrared.jpg"}
    shown = cv2.imread(str(media_path(tmp_path, "a_000000", "infrared")), cv2.IMREAD_UNCHANGED)
    assert shown.dtype == np.uint8
    assert shown.max() > 240
    assert shown.min() < 15


def test_a_rejected_pair_shows_both_frames_as_they_came(tmp_path: Path):
    write_pair_media(tmp_path, pair_of(), registration(0, "rejected"), None)
    assert names(tmp_path) == {"a_000000_infrared.jpg", "a_000000_visible.jpg"}
    shown = cv2.imread(str(media_path(tmp_path, "a_000000", "visible")))
    assert shown.shape == (VISIBLE_WH[1], VISIBLE_WH[0], 3)


def test_a_pair_that_changes_its_verdict_leaves_no_stale_picture(tmp_path: Path):
    pair = pair_of()
    write_pair_media(tmp_path, pair, registration(0, "rejected"), None)
    write_pair_media(tmp_path, pair, registration(0, "accepted"), warped(pair))
    assert names(tmp_path) == {"a_000000_edges.jpg"}


def test_large_pictures_are_reduced(tmp_path: Path):
    write_media(tmp_path, "a_000000", "visible", np.zeros((1080, 1920, 3), np.uint8))
    assert cv2.imread(str(media_path(tmp_path, "a_000000", "visible"))).shape == (540, MAX_WIDTH, 3)


@pytest.mark.parametrize("bad", ["../a", "a/b", "a\0b"])
def test_an_id_that_leaves_the_folder_is_refused(tmp_path: Path, bad: str):
    with pytest.raises(ValueError, match="no file name"):
        write_media(tmp_path, bad, "edges", np.zeros((4, 4), np.uint8))


def test_a_report_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path):
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match="cannot be written"):
        write_media(tmp_path, "a_000000", "edges", np.zeros((4, 4), np.uint8))


def test_edges_lie_where_the_picture_has_steps():
    picture = np.full((60, 80), 60, np.uint8)
    picture[:, 40:] = 180
    _, x = np.nonzero(strong_edges(picture))
    assert len(x) > 40
    assert np.abs(x - 39.5).max() <= 1.5


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_constant_frame_has_no_edges(level: int):
    assert not strong_edges(np.full((60, 80), level, np.uint8)).any()


def test_faint_sensor_noise_is_not_drawn_as_edges():
    noise = np.random.default_rng(0).normal(90, 1.0, (128, 160)).round().astype(np.uint8)
    assert strong_edges(noise).mean() / 255 < 0.01


def test_the_overlay_draws_infrared_edges_on_the_visible_picture():
    infrared = np.full((60, 80), 60, np.uint8)
    infrared[:, 40:] = 180
    overlay = edge_overlay(infrared, np.full((60, 80, 3), (10, 200, 30), np.uint8))
    assert (overlay[30, 38:42] == EDGE_BGR).all(-1).any()
    assert len(set(overlay[30, 5].tolist())) == 1  # the ground is grey


def test_overlay_of_pictures_on_two_grids_is_refused():
    with pytest.raises(ValueError, match="infrared grid"):
        edge_overlay(np.zeros((4, 4), np.uint8), np.zeros((4, 5, 3), np.uint8))


@pytest.mark.parametrize("value", [0, 700, 65535])
def test_a_constant_16_bit_frame_is_shown_without_a_warning(value: int):
    assert displayable(np.full((8, 8), value, np.uint16)).dtype == np.uint8


def test_16_bit_levels_keep_their_order():
    ramp = np.tile(np.arange(2000, 2400, dtype=np.uint16), (64, 1))
    row = displayable(ramp)[0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert (row[0], row[-1]) == (0, 255)


def test_a_checkerboard_shows_both_pictures():
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    board = checkerboard(black, white)
    assert board.mean() == pytest.approx(127.5)
    assert board[0, 0].tolist() == [0, 0, 0]
    assert board[0, 8].tolist() == [255, 255, 255]
