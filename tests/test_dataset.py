"""The dataset folder: opened, refused, viewed as CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from records import clip_record, pair
from vircraft.dataset import (
    PAIR_COLUMNS,
    Dataset,
    clip_files,
    files_match,
    journal_path,
    prepare_folder,
    write_pairs_csv,
)
from vircraft.errors import DatasetError
from vircraft.files import hash_bytes
from vircraft.journal import Journal, JournalWriter, encode

NAMED_COLUMNS = [
    *("id", "clip", "infrared_index", "visible_index", "infrared_time_s", "visible_time_s"),
    *("verdict", "reason", "predicted_error_px"),
    *("h00", "h01", "h02", "h10", "h11", "h12", "h20", "h21", "h22"),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = Dataset(tmp_path, "clips", {"sampling": {"every": 10}}, {"vircraft": "0"})
    made.write_manifest()
    (tmp_path / "journal").mkdir()
    rejected = {"verdict": "rejected", "h_ir_from_vis": None, "predicted_error_px": None, "residual_px": None}
    for clip, pairs in {"b": [pair(0, "b")], "a": [pair(0), pair(10, reason="low", **rejected)]}.items():
        writer = JournalWriter(Journal(journal_path(tmp_path, clip)))
        for record in (clip_record(clip), *pairs):
            writer.put(record)
        writer.close()
    return made


def test_it_opens_as_it_was_written(dataset: Dataset) -> None:
    assert Dataset.open(dataset.root) == dataset
    assert [p.id for p in dataset.pairs()] == ["a_000000", "a_000010", "b_000000"]
    assert dataset.pair("a_000010").verdict == "rejected"


@pytest.mark.parametrize("name", ["a_000001", "c_000000", "nonsense", ""])
def test_a_pair_that_is_not_there_is_named(dataset: Dataset, name: str) -> None:
    with pytest.raises(DatasetError, match=f"has no pair '{name}'"):
        dataset.pair(name)


def test_pairs_csv_has_the_named_columns_first_and_exact_numbers(dataset: Dataset) -> None:
    write_pairs_csv(dataset)
    with (dataset.root / "pairs.csv").open(newline="") as file:
        header = next(csv.reader(file))
    assert header[: len(NAMED_COLUMNS)] == NAMED_COLUMNS
    assert header == list(PAIR_COLUMNS)
    frame = pd.read_csv(dataset.root / "pairs.csv")
    assert list(frame.id) == ["a_000000", "a_000010", "b_000000"]
    h = frame.loc[0, "h00":"h22"].to_numpy(float).reshape(3, 3)  # type: ignore[misc]
    assert np.array_equal(h, dataset.pair("a_000000").homography)
    assert frame.loc[1, "h00":"h22"].isna().all()  # type: ignore[misc]
    assert pd.isna(frame.predicted_error_px[1])


def test_a_damaged_journal_does_not_take_the_others_out_of_pairs_csv(dataset: Dataset) -> None:
    journal_path(dataset.root, "a").write_bytes(b"rubbish\n" + encode(pair()))
    write_pairs_csv(dataset)
    assert list(pd.read_csv(dataset.root / "pairs.csv").id) == ["b_000000"]
    with pytest.raises(DatasetError, match="line 1 is damaged"):
        list(dataset.pairs())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no vircraft dataset"),
        ("{", "cannot be read"),
        ("[]", "has no format_version"),
        ('{"format_version": 99}', "format version 99"),
    ],
)
def test_what_is_no_dataset_is_refused(content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(DatasetError, match=message):
        Dataset.open(tmp_path)


def test_a_folder_with_other_things_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DatasetError, match=r"holiday\.jpg"):
        prepare_folder(tmp_path)
    (tmp_path / "dataset.json").touch()
    prepare_folder(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(DatasetError, match="is a file"):
        prepare_folder(tmp_path / "x")


def test_an_unchanged_manifest_is_not_written_again(dataset: Dataset) -> None:
    path = dataset.root / "dataset.json"
    before = path.stat().st_ino
    dataset.write_manifest()
    assert path.stat().st_ino == before
    assert json.loads(path.read_text())["format_version"] == 1


def test_a_changed_or_missing_file_does_not_match(tmp_path: Path) -> None:
    (tmp_path / "infrared").mkdir()
    record = pair(files={"infrared/a_000120.png": hash_bytes(b"picture")})
    assert not files_match(tmp_path, record)
    (tmp_path / "infrared/a_000120.png").write_bytes(b"picture")
    assert files_match(tmp_path, record)
    (tmp_path / "infrared/a_000120.png").write_bytes(b"pictura")
    assert not files_match(tmp_path, record)


def test_a_clip_does_not_claim_the_files_of_another() -> None:
    pattern = clip_files("a", ".png")
    assert pattern.fullmatch("a_000120.png")
    assert pattern.fullmatch("a_1234567.png")
    for name in ("b_000120.png", "a_b_000120.png", "a_000120_000010.png", "a_000120.png.tmp", "a.000120.png"):
        assert not pattern.fullmatch(name), name
