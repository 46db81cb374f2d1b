"""Labelme's folder: what it is given, and how what it saves gets into labels/, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fake_labelme import HEIGHT, WIDTH, keypoint, outline, write_fake_labelme
from labelling import label, labels_of, outcomes, put_labels
from report_dataset import build
from vircraft.annotation.labelling import workbench
from vircraft.annotation.labelling.offers import OfferSettings, plan_offers
from vircraft.annotation.labelling.workbench import Workbench
from vircraft.dataset import Dataset, label_path
from vircraft.errors import DatasetBusyError, DatasetError, SettingsError

FIRST, COARSE, REJECTED, LAST = (f"approach_{tick:06d}" for tick in (0, 10, 20, 30))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build(tmp_path / "dataset", media=False)


def test_what_labelme_saves_goes_into_labels_as_it_is(root: Path) -> None:
    shapes = [outline(), keypoint("Head", 24.0625, 1 / 3, "occluded")]
    body = f"save({FIRST!r}, shapes={shapes!r}, flags={{'reviewed': True}}, more={{'kept': [1, 2.5]}})"
    summary = label(root, body)
    labels = labels_of(root, FIRST)
    assert labels.pop("version") == "6.3.1"
    assert labels == {
        "flags": {"reviewed": True},
        "shapes": shapes,
        "imagePath": f"../infrared/{FIRST}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        "more": {"kept": [1, 2.5]},
    }
    assert outcomes(summary) == {FIRST: "merged"}
    assert summary.outcomes[0].new
    assert (summary.labelled, summary.total, summary.offered, summary.broken) == (1, 3, 3, ())
    assert not (root / "annotate").exists()
    assert not (root / "annotate.lock").exists()


def test_it_is_in_labels_while_labelme_is_still_open(root: Path) -> None:
    path = str(label_path(root, FIRST))
    body = f"""
save({FIRST!r}, shapes=[{outline()!r}])
wait_for(Path({path!r}))
save({FIRST!r}, shapes=[{outline(x=33.5)!r}])
wait_for(Path({path!r}), "33.5")
"""
    assert label(root, body).exit_status == 0


def test_a_file_that_was_only_written_anew_is_left_alone(root: Path) -> None:
    put_labels(root, FIRST, shapes=[{**outline(), "points": [[20, 20], [80, 24.5], [50, 80.25]]}])
    before = label_path(root, FIRST).read_bytes()
    summary = label(root, f"save({FIRST!r}, version='9', flags={{'reviewed': True, 'skip': False}})")
    assert label_path(root, FIRST).read_bytes() == before
    assert summary.outcomes == ()


def test_only_accepted_pairs_are_offered_and_the_first_unlabelled_one_is_opened(root: Path) -> None:
    put_labels(root, FIRST)
    body = """
