"""A folder of label files checked as a whole: every file has its line, mistakes between files are found."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeroplane import SIDES, annotate, exchange, project
from vircraft.annotation.checking import check as check_module
from vircraft.annotation.checking.check import CheckReport, check_labels, find_files_to_check
from vircraft.annotation.checking.findings import FINDINGS
from vircraft.annotation.checking.neighbours import find_exchanged_sides, find_jumps
from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS
from vircraft.annotation.labelme import LabelFile, Shape, to_json
from vircraft.annotation.picture import Annotation
from vircraft.errors import DatasetError, InputFileError

SIZE = (640, 512)
TIP = KEYPOINTS.index("Right_front")
PNG = bytes(cv2.imencode(".png", np.zeros((SIZE[1], SIZE[0]), np.uint8))[1])


def shapes(one: Annotation, flags: Mapping[str, bool] | None = None) -> list[Shape]:
    outline = Shape(AIRCRAFT, "polygon", one.polygons[0], one.group_id, flags or {})
    points = zip(KEYPOINTS, one.keypoints, strict=True)
    return [outline, *(Shape(n, "point", ((x, y),), one.group_id) for n, (x, y, v) in points if v)]


def write(folder: Path, name: str, drawn: list[Shape], flags: Mapping[str, bool] | None = None) -> Path:
    """Write a label file and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(PNG)
    path = folder / f"{name}.json"
    path.write_text(to_json(LabelFile(f"{name}.png", SIZE, tuple(drawn), flags or {})))
    return path


def flight(frames: int = 7) -> list[np.ndarray]:
    """Return the keypoints of an aeroplane that turns, comes nearer and is not held still by the camera."""
    at = [(300 + 23 * (k % 3), 250 - 17 * (k % 2)) for k in range(frames)]
    return [project(30 + 2 * k, 10 + k / 2, 8 * 1.06**k, at[k]) for k in range(frames)]


def write_flight(folder: Path, frames: list[np.ndarray]) -> None:
    for k, points in enumerate(frames):
        write(folder, f"clip_{10 * k:06d}", shapes(annotate(points, 1)))


def run(root: Path) -> CheckReport:
    return check_labels(find_files_to_check(root))


def found(report: CheckReport) -> dict[str, list[str]]:
    """Return the files that have warnings, with their names."""
    return {file.name: list(file.all_warnings) for file in report.files if file.all_warnings}


def dataset(root: Path, verdicts: Mapping[str, str]) -> Path:
    """Make a dataset of pairs without journals."""
    (root / "labels").mkdir(parents=True)
    (root / "dataset.json").write_text('{"format_version": 1, "name": "x", "settings": {}, "software": {}}')
    rows = [f"{pair},clip,{verdict}" for pair, verdict in verdicts.items()]
    (root / "pairs.csv").write_text("\n".join(["id,clip,verdict", *rows]) + "\n")
    return root


def test_right_labels_have_no_finding(tmp_path: Path):
    write_flight(tmp_path, flight())
    report = run(tmp_path)
    assert found(report) == {}
    assert report.outcomes == {"ok": 7}
    assert report.pair_count is None


@pytest.mark.parametrize("frame", [0, 3, 6])
def test_a_point_that_jumps_is_named_on_its_frame(tmp_path: Path, frame: int):
    frames = flight()
    frames[frame][TIP] += 0.15 * np.ptp(frames[frame], axis=0).max() * np.array([0.6, 0.8])
    write_flight(tmp_path, frames)
    report = run(tmp_path)
    jumps = [(file.name, f) for file in report.files for f in file.findings if f.code == "point-jumps"]
    assert [name for name, _ in jumps] == [f"clip_{10 * frame:06d}.json"]
    assert jumps[0][1].message.startswith("Right_front")
    assert jumps[0][1].shape == 1 + TIP


def test_zoom_pan_and_lost_frames_are_no_jumps():
    at = [(100, 100), (400, 300), (150, 280), (320, 120), (200, 200), (333, 77)]
    ticks = np.array([0, 10, 20, 70, 80, 90], float)
    turn = [30 + t / 10 for t in ticks]
    points = np.array([project(a, 12, 4 * 1.3**k, at[k]) for k, a in enumerate(turn)])
    assert find_jumps(points[..., 0] + 1j * points[..., 1], ticks) == []


