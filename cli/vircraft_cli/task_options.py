"""Options that the commands of all tasks share, and what they make of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fgfusion_model.training.runtime import DeviceName, Runtime

S = TypeVar("S")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FILE = click.Path(dir_okay=False, path_type=Path)
PRESETS = ("paper", "small")  # as every task of fgfusion_model has them, without importing it

dataset_argument = click.argument("dataset", type=click.Path(path_type=Path), metavar="DATASET")
pictures_option = click.option(
    "--pictures",
    required=True,
    metavar="visible|infrared|FOLDER",
    help="What the network sees; FOLDER holds a method's fused pictures.",
)
weights_option = click.option(
    "--weights", required=True, type=FILE, metavar="FILE", help="weights.safetensors of a run."
)
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print errors and results only.")


def output_option(metavar: str, text: str, *, required: bool = True) -> Decorator:
    """Return the option `-o`."""
    return click.option(
        "-o", "--output", required=required, type=click.Path(path_type=Path), metavar=metavar, help=text
    )


def eval_options(files: str) -> Decorator:
    """Return a decorator with the arguments of `eval`; they arrive as `EvalTaskOptions`'s fields do.

    Args:
        files: help of `-o`.
    """
    return _all_of(
        dataset_argument,
        pictures_option,
        weights_option,
        output_option("DIR", files, required=False),
        click.option("--split", default="test", show_default=True, help="To judge on."),
        device_option,
        json_option,
        quiet_option,
    )


def predict_options(files: str) -> Decorator:
    """Return a decorator with the arguments of `predict`; they arrive as `PredictTaskOptions`'s fields do.

    Args:
        files: help of `-o`.
    """
    return _all_of(
        click.argument(
            "sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURES..."
        ),
        weights_option,
        output_option("DIR", files),
        device_option,
        json_option,
        quiet_option,
    )


def train_options() -> Decorator:
    """Return a decorator with the options of a training; they arrive as `TrainTaskOptions`'s fields do."""
    return _all_of(
        click.option("--preset", type=click.Choice(PRESETS), default=PRESETS[0], show_default=True),
        click.option("--epochs", type=click.IntRange(min=1), help="How often each sample is shown."),
        click.option("--steps", type=click.IntRange(min=1), help="Number of steps, instead of epochs."),
        click.option("--batch", type=click.IntRange(min=1), help="Samples of a step."),
        click.option("--seed", type=click.IntRange(min=0), help="Of everything random.  [default: 0]"),
        click.option("--precision", type=click.Choice(["32", "bf16"]), help="[default: 32]"),
        click.option("--config", type=FILE, metavar="FILE.toml", help="Settings; options overrule it."),
        click.option("--split", default="train", show_default=True, help="To train on."),
        click.option(
            "--val", help="To look at now and then; '' for none.  [default: val, where there is one]"
        ),
        device_option,
        click.option(
            "--checkpoint-every",
            type=click.FloatRange(min=0),
            default=120.0,
            show_default=True,
            metavar="SECONDS",
        ),
        click.option("--resume", is_flag=True, help="Go on from the last checkpoint; without one, begin."),
        json_option,
        click.option("-v", "--verbose", count=True, help="Say more: checkpoints."),
        quiet_option,
    )


def _all_of(*options: Decorator) -> Decorator:
    """Return a decorator with several options, in the order of the help text."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@dataclass(frozen=True)
class TrainTaskOptions:
    """The options of a training as given; None where one was not."""

    preset: str
    epochs: int | None
    steps: int | None
    batch: int | None
    seed: int | None
    precision: str | None
    config: Path | None
    split: str
    val: str | None
    device: DeviceName
    checkpoint_every: float
    resume: bool
    as_json: bool
    verbose: int
    quiet: bool

    def settings(self, base: S, **own: Any) -> S:
        """Return a task's settings: the preset, over it the file, over it the options.

        Args:
            base: the preset's, with a field `fit`.
            own: the task's own options by field; None where one was not given.

        Raises:
            SettingsError: the file or an option is wrong.
            UsageError: epochs and steps are both given.
        """
        from fgfusion_model.downstream.settings import load_task_settings

        if self.epochs is not None and self.steps is not None:
            raise click.UsageError("--epochs and --steps exclude each other")
        settings: Any = base if self.config is None else load_task_settings(self.config, base)
        names = ("epochs", "steps", "batch", "seed", "precision")
        given = given_of({name: getattr(self, name) for name in names})
        if "epochs" in given:
            given["steps"] = None
        chosen: S = replace(settings, fit=replace(settings.fit, **given), **given_of(own))
        return chosen

    def runtime(self) -> Runtime:
        """Return where to train."""
        from fgfusion_model.training.runtime import Runtime

        return Runtime(self.device, checkpoint_s=self.checkpoint_every)


@dataclass(frozen=True)
class EvalTaskOptions:
    """The arguments of `eval` as given."""

    dataset: Path
    pictures: str
    weights: Path
    output: Path | None
    split: str
    device: DeviceName
    as_json: bool
    quiet: bool

    def runtime(self) -> Runtime:
        """Return where to compute."""
        return _runtime(self.device)


@dataclass(frozen=True)
class PredictTaskOptions:
    """The arguments of `predict` as given."""

    sources: tuple[Path, ...]
    weights: Path
    output: Path
    device: DeviceName
    as_json: bool
    quiet: bool

    def runtime(self) -> Runtime:
        """Return where to compute."""
        return _runtime(self.device)


def given_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _runtime(device: DeviceName) -> Runtime:
    from fgfusion_model.training.runtime import Runtime

    return Runtime(device)


def listed_classes(text: str | None, least: int = 2) -> tuple[str, ...] | None:
    """Return the classes of `--classes`: a list with commas, or a text file with a name a line.

    Raises:
        InputFileError: the file is not there, cannot be read, or holds fewer names than `least`.
    """
    if text is None:
        return None
    if "," not in text and (text.lower().endswith(".txt") or "/" in text or Path(text).is_file()):
        from fgfusion_model.downstream.segmentation.label_maps import read_class_names

        return read_class_names(Path(text), least)
    return tuple(name.strip() for name in text.split(",") if name.strip())
