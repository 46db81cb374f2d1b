"""Two annotators of the same pictures: matching, visibility, overlap; and the command that reports it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from in_process import in_this_process
from labelled import keypoints, make_dataset
from labelled import shape as full_shape
from labelled_folder import aircraft, all_nine, write_labelled
from vircraft.annotation.agreement import (
    Agreement,
    VisibilityAgreement,
    box_iou,
    by_name,
    compare,
    match_aircraft,
)
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.annotation.label_folder import (
    find_labels,
    matched_names,
    names_below,
    read_again,
    read_labels_of,
)
from vircraft.annotation.picture import Annotation
from vircraft_cli.sigmas import command

BOX = (10, 20, 110, 60)
SQUARE = full_shape("aircraft", "polygon", [[5, 5], [60, 5], [60, 40], [5, 40]])


def compared(tmp_path: Path) -> Agreement:
    found = [find_labels(tmp_path / who) for who in "ab"]
    names = matched_names(*(names_below(f, tmp_path / who) for f, who in zip(found, "ab", strict=True)))
    return compare(*(by_name(read_labels_of(f)[0], n) for f, n in zip(found, names, strict=True)))


def boxed(x0: float, y0: float, x1: float, y1: float, group: int | None = None) -> Annotation:
    return Annotation(group, (x0, y0, x1, y1), (x1 - x0) * (y1 - y0))


def moved(points: dict, dx: float, dy: float) -> dict:
    return {name: (x + dx, y + dy) for name, (x, y) in points.items()}


def test_distances_are_measured_between_the_same_keypoints(tmp_path: Path):
    points = all_nine(20, 30)
    write_labelled(tmp_path / "a", "p", aircraft(BOX, points))
    write_labelled(tmp_path / "b", "p", aircraft(BOX, moved(points, 3, 4)))
    found = compared(tmp_path)
    assert [round(a.rms_px, 9) for a in found.keypoints] == [5] * 9
    # area 100 x 40 px as pycocotools paints it
    assert found.keypoints[0].rms_relative == pytest.approx(5 / np.sqrt(4000))
    assert found.keypoints[0].sigma == pytest.approx(5 / np.sqrt(4000) / np.sqrt(2))


def test_a_keypoint_that_one_calls_invisible_has_no_distance(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft(BOX, {"Head": (20, 30), "Tail": (90, 40)}))
    write_labelled(tmp_path / "b", "p", aircraft(BOX, {"Head": (20, 31, "occluded")}))
    found = {a.keypoint: a.pairs for a in compared(tmp_path).keypoints}
    assert (found["Head"], found["Tail"]) == (1, 0)


def test_visibility_is_compared_word_for_word(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft(BOX, {"Head": (20, 30), "Tail": (90, 40)}))
    write_labelled(tmp_path / "b", "p", aircraft(BOX, {"Head": (20, 31, "occluded")}))
    everything, *nine = compared(tmp_path).visibility
    head, tail = nine[KEYPOINTS.index("Head")], nine[KEYPOINTS.index("Tail")]
    assert head.confusion == ((0, 1, 0), (0, 0, 0), (0, 0, 0))
    assert tail.confusion == ((0, 0, 1), (0, 0, 0), (0, 0, 0))
    assert (everything.count, everything.share) == (9, pytest.approx(7 / 9))


def test_kappa_is_cohen_s():
    # 20 and 15 of 50 agreed, 5 and 10 not: the textbook's example, kappa 0.4
    found = VisibilityAgreement("Head", ((20, 5, 0), (10, 15, 0), (0, 0, 0)))
    assert found.kappa == pytest.approx(0.4)


def test_kappa_is_undefined_where_nothing_varies():
    assert VisibilityAgreement("Head", ((7, 0, 0), (0, 0, 0), (0, 0, 0))).kappa is None
    assert VisibilityAgreement("Head", ((0, 0, 0),) * 3).kappa is None


def test_box_iou_of_known_boxes():
    assert box_iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert box_iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0


def test_mask_iou_counts_pixels(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft((10, 20, 30, 40)))
    write_labelled(tmp_path / "b", "p", aircraft((20, 20, 40, 40)))
    (match,) = compared(tmp_path).matches
    assert match.box_iou == pytest.approx(1 / 3)
    assert match.mask_iou == pytest.approx(1 / 3)


def test_without_both_masks_there_is_no_mask_iou(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft((10, 20, 30, 40)))
    write_labelled(tmp_path / "b", "p", aircraft((10, 20, 30, 40), outline=False))
    (match,) = compared(tmp_path).matches
    assert match.mask_iou is None
    assert match.scale_px == pytest.approx(20)  # of the mask that is there


def test_aircraft_are_matched_by_place_whatever_their_numbers():
    left, right = boxed(0, 0, 40, 20, 1), boxed(50, 0, 90, 20, 2)
    swapped = [boxed(51, 1, 91, 21, 1), boxed(1, 1, 41, 21, 2)]
    assert match_aircraft([left, right], swapped) == [(0, 1), (1, 0)]


def test_the_group_id_decides_between_near_equals():
    first = [boxed(0, 0, 40, 20, 7)]
    second = [boxed(2, 0, 42, 20, 3), boxed(0, 3, 40, 23, 7)]
    assert match_aircraft(first, second) == [(0, 1)]


def test_boxes_that_hardly_touch_are_two_aircraft(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft((10, 20, 50, 40), group=1))
    write_labelled(tmp_path / "b", "p", aircraft((49, 20, 90, 40), group=1))
    found = compared(tmp_path)
    assert (found.matches, found.only_first, found.only_second) == ((), (("p", 1),), (("p", 1),))


def test_pictures_of_one_annotator_and_of_other_sizes_are_named(tmp_path: Path):
    write_labelled(tmp_path / "a", "only_a", aircraft(BOX))
    write_labelled(tmp_path / "a", "both", aircraft(BOX))
    write_labelled(tmp_path / "b", "both", aircraft(BOX))
    write_labelled(tmp_path / "a", "resized", aircraft(BOX))
    write_labelled(tmp_path / "b", "resized", aircraft(BOX), wh=(320, 256))
    write_labelled(tmp_path / "b", "proposed", aircraft(BOX), {"proposed": True})
    found = compared(tmp_path)
    assert (found.pictures, found.missing_second, found.missing_first) == (1, ("only_a",), ())
    assert found.other_size == ("resized",)


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path: Path):
    for who, x in (("a", 0), ("b", 2)):
        for clip in ("one", "two"):
            write_labelled(tmp_path / who, f"{clip}/p", aircraft(BOX, moved(all_nine(20, 30), x, 0)))
    found = compared(tmp_path)
    assert sorted(m.picture for m in found.matches) == ["one/p", "two/p"]


def test_label_files_without_pictures_borrow_the_other_annotator_s(tmp_path: Path):
    write_labelled(tmp_path / "a", "p", aircraft(BOX, all_nine(20, 30)))
    path = write_labelled(tmp_path / "b", "p", aircraft(BOX, all_nine(21, 30)))
    path.with_suffix(".png").unlink()
    first, second = find_labels(tmp_path / "a"), find_labels(tmp_path / "b")
    read, errors = read_labels_of(second)
    assert (read, [e.reason for e in errors]) == ([], ["missing-image"])
    names = matched_names(names_below(first, tmp_path / "a"), names_below(second, tmp_path / "b"))
    again, remaining = read_again(errors, names[1], first, names[0])
    assert (len(again), remaining) == (1, [])
    assert again[0].size_wh == (160, 128)


def two_annotators(tmp_path: Path, count: int = 12, noise_px: float = 1.5) -> tuple[Path, Path]:
    rng = np.random.default_rng(5)
    for n in range(count):
        for who in "ab":
            points = {k: (v + rng.normal(0, noise_px, 2)).tolist() for k, v in all_nine(25, 35).items()}
            write_labelled(tmp_path / who, f"p{n:02d}", aircraft(BOX, points))
    return tmp_path / "a", tmp_path / "b"


def run(*arguments: object) -> Result:
    return in_this_process(command, *arguments)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_sigmas_that_the_export_takes(tmp_path: Path):
    a, b = two_annotators(tmp_path)
    out = tmp_path / "out"
    result = run(a, b, "-o", out)
    assert (result.return_value, result.output.splitlines()[-1]) == (0, str(out / "sigmas.json"))
    sigmas = json.loads((out / "sigmas.json").read_text())
    assert list(sigmas) == list(KEYPOINTS)
    expected = np.sqrt(2) * 1.5 / np.sqrt(4000)
    assert np.mean(list(sigmas.values())) == pytest.approx(expected, rel=0.15)
    rows = table(out / "aircraft.csv")
    assert len(rows) == 12
    assert float(rows[0]["Head_px"]) > 0
    assert len(table(out / "visibility.csv")) == 9 * 10
    assert [r["keypoint"] for r in table(out / "keypoints.csv")] == list(KEYPOINTS)


def test_the_command_writes_the_sigmas_alone_into_a_json(tmp_path: Path):
    a, b = two_annotators(tmp_path)
    assert run(a, b, "-q", "-o", tmp_path / "s.json").return_value == 0
    assert set(json.loads((tmp_path / "s.json").read_text())) == set(KEYPOINTS)


def test_too_few_pairs_are_said_and_not_written(tmp_path: Path):
    a, b = two_annotators(tmp_path, count=4)
    result = run(a, b, "-o", tmp_path / "s.json")
    assert "fewer than 10 pairs of all keypoints" in result.stderr
    assert json.loads((tmp_path / "s.json").read_text()) == {}
    run(a, b, "-o", tmp_path / "s.json", "--min-pairs", 4)
    assert set(json.loads((tmp_path / "s.json").read_text())) == set(KEYPOINTS)


def test_a_copy_is_told_from_a_second_annotator(tmp_path: Path):
    a, _ = two_annotators(tmp_path)
    shutil.copytree(a, tmp_path / "copy")
    result = run(a, tmp_path / "copy")
    assert "one is a copy of the other" in result.stderr


def test_broken_files_are_named_and_the_rest_is_reported(tmp_path: Path):
    a, b = two_annotators(tmp_path)
    (b / "p00.json").write_text("{")
    result = run(a, b, "--json")
    found = json.loads(result.stdout)
    assert result.return_value == 3
    assert (found["pictures"], [f["reason"] for f in found["failures"]]) == (11, ["bad-json"])


def test_the_same_folder_twice_is_refused(tmp_path: Path):
    a, _ = two_annotators(tmp_path, count=1)
    result = CliRunner().invoke(command, [str(a), str(a)])
    assert (result.exit_code, "same files" in result.output) == (2, True)


def test_names_that_occur_twice_on_one_side_are_told_apart_on_both(tmp_path: Path):
    for n, name in enumerate(("x/one", "y/one")):
        write_labelled(tmp_path / "a", name, aircraft(BOX, moved(all_nine(20, 30), n, 0)))
    write_labelled(tmp_path / "b", "x/one", aircraft(BOX, moved(all_nine(20, 30), 5, 0)))
    for first, second, only in (("a", "b", "missing_second"), ("b", "a", "missing_first")):
        found = json.loads(run(tmp_path / first, tmp_path / second, "--json").stdout)
        assert (found["pictures"], found[only]) == (1, ["y/one"])
        assert found["keypoints"]["Head"]["rms_px"] == pytest.approx(5)


def test_a_broken_file_counts_when_names_are_told_apart(tmp_path: Path):
    for name in ("x/one", "y/one"):
        write_labelled(tmp_path / "a", name, aircraft(BOX, all_nine(20, 30)))
    (tmp_path / "a" / "x" / "one.json").write_text("{")
    write_labelled(tmp_path / "b", "x/one", aircraft(BOX, all_nine(21, 30)))
    write_labelled(tmp_path / "b", "y/one", aircraft(BOX, all_nine(22, 30)))
    found = json.loads(run(tmp_path / "a", tmp_path / "b", "--json").stdout)
    assert (found["pictures"], found["missing_first"]) == (1, ["x/one"])
    assert found["keypoints"]["Head"]["rms_px"] == pytest.approx(2)


def test_names_are_told_apart_inside_a_dataset_too(tmp_path: Path):
    root = make_dataset(tmp_path, {f"{name}_000000": [*keypoints(), SQUARE] for name in "ab"})
    for name in "ab":
        text = (root / "labels" / f"{name}_000000.json").read_text().replace("../infrared", "../../infrared")
        (root / "second" / name).mkdir(parents=True)
        (root / "second" / name / f"{name}_000000.json").write_text(text)
    found = json.loads(run(root, root / "second", "--json").stdout)
    assert found["pictures"] == 2


def test_pictures_are_borrowed_from_the_file_of_the_same_folder(tmp_path: Path):
    for name, wh in (("x/one", (160, 128)), ("y/one", (320, 256))):
        write_labelled(tmp_path / "a", name, aircraft(BOX, all_nine(20, 30)), wh=wh)
        path = write_labelled(tmp_path / "b", name, aircraft(BOX, all_nine(21, 30)), wh=wh)
        path.with_suffix(".png").unlink()
    found = json.loads(run(tmp_path / "a", tmp_path / "b", "--json").stdout)
    assert (found["pictures"], found["failures"]) == (2, [])


def test_names_that_are_no_utf_8_are_written_and_printed(tmp_path: Path):
    name = os.fsdecode(b"b\xff")
    for who in "ab":
        for plain, odd in (("p", name), ("q", f"{who}{name}")):
            path = write_labelled(tmp_path / who, plain, aircraft(BOX, all_nine(20, 30)))
            path.rename(path.with_name(f"{odd}.json"))
    out = tmp_path / os.fsdecode(b"out\xff")
    result = run(tmp_path / "a", tmp_path / "b", "-o", out, "--json")
    assert json.loads(result.stdout)["missing_first"] == [f"b{name}"]
    assert table(out / "aircraft.csv")[0]["picture"] == "b\\udcff"
    assert run(tmp_path / "a", tmp_path / "b", "-o", out).output.splitlines()[-1].endswith("sigmas.json")


def test_many_aircraft_are_matched_in_little_time():
    first = [boxed(7 * n, 0, 7 * n + 6, 10, n) for n in range(2000)]
    second = [boxed(7 * n + 1, 0, 7 * n + 7, 10, n) for n in reversed(range(2000))]
    start = time.process_time()
    assert match_aircraft(first, second) == [(n, 1999 - n) for n in range(2000)]
    assert time.process_time() - start < 2
