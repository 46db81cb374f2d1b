"""The COCO export, read back by pycocotools and as plain JSON."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from labelled import (
    SQUARE,
    SQUARE_PIXELS,
    WH,
    keypoints,
    make_dataset,
    mask_shape,
    shape,
    write_labelled,
    write_picture,
)
from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.exchange.export import export_coco
from vircraft.annotation.exchange.selection import ExportSettings, read_sigmas
from vircraft.annotation.keypoints import KEYPOINTS
from vircraft.errors import DatasetError, SettingsError

# pycocotools 2.0.11 decodes masks in a way that NumPy 2 frowns upon
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OUTLINE = shape("aircraft", "polygon", SQUARE)


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def exported(output: Path, split: str = "all", kind: str = "person_keypoints") -> dict:
    return json.loads((output / "annotations" / f"{kind}_{split}.json").read_text())


def test_what_was_drawn_is_what_pycocotools_reads(tmp_path: Path):
    hole = shape("aircraft", "polygon", [[12, 14], [16, 14], [16, 18], [12, 18]], flags={"hole": True})
    write_labelled(tmp_path / "in", "a", [OUTLINE, *keypoints(), hole])
    export_coco(tmp_path / "in", tmp_path / "out")
    coco = load(tmp_path / "out/annotations/person_keypoints_all.json")
    (annotation,) = coco.dataset["annotations"]
    expected = np.zeros((WH[1], WH[0]), np.uint8)
    expected[SQUARE_PIXELS] = 1
    expected[14:18, 12:16] = 0
    np.testing.assert_array_equal(coco.annToMask(annotation), expected)
    assert annotation["area"] == expected.sum()
    assert annotation["bbox"] == [10, 12, 20, 10]
    points = np.reshape(annotation["keypoints"], (9, 3))
    np.testing.assert_allclose(points[:, 0], 11.25 + np.arange(9))
    np.testing.assert_allclose(points[:, 1], 13.5 + np.arange(9) / 2)
    assert points[:, 2].tolist() == [2, 2, 1, 2, 2, 2, 2, 2, 2]
    assert annotation["keypoint_weights"] == [1, 1, 0.5, 1, 1, 1, 1, 1, 1]
    assert annotation["num_keypoints"] == 9


def test_both_files_tell_the_same_aircraft(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE, *keypoints()])
    export_coco(tmp_path / "in", tmp_path / "out")
    keypoint_file, instance_file = exported(tmp_path / "out"), exported(tmp_path / "out", kind="instances")
    assert keypoint_file["images"] == instance_file["images"]
    (a,), (b,) = keypoint_file["annotations"], instance_file["annotations"]
    assert {k: a[k] for k in b} == b
    assert set(a) - set(b) == {"keypoints", "num_keypoints", "keypoint_weights"}
    assert "keypoints" not in instance_file["categories"][0]
    (category,) = keypoint_file["categories"]
    assert category["keypoints"] == list(KEYPOINTS)
    assert min(v for bone in category["skeleton"] for v in bone) == 1


def test_the_info_says_with_what_it_was_made(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    export_coco(tmp_path / "in", tmp_path / "out", ExportSettings(sigmas={"Head": 0.02}))
    info = exported(tmp_path / "out")["info"]
    assert info["keypoint_sigmas"] == [0.02] + [0.05] * 8
    assert info["keypoint_sigmas_measured"] == [True] + [False] * 8
    assert info["keypoint_weights"] == {"visible": 1.0, "occluded": 0.5, "invisible": 0.0}
    assert info["software"]["vircraft"]


def test_a_picture_without_aircraft_is_listed_with_an_empty_mask(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [])
    export_coco(tmp_path / "in", tmp_path / "out")
    document = exported(tmp_path / "out")
    assert [image["file_name"] for image in document["images"]] == ["a.png"]
    assert document["annotations"] == []
    assert not cv2.imread(str(tmp_path / "out/masks/a.png"), cv2.IMREAD_UNCHANGED).any()


def test_the_mask_is_255_where_any_aircraft_is(tmp_path: Path):
    pixels = np.eye(6, dtype=bool)
    write_labelled(tmp_path / "in", "a", [OUTLINE, mask_shape(pixels, (40, 30), group=2)])
    export_coco(tmp_path / "in", tmp_path / "out")
    expected = np.zeros((WH[1], WH[0]), np.uint8)
    expected[SQUARE_PIXELS] = 255
    expected[30:36, 40:46] = pixels * 255
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "out/masks/a.png"), cv2.IMREAD_UNCHANGED), expected
    )


def test_a_box_alone_gets_no_mask(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [shape("aircraft", "rectangle", [[1, 2], [5, 8]])])
    summary = export_coco(tmp_path / "in", tmp_path / "out")
    assert (summary.masks, summary.without_mask) == (0, 1)
    assert not (tmp_path / "out/masks/a.png").exists()
    assert exported(tmp_path / "out")["annotations"][0]["segmentation"] == []


def test_one_bad_file_is_left_out_and_named(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    write_labelled(tmp_path / "in", "b", [OUTLINE, OUTLINE, shape("Nose", "point", [[1, 1]])])
    (tmp_path / "in" / "c.json").write_bytes(b"{")
    write_labelled(tmp_path / "in", "d", [OUTLINE])
    summary = export_coco(tmp_path / "in", tmp_path / "out")
    assert [(f.path.name, f.reason, f.shape) for f in summary.selection.failures if f.path] == [
        ("b.json", "unknown-label", 2),
        ("c.json", "bad-json", None),
    ]
    assert [image["file_name"] for image in exported(tmp_path / "out")["images"]] == ["a.png", "d.png"]


def test_strict_stops_before_anything_is_written(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    (tmp_path / "in" / "c.json").write_bytes(b"{")
    with pytest.raises(LabelFileError, match=r"c\.json"):
        export_coco(tmp_path / "in", tmp_path / "out", strict=True)
    assert not (tmp_path / "out").exists()


def test_skipped_and_unconfirmed_files_are_left_out_and_counted(tmp_path: Path):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    write_labelled(tmp_path / "in", "b", [OUTLINE], flags={"skip": True})
    write_labelled(tmp_path / "in", "c", [OUTLINE], flags={"proposed": True})
    selection = export_coco(tmp_path / "in", tmp_path / "out").selection
    assert (len(selection.pictures), selection.skipped, selection.proposed) == (1, 1, 1)
    settings = ExportSettings(proposals=True)
    assert len(export_coco(tmp_path / "in", tmp_path / "out", settings).selection.pictures) == 2


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_ground_truth_against_itself_scores_one(tmp_path: Path, kind: str):
    second = [[40, 25], [60, 25], [60, 45], [40, 45]]
    for name in "abc":
        write_labelled(
            tmp_path / "in",
            name,
            [OUTLINE, *keypoints(), shape("aircraft", "polygon", second, 2), *keypoints(offset=25, group=2)],
        )
    export_coco(tmp_path / "in", tmp_path / "out")
    truth = load(tmp_path / "out/annotations/person_keypoints_all.json")
    answers = [{**a, "score": 1.0} for a in truth.dataset["annotations"]]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(answers), kind)
        evaluation.params.kpt_oks_sigmas = np.array(truth.dataset["info"]["keypoint_sigmas"])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1.0, abs=1e-12)
    assert evaluation.stats[5 if kind == "keypoints" else 8] == pytest.approx(1.0, abs=1e-12)


class TestDatasets:
    def make(self, root: Path) -> Path:
        ids = [f"{clip}_{tick:06d}" for clip in ("a", "b", "c", "d") for tick in (0, 10)]
        return make_dataset(root, {pair_id: [OUTLINE, *keypoints()] for pair_id in ids})

    def test_a_clip_is_in_one_split_only(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        clips = [
            {image["clip"] for image in exported(root, split)["images"]} for split in ("train", "val", "test")
        ]
        assert sorted(clip for split in clips for clip in split) == ["a", "b", "c", "d"]
        assert all(clips)

    def test_masks_are_named_after_the_pair(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        assert (root / "masks" / "a_000010.png").is_file()

    def test_exporting_again_changes_no_byte(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
        export_coco(root)
        assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before

    def test_ids_stay_when_a_file_comes_goes_or_is_mended(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        (root / "labels" / "a_000000.json").write_text("{")
        everything = ExportSettings(ratios={"train": 1})

        def ids() -> dict[str, tuple[int, int]]:
            export_coco(root, settings=everything)
            document = exported(root, "train")
            found = {a["image_id"]: a["id"] for a in document["annotations"]}
            return {image["pair_id"]: (image["id"], found[image["id"]]) for image in document["images"]}

        first = ids()
        labels = (root / "labels" / "b_000000.json").read_text().replace("b_000000", "a_000000")
        (root / "labels" / "a_000000.json").write_text(labels)
        (root / "labels" / "b_000010.json").unlink()
        second = ids()
        assert {k: v for k, v in second.items() if k in first} == {
            k: v for k, v in first.items() if k != "b_000010"
        }
        assert second["a_000000"] == (8, 8)

    def test_labelling_another_clip_moves_no_clip(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        later = {p.name: p.read_text() for p in (root / "labels").glob("a_*")}
        for name in later:
            (root / "labels" / name).unlink()
        (root / "labels" / "zzz.json").write_text("{}")

        def splits() -> dict[str, str]:
            export_coco(root)
            return {
                image["clip"]: split
                for split in ("train", "val", "test")
                for image in exported(root, split)["images"]
            }

        before = splits()
        for name, text in later.items():
            (root / "labels" / name).write_text(text)
        for pair_id in ("e_000000", "f_000000", "g_000000"):
            write_picture(root / "infrared" / f"{pair_id}.png")
            text = later["a_000000.json"].replace("a_000000", pair_id)
            (root / "labels" / f"{pair_id}.json").write_text(text)
        after = splits()
        assert before.items() <= after.items()
        assert set(after) == set("abcdefg")

    def test_a_splits_file_may_name_clips_without_labels(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        for path in (root / "labels").glob("a_*"):
            path.unlink()
        path = tmp_path / "splits.json"
        path.write_text('{"train": ["a", "b", "c"], "val": ["d"]}')
        assert export_coco(root, settings=ExportSettings(splits_file=path)).pictures == {"train": 4, "val": 2}

    def test_splits_of_an_earlier_export_are_removed(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        foreign = root / "annotations" / "person_keypoints_mine.json"
        foreign.write_bytes((root / "annotations" / "person_keypoints_val.json").read_bytes())
        summary = export_coco(root, settings=ExportSettings(ratios={"train": 1}))
        assert {p.name for p in summary.removed} == {
            f"{kind}_{split}.json" for kind in ("person_keypoints", "instances") for split in ("val", "test")
        }
        assert {p.name for p in (root / "annotations").iterdir()} == {
            "person_keypoints_train.json",
            "instances_train.json",
            "ids.json",
            foreign.name,
        }

    def test_a_label_that_was_broken_for_a_while_gets_its_ids_back(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        everything = ExportSettings(ratios={"train": 1})
        export_coco(root, settings=everything)
        before = exported(root, "train")["images"]
        label = root / "labels" / "b_000000.json"
        text = label.read_text()
        label.write_text("{")
        export_coco(root, settings=everything)
        write_picture(root / "infrared" / "e_000000.png")
        (root / "labels" / "e_000000.json").write_text(text.replace("b_000000", "e_000000"))
        export_coco(root, settings=everything)
        label.write_text(text)
        export_coco(root, settings=everything)
        after = exported(root, "train")["images"]
        assert [image for image in after if image["pair_id"] != "e_000000"] == before

    def test_masks_go_with_the_labels_that_they_came_from(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        box = [shape("aircraft", "rectangle", [[1, 2], [9, 9]])]
        path = root / "labels" / "a_000000.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "shapes": box}))
        (root / "labels" / "a_000010.json").unlink()
        (root / "masks" / "mine.png").touch()
        removed = export_coco(root).removed
        assert {p.name for p in removed} == {"a_000000.png", "a_000010.png"}
        assert not (root / "masks" / "a_000000.png").exists()
        assert (root / "masks" / "mine.png").exists()

    def test_labels_that_are_not_there_do_not_empty_an_export(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root)
        before = exported(root, "train")
        (root / "labels").rename(root / "elsewhere")
        with pytest.raises(DatasetError, match="labels"):
            export_coco(root)
        assert exported(root, "train") == before

    @pytest.mark.parametrize("name", ["annotations", "masks"])
    def test_nothing_is_written_behind_a_link_out(self, tmp_path: Path, name: str):
        root = self.make(tmp_path / "d")
        (tmp_path / "outside").mkdir()
        (root / name).symlink_to(tmp_path / "outside")
        with pytest.raises(DatasetError, match="link that leads out"):
            export_coco(root)
        assert list((tmp_path / "outside").iterdir()) == []

    def test_labels_drawn_on_the_picture_of_another_pair_are_named(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        path = root / "labels" / "a_000000.json"
        path.write_text(path.read_text().replace("a_000000.png", "b_000000.png"))
        failures = export_coco(root).selection.failures
        assert [f.reason for f in failures] == ["wrong-picture"]

    def test_a_damaged_book_of_ids_is_an_error(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        (root / "annotations").mkdir()
        (root / "annotations" / "ids.json").write_text("{")
        with pytest.raises(DatasetError, match=r"ids\.json"):
            export_coco(root)

    def test_what_is_no_file_is_passed_over(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        (root / "annotations" / "instances_old.json").mkdir(parents=True)
        os.mkfifo(root / "annotations" / "person_keypoints_old.json")
        assert export_coco(root).removed == ()

    def test_the_visible_pictures_can_be_named(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        export_coco(root, settings=ExportSettings(ratios={"train": 1}, on="visible"))
        assert exported(root, "train")["images"][0]["file_name"] == "visible/a_000000.png"

    def test_a_pair_without_its_visible_picture_is_named(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        (root / "visible" / "b_000000.png").unlink()
        summary = export_coco(root, settings=ExportSettings(on="visible"))
        assert [f.reason for f in summary.selection.failures] == ["missing-image"]

    def test_a_splits_file_decides(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        path = tmp_path / "splits.toml"
        path.write_text('train = ["a", "b", "c"]\nval = ["d"]\n')
        summary = export_coco(root, settings=ExportSettings(splits_file=path))
        assert summary.pictures == {"train": 6, "val": 2}

    def test_a_splits_file_that_forgets_a_clip_is_refused(self, tmp_path: Path):
        root = self.make(tmp_path / "d")
        path = tmp_path / "splits.json"
        path.write_text('{"train": ["a", "b", "c"]}')
        with pytest.raises(SettingsError, match="clip d"):
            export_coco(root, settings=ExportSettings(splits_file=path))


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    (tmp_path / "in" / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    failures = export_coco(tmp_path / "in", tmp_path / "out").selection.failures
    assert [(f.path, f.reason) for f in failures] == [(tmp_path / "in" / "closed", "unreadable")]


def test_a_name_that_is_not_utf8_is_escaped(tmp_path: Path):
    write_labelled(tmp_path / "in", os.fsdecode(b"\xff"), [OUTLINE])
    export_coco(tmp_path / "in", tmp_path / "out")
    assert exported(tmp_path / "out")["images"][0]["file_name"] == "\udcff.png"


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_labelled(tmp_path / "in", "a", [OUTLINE])
    export_coco(tmp_path / "in", tmp_path / "out", paint=False)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    write_labelled(tmp_path / "in", "b", [OUTLINE])
    real_open = builtins.open

    def full(path, *arguments, **more):
        file = real_open(path, *arguments, **more)
        if str(path).endswith(".tmp"):
            file.write(b"half")
            file.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return file

    monkeypatch.setattr(builtins, "open", full)
    with pytest.raises(DatasetError, match="No space left"):
        export_coco(tmp_path / "in", tmp_path / "out", paint=False)
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot be read"),
        ("[1]", "must be an object"),
        ('{"Nose": 0.1}', "no such keypoint"),
        ('{"Head": 0}', "above 0"),
        ('{"Head": true}', "above 0"),
        ('{"Head": NaN}', "above 0"),
    ],
)
def test_sigmas_that_make_no_sense_are_refused(tmp_path: Path, content: str, complaint: str):
    path = tmp_path / "sigmas.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=complaint):
        ExportSettings(sigmas=read_sigmas(path))
