"""Settings come from TOML into typed dataclasses; whatever does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from vircraft.errors import SettingsError
from vircraft.settings import BuildSettings, build, fingerprint, load_settings, plain, setting_changes


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "[sampling]\nevery = 4\n[registration]\nrotation_deg = 3\n"))
    expected = BuildSettings()
    assert settings == replace(
        expected,
        sampling=replace(expected.sampling, every=4),
        registration=replace(expected.registration, rotation_deg=3.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sampling]\nevry = 4\n", "unknown key 'sampling.evry'; did you mean 'every'?"),
        ("[registratoin]\n", "unknown key 'registratoin'; did you mean 'registration'?"),
        ("[sampling]\nevery = 2.5\n", "sampling.every is 2.5; it is a whole number"),
        ("[sampling]\nevery = true\n", "sampling.every is True; it is a whole number"),
        ("[sampling]\nevery = 0\n", "every is 0; it is at least 1"),
        ("offset_frames = nan\n", "offset_frames is nan; it is a number of frames within +-10,000,000"),
        ("sampling = 3\n", "sampling is 3; it is a table"),
        ('[registration]\nrecipe = "papre"\n', "did you mean 'paper'?"),
        ('[registration]\nrotation_deg = "wide"\n', "registration.rotation_deg is 'wide'; it is a number"),
        ('offset_frames = "two"\n', "offset_frames is 'two'; it is a number"),
        ("[sampling\n", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.toml") as error:
        load_settings(write(tmp_path, text))
    assert message in str(error.value)
    assert error.value.exit_code == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: cannot be read"):
        load_settings(tmp_path / "nowhere.toml")


def test_every_setting_changes_the_hash() -> None:
    base = BuildSettings()
    variants = [
        base,
        replace(base, offset_frames=1.0),
        replace(base, sampling=replace(base.sampling, every=11)),
        replace(base, sync=replace(base.sync, max_offset_s=3.0)),
        replace(base, registration=replace(base.registration, scale_min=0.31)),
    ]
    assert len({v.digest() for v in variants}) == len(variants)
    assert len({v.sync_digest() for v in variants}) == 3, "only offset and sync settings touch the sync"


@dataclass(frozen=True)
class Nested:
    path: Path | None
    sides: tuple[int, int]
    scores: tuple[float, ...] = ()
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: tuple[Nested, ...]
    number: float | None = None


def test_plain_values_and_back_is_the_identity() -> None:
    value = Outer((Nested(Path("x/y"), (1, 2), (0.1, 1 / 3)), Nested(None, (3, 4), kind="b")), 2.5)
    assert build(Outer, plain(value)) == value


def test_a_tuple_of_the_wrong_length_is_named() -> None:
    with pytest.raises(SettingsError, match=r"inner\[0\].sides has 3 entries; it has 2"):
        build(Outer, {"inner": [{"path": None, "sides": [1, 2, 3]}]})


def test_plain_values_know_no_numpy_and_no_nan() -> None:
    values = plain({"a": np.float64(1.5), "b": np.eye(2), "c": float("nan"), "d": (np.int64(3), Path("p/q"))})
    assert values == {"a": 1.5, "b": [[1.0, 0.0], [0.0, 1.0]], "c": None, "d": [3, "p/q"]}
    assert fingerprint(values) == fingerprint(dict(reversed(values.items())))


def test_what_differs_between_two_settings_is_named_with_both_values() -> None:
    old = {**BuildSettings().record(), "forgotten": 1}
    new = replace(BuildSettings(), offset_frames=2.5)
    assert setting_changes(old, new.record()) == (("offset_frames", None, 2.5), ("forgotten", 1, None))
    assert setting_changes(new.record(), new.record()) == ()
