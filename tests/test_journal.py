"""The journal keeps every whole record, whatever happens to its end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from records import clip_record, pair
from vircraft.errors import DatasetError
from vircraft.journal import (
    EndRecord,
    FailureRecord,
    Journal,
    JournalWriter,
    Record,
    decode,
    encode,
    pair_record,
    read_journal,
)
from vircraft.registration.result import Registration

END = EndRecord("a", {"accepted": 2, "coarse_only": 0, "rejected": 0, "human": 0, "failures": 1})
FAILURE = FailureRecord("a", "damaged-frame", "a_visible.mp4: frame 7 (0.14 s): bad data", "a_visible.mp4", 7)
RECORDS: list[Record] = [clip_record(), pair(0), pair(10), FAILURE, END]


def write(path: Path, records: list[Record]) -> Journal:
    writer = JournalWriter(read_journal(path))
    for record in records:
        writer.put(record)
    writer.finish()
    writer.close()
    return read_journal(path)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    journal = write(tmp_path / "a.jsonl", RECORDS)
    assert list(journal.records) == RECORDS
    assert journal.clip == RECORDS[0]
    assert [p.tick for p in journal.pairs] == [0, 10]
    assert journal.failures == (FAILURE,)
    assert journal.complete
    assert not journal.failed


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: type(r).__name__)
def test_a_record_is_one_line_that_decodes_to_itself(record: Record) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == record
    assert encode(decode(line)) == line


@given(cut=st.integers(min_value=0))
def test_cut_anywhere_it_holds_the_whole_lines_before_the_cut(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [encode(record) for record in RECORDS]
    content = b"".join(lines)[: cut % (sum(map(len, lines)) + 1)]
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes(content)
    journal = read_journal(path)
    whole = content.count(b"\n")
    assert list(journal.records) == RECORDS[:whole]
    assert journal.offsets[-1] == sum(map(len, lines[:whole]))
    assert journal.torn_bytes == len(content) - journal.offsets[-1]
    assert list(write(path, RECORDS).records) == RECORDS
    assert path.read_bytes() == b"".join(lines)


def test_a_last_block_of_zeros_counts_as_torn(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(encode(RECORDS[0]) + b"\0" * 50 + b"\n")
    journal = read_journal(path)
    assert list(journal.records) == RECORDS[:1]
    assert journal.torn_bytes == 51


def test_damage_before_the_end_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(encode(RECORDS[0]) + b'{"type": "pa\n' + encode(RECORDS[1]))
    with pytest.raises(DatasetError, match=r"a\.jsonl: line 2 is damaged"):
        read_journal(path)


@pytest.mark.parametrize(
    "name", ["../../../esc", "a/b", "a\\b", ".hidden", "..", "", "a\n", "a b", "C:x", "a\0", 7]
)
@pytest.mark.parametrize("key", ["id", "clip"])
@pytest.mark.parametrize("last", [True, False])
def test_a_name_that_is_a_path_is_damage_wherever_it_stands(
    tmp_path: Path, name: object, key: str, last: bool
) -> None:
    path = tmp_path / "a.jsonl"
    values = {**json.loads(encode(pair(0))), key: name}
    after = b"" if last else encode(pair(10))
    path.write_bytes(encode(RECORDS[0]) + json.dumps(values).encode() + b"\n" + after)
    with pytest.raises(DatasetError, match=r"a\.jsonl: line 2 is damaged .*letters, digits"):
        read_journal(path)


@pytest.mark.parametrize("clip", ["approach_01", "день-2", "a.b", "_a", "-a"])
def test_names_of_clips_are_names_of_pairs(tmp_path: Path, clip: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(encode(pair(0, clip)))
    assert [record.id for record in read_journal(path).pairs] == [f"{clip}_000000"]


def test_what_is_confirmed_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, RECORDS)
    before = path.stat()
    write(path, RECORDS)
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_from_the_first_difference_on_the_old_journal_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, RECORDS)
    changed = pair(10, predicted_error_px=2.0)
    assert list(write(path, [RECORDS[0], RECORDS[1], changed]).records) == [RECORDS[0], RECORDS[1], changed]
    assert list(write(path, RECORDS[:1]).records) == RECORDS[:1]


def test_without_finish_the_rest_of_the_old_journal_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, RECORDS)
    writer = JournalWriter(read_journal(path))
    writer.put(RECORDS[0])
    writer.close()
    assert list(read_journal(path).records) == RECORDS


@pytest.mark.parametrize("written_bytes", [0, 30])
def test_a_full_disk_leaves_the_whole_records_and_no_torn_line(
    written_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    write(path, RECORDS[:2])
    real_write = os.write
    calls: list[int] = []

    def fill_up(fd: int, data: Any) -> int:
        calls.append(fd)
        if written_bytes and len(calls) == 1:
            return real_write(fd, bytes(data)[:written_bytes])
        raise OSError(28, "No space left on device")

    writer = JournalWriter(read_journal(path))
    for record in RECORDS[:2]:
        assert not writer.put(record)
    monkeypatch.setattr(os, "write", fill_up)
    with pytest.raises(DatasetError, match=r"a\.jsonl: cannot be written: No space left on device"):
        writer.put(RECORDS[2])
    writer.close()
    journal = read_journal(path)
    assert list(journal.records) == RECORDS[:2]
    assert journal.torn_bytes == 0


def test_a_missing_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none.jsonl").records == ()


@pytest.mark.parametrize(
    ("status", "verdict"), [("fine", "accepted"), ("coarse", "coarse_only"), ("refused", "rejected")]
)
def test_a_registration_survives_the_journal(status: Any, verdict: str) -> None:
    h = None if status == "refused" else np.array([[0.1, 1 / 3, 5], [0, 2, 1e-9], [1e-12, 0, 1]])
    error = None if h is None else 1.75
    answer = Registration(status, h, error, "carried", 0.5, 0.25, 0.125, 7, float("nan"), "")
    frames = {key: getattr(pair(), key) for key in ("id", "clip", "tick", "infrared_index", "visible_index")}
    for key in ("infrared_time_s", "visible_time_s", "infrared_wh", "visible_wh", "sync", "inputs_hash"):
        frames[key] = getattr(pair(), key)
    record = pair_record({**frames, "settings_hash": "22"}, answer, {"infrared/x.png": "ff"})
    assert record.verdict == verdict
    read = decode(encode(record))
    assert read == record
    assert not isinstance(read, FailureRecord | EndRecord)
    again = read.registration()  # type: ignore[union-attr]
    assert again.status == status
    assert again.h_ir_from_vis is None if h is None else np.array_equal(again.h_ir_from_vis, h)
    assert np.isnan(again.residual_px)
    assert (again.predicted_error_px, again.reason, again.inliers) == (error, "carried", 7)


def test_a_pair_without_homography_must_be_rejected() -> None:
    with pytest.raises(DatasetError, match="a rejected pair has no homography"):
        pair(h_ir_from_vis=None)
