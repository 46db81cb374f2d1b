"""What judging and using a network prints: scores in order, remarks, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vircraft_cli.printable import printable
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.downstream.results import TaskResult

FINISHED_WITH_FAILURES = 3


def print_result(result: TaskResult, as_json: bool, quiet: bool) -> None:
    """Print a line a score, or all of it as JSON."""
    if as_json:
        from vircraft.settings import plain

        click.echo(json.dumps(plain(result), ensure_ascii=False))
        return
    width = max(map(len, result.scores))
    for name, value in result.scores.items():
        click.echo(f"{printable(name):{width}}  {'-' if value is None else f'{value:.4f}'}")
    if not quiet:
        for remark in result.remarks:
            click.echo(f"note: {printable(remark)}", err=True)


def print_predicted(pictures: int, failures: Sequence[str], target: Path, as_json: bool, quiet: bool) -> int:
    """Print where the answers are and which pictures could not be read; return the exit code."""
    code = FINISHED_WITH_FAILURES if failures else 0
    if as_json:
        values = {"pictures": pictures, "failures": list(failures), "output": str(target), "exit_code": code}
        click.echo(json.dumps(values, ensure_ascii=False))
        return code
    for failure in failures:
        click.echo(f"left out: {printable(failure)}", err=True)
    if not quiet:
        click.echo(f"{counted(pictures, 'picture')} done", err=True)
    click.echo(printable(str(target)))
    return code


def listed_classes(text: str | None) -> tuple[str, ...] | None:
    """Return the classes of `--classes`: a list with commas, or a text file with a name a line.

    Raises:
        InputFileError: the file cannot be read, or holds no two names.
    """
    if text is None:
        return None
    if "," not in text and Path(text).is_file():
        from fgfusion_model.downstream.segmentation.label_maps import read_class_names

        return read_class_names(Path(text))
    return tuple(name.strip() for name in text.split(",") if name.strip())
