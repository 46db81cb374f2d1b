"""Splits by clip: stable, close to their ratios, never empty without need."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vircraft.annotation.exchange.splits import check_splits, make_splits, parse_ratios, read_splits
from vircraft.errors import SettingsError

RATIOS = {"train": 0.7, "val": 0.15, "test": 0.15}
clips = st.sets(st.text("abcdef", min_size=1, max_size=4), max_size=40)


@given(clips, st.integers(0, 99))
def test_every_clip_gets_one_split_near_its_ratio(names: set[str], seed: int):
    splits = make_splits(names, RATIOS, seed)
    assert splits.keys() == names
    counts = {name: list(splits.values()).count(name) for name in RATIOS}
    assert sum(counts.values()) == len(names)
    for name, ratio in RATIOS.items():
        assert abs(counts[name] - ratio * len(names)) <= 2
    if len(names) >= len(RATIOS):
        assert all(counts.values())


@given(clips, st.integers(0, 99))
def test_the_order_of_the_clips_changes_nothing(names: set[str], seed: int):
    assert make_splits(sorted(names), RATIOS, seed) == make_splits(sorted(names)[::-1], RATIOS, seed)


def test_another_seed_gives_another_split():
    names = [f"clip_{k}" for k in range(30)]
    assert make_splits(names, RATIOS, 0) != make_splits(names, RATIOS, 1)


def test_ratios_are_read_as_they_are_written():
    assert parse_ratios("train=0.8, val=0.2") == {"train": 0.8, "val": 0.2}


@pytest.mark.parametrize(
    "text", ["", "train", "train=x", "train=-1", "train=0", "tr ain=1", "../x=1", "a=nan"]
)
def test_ratios_that_make_no_sense_are_refused(text: str):
    with pytest.raises(SettingsError):
        parse_ratios(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", "{"),
        ("s.json", "[]"),
        ("s.json", "{}"),
        ("s.json", '{"train": "a"}'),
        ("s.json", '{"train": [1]}'),
        ("s.json", '{"../x": ["a"]}'),
        ("s.json", '{"train": ["a"], "val": ["a"]}'),
        ("s.toml", "train = [1"),
    ],
)
def test_a_splits_file_that_makes_no_sense_is_refused(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingsError, match=name):
        read_splits(tmp_path / name)


def test_a_splits_file_must_name_every_clip_and_no_other(tmp_path: Path):
    check_splits({"a": "train"}, ["a"], tmp_path)
    with pytest.raises(SettingsError, match="where clip b belongs"):
        check_splits({"a": "train"}, ["a", "b"], tmp_path)
    with pytest.raises(SettingsError, match="there is no clip c"):
        check_splits({"a": "train", "c": "val"}, ["a"], tmp_path)
