"""Run a task's training with progress, and say what came out."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from vircraft.settings import plain
from vircraft_cli.fuse_train_progress import TrainProgress
from vircraft_cli.printable import shown_path
from vircraft_cli.stopper import Stopper
from vircraft_cli.task_options import TrainTaskOptions

if TYPE_CHECKING:
    from fgfusion_model.downstream.fit import FitSummary


def run_training(options: TrainTaskOptions, noun: str, train: Callable[..., FitSummary]) -> int:
    """Train, print the path of the weights, and return the exit code.

    Args:
        options: as given.
        noun: what is trained on, such as `aircraft`.
        train: takes where to run, the splits, `resume`, `on_event` and `stop`.
    """
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # which tell every setting
        logging.getLogger(name).setLevel(logging.WARNING)
    stopper = Stopper()
    progress = TrainProgress(stopper, options.quiet, options.as_json, options.verbose, noun, "samples")
    with stopper, progress:
        summary = train(
            runtime=options.runtime(), split=options.split, val=options.val, resume=options.resume,
            on_event=progress, stop=stopper.asked,
        )  # fmt: skip
    code = stopper.exit_code if summary.stopped else 0
    if options.as_json:
        values = {"event": "end", **vars(summary), "weights": str(summary.weights), "exit_code": code}
        click.echo(json.dumps(plain(values), ensure_ascii=False))
        return code
    if not options.quiet:
        click.echo(_words(summary), err=True)
    click.echo(shown_path(summary.weights))
    return code


def _words(summary: FitSummary) -> str:
    loss = "" if math.isnan(summary.loss) else f", loss {summary.loss:.4f} over the last epoch"
    if summary.stopped:
        return f"stopped after step {summary.step} of {summary.steps}{loss}; go on with --resume"
    if not summary.samples_per_s:
        return f"all {summary.steps} steps were done before"
    return f"{summary.steps} steps done{loss}; {summary.samples_per_s:.1f} samples/s"