listed = sorted(path.name for path in folder.iterdir())
(folder.parents[2] / "seen.json").write_text(json.dumps([first, listed]))
"""
    label(root, body)
    first, listed = json.loads((root.parent / "seen.json").read_text())
    assert first == f"{COARSE}.png"
    assert listed == sorted([f"{FIRST}.json", f"{FIRST}.png", f"{COARSE}.png", f"{LAST}.png"])


@pytest.mark.parametrize(
    ("only", "offered"), [("all", 3), ("unlabelled", 2), ("labelled", 1), ("proposed", 0)]
)
def test_only_selects(root: Path, only: Any, offered: int) -> None:
    put_labels(root, FIRST)
    assert label(root, settings=OfferSettings(only=only)).offered == offered


def test_an_unknown_clip_is_named_with_those_there_are(root: Path) -> None:
    with pytest.raises(SettingsError, match=r"no clip 'landing'; it has approach"):
        label(root, settings=OfferSettings(clips=("landing",)))


def test_labels_are_shown_on_the_picture_that_was_asked_for(root: Path) -> None:
    put_labels(root, FIRST)
    body = f"(folder.parents[2] / 'seen.json').write_text(json.dumps(read({FIRST!r})))"
    visible = cv2.imread(str(root / "visible" / f"{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    body += f"\nimport shutil; shutil.copy({FIRST + '.png'!r}, folder.parents[2])"
    label(root, body, OfferSettings(on="visible"))
    assert json.loads((root.parent / "seen.json").read_text())["imagePath"] == f"{FIRST}.png"
    shown = cv2.imread(str(root.parent / f"{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown, visible)


def test_16_bit_pictures_are_stretched_to_8_and_a_hot_aircraft_keeps_its_grey_levels(tmp_path: Path) -> None:
    root = build(tmp_path / "dataset", bits=16, media=False)
    sky = np.random.default_rng(1).normal(3000, 20, (HEIGHT, WIDTH)).astype(np.uint16)
    sky[60:66, 50:110] = np.linspace(5000, 9000, 60).astype(np.uint16)  # hotter than all the rest
    sky[0, 0] = 65535  # a glowing pixel
    cv2.imwrite(str(root / "infrared" / f"{FIRST}.png"), sky)
    label(root, f"import shutil; shutil.copy({FIRST + '.png'!r}, folder.parents[2])")
    shown = cv2.imread(str(root.parent / f"{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    assert shown.dtype == np.uint8
    assert shown.shape == sky.shape
    assert len(np.unique(shown[60, 50:110])) > 50
    assert shown[60, 105] > 200
    assert shown[10:50].max() < 20
    unchanged = cv2.imread(str(root / "infrared" / f"{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(unchanged, sky)


def test_fused_pictures_without_a_partner_are_counted_and_another_size_is_named(
    root: Path, tmp_path: Path
) -> None:
    fused = tmp_path / "fused"
    fused.mkdir()
    cv2.imwrite(str(fused / f"{FIRST}.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    cv2.imwrite(str(fused / f"{COARSE}.png"), np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))
    summary = label(root, settings=OfferSettings(on=str(fused)))
    assert (summary.offered, summary.pictureless) == (1, 1)
    (left_out,) = summary.left_out
    assert (left_out.name, left_out.reason) == (COARSE, "size-mismatch")
    assert f"{WIDTH + 2} x {HEIGHT}" in left_out.message


def test_labels_that_cannot_be_read_or_are_for_another_size_are_left_out_and_stay(root: Path) -> None:
    put_labels(root, FIRST)
    label_path(root, FIRST).write_bytes(b'{"shapes": [')
    put_labels(root, LAST, imageWidth=WIDTH * 2)
    summary = label(root, f"save({COARSE!r}, shapes=[{outline()!r}])")
    assert {one.name: one.reason for one in summary.left_out} == {FIRST: "bad-json", LAST: "size-mismatch"}
    assert label_path(root, FIRST).read_bytes() == b'{"shapes": ['
    assert outcomes(summary) == {COARSE: "merged"}


def test_a_missing_or_damaged_picture_is_left_out(root: Path) -> None:
    (root / "infrared" / f"{FIRST}.png").unlink()
    (root / "infrared" / f"{LAST}.png").write_bytes(b"no picture")
    summary = label(root)
    assert {one.name: one.reason for one in summary.left_out} == {FIRST: "missing-image", LAST: "bad-image"}
    assert summary.offered == 1


def test_labels_that_somebody_else_changed_meanwhile_are_not_overwritten(root: Path) -> None:
    put_labels(root, FIRST)
    theirs = put_labels(root, FIRST, shapes=[outline(x=50.0)])
    put_labels(root, FIRST)
    body = f"""
(labels / "{FIRST}.json").write_text({json.dumps(theirs)!r})
save({FIRST!r}, shapes=[{outline(x=40.5)!r}])
time.sleep(0.1)
save({FIRST!r}, shapes=[{outline(x=41.5)!r}])
"""
    summary = label(root, body)
    assert outcomes(summary) == {FIRST: "conflict"}
    assert labels_of(root, FIRST) == theirs
    (kept,) = (root / "annotate" / "conflicts").iterdir()
    assert kept == summary.outcomes[0].path
    mine = json.loads(kept.read_text())
    assert mine["shapes"] == [outline(x=41.5)]
    assert (kept.parent / mine["imagePath"]).resolve() == (root / "infrared" / f"{FIRST}.png").resolve()
    assert label(root).offered == 3
    assert kept.exists(), "the next run leaves it alone"


def test_labels_deleted_in_labelme_are_taken_away_and_kept(root: Path) -> None:
    put_labels(root, FIRST)
    before = label_path(root, FIRST).read_bytes()
    summary = label(root, f"(folder / '{FIRST}.json').unlink()")
    assert outcomes(summary) == {FIRST: "removed"}
    assert not label_path(root, FIRST).exists()
    assert summary.outcomes[0].path.read_bytes() == before


def test_a_labelme_that_falls_over_is_reported_and_removes_nothing(root: Path) -> None:
    put_labels(root, FIRST)
    body = f"""
