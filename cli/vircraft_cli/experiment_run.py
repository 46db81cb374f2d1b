"""`vircraft experiment run`: every cell of a plan, then the tables."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vircraft_cli.experiment_progress import Progress
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.experiments.runner import ExperimentSummary

FINISHED_WITH_FAILURES = 3


@click.command("run")
@click.argument("plan", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Folder of the experiment; an existing one is continued.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Cells at once.  [default: one per core, or per GPU]"
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--only",
    multiple=True,
    metavar="TASK[/METHOD[/seed-K]]",
    help="Only these cells, * for any; may be given several times.",
)
@click.option("--retry-failed", is_flag=True, help="Try again what failed before on the same inputs.")
@click.option(
    "--keep-going", is_flag=True, help="Where pictures are missing, fail those cells and train the others."
)
@click.option("--dry-run", is_flag=True, help="Check the inputs, say what would be done; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("-v", "--verbose", count=True, help="Say more: cells that are kept, phases.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures and the tables' paths only.")
def command(
    plan: Path,
    output: Path,
    jobs: int | None,
    device: str,
    only: tuple[str, ...],
    retry_failed: bool,
    keep_going: bool,
    dry_run: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> int:
    """Make every cell of PLAN (task x method x seed), each in a process of its own, and write the tables.

    A cell that is done on the same settings, labels and pictures is kept, one that was interrupted goes on
    from its checkpoint, one whose inputs changed is made again. A cell that fails stops no other. Ctrl-C
    stops after a checkpoint; run the same command to go on.

    \b
    Example:
      vircraft experiment run plan.toml -o experiment
      vircraft experiment run plan.toml -o experiment --only keypoints/FGFusion
      vircraft experiment run plan.toml -o experiment --dry-run

    \b
    Writes into OUT:
      tables/tables.md           all tables, with tests and what may be claimed
      tables/NAME.md .csv .tex   each table for itself; NAME.png its chart
      cells/TASK/METHOD/seed-K   the trainings and their scores

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but a cell failed, 130 interrupted (Ctrl-C),
    143 terminated (SIGTERM).
    """
    from fgfusion_model.experiments import kinds
    from fgfusion_model.experiments.plan import load_plan
    from fgfusion_model.experiments.runner import RunOptions, run_experiment
    from vircraft_cli.stopper import Stopper

    loaded = load_plan(plan, kinds.KINDS)
    options = RunOptions(device, jobs or 0, only, retry_failed, keep_going, dry_run)
    stopper = Stopper()
    with stopper, Progress(stopper, quiet, as_json, verbose, dry_run) as progress:
        summary = run_experiment(
            loaded, output, options, kinds=kinds.KINDS, on_event=progress, stop=stopper.asked
        )
    if dry_run:
        return 0
    failed = FINISHED_WITH_FAILURES if summary.failures else 0
    code = stopper.exit_code if summary.stopped else failed
    _print_end(summary, code, as_json, quiet)
    return code


def _print_end(summary: ExperimentSummary, code: int, as_json: bool, quiet: bool) -> None:
    states = Counter(summary.cells.values())
    if as_json:
        values = {
            "event": "end",
            "cells": dict(states),
            "kept": summary.kept,
            "failures": summary.failures,
            "stopped": summary.stopped,
            "files": [str(path) for path in summary.files],
            "exit_code": code,
        }
        click.echo(json.dumps(values, ensure_ascii=False))
        return
    if not quiet:
        kept = f" ({summary.kept} of them before)" if summary.kept else ""
        failed = states["failed"] + states["crashed"]
        words = [f"{counted(states['done'], 'cell')} done{kept}"]
        words += [f"{failed} failed"] if failed else []
        words += ["stopped; run the same command to go on"] if summary.stopped else []
        click.echo(", ".join(words), err=True)
    for path in summary.files:
        if path.suffix == ".md" or not quiet:
            click.echo(path)
