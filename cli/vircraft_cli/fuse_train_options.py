"""What the options of `vircraft fuse train` make of the settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fgfusion_model.settings import AblationName
    from fgfusion_model.training.settings import RecipeName, TrainingSettings


@dataclass(frozen=True)
class TrainOptions:
    """The options as given; None where one was not."""

    dataset: tuple[str, ...]
    output: Path
    preset: RecipeName | None
    network: str | None
    ablation: AblationName | None
    epochs: int | None
    steps: int | None
    batch: int | None
    accumulate: int | None
    precision: str | None
    seed: int | None
    val_ratio: float | None
    config: Path | None
    resume: bool


def choose_settings(options: TrainOptions) -> TrainingSettings:
    """Return the settings: the recipe, over it the configuration file, over it the options.

    A run that is resumed keeps its own settings; options that say otherwise are found when it is compared.

    Raises:
        SettingsError: an option or the file is wrong.
        UsageError: no dataset was named.
    """
    from fgfusion_model.settings import ablation
    from fgfusion_model.training.settings import find_network

    settings = _base(options)
    if options.network is not None:
        settings = replace(settings, network=find_network(options.network))
    if options.ablation is not None:
        network, loss = ablation(options.ablation, settings.network, settings.loss)
        settings = replace(settings, network=network, loss=loss)
    if options.epochs is not None:
        settings = replace(settings, epochs=options.epochs, steps=None)
    given = {name: getattr(options, name) for name in ("steps", "batch", "accumulate", "precision", "seed")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = replace(settings, **changes)
    return _with_data(settings, options)


def _base(options: TrainOptions) -> TrainingSettings:
    from fgfusion_model.training.run_folder import RunFolder
    from fgfusion_model.training.settings import load_training_settings, recipe

    base = recipe(options.preset or "paper")
    own = RunFolder(options.output).settings
    anew = options.preset or options.config or options.network or options.ablation
    if options.resume and own.is_file() and not anew:
        return load_training_settings(own, base)
    return base if options.config is None else load_training_settings(options.config, base)


def _with_data(settings: TrainingSettings, options: TrainOptions) -> TrainingSettings:
    from fgfusion_model.data import parse_source

    data = settings.data
    if options.val_ratio is not None:
        data = replace(data, val_ratio=options.val_ratio)
    if options.dataset:
        data = replace(data, sources=tuple(parse_source(text) for text in options.dataset))
    if not data.sources:
        raise click.UsageError("Missing argument 'DATASET': what shall it be trained on?")
    return replace(settings, data=data)
