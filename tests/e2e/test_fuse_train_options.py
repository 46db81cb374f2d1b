"""Which settings the options of `vircraft fuse train` come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from fgfusion_model.settings import preset
from fgfusion_model.training.settings import TrainingSettings, recipe
from fgfusion_model.training.toml_text import to_toml
from vircraft_cli.fuse_train_options import TrainOptions, choose_settings

NONE = TrainOptions(
    dataset=("set",),
    output=Path("run"),
    preset=None,
    network=None,
    ablation=None,
    epochs=None,
    steps=None,
    batch=None,
    accumulate=None,
    precision=None,
    seed=None,
    val_ratio=None,
    config=None,
    resume=False,
)


def chosen(**given: Any) -> TrainingSettings:
    return choose_settings(replace(NONE, **given))


def without_sources(settings: TrainingSettings) -> TrainingSettings:
    return replace(settings, data=replace(settings.data, sources=()))


def test_without_options_it_is_the_papers_recipe() -> None:
    assert without_sources(chosen()) == recipe("paper")


def test_options_overrule_the_file_and_the_file_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('batch = 10\nseed = 5\nnetwork = "base"\n[loss]\ngradient = 7.0\n')
    settings = chosen(preset="fast", config=path, seed=6, epochs=3)
    assert (settings.batch, settings.seed, settings.epochs, settings.steps) == (10, 6, 3, None)
    assert settings.network == preset("base")
    assert settings.loss == replace(recipe("fast").loss, gradient=7.0)
    assert settings.optimiser == recipe("fast").optimiser


def test_epochs_stand_for_the_steps_of_a_recipe() -> None:
    assert recipe("bundled").steps is not None
    assert chosen(preset="bundled", epochs=2).steps is None


@pytest.mark.parametrize(
    ("name", "foreground", "interaction", "mask_weight"),
    [
        ("without_foreground", False, True, 3.0),
        ("without_interaction", True, False, 3.0),
        ("without_mask_weight", True, True, 1.0),
        ("baseline", False, False, 1.0),
    ],
)
def test_an_ablation_takes_out_what_the_papers_table_says(
    name: str, foreground: bool, interaction: bool, mask_weight: float
) -> None:
    settings = chosen(ablation=name)
    assert (settings.network.foreground, settings.network.interaction) == (foreground, interaction)
    assert settings.loss.mask_weight == mask_weight


def test_resuming_takes_the_settings_of_the_run_unless_others_are_asked_for(tmp_path: Path) -> None:
    own = replace(recipe("fast"), seed=42)
    (tmp_path / "settings.toml").write_text(to_toml(own.record()))
    assert without_sources(chosen(output=tmp_path, resume=True)) == own
    assert chosen(output=tmp_path, resume=True, seed=1).seed == 1
    assert chosen(output=tmp_path, resume=True, preset="paper").seed == 0


def test_a_dataset_must_be_named() -> None:
    with pytest.raises(click.UsageError, match="DATASET"):
        chosen(dataset=())
