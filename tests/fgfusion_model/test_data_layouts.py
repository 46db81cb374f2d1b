"""Which pairs and masks a folder gives, for each layout that a training reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import labelled
import records
import training_pairs
from fgfusion_model.data import FoundPairs, Source, find_pairs, parse_source
from fgfusion_model.data.m3fd_layout import read_voc_boxes
from fgfusion_model.data.pictures import read_pair_size, read_planes
from vircraft.errors import DatasetError, InputFileError, SettingsError
from vircraft.journal import encode

VOC = """<annotation><size><width>56</width><height>48</height></size>
<object><name>People</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
</object></annotation>"""


def found(root: Path) -> FoundPairs:
    (only,) = find_pairs([Source(root)])
    return only


def stems(root: Path) -> list[str]:
    return [pair.infrared.stem for pair in found(root).pairs]


def test_two_folders_are_matched_by_name_and_marked_as_without_labels(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path / "d", 3)
    result = found(root)
    assert result.layout == "folders"
    assert [pair.name for pair in result.pairs] == ["d/p0", "d/p1", "d/p2"]
    assert {pair.mask.kind for pair in result.pairs} == {"saliency"}
    assert result.left_out == ()


def test_an_unpaired_picture_is_named_with_where_it_lacks_a_partner(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 3)
    (root / "visible" / "p1.png").unlink()
    (entry,) = found(root).left_out
    assert entry.reason == "unpaired"
    assert "p1" in entry.message
    assert "visible" in entry.message
    assert stems(root) == ["p0", "p2"]


def test_two_files_of_one_stem_are_ambiguous(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2)
    training_pairs.write(root / "infrared" / "p1.jpg", training_pairs.scene(1)[0])
    assert [entry.reason for entry in found(root).left_out] == ["ambiguous"]


def test_of_a_class_map_any_class_is_foreground(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2, ("ir", "vi"))
    classes = np.zeros((48, 56), np.uint8)
    classes[3:9, 5:8] = 1
    classes[20:30, 10:40] = 8
    for k in range(2):
        training_pairs.write(root / "Segmentation_labels" / f"p{k}.png", classes)
    result = found(root)
    assert result.layout == "msrs"
    planes = read_planes(result.pairs[0], (48, 56), stand_in=True)
    assert np.array_equal(planes[2], classes > 0)


def test_the_train_folder_of_msrs_is_found_below_its_root(tmp_path: Path) -> None:
    training_pairs.folders(tmp_path / "train", 2, ("ir", "vi", "Segmentation_labels"))
    assert stems(tmp_path) == ["p0", "p1"]


def test_voc_boxes_become_masks_of_exactly_their_pixels(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 1, ("Ir", "Vis"))
    (root / "Annotation").mkdir()
    (root / "Annotation" / "p0.xml").write_text(VOC.format(11, 6, 20, 15))
    result = found(root)
    assert result.layout == "m3fd"
    assert [pair.mask.kind for pair in result.pairs] == ["boxes"]
    wanted = np.zeros((48, 56), np.uint8)
    wanted[5:15, 10:20] = 1  # VOC counts from 1 and includes both ends
    assert np.array_equal(read_planes(result.pairs[0], (48, 56), stand_in=True)[2], wanted)


def test_boxes_that_leave_the_picture_are_cut_off(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 1, ("Ir", "Vis"))
    (root / "Annotation").mkdir()
    (root / "Annotation" / "p0.xml").write_text(VOC.format(-1e9, 40, 1e9, 1e9))
    mask = read_planes(found(root).pairs[0], (48, 56), stand_in=True)[2]
    assert mask[39:].all()
    assert not mask[:39].any()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "DOCTYPE"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "DOCTYPE"),
        ("<annotation><object>", "not XML"),
        ("", "not XML"),
        (VOC.format("nan", 1, 2, 3), "no size"),
        (VOC.format("left", 1, 2, 3), "four numbers"),
        (VOC.format(9, 1, 2, 3), "no size"),
    ],
)
def test_xml_that_is_hostile_or_damaged_is_refused(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(InputFileError, match=told):
        read_voc_boxes(path)


def test_a_doctype_hidden_by_an_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><annotation/>'.encode("utf-16"))
    with pytest.raises(InputFileError, match="DOCTYPE"):
        read_voc_boxes(path)


def test_a_pair_with_broken_xml_is_left_out_and_the_others_stay(tmp_path: Path) -> None:
    root = training_pairs.folders(tmp_path, 2, ("Ir", "Vis"))
    (root / "Annotation").mkdir()
    (root / "Annotation" / "p0.xml").write_text("<annotation>")
    (root / "Annotation" / "p1.xml").write_text(VOC.format(1, 1, 5, 5))
    assert stems(root) == ["p1"]
    assert len(found(root).left_out) == 1


def test_a_dataset_gives_outlines_or_boxes_and_groups_by_clip(tmp_path: Path) -> None:
    box = [labelled.shape("aircraft", "rectangle", [[10, 12], [30, 22]])]
    labels = {
        "a_000010": [labelled.shape("aircraft", "polygon", labelled.SQUARE)],
        "a_000020": box,
        "b_000010": [],
    }
    root = labelled.make_dataset(tmp_path / "set", labels)
    for path in (root / "labels").glob("b_*.json"):
        path.unlink()
    result = found(root)
    assert result.layout == "vircraft"
    assert [pair.mask.kind for pair in result.pairs] == ["outlines", "boxes", "saliency"]
    assert [pair.group for pair in result.pairs] == ["set/a", "set/a", "set/b"]
    wanted = np.zeros(labelled.WH[::-1], np.uint8)
    wanted[labelled.SQUARE_PIXELS] = 1
    for pair in result.pairs[:2]:
        planes = read_planes(pair, labelled.WH[::-1], stand_in=True)
        assert np.array_equal(planes[2], wanted), pair.mask.kind


def test_pictures_flagged_skip_are_passed_over_and_broken_labels_are_named(tmp_path: Path) -> None:
    square = [labelled.shape("aircraft", "polygon", labelled.SQUARE)]
    root = labelled.make_dataset(tmp_path, {"a_000010": square, "a_000020": square, "a_000030": square})
    skipped, broken = (root / "labels" / f"a_0000{k}0.json" for k in (1, 2))
    skipped.write_text(json.dumps({**json.loads(skipped.read_text()), "flags": {"skip": True}}))
    broken.write_text("{")
    result = found(root)
    assert [pair.infrared.stem for pair in result.pairs] == ["a_000030"]
    assert [entry.reason for entry in result.left_out] == ["bad-json"]
    assert any("skip" in remark for remark in result.remarks)


def test_proposed_labels_count_as_none(tmp_path: Path) -> None:
    root = labelled.make_dataset(
        tmp_path,
        {"a_000010": [labelled.shape("aircraft", "polygon", labelled.SQUARE)]},
        flags={"proposed": True},
    )
    result = found(root)
    assert [pair.mask.kind for pair in result.pairs] == ["saliency"]
    assert any("proposed" in remark for remark in result.remarks)


def test_only_pairs_that_are_registered_well_enough_are_taken(tmp_path: Path) -> None:
    verdicts = {
        "a_000010": "accepted",
        "a_000020": "coarse_only",
        "a_000030": "human",
        "b_000010": "accepted",
    }
    root = labelled.make_dataset(tmp_path / "set", {name: [] for name in verdicts})
    for path in (root / "labels").iterdir():
        path.unlink()
    names = [name for name in verdicts if name.startswith("a")]
    lines = [encode(records.pair(tick=int(name[2:]), verdict=verdicts[name])) for name in names]
    (root / "journal").mkdir()
    (root / "journal" / "a.jsonl").write_bytes(b"".join(lines))
    (root / "journal" / "b.jsonl").write_bytes(b"no journal\n" + lines[0])
    result = found(root)
    assert [pair.infrared.stem for pair in result.pairs] == ["a_000010", "a_000030"]
    assert [entry.reason for entry in result.left_out] == ["damaged-journal"]
    assert any("too coarse" in remark for remark in result.remarks)


def test_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in "ab":
        training_pairs.folders(tmp_path / name / "set", 1)
    names = [entry.pairs[0].name for entry in find_pairs([Source(tmp_path / n / "set") for n in "ab"])]
    assert names == ["set1/p0", "set2/p0"]


@pytest.mark.parametrize("make", [lambda root: None, lambda root: (root / "infrared").mkdir(parents=True)])
def test_a_folder_that_is_no_source_is_an_error_that_says_what_is_needed(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "x")
    with pytest.raises(DatasetError, match="infrared/"):
        find_pairs([Source(tmp_path / "x")])


def test_a_source_has_a_weight_behind_the_last_equals_sign(tmp_path: Path) -> None:
    odd = tmp_path / "a=2"
    odd.mkdir()
    assert parse_source(str(odd)) == Source(odd)
    assert parse_source(f"{odd}=0.5") == Source(odd, 0.5)
    for text in ("x=many", "x=0", "x=-1", "x=nan", "x=inf"):
        with pytest.raises(SettingsError):
            parse_source(text)


@pytest.mark.parametrize(("name", "count", "kind"), [("tno_masks", 8, "classes"), ("msrs", 118, "saliency")])
def test_real_folders_are_read_whole(name: str, count: int, kind: str) -> None:
    root = Path(__file__).parents[3] / "shared" / "data" / name
    if not root.is_dir():
        pytest.skip(f"../shared/data/{name} is not there")
    result = found(root)
    assert (len(result.pairs), result.left_out) == (count, ())
    assert {pair.mask.kind for pair in result.pairs} == {kind}
    planes = read_planes(result.pairs[0], read_pair_size(result.pairs[0]), stand_in=True)
    assert 0 < planes[2].mean() < 0.3