(folder / '{FIRST}.json').unlink()
save({LAST!r}, shapes=[{outline()!r}])
sys.exit("no plugin xcb")
"""
    summary = label(root, body)
    assert summary.exit_status == 1
    assert summary.log_tail == "no plugin xcb"
    assert label_path(root, FIRST).exists()
    assert outcomes(summary) == {LAST: "merged"}


def test_a_file_that_breaks_a_rule_is_merged_and_named(root: Path) -> None:
    summary = label(root, f"save({FIRST!r}, shapes=[{keypoint('Head', 24.0, 60.0)!r}])")
    (broken,) = summary.broken
    assert (broken.pair_id, broken.reason) == (FIRST, "no-object")
    assert str(label_path(root, FIRST)) in broken.message
    assert labels_of(root, FIRST)["shapes"] == [keypoint("Head", 24.0, 60.0)]


def test_half_a_file_and_a_file_of_no_pair_are_kept_beside(root: Path) -> None:
    summary = label(root, f"(folder / '{FIRST}.json').write_text('{{'); save('copy')")
    assert outcomes(summary) == {FIRST: "damaged", "copy": "stray"}
    assert sorted(path.name for path in (root / "annotate" / "conflicts").iterdir()) == [
        f"{FIRST}-1.json",
        "copy-1.json",
    ]
    assert not label_path(root, FIRST).exists()


def test_a_file_that_labelme_is_still_writing_is_read_later(root: Path) -> None:
    body = f"""
(folder / '{FIRST}.json').write_text('{{"shapes": [')
time.sleep(0.2)
save({LAST!r}, shapes=[])
wait_for(labels / '{LAST}.json')
(folder / '{FIRST}.json').unlink()
save({FIRST!r}, shapes=[{outline()!r}])
"""
    assert outcomes(label(root, body)) == {FIRST: "merged", LAST: "merged"}


def propose(root: Path, monkeypatch: pytest.MonkeyPatch, pair_id: str = LAST) -> None:
    """Let proposals be made for one pair: a Head and an outline."""
    from types import SimpleNamespace

    from vircraft.annotation.labelme import LabelFile, Shape
    from vircraft.annotation.tracking import propose as module

    labels = LabelFile(
        f"../infrared/{pair_id}.png",
        (WIDTH, HEIGHT),
        (Shape("aircraft", "polygon", ((20, 20), (80, 25), (50, 80))), Shape("Head", "point", ((21, 22),))),
    )
    proposal = SimpleNamespace(pair_id=pair_id, labels=labels, confidence=0.9)
    monkeypatch.setattr(module, "propose_clip", lambda root, clip, **_: [proposal])


def test_a_proposal_that_nobody_touched_is_not_merged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(root, monkeypatch)
    body = f"""
assert read({LAST!r})["flags"] == {{"proposed": True}}, read({LAST!r})
save({LAST!r}, flags={{"reviewed": False, "skip": False, "proposed": True}}, version="7")
"""
    summary = label(root, body, OfferSettings(propose=True))
    assert (summary.exit_status, summary.outcomes) == (0, ())
    assert not label_path(root, LAST).exists()


@pytest.mark.parametrize(
    "change",
    [
        "flags={'proposed': False}",
        f"shapes=read({LAST!r})['shapes'][:1]",
        "flags={'proposed': True, 'reviewed': True}",
    ],
)
def test_a_proposal_that_was_touched_is_merged_without_its_flag(
    root: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    propose(root, monkeypatch)
    summary = label(root, f"save({LAST!r}, {change})", OfferSettings(propose=True))
    assert outcomes(summary) == {LAST: "merged"}
    assert "proposed" not in labels_of(root, LAST)["flags"]


@pytest.mark.parametrize("error", [DatasetError("no journal"), ZeroDivisionError("by zero")])
def test_a_clip_whose_proposals_fail_is_named_and_the_others_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from vircraft.annotation.tracking import propose as module

    root = build(tmp_path / "dataset", {"a": ["accepted"] * 2, "b": ["accepted"] * 2}, media=False)
    propose(root, monkeypatch, "b_000010")
    made = module.propose_clip

    def fail_once(root: Path, clip: str, **options: Any) -> Any:
        if clip == "a":
            raise error
        return made(root, clip, **options)

    monkeypatch.setattr(module, "propose_clip", fail_once)
    summary = label(root, "assert read('b_000010')['flags']['proposed']", OfferSettings(propose=True))
    assert (summary.exit_status, summary.offered) == (0, 4)
    (left_out,) = summary.left_out
    assert left_out.name == "a"
    assert str(error) in left_out.message


def test_a_missing_picture_is_named_once_and_costs_one_proposal(root: Path) -> None:
    put_labels(root, FIRST)
    picture = root / "visible" / f"{COARSE}.png"
    picture.unlink()
    summary = label(root, settings=OfferSettings("visible", propose=True))
    assert [(one.name, one.reason) for one in summary.left_out] == [(COARSE, "missing-image")]


def test_only_proposed_shows_the_proposals(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(root, monkeypatch)
    assert label(root, settings=OfferSettings(only="proposed", propose=True)).offered == 1


def test_what_a_killed_run_left_is_merged_by_the_next(root: Path) -> None:
    put_labels(root, FIRST)
    body = f"""
