"""What labelling must not do: lose what was drawn, remove what it has not made, write out of the dataset."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fake_labelme import HEIGHT, WIDTH, outline
from labelling import label, labels_of, outcomes, put_labels
from records import clip_record, pair
from report_dataset import build
from vircraft.annotation.labelling import workbench
from vircraft.annotation.labelling.offers import Offer, OfferSettings, plan_offers
from vircraft.annotation.labelling.workbench import Outcome, Workbench
from vircraft.dataset import Dataset, journal_path, label_path, picture_path
from vircraft.errors import DatasetError
from vircraft.journal import encode

FIRST, COARSE, REJECTED, LAST = (f"approach_{tick:06d}" for tick in (0, 10, 20, 30))
DRAWN = outline(x=31.5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build(tmp_path / "dataset", media=False)


def stage(root: Path) -> Workbench:
    """Set the folder up as a run does that is then killed."""
    dataset = Dataset.open(root)
    bench = Workbench.open(dataset)
    bench.stage(plan_offers(dataset, OfferSettings()).offers)
    return bench


def draw(bench: Workbench, pair_id: str, shape: dict[str, Any] = DRAWN) -> None:
    document = {"flags": {}, "shapes": [shape], "imagePath": f"{pair_id}.png", "imageData": None}
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    (bench.pictures / f"{pair_id}.json").write_text(json.dumps({"version": "6.3.1", **document, **size}))


def recover(root: Path) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in Workbench.open(Dataset.open(root)).recover()}


# -- a power cut


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names open files as Linux does")
def test_labels_are_on_the_disk_before_the_list_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = stage(root)
    draw(bench, FIRST)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    bench.collect()
    assert synced == ["staged.jsonl", f".{FIRST}.json.tmp", "labels", "staged.jsonl"]


@pytest.mark.parametrize("content", [b"", b"\0" * 300], ids=["empty", "zeros"])
@pytest.mark.parametrize("before", [True, False])
def test_labels_that_a_power_cut_emptied_are_written_again(root: Path, content: bytes, before: bool) -> None:
    if before:
        put_labels(root, FIRST)
    bench = stage(root)
    draw(bench, FIRST)
    bench.collect()
    label_path(root, FIRST).write_bytes(content)
    assert recover(root)[FIRST].kind == "merged"
    assert labels_of(root, FIRST)["shapes"] == [DRAWN]
    assert not (root / "annotate").exists()


def test_merged_labels_that_are_no_longer_there_are_kept_beside(root: Path) -> None:
    theirs = put_labels(root, COARSE)
    bench = stage(root)
    for pair_id in (FIRST, COARSE, LAST):
        draw(bench, pair_id)
    bench.collect()
    label_path(root, FIRST).unlink()
    label_path(root, COARSE).write_text(json.dumps(theirs))  # as before
    label_path(root, LAST).write_bytes(b'{"shapes": [')
    found = recover(root)
    assert {name: outcome.kind for name, outcome in found.items()} == dict.fromkeys(
        (FIRST, COARSE, LAST), "conflict"
    )
    for outcome in found.values():
        assert json.loads(outcome.path.read_text())["shapes"] == [DRAWN]
    assert not label_path(root, FIRST).exists()
    assert labels_of(root, COARSE) == theirs
    assert label_path(root, LAST).read_bytes() == b'{"shapes": ['


def test_labels_that_were_only_shown_are_kept_where_nothing_stands_in_their_place(root: Path) -> None:
    for pair_id in (FIRST, COARSE, LAST):
        put_labels(root, pair_id)
    stage(root)
    label_path(root, FIRST).unlink()
    theirs = put_labels(root, LAST, shapes=[DRAWN])
    found = recover(root)
    assert {name: outcome.kind for name, outcome in found.items()} == {FIRST: "conflict"}
    assert json.loads(found[FIRST].path.read_text())["shapes"] == [outline()]
    assert labels_of(root, LAST) == theirs


# -- what no run has made


def test_a_folder_of_somebody_else_is_moved_beside_and_not_removed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs.png").write_bytes(b"theirs")
    pictures = root / "annotate" / "pictures"
    (pictures / "more").mkdir(parents=True)
    (pictures / "mine.png").write_bytes(b"mine")
    (pictures / f"{FIRST}.png").write_bytes(b"mine, too")
    (pictures / "more" / "deep.png").write_bytes(b"deep")
    (pictures / "linked").symlink_to(outside)
    (root / "annotate" / "labelme.yaml").write_text("mine: true")
    (root / "annotate" / "notes.txt").write_text("mine")
    summary = label(root)
    names = ("mine.png", f"{FIRST}.png", "more", "linked", "labelme.yaml")
    assert outcomes(summary) == dict.fromkeys(names, "stray")
    kept = root / "annotate" / "conflicts"
    assert (kept / "mine-1.png").read_bytes() == b"mine"
    assert (kept / f"{FIRST}-1.png").read_bytes() == b"mine, too"
    assert (kept / "more-1" / "deep.png").read_bytes() == b"deep"
    assert (kept / "linked-1").is_symlink()
    assert (kept / "labelme-1.yaml").read_text() == "mine: true"
    assert (outside / "theirs.png").read_bytes() == b"theirs"
    assert sorted(path.name for path in (root / "annotate").iterdir()) == ["conflicts", "notes.txt"]
    assert summary.offered == 3


def test_what_appears_in_the_folder_while_labelme_runs_is_kept(root: Path) -> None:
    body = """
