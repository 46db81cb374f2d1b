"""Run a task's judging or its use on pictures, and print what came out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vircraft_cli.bar import Bar
from vircraft_cli.printable import printable
from vircraft_cli.task_options import EvalTaskOptions, PredictTaskOptions
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.downstream.results import Predicted, TaskResult

    P = TypeVar("P", bound=Predicted)

FINISHED_WITH_FAILURES = 3
PIXELS = " px"  # ends the names of scores that are pixels; all others are shares


def run_evaluation(given: EvalTaskOptions, evaluate: Callable[..., TaskResult], **more: Any) -> int:
    """Judge, print the scores, and return the exit code.

    Args:
        given: the options.
        evaluate: of the task.
        more: what it takes besides.
    """
    with Bar("picture", given.quiet or given.as_json) as bar:
        result = evaluate(
            given.weights, given.dataset, given.pictures, split=given.split, output=given.output,
            runtime=given.runtime(), on_file=bar.update, **more,
        )  # fmt: skip
    if given.as_json:
        _print_json(result)
        return 0
    print_scores(result)
    if not given.quiet:
        for remark in result.remarks:
            click.echo(f"note: {printable(remark)}", err=True)
        if given.output is not None:
            click.echo(f"result.json and more are in {printable(str(given.output))}", err=True)
        else:
            click.echo("-o DIR would also write result.json and figures", err=True)
    return 0


def run_prediction(
    given: PredictTaskOptions,
    predict: Callable[..., P],
    words: Callable[[P], str] = lambda found: f"{counted(found.pictures, 'picture')} done",
    **more: Any,
) -> int:
    """Use a network, print where its answers are and which pictures were left out; return the exit code.

    Args:
        given: the options.
        predict: of the task.
        words: what was done, for people.
        more: what `predict` takes besides.
    """
    with Bar("picture", given.quiet or given.as_json) as bar:
        found = predict(
            given.weights, given.sources, given.output, runtime=given.runtime(), on_file=bar.update, **more
        )
    code = FINISHED_WITH_FAILURES if found.failures else 0
    if given.as_json:
        _print_json(found, exit_code=code)
        return code
    for failure in found.failures:
        click.echo(f"left out: {printable(failure)}", err=True)
    if not given.quiet:
        click.echo(words(found), err=True)
    click.echo(printable(str(found.answers)))
    return code


def print_scores(result: TaskResult) -> None:
    """Print a line a score: shares in per cent, distances in pixels."""
    shown = {printable(name.removesuffix(PIXELS)): score_words(name, v) for name, v in result.scores.items()}
    width = max(map(len, shown))
    for name, text in shown.items():
        click.echo(f"{name:{width}}  {text}")


def score_words(name: str, value: float | None) -> str:
    """Return a score with its unit, numbers below one another; `-` where it is not defined."""
    if value is None:
        return f"{'-':>6}"
    return f"{value:6.2f} px" if name.endswith(PIXELS) else f"{100 * value:6.2f} %"


def _print_json(found: TaskResult | Predicted, **more: Any) -> None:
    from vircraft.settings import plain

    click.echo(json.dumps({**plain(found), **more}, ensure_ascii=False))