@pytest.mark.parametrize("frame", [0, 2, 6])
def test_a_frame_with_all_sides_exchanged_is_named(tmp_path: Path, frame: int):
    frames = flight()
    frames[frame] = exchange(frames[frame], *SIDES)
    write_flight(tmp_path, frames)
    assert found(run(tmp_path)) == {f"clip_{10 * frame:06d}.json": ["left-right-swapped"]}


def test_an_aircraft_that_passes_by_is_not_exchanged():
    points = np.array([project(60 + 8 * k, 12) for k in range(9)])  # left points come to the other side
    assert find_exchanged_sides(points[..., 0] + 1j * points[..., 1]) == []


def test_the_first_of_a_long_exchanged_stretch_is_named():
    points = np.array([p if k < 4 else exchange(p, *SIDES) for k, p in enumerate(flight(8))])
    assert find_exchanged_sides(points[..., 0] + 1j * points[..., 1]) == [(4, 3)]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_any_points_at_all_are_compared_without_a_warning(seed: int):
    rng = np.random.default_rng(seed)
    track = rng.normal(0, 10.0 ** rng.integers(0, 6), (5, 9)) + 1j * rng.normal(0, 100, (5, 9))
    track[rng.random((5, 9)) < 0.4] = np.nan
    track[rng.integers(5)] = 3 + 4j  # all points in one place
    track[:, :1] = np.where(np.isnan(track[:, :1]), 0, track[:, :1])
    find_jumps(track, np.array([0, 0, 1, 5, 5], float))
    find_exchanged_sides(track)


def test_exchanged_group_ids_are_named(tmp_path: Path):
    for k in range(5):
        a, b = project(30, 10, 4, (150 + k, 250)), project(30, 10, 4, (450 + k, 270))
        ids = (2, 1) if k == 3 else (1, 2)
        write(tmp_path, f"clip_{k:03d}", shapes(annotate(a, ids[0])) + shapes(annotate(b, ids[1])))
    assert found(run(tmp_path)) == {"clip_003.json": ["groups-exchanged"]}


def test_cameras_that_look_down_are_told_from_those_on_the_ground(tmp_path: Path):
    for k in range(6):  # a top view is that from below with the sides exchanged
        points = project(60 * k, 50)
        points = points if k == 4 else exchange(points, *SIDES)
        write(tmp_path, f"picture{'abcdef'[k]}", shapes(annotate(points)))
    assert found(run(tmp_path)) == {"picturee.json": ["left-right-swapped"]}


def test_one_top_view_alone_is_no_finding_but_in_a_dataset(tmp_path: Path):
    points = exchange(project(40, 50), *SIDES)
    write(tmp_path / "folder", "a", shapes(annotate(points)))
    assert found(run(tmp_path / "folder")) == {}
    root = dataset(tmp_path / "dataset", {"a": "accepted"})
    write(root / "labels", "a", shapes(annotate(points)))
    assert found(run(root)) == {"labels/a.json": ["left-right-swapped"]}


def test_unfinished_files_are_named(tmp_path: Path):
    write(tmp_path, "bare", [])
    write(tmp_path, "seen", [], {"reviewed": True})
    write(tmp_path, "left", [], {"skip": True})
    write(tmp_path, "proposal", shapes(annotate(project(30, 10))), {"proposed": True})
    report = run(tmp_path)
    assert found(report) == {"bare.json": ["no-labels"], "proposal.json": ["not-confirmed"]}
    assert report.outcomes == {"ok": 3, "skip": 1}


def test_keypoints_of_a_crowd_are_named_with_their_shape(tmp_path: Path):
    write(tmp_path, "a", shapes(annotate(project(30, 10), 3), {"crowd": True}))
    write(tmp_path, "b", shapes(annotate(project(30, 10), 3), {"crowd": True})[:1])
    report = run(tmp_path)
    assert found(report) == {"a.json": ["keypoints-in-crowd"]}
    assert report.files[0].findings[0].shape == 1
    assert "9 keypoints" in report.files[0].findings[0].message


def test_two_files_of_one_picture_name_each_other(tmp_path: Path):
    path = write(tmp_path, "a", shapes(annotate(project(30, 10))))
    (tmp_path / "b.json").write_bytes(path.read_bytes())
    report = run(tmp_path)
    assert found(report) == {f"{n}.json": ["two-files-one-picture"] for n in "ab"}
    assert report.files[0].findings[0].message.startswith("b.json")


