"""What labels hold: counts by visibility, sizes, places; against folders whose contents are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelled_folder import aircraft, all_nine, shape, write_labelled
from vircraft.annotation.clip_names import clip_of
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.label_folder import find_labels, read_labels_of
from vircraft.annotation.statistics import (
    NO_SPLIT,
    LabelStatistics,
    centre_heat,
    gather_statistics,
    size_quartiles,
)


def statistics_of(folder: Path, **options) -> LabelStatistics:
    return gather_statistics(*read_labels_of(find_labels(folder)), **options)


def row(statistics: LabelStatistics, name: str) -> tuple[int, int, int]:
    return statistics.everything.counts[KEYPOINTS.index(name)]


def test_absent_keypoints_count_as_invisible(tmp_path: Path):
    points = {"Head": (20, 30), "Tail": (60, 30, "occluded"), "Vertical": (0, 0, "invisible")}
    write_labelled(tmp_path, "one", aircraft((10, 20, 70, 50), points))
    write_labelled(tmp_path, "two", aircraft((10, 20, 70, 50), {"Head": (20, 30, "occluded")}))
    found = statistics_of(tmp_path)
    assert row(found, "Head") == (1, 1, 0)
    assert row(found, "Tail") == (0, 1, 1)
    assert row(found, "Vertical") == row(found, "Left_root") == (0, 0, 2)
    assert found.everything.total == (1, 2, 15)


def test_every_row_sums_to_the_number_of_aircraft(tmp_path: Path):
    two = aircraft((5, 5, 60, 40), all_nine(6, 10, 5), 1) + aircraft((80, 60, 150, 110), {}, 2)
    write_labelled(tmp_path, "a", two)
    found = statistics_of(tmp_path)
    assert [sum(counts) for counts in found.everything.counts] == [2] * 9
    assert found.unmarked == 1


def test_skipped_proposed_empty_and_broken_files_are_counted_apart(tmp_path: Path):
    good = aircraft((10, 20, 70, 50), {"Head": (20, 30)})
    write_labelled(tmp_path, "good", good, {"reviewed": True})
    write_labelled(tmp_path, "empty", [])
    write_labelled(tmp_path, "skip", good, {"skip": True})
    write_labelled(tmp_path, "proposed", good, {"proposed": True})
    write_labelled(tmp_path, "nose", [shape("Nose", "point", [[1, 1]], 1)])
    (tmp_path / "torn.json").write_text("{")
    found = statistics_of(tmp_path)
    assert (found.pictures, found.empty, len(found.aircraft), found.reviewed) == (2, 1, 1, 1)
    assert (found.skipped, found.proposed) == (1, 1)
    assert found.failures_by_reason == {"unknown-label": 1, "bad-json": 1}
    assert [one.name for one in found.failures] == ["nose", "torn"]


def test_a_crowd_has_no_keypoints_to_count(tmp_path: Path):
    square = [[1, 1], [30, 1], [30, 30], [1, 30]]
    crowd = [shape("aircraft", "polygon", square, 2, {"crowd": True})]
    write_labelled(tmp_path, "a", aircraft((40, 40, 90, 90), {"Head": (50, 50)}) + crowd)
    found = statistics_of(tmp_path)
    assert (len(found.aircraft), found.crowds) == (1, 1)


def test_counts_by_clip_follow_the_names(tmp_path: Path):
    for name, head in (("b_000010", (20, 30)), ("b_000020", (20, 30)), ("a_x_000000", (20, 30, "occluded"))):
        write_labelled(tmp_path, name, aircraft((10, 20, 70, 50), {"Head": head}))
    found = statistics_of(tmp_path, by="clip")
    assert [(g.group, g.aircraft, g.counts[0]) for g in found.groups] == [
        ("a_x", 1, (0, 1, 0)),
        ("b", 2, (2, 0, 0)),
    ]


def test_counts_by_split_keep_the_order_of_the_split_file(tmp_path: Path):
    for clip in "abc":
        write_labelled(tmp_path, f"{clip}_000000", aircraft((10, 20, 70, 50)))
    found = statistics_of(tmp_path, by="split", split_of={"b": "train", "a": "val"})
    assert [g.group for g in found.groups] == ["train", "val", NO_SPLIT]
    assert [one.split for one in found.aircraft] == ["val", "train", ""]


@pytest.mark.parametrize(
    ("name", "clip"),
    [("a_000120", "a"), ("deep/a_b_1234567", "a_b"), ("a_120", ""), ("000120", ""), ("picture", "")],
)
def test_the_clip_is_the_name_without_its_number(name: str, clip: str):
    assert clip_of(name) == clip


def test_sizes_are_those_of_the_drawn_boxes(tmp_path: Path):
    for n, width in enumerate((10, 20, 30, 40, 50)):
        write_labelled(tmp_path, f"p{n}", aircraft((5, 5, 5 + width, 25)))
    by_name = {q.quantity: q for q in size_quartiles(statistics_of(tmp_path).aircraft)}
    width = by_name["width_px"]
    assert (width.least, width.lower, width.median, width.upper, width.most) == (10, 20, 30, 40, 50)
    assert by_name["height_px"].median == 20
    assert by_name["share_of_picture"].median == pytest.approx(30 * 20 / (160 * 128))
    assert by_name["mask_px"].most == 50 * 20  # pixels that pycocotools paints


def test_an_aircraft_with_a_box_only_has_no_mask_size(tmp_path: Path):
    write_labelled(tmp_path, "a", aircraft((5, 5, 50, 25), outline=False))
    assert size_quartiles(statistics_of(tmp_path).aircraft)[-1].count == 0


def test_centres_fall_into_the_field_that_they_lie_in(tmp_path: Path):
    # 16 x 12 fields of 10 x 10.67 px: one centre at (5, 5), one in the last corner
    write_labelled(tmp_path, "a", aircraft((0, 0, 10, 10)))
    write_labelled(tmp_path, "b", aircraft((150, 118, 160, 128)))
    heat = centre_heat(statistics_of(tmp_path).aircraft)
    assert {(int(r), int(c)) for r, c in np.argwhere(heat)} == {(0, 0), (11, 15)}
    assert heat.sum() == 2


def test_no_aircraft_at_all_is_no_error(tmp_path: Path):
    write_labelled(tmp_path, "a", [])
    found = statistics_of(tmp_path, by="clip")
    assert found.everything.counts == ((0, 0, 0),) * 9
    assert [q.count for q in size_quartiles(found.aircraft)] == [0] * 5
    assert not centre_heat(found.aircraft).any()
