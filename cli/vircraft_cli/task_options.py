"""Options that every task's commands share, and what they make of the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fgfusion_model.training.runtime import DeviceName, Runtime

S = TypeVar("S")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FILE = click.Path(dir_okay=False, path_type=Path)

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


def train_options(presets: tuple[str, ...]) -> Decorator:
    """Return a decorator with the options of a training; they arrive as `TrainTaskOptions`'s fields do.

    Args:
        presets: names of the task's recipes, the default first.
    """
    options: list[Decorator] = [
        click.option("--preset", type=click.Choice(presets), default=presets[0], show_default=True),
        click.option("--epochs", type=click.IntRange(min=1), help="How often each sample is shown."),
        click.option("--steps", type=click.IntRange(min=1), help="Number of steps, instead of epochs."),
        click.option("--batch", type=click.IntRange(min=1), help="Samples of a step."),
        click.option("--seed", type=click.IntRange(min=0), help="Of everything random.  [default: 0]"),
        click.option("--precision", type=click.Choice(["32", "bf16"]), help="[default: 32]"),
        click.option("--config", type=FILE, metavar="FILE.toml", help="Settings; options overrule it."),
        click.option("--split", default="train", show_default=True, help="To train on."),
        click.option("--val", default="val", show_default=True, help="To look at now and then; '' for none."),
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
    ]

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
    val: str
    device: DeviceName
    checkpoint_every: float
    resume: bool
    as_json: bool
    verbose: int
    quiet: bool

    def settings(self, base: S) -> S:
        """Return a task's settings: the preset, over it the file, over it the options.

        Args:
            base: the preset's, with a field `fit`.

        Raises:
            SettingsError: the file or an option is wrong.
            UsageError: epochs and steps are both given.
        """
        from fgfusion_model.downstream.settings import load_task_settings

        if self.epochs is not None and self.steps is not None:
            raise click.UsageError("--epochs and --steps exclude each other")
        settings: Any = base if self.config is None else load_task_settings(self.config, base)
        names = ("epochs", "steps", "batch", "seed", "precision")
        given: dict[str, Any] = {n: v for n in names if (v := getattr(self, n)) is not None}
        if "epochs" in given:
            given["steps"] = None
        chosen: S = replace(settings, fit=replace(settings.fit, **given))
        return chosen

    def runtime(self) -> Runtime:
        """Return where to train."""
        from fgfusion_model.training.runtime import Runtime

        return Runtime(self.device, checkpoint_s=self.checkpoint_every)