def test_labels_are_held_against_the_pairs(tmp_path: Path):
    root = dataset(tmp_path, {"a": "accepted", "b": "rejected", "c": "coarse_only", "d": "accepted"})
    for name in ("a", "b", "gone"):
        write(root / "labels", name, shapes(annotate(project(30, 10))))
    report = run(root)
    assert found(report) == {"labels/b.json": ["pair-rejected"], "labels/gone.json": ["pair-gone"]}
    assert (report.pair_count, report.unlabelled) == (3, ("c", "d"))
    assert report.outcomes == {"ok": 3}


def test_a_dataset_without_labels_tells_how_many_pairs_lack_them(tmp_path: Path):
    report = run(dataset(tmp_path, {"a": "accepted"}))
    assert (report.files, report.unlabelled) == ((), ("a",))


def test_a_damaged_table_of_pairs_is_a_remark(tmp_path: Path):
    root = dataset(tmp_path, {})
    (root / "pairs.csv").write_bytes(b"\xff\xfe")
    (root / "journal").mkdir()
    (root / "journal" / "clip.jsonl").write_text("{\n{}\n")
    report = run(root)
    assert report.pair_count is None
    assert "not compared" in report.remarks[0]


def test_a_bad_file_has_its_reason_and_stops_none_of_the_others(tmp_path: Path):
    write(tmp_path, "good", shapes(annotate(project(30, 10))))
    path = write(tmp_path, "wrong", [Shape("Nose", "point", ((1.0, 1.0),))])
    write(tmp_path, "gone", shapes(annotate(project(30, 10))))
    (tmp_path / "gone.png").unlink()
    (tmp_path / "dangling.json").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    files = {file.name: file for file in run(tmp_path).files}
    assert {name: file.reason for name, file in files.items()} == {
        "good.json": "",
        "wrong.json": "unknown-label",
        "gone.json": "missing-image",
        "dangling.json": "bad-json",
        "pipe.json": "bad-json",
    }
    assert files[path.name].shape == 0
    assert all(file.message for name, file in files.items() if name != "good.json")


def test_a_folder_that_cannot_be_listed_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, "good", shapes(annotate(project(30, 10))))
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = run(tmp_path)
    assert [(f.name, f.outcome, f.reason) for f in report.files] == [
        ("closed", "error", "unreadable"),
        ("good.json", "ok", ""),
    ]


def test_files_that_change_meanwhile_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    frames = flight()
    frames[3] = exchange(frames[3], *SIDES)
    write_flight(tmp_path, frames)
    monkeypatch.setattr(check_module, "_shapes", lambda path: [])
    finding = run(tmp_path).files[3].findings[0]
    assert (finding.code, finding.shape) == ("left-right-swapped", None)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["shapes", "imagePath", "flags", "points", "label"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_end_in_one_line(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.json").write_bytes(content)
    (file,) = run(folder).files
    assert file.outcome in ("ok", "skip", "error")
    assert (file.outcome == "error") == bool(file.reason)


def test_no_folder_and_a_folder_without_labels_are_errors(tmp_path: Path):
    with pytest.raises(DatasetError, match="does not exist"):
        find_files_to_check(tmp_path / "nowhere")
    with pytest.raises(InputFileError, match="holds no label file"):
        find_files_to_check(tmp_path)


def test_codes_of_findings_and_reasons_of_the_contract_differ():
    contract = Path(__file__).parents[3] / "shared" / "data" / "labelme_cases" / "RULES.md"
    if not contract.is_file():
        pytest.skip("the rules are not at hand")
    words = contract.read_text()
    assert not [code for code in FINDINGS if code in words]


def test_findings_of_many_aircraft_are_located_in_little_time(tmp_path: Path):
    count = 1500
    points = exchange(project(40, 10, 4, (300, 250)), SIDES[0])
    drawn = [s for n in range(count) for s in shapes(annotate(points, n))]
    write(tmp_path, "a", drawn)
    start = time.process_time()
    (file,) = run(tmp_path).files
    assert time.process_time() - start < 8
    assert len(file.findings) >= count
    for finding in file.findings:
        assert finding.shape is not None
        assert (drawn[finding.shape].group_id, drawn[finding.shape].label) == (
            finding.group_id,
            finding.label,
        )


def test_a_finding_about_the_box_is_located_at_the_rectangle(tmp_path: Path):
    drawn = shapes(annotate(project(30, 10), 1))
    corners = ((5.0, 5.0), (600.0, 500.0))
    write(tmp_path, "a", [*drawn, Shape(AIRCRAFT, "rectangle", corners, 1)])
    assert [(f.code, f.shape) for f in run(tmp_path).files[0].findings] == [("box-misfit", len(drawn))]