save({FIRST!r}, shapes=[{outline(x=44.5)!r}])
save({COARSE!r}, shapes=[{outline(x=45.5)!r}])
wait_for(labels / '{COARSE}.json')
os.kill(os.getppid(), signal.SIGKILL)
save({COARSE!r}, shapes=[{outline(x=46.5)!r}])
save({LAST!r}, shapes=[{outline(x=47.5)!r}])
(folder.parents[2] / "done").touch()
"""
    process = start_apart(root, body)
    assert process.wait() == -signal.SIGKILL
    while not (root.parent / "done").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    assert (root / "annotate" / "pictures").is_dir()
    summary = label(root)
    assert {name: kind for name, kind in outcomes(summary).items() if name != FIRST} == {
        COARSE: "merged",
        LAST: "merged",
    }
    for pair_id, x in ((FIRST, 44.5), (COARSE, 46.5), (LAST, 47.5)):
        assert labels_of(root, pair_id)["shapes"] == [outline(x=x)]
    assert not (root / "annotate").exists()


def test_a_window_that_outlives_its_run_keeps_the_dataset(root: Path) -> None:
    body = f"""
os.kill(os.getppid(), signal.SIGKILL)
wait_for(folder.parents[2] / "go")
save({FIRST!r}, shapes=[{outline()!r}])
"""
    process = start_apart(root, body)
    process.wait()
    with pytest.raises(DatasetBusyError, match="Labelme window is still open"):
        label(root)
    (root.parent / "go").touch()
    for _ in range(100):
        try:
            summary = label(root)
            break
        except DatasetBusyError:
            time.sleep(0.05)
    assert outcomes(summary) == {FIRST: "merged"}


def test_ctrl_c_ends_labelme_and_merges_what_it_saved(root: Path) -> None:
    body = f"""
save({FIRST!r}, shapes=[{outline()!r}])
(folder.parents[2] / "pid").write_text(str(os.getpid()))
time.sleep(60)
"""
    process = start_apart(root, body)
    while not (root.parent / "pid").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    assert labels_of(root, FIRST)["shapes"] == [outline()]
    with pytest.raises(ProcessLookupError):
        os.kill(int((root.parent / "pid").read_text()), 0)
    assert not (root / "annotate").exists()


def start_apart(root: Path, body: str) -> subprocess.Popen[bytes]:
    """Run the labelling in a process of its own."""
    program = write_fake_labelme(root.parent, body)
    code = f"""
