"""The 44 cases of the label contract; other cases of the same kind are built in test_rules.py."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest

from contract_files import annotation_record
from vircraft.annotation.labelme import LabelFileError
from vircraft.annotation.rules import read_annotations

CASES = Path(__file__).parents[3] / "shared" / "data" / "labelme_cases"
ROWS = list(csv.DictReader((CASES / "cases.csv").read_text().splitlines())) if CASES.is_dir() else []

pytestmark = pytest.mark.skipif(not ROWS, reason="the label cases are not at hand")


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_a_case_of_the_contract(row: dict[str, str]):
    root = CASES / row["case"]
    start = time.monotonic()
    if row["outcome"] == "error":
        with pytest.raises(LabelFileError) as caught:
            read_annotations(root / row["json"], root)
        assert caught.value.reason == row["reason"]
        assert row["json"].rpartition("/")[2] in str(caught.value)
        return
    found = read_annotations(root / row["json"], root)
    assert time.monotonic() - start < float(row["seconds"])
    assert found.skipped == (row["outcome"] == "skip")
    if found.skipped:
        return
    assert found.file_name == row["file_name"]
    assert found.size_wh == (int(row["width"]), int(row["height"]))
    assert set(found.warnings) == set(row["warn"].split())
    wanted = json.loads(row["anns"])
    assert len(found.annotations) == len(wanted)
    for annotation, want in zip(found.annotations, wanted, strict=True):
        compare(annotation_record(annotation), want)


def compare(record: dict, want: dict) -> None:
    assert record["bbox"] == pytest.approx(want["bbox"], abs=max(want["bbox_tol"], 1e-9))
    assert record["area"] == pytest.approx(want["area"], abs=max(want["area_tol"], 1e-9))
    assert record["keypoints"] == pytest.approx(want["keypoints"], abs=1e-9)
    assert (record["num_keypoints"], record["iscrowd"]) == (want["num_keypoints"], want["iscrowd"])
    segmentation = record.get("segmentation")
    kind = "rle" if isinstance(segmentation, dict) else "polygon" if segmentation else "none"
    assert kind == want["seg"]
    if kind == "polygon":
        assert len(segmentation) == want["parts"]
