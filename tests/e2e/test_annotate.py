"""`vircraft annotate` with the real Labelme on a virtual display, driven by mouse and keyboard."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from command_line import INSTALLED, json_lines, vircraft
from fake_labelme import outline, write_fake_labelme
from labelme_window import Annotator, find_real_labelme, missing_tools, until, virtual_display
from report_dataset import INFRARED_WH, build
from vircraft.annotation.keypoints import KEYPOINTS, Visibility
from vircraft.annotation.labelling.labelme_program import COLOURS
from vircraft.annotation.labelme import LabelFile, Shape, read_labels, write_labels
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import label_path

FIRST = "approach_000000"
PLACES = {name: (20 + 14 * n, 30 + 37 * (n % 3)) for n, name in enumerate(KEYPOINTS)}
FLAGS = {"Left_root": "occluded", "Right_behind": "occluded", "Tail": "invisible"}
CORNERS = [(12, 15), (150, 20), (140, 118), (75, 122), (15, 112)]
WITHIN_PX = 1.5

real = pytest.mark.skipif(bool(missing_tools()), reason=f"needs {', '.join(missing_tools())}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build(tmp_path / "dataset", media=False)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with virtual_display() as name:
        yield name


@contextmanager
def annotating(root: Path, display: str, *options: object) -> Iterator[Annotator]:
    """Run the command with the real Labelme, and check that it ends well."""
    environment = {**os.environ, "DISPLAY": display, "HOME": str(root.parent), "XDG_CONFIG_HOME": ""}
    command = [INSTALLED, "annotate", root, "--labelme", find_real_labelme(), "-v", *options]
    process = subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield Annotator.sit_down(display, root / "annotate" / "pictures" / f"{FIRST}.png")
            output, _ = process.communicate(timeout=30)
        except BaseException:
            process.send_signal(signal.SIGINT)  # ends Labelme, too
            raise
        assert process.returncode == 0, output


@real
@pytest.mark.slow
def test_nine_points_an_outline_and_a_group_id_for_all_are_in_the_labels(root: Path, display: str) -> None:
    with annotating(root, display) as person:
        for name, place in PLACES.items():
            person.draw_point(name, place, FLAGS.get(name, ""))
        person.draw_polygon("aircraft", CORNERS)
        person.set_group_of_all(7, COLOURS.values())
        until(lambda: '"group_id": 7' in label_path(root, FIRST).read_text(), "the labels in the dataset")
        person.leave()

    drawn = read_annotations(label_path(root, FIRST), root)
    assert (drawn.file_name, drawn.size_wh) == (f"infrared/{FIRST}.png", INFRARED_WH)
    (aircraft,) = drawn.annotations
    assert aircraft.group_id == 7
    for name, (x, y, visibility) in zip(KEYPOINTS, aircraft.keypoints, strict=True):
        flag = FLAGS.get(name, "")
        if flag == "invisible":
            assert visibility is Visibility.INVISIBLE
        else:
            assert visibility is (Visibility.OCCLUDED if flag else Visibility.VISIBLE), name
            assert (x, y) == pytest.approx(PLACES[name], abs=WITHIN_PX), name
    (polygon,) = aircraft.polygons
    assert len(polygon) == len(CORNERS)
    for corner, place in zip(polygon, CORNERS, strict=True):
        assert corner == pytest.approx(place, abs=WITHIN_PX)
    shapes = read_labels(label_path(root, FIRST)).shapes
    assert [shape.label for shape in shapes] == [*KEYPOINTS, "aircraft"]
    assert all(shape.group_id == 7 for shape in shapes)
    assert set(shapes[-1].flags) == {"hole", "crowd"}, "editing all at once left its flags alone"


@real
@pytest.mark.slow
def test_labels_that_vircraft_wrote_come_back_from_labelme_unchanged(root: Path, display: str) -> None:
    written = LabelFile(
        f"../infrared/{FIRST}.png",
        INFRARED_WH,
        (
            Shape(
                "aircraft", "polygon", ((11.0, 14.25), (150.123456, 20.5), (75.0, 121.0)), 3, {"crowd": False}
            ),
            Shape("aircraft", "rectangle", ((11.0, 14.25), (150.5, 121.0)), 3, description="by hand: 飞机"),
            Shape("Head", "point", ((150.1, 20.2),), 3),
            Shape("Left_root", "point", ((80.0, 60.0),), 3, {"occluded": True}),
        ),
        {"reviewed": False},
    )
    label_path(root, FIRST).parent.mkdir()
    assert write_labels(label_path(root, FIRST), written)
    with annotating(root, display, "--only", "labelled") as person:
        person.tick_file_flag(0)
        until(lambda: '"reviewed": true' in label_path(root, FIRST).read_text(), "the labels in the dataset")
        person.leave()

    back = read_labels(label_path(root, FIRST))
    assert back.flags == {"reviewed": True, "skip": False}
    assert (back.image_path, back.size_wh) == (written.image_path, written.size_wh)
    for shape, before in zip(back.shapes, written.shapes, strict=True):
        assert (shape.label, shape.shape_type, shape.group_id, shape.description) == (
            before.label,
            before.shape_type,
            before.group_id,
            before.description,
        )
        assert np.allclose(shape.points, before.points, rtol=0, atol=1e-9)
        assert [n for n, on in shape.flags.items() if on] == [n for n, on in before.flags.items() if on]


def test_the_command_tells_what_was_labelled_and_what_needs_a_look(root: Path) -> None:
    headless = {**os.environ, "DISPLAY": ":0"}
    save = f"save({FIRST!r}, shapes=[{outline()!r}])"
    labelme = write_fake_labelme(root.parent, save)
    done = vircraft("annotate", root, "--labelme", labelme, env=headless)
    assert done.returncode == 0, done.stderr
    assert "3 pictures (0 labelled, 3 not); Labelme 6.3.1 opens" in done.stdout
    assert "1 picture labelled this time (1 new); 1 of 3 in the dataset have labels" in done.stdout

    write_fake_labelme(root.parent, f"save({FIRST!r}, shapes=[{ {**outline(), 'label': 'plane'}!r}])")
    done = vircraft("annotate", root, "--labelme", labelme, "--json", env=headless)
    saved, end = json_lines(done.stdout)
    assert (done.returncode, end["exit_code"]) == (3, 3)
    assert (saved["event"], saved["pair"], saved["kind"], saved["new"]) == ("saved", FIRST, "merged", False)
    assert [broken["reason"] for broken in end["broken"]] == ["unknown-label"]


def test_without_a_display_it_says_so_and_a_dry_run_still_works(root: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    done = vircraft("annotate", root, "--labelme", write_fake_labelme(root.parent), env=bare)
    assert done.returncode == 1
    assert "no display" in done.stderr
    assert not (root / "annotate").exists()
    done = vircraft("annotate", root, "--dry-run", "--json", env=bare)
    *plan, end = json_lines(done.stdout)
    assert done.returncode == 0
    assert [line["labels"] for line in plan] == ["unlabelled"] * 3
    assert end["offered"] == 3
    assert not (root / "annotate").exists()


@pytest.mark.parametrize("option", ["--json", "-v"])
def test_a_file_whose_name_no_terminal_can_show_is_named_all_the_same(root: Path, option: str) -> None:
    body = "open(b'mine-\\xff\\x1b.png', 'wb').close()"
    labelme = write_fake_labelme(root.parent, body)
    done = vircraft("annotate", root, "--labelme", labelme, option, env={**os.environ, "DISPLAY": ":0"})
    assert done.returncode == 3, done.stderr
    if option == "--json":
        assert [line["kind"] for line in json_lines(done.stdout) if line["event"] == "saved"] == ["stray"]
    else:
        assert "mine-\\udcff\\x1b.png: belongs to no pair" in done.stderr
    assert [os.fsencode(path.name) for path in (root / "annotate" / "conflicts").iterdir()] == [
        b"mine-\xff\x1b-1.png"
    ]


def test_a_conflict_ends_with_exit_code_3(root: Path) -> None:
    body = f"""
save({FIRST!r}, shapes=[{outline()!r}])
labels.mkdir()
(labels / "{FIRST}.json").write_text('{{"shapes": [], "flags": {{"skip": true}}}}')
"""
    labelme = write_fake_labelme(root.parent, body)
    done = vircraft("annotate", root, "--labelme", labelme, env={**os.environ, "DISPLAY": ":0"})
    assert done.returncode == 3
    assert f"annotate/conflicts/{FIRST}-1.json" in done.stderr


def test_ctrl_c_merges_what_was_drawn_and_ends_with_130(root: Path) -> None:
    body = f"save({FIRST!r}, shapes=[{outline()!r}]); (folder.parents[2] / 'saved').touch(); time.sleep(60)"
    process = subprocess.Popen(
        [str(INSTALLED), "annotate", str(root), "--labelme", str(write_fake_labelme(root.parent, body))],
        env={**os.environ, "DISPLAY": ":0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until((root.parent / "saved").exists, "Labelme")
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "1 picture labelled this time" in output
    assert "what was drawn is merged" in errors
    assert label_path(root, FIRST).exists()