(folder / "screenshot.png").write_bytes(b"mine")
(folder / "sub").mkdir()
(folder / "sub" / "copy.json").write_text("{}")
(folder / ".DS_Store").write_bytes(b"of a file manager")
"""
    assert outcomes(label(root, body)) == {"screenshot.png": "stray", "sub": "stray"}
    kept = root / "annotate" / "conflicts"
    assert (kept / "screenshot-1.png").read_bytes() == b"mine"
    assert (kept / "sub-1" / "copy.json").read_text() == "{}"


def test_a_run_killed_while_it_sets_up_leaves_nothing_behind(root: Path) -> None:
    put_labels(root, FIRST)
    dataset = Dataset.open(root)
    offers = plan_offers(dataset, OfferSettings()).offers

    def die(offer: Offer) -> None:
        if offer.pair_id == COARSE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workbench.open(dataset).stage(offers, die)
    (root / "annotate" / "pictures" / f".{LAST}.png.tmp").write_bytes(b"half")
    assert recover(root) == {}
    assert not (root / "annotate").exists()


@pytest.mark.parametrize("name", ["annotate", "annotate/pictures", "annotate/conflicts", "annotate/removed"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_link_in_the_place_of_the_folder_is_refused(
    root: Path, tmp_path: Path, name: str, inside: bool
) -> None:
    target = (root if inside else tmp_path) / "elsewhere"
    (target / "pictures").mkdir(parents=True)
    (target / "pictures" / "mine.png").write_bytes(b"mine")
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).symlink_to(target)
    with pytest.raises(DatasetError, match=rf"{name}: is a link; .*remove the link"):
        label(root)
    assert (target / "pictures" / "mine.png").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["annotate", "annotate/pictures", "annotate/conflicts", "labels"])
def test_a_file_in_the_place_of_a_folder_is_named(root: Path, name: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("mine")
    with pytest.raises(DatasetError, match=rf"{name}: is no folder.*move it away"):
        label(root)
    assert (root / name).read_text() == "mine"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_a_list_that_is_no_file_is_named(root: Path, make: Any) -> None:
    (root / "annotate").mkdir()
    make(root / "annotate" / "staged.jsonl")
    with pytest.raises(DatasetError, match=r"staged\.jsonl: cannot be read: no regular file"):
        label(root)


def test_a_linked_list_is_not_appended_to(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("mine\n")
    (root / "annotate" / "pictures").mkdir(parents=True)
    (root / "annotate" / "staged.jsonl").symlink_to(victim)
    (root / "annotate" / "labelme.log").symlink_to(victim)
    shutil.move(put_path(root, FIRST), root / "annotate" / "pictures")
    assert outcomes(label(root)) == {FIRST: "merged"}
    assert victim.read_text() == "mine\n"


def put_path(root: Path, pair_id: str) -> Path:
    put_labels(root, pair_id)
    return label_path(root, pair_id)


# -- out of the dataset


def test_labels_that_a_link_leads_out_are_not_written(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "labels").symlink_to(outside)
    with pytest.raises(DatasetError, match=r"labels: is a link that leads out"):
        label(root, f"save({FIRST!r}, shapes=[{outline()!r}])")
    assert list(outside.iterdir()) == []


def test_labels_may_be_a_link_within_the_dataset(root: Path) -> None:
    (root / "labels_v2").mkdir()
    (root / "labels").symlink_to("labels_v2")
    assert outcomes(label(root, f"save({FIRST!r}, shapes=[{outline()!r}])")) == {FIRST: "merged"}
    assert (root / "labels_v2" / f"{FIRST}.json").exists()


def test_the_dataset_itself_may_be_behind_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    assert outcomes(label(link, f"save({FIRST!r}, shapes=[{outline()!r}])")) == {FIRST: "merged"}


def test_a_pair_whose_id_is_a_path_is_a_damaged_journal(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "esc.json"
    victim.write_text("mine")
    record = json.loads(encode(pair(0)))
    line = json.dumps({**record, "id": "../../esc"}).encode() + b"\n"
    journal_path(root, "a").write_bytes(encode(clip_record()) + line)
    with pytest.raises(DatasetError, match=r"a\.jsonl: line 2 is damaged"):
        label(root)
    assert victim.read_text() == "mine"


def test_an_id_in_the_list_that_is_a_path_is_ignored(root: Path, tmp_path: Path) -> None:
    bench = stage(root)
    bench.ledger.path.write_text(bench.ledger.path.read_text().replace(f'"{FIRST}"', '"../../../victim"'))
    (tmp_path / "victim.json").write_text("mine")
    assert "../../../victim" not in Workbench.open(Dataset.open(root)).ledger.entries


@pytest.mark.parametrize("modality", ["infrared", "visible"])
def test_linked_pictures_are_shown_as_what_they_lead_to(root: Path, modality: str) -> None:
    path = picture_path(root, modality, FIRST)
    store = root / "store" / "ab" / "cd.png"
    store.parent.mkdir(parents=True)
    path.rename(store)
    path.symlink_to("../store/ab/cd.png")
    body = f"import shutil; shutil.copy({FIRST + '.png'!r}, folder.parents[2])"
    assert label(root, body, OfferSettings(on=modality)).exit_status == 0
    shown = cv2.imread(str(root.parent / f"{FIRST}.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown, cv2.imread(str(store), cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize("folder", ["infrared", "visible", "labels"])
def test_a_pair_with_a_file_that_a_link_leads_out_is_left_out(
    root: Path, tmp_path: Path, folder: str
) -> None:
    put_labels(root, FIRST)
    path = next((root / folder).glob(f"{FIRST}.*"))
    outside = tmp_path / path.name
    path.rename(outside)
    path.symlink_to(outside)
    before = outside.read_bytes()
    summary = label(root, settings=OfferSettings(on="visible"))
    assert {one.name: one.reason for one in summary.left_out} == {FIRST: "unsafe-path"}
    assert str(path) in summary.left_out[0].message
    assert outside.read_bytes() == before


def test_fused_pictures_may_be_links(root: Path, tmp_path: Path) -> None:
    fused, store = tmp_path / "fused", tmp_path / "store.png"
    fused.mkdir()
    shutil.copy(picture_path(root, "infrared", FIRST), store)
    (fused / f"{FIRST}.png").symlink_to("../store.png")
    assert label(root, settings=OfferSettings(on=str(fused))).offered == 1


# -- hostile label files


@pytest.mark.parametrize("depth", [60, 600, 5000])
@pytest.mark.parametrize("where", ["points", "extra"])
def test_labels_nested_too_deep_are_left_out_and_the_others_go_on(root: Path, depth: int, where: str) -> None:
    put_labels(root, FIRST, shapes=[{**outline(), where: "DEEP"}])
    text = label_path(root, FIRST).read_text().replace('"DEEP"', "[" * depth + "]" * depth)
    label_path(root, FIRST).write_text(text)
    summary = label(root, f"save({LAST!r}, shapes=[{outline()!r}])")
    assert {one.name: one.reason for one in summary.left_out} == {FIRST: "bad-json"}
    assert outcomes(summary) == {LAST: "merged"}
    assert label_path(root, FIRST).read_text() == text


def test_a_saved_file_nested_too_deep_is_kept_beside(root: Path) -> None:
    deep = '{"shapes": [], "more": ' + "[" * 600 + "]" * 600 + "}"
    summary = label(root, f"(folder / '{FIRST}.json').write_text({deep!r})")
    assert outcomes(summary) == {FIRST: "damaged"}
    assert summary.outcomes[0].path.read_text() == deep


def test_a_pipe_in_the_place_of_a_label_file_is_not_waited_for(root: Path) -> None:
    bench = stage(root)
    draw(bench, FIRST)
    label_path(root, FIRST).parent.mkdir(exist_ok=True)
    os.mkfifo(label_path(root, FIRST))
    assert recover(root)[FIRST].kind == "conflict"


def test_a_folder_that_cannot_be_cleared_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(root)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    bench = Workbench.open(Dataset.open(root))
    monkeypatch.setattr(workbench.Path, "unlink", refuse)
    with pytest.raises(DatasetError, match=r"annotate: cannot be written: Read-only file system"):
        bench.clear()
