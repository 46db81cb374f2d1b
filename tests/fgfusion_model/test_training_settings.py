"""Presets, configuration files and the learning rate."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgfusion_model.settings import preset
from fgfusion_model.training.augment import AugmentSettings
from fgfusion_model.training.schedule import rate_share
from fgfusion_model.training.settings import (
    RECIPES,
    ScheduleSettings,
    TrainingSettings,
    load_training_settings,
    recipe,
)
from fgfusion_model.training.toml_text import to_toml
from vircraft.errors import SettingsError

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.lists(st.integers(0, 9), max_size=3),
)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


def test_the_papers_preset_is_the_papers_recipe() -> None:
    paper = recipe("paper")
    assert (paper.epochs, paper.batch, paper.data.crop) == (500, 24, 256)
    assert (paper.optimiser.name, paper.optimiser.learning_rate) == ("sgd", 1e-3)
    assert (paper.optimiser.momentum, paper.optimiser.weight_decay) == (0.9, 5e-4)
    loss = paper.loss
    assert (loss.ssim, loss.intensity, loss.gradient, loss.foreground) == (1, 10, 10, 5)
    assert loss.mask_weight == 3
    assert paper.augment == AugmentSettings(quarter_turns=True, flips=False)
    assert paper.network == preset("paper")


@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_survives_its_toml_file(name: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(to_toml(recipe(name).record()))
    assert load_training_settings(tmp_path / "a.toml", TrainingSettings()) == recipe(name)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        'network = "lite"\n[loss]\nmask_weight = 1.0\n[[data.sources]]\npath = "set"\nweight = 2\n'
    )
    settings = load_training_settings(path, recipe("paper"))
    assert settings.network == preset("lite")
    assert settings.data.sources[0].path == tmp_path.resolve() / "set"
    assert settings.data.sources[0].weight == 2
    assert replace(settings.loss, mask_weight=3.0) == recipe("paper").loss
    assert settings.optimiser == recipe("paper").optimiser


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch = 3", "did you mean 'epochs'"),
        ("[optimiser]\nname = 'adam'", "adamw"),
        ("[optimiser]\nlearning_rate = -1.0", "learning_rate"),
        ("batch = 0", "batch is 0"),
        ("[data]\ncrop = 8", "data.crop is 8"),
        ("network = 'huge'", "paper, base, lite"),
        ("[loss]\nmask_weight = nan", "mask_weight"),
        ("epochs =", "not TOML"),
        ("[network]\nheads = 3", "does not divide"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SettingsError, match=told) as caught:
        load_training_settings(tmp_path / "a.toml", TrainingSettings())
    assert "a.toml" in str(caught.value)


@given(st.dictionaries(NAMES, st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=3)), max_size=5))
def test_what_is_written_as_toml_reads_back_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_lists_of_tables_read_back_the_same() -> None:
    table = {"a": {"b": [{"c": 1, "d": "x"}, {"c": 2}]}, "e": 1.0}
    assert tomllib.loads(to_toml(table)) == table


@pytest.mark.parametrize("decay", ["polynomial", "cosine", "constant"])
def test_the_learning_rate_rises_once_and_never_again(decay: Any) -> None:
    settings = ScheduleSettings(warmup=0.1, decay=decay, final=0.02)
    rates = [rate_share(step, 200, settings) for step in range(200)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    assert top == 20
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] >= 0.02
    assert rates[-1] < 0.06 or decay == "constant"


def test_the_polynomial_is_the_one_of_the_field() -> None:
    settings = ScheduleSettings(warmup=0.0, power=0.9)
    assert rate_share(30, 100, settings) == pytest.approx(0.7**0.9)


def test_the_guide_lists_every_setting_with_its_default() -> None:
    guide = Path(__file__).resolve().parents[2] / "docs" / "guide-fuse.md"
    (block,) = re.findall(r"```toml\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    defaults = recipe("paper").record()
    assert defaults.pop("steps") is None  # TOML has no word for it; the guide shows both as comments
    assert defaults["data"].pop("sources") == []
    assert "# steps" in block
    assert "# sources" in block
    assert tomllib.loads(block) == defaults