from pathlib import Path
from vircraft.annotation.labelling import workbench
from vircraft.annotation.labelling.session import label_pictures
from vircraft.annotation.labelling.labelme_program import LabelmeProgram
from vircraft.annotation.labelling.offers import OfferSettings
program = LabelmeProgram(Path({str(program)!r}), (6, 3, 1))
label_pictures(Path({str(root)!r}), OfferSettings(), program, poll_s=0.02)
"""
    return subprocess.Popen([sys.executable, "-c", code])


def test_a_full_disk_loses_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, told = workbench.write_atomically, list[Any]()

    def write_but_no_labels(path: Path, content: bytes, **options: Any) -> None:
        if path.parent.name == "labels":
            raise DatasetError(f"{path}: cannot be written: No space left on device")
        write(path, content, **options)

    body = f"save({FIRST!r}, shapes=[{outline()!r}]); time.sleep(0.3)"
    with monkeypatch.context() as patch:
        patch.setattr(workbench, "write_atomically", write_but_no_labels)
        with pytest.raises(DatasetError, match="No space left"):
            label(root, body, on_event=told.append)
    assert len([event for event in told if isinstance(event, DatasetError)]) == 1
    assert not label_path(root, FIRST).exists()
    assert outcomes(label(root)) == {FIRST: "merged"}
    assert labels_of(root, FIRST)["shapes"] == [outline()]


def test_a_folder_whose_list_is_gone_is_merged_without_overwriting(root: Path) -> None:
    put_labels(root, FIRST)
    put_labels(root, COARSE)
    bench = Workbench.open(Dataset.open(root))
    bench.pictures.mkdir(parents=True)
    shutil.copy(label_path(root, FIRST), bench.pictures)
    put_labels(root, COARSE, shapes=[outline(x=9.5)])
    shutil.move(label_path(root, COARSE), bench.pictures)
    put_labels(root, COARSE)
    put_labels(root, LAST)
    shutil.move(label_path(root, LAST), bench.pictures)
    assert outcomes(label(root)) == {COARSE: "conflict", LAST: "merged"}


def test_registered_pictures_are_not_changed_by_labelling(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    label(root, f"save({FIRST!r}, shapes=[{outline()!r}])")
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert after.pop(label_path(root, FIRST))
    assert after == before


class Killed(BaseException):
    """Stands for a SIGKILL at a place that a signal cannot be aimed at."""


@pytest.mark.parametrize("step", ["first entry", "labels", "second entry"])
@pytest.mark.parametrize("before", [True, False])
def test_a_kill_at_any_step_of_a_merge_loses_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    put_labels(root, FIRST)
    dataset = Dataset.open(root)
    bench = Workbench.open(dataset)
    bench.stage(plan_offers(dataset, OfferSettings()).offers)
    saved = bench.pictures / f"{FIRST}.json"
    saved.write_text(json.dumps({**json.loads(saved.read_text()), "shapes": [outline(x=31.5)]}))

    steps = iter(["first entry", "labels", "second entry"])

    def dying(work: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> None:
            hit = next(steps) == step
            if hit and before:
                raise Killed
            work(*arguments, **options)
            if hit:
                raise Killed

        return run

    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger, "put", dying(bench.ledger.put))
        patch.setattr(workbench, "write_atomically", dying(workbench.write_atomically))
        with pytest.raises(Killed):
            bench.collect()
    Workbench.open(dataset).recover()
    assert labels_of(root, FIRST)["shapes"] == [outline(x=31.5)]
    assert not (root / "annotate").exists(), "no conflict"


def test_a_torn_last_line_of_the_list_is_ignored(root: Path) -> None:
    put_labels(root, FIRST)
    dataset = Dataset.open(root)
    bench = Workbench.open(dataset)
    bench.stage(plan_offers(dataset, OfferSettings()).offers)
    with bench.ledger.path.open("a") as file:
        file.write('{"id": "approach_000')
    (bench.pictures / f"{LAST}.json").write_text(json.dumps({"shapes": [outline()], "flags": {}}))
    assert [outcome.name for outcome in Workbench.open(dataset).recover()] == [LAST]
    assert labels_of(root, LAST)["imageWidth"] == WIDTH


def test_old_files_are_given_to_labelme_as_it_can_open_them(root: Path) -> None:
    shape = {key: value for key, value in outline().items() if key in ("label", "points")}
    document = put_labels(root, FIRST, shapes=[shape], lineColor=[0, 255, 0, 128], imageData="AAAA")
    before = b"\xef\xbb\xbf" + json.dumps(document).encode()
    label_path(root, FIRST).write_bytes(before)
    body = f"""
given = read({FIRST!r})
assert given["shapes"][0]["shape_type"] == "polygon", given
assert given["imageData"] is None, given
assert given["lineColor"] == [0, 255, 0, 128], given
"""
    assert label(root, body).exit_status == 0
    assert label_path(root, FIRST).read_bytes() == before


def test_a_group_id_of_0_is_a_change(root: Path) -> None:
    put_labels(root, FIRST)
    summary = label(root, f"save({FIRST!r}, shapes=[{outline(group=0)!r}])")
    assert outcomes(summary) == {FIRST: "merged"}
    assert labels_of(root, FIRST)["shapes"][0]["group_id"] == 0
