"""What readers rely on without saying so, each learnt from one that failed or went wrong silently."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath

import numpy as np
import pytest
from exports import Export, export, kind  # noqa: F401
from PIL import Image


@pytest.fixture
def document(export, kind):  # noqa: F811
    """Return the records of all splits in one."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    texts = [path.read_text(encoding="utf-8") for path in export.files(kind)]
    documents = [json.loads(text, parse_constant=refuse) for text in texts]
    assert all(one["categories"] == documents[0]["categories"] for one in documents)
    together = {
        part: [entry for one in documents for entry in one[part]] for part in ("images", "annotations")
    }
    return {**documents[0], **together}


def test_ids_count_from_one_and_come_once(document):
    for part in ("images", "annotations", "categories"):
        ids = [entry["id"] for entry in document[part]]
        assert all(type(number) is int and number >= 1 for number in ids), part
        assert len(set(ids)) == len(ids), part
    assert {a["image_id"] for a in document["annotations"]} <= {i["id"] for i in document["images"]}


def test_numbers_have_the_types_that_readers_ask_for(document):
    for annotation in document["annotations"]:
        assert annotation["iscrowd"] in (0, 1)
        assert type(annotation["iscrowd"]) is int
        assert type(annotation["area"]) in (int, float)
        assert annotation["area"] > 0
        assert all(type(v) in (int, float) and math.isfinite(v) for v in annotation["bbox"])
        assert min(annotation["bbox"][2:]) > 0


def test_every_annotation_has_a_segmentation_even_an_empty_one(document):
    for annotation in document["annotations"]:
        segmentation = annotation["segmentation"]  # pycocotools has no other way to ask
        if isinstance(segmentation, dict):
            assert isinstance(segmentation["counts"], str)
        else:
            assert all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in segmentation)


def test_every_annotation_has_its_keypoints_even_a_crowd(document, kind):  # noqa: F811
    if kind == "instances" and not any("keypoints" in a for a in document["annotations"]):
        pytest.skip("instances_SPLIT.json is without keypoints")
    for annotation in document["annotations"]:  # Datumaro leaves out one that has none
        seen = annotation["keypoints"][2::3]
        assert len(seen) == 9
        assert annotation["num_keypoints"] == sum(v > 0 for v in seen)


def test_file_names_are_relative_with_forward_slashes(document, export: Export):  # noqa: F811
    for image in document["images"]:
        name = PurePosixPath(image["file_name"])
        assert not name.is_absolute()
        assert ".." not in name.parts
        assert "\\" not in image["file_name"]
        with Image.open(export.root / name) as picture:
            assert picture.size == (image["width"], image["height"])


def test_extra_attributes_are_no_mapping_that_datumaro_takes_for_its_own(document):
    for annotation in document["annotations"]:
        assert isinstance(annotation.get("attributes", {}), dict)


def test_mask_pictures_hold_the_pixels_of_all_aircraft(export: Export):  # noqa: F811
    painted = {path.stem: path for path in (export.out / "masks").rglob("*.png")}
    for picture in export.pictures:
        stem = PurePosixPath(picture.file_name).stem
        drawn = [instance.mask for instance in picture.instances]
        if any(mask is None for mask in drawn):  # the aircraft's pixels are not known
            assert stem not in painted
            continue
        with Image.open(painted[stem]) as image:
            mask = np.array(image)
        assert mask.ndim == 2
        union = np.logical_or.reduce([np.zeros(mask.shape, bool), *(m for m in drawn if m is not None)])
        assert np.array_equal(mask > 0, union), picture.file_name
