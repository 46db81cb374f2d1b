"""`vircraft import`: labels of other programs become Labelme files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.bar import Bar
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from vircraft.annotation.exchange.coco_import import ImportSummary

FINISHED_WITH_FAILURES = 3


@click.group("import")
def command() -> None:
    """Turn labels of other programs into Labelme files.

    \b
    Example:
      vircraft import coco person_keypoints.json --root pictures
    """


@command.command("coco")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The dataset, or the folder that file_name is relative to.  [default: where FILE is]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the label files go.  [default: labels/ of a dataset, else beside the pictures]",
)
@click.option(
    "--category", default="aircraft", show_default=True, help="The category that holds the aircraft."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="List every picture that could not be imported.")
@click.option("-q", "--quiet", is_flag=True, help="Print pictures that could not be imported only.")
def import_coco(
    file: Path,
    root: Path | None,
    output: Path | None,
    category: str,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Write a Labelme file for each picture of the COCO file FILE.

    Polygons stay polygons, RLE becomes masks, keypoints keep their visibility, and the ids come back when the
    labels are exported again. A label file that exists already is kept as it is.

    \b
    Example:
      vircraft import coco dataset/annotations/person_keypoints_train.json
      vircraft import coco instances.json --root pictures --category airplane
      vircraft import coco instances.json --root data/pictures -o data/labels    # then: check data

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures were left out, 130 interrupted.
    """
    from vircraft.annotation.exchange.coco_import import import_coco as run

    if root is None:
        root = file.parent.parent if file.parent.name == "annotations" else file.parent
    with Bar("picture", quiet or as_json) as bar:
        summary = run(file, root, output, category=category, on_picture=bar.update)
    code = FINISHED_WITH_FAILURES if summary.failures else 0
    if as_json:
        click.echo(json.dumps({**_values(summary), "exit_code": code}))
        return code
    if not quiet:
        _print(summary, output or root)
    shown = summary.failures if verbose or quiet else summary.failures[:20]
    for failure in shown:
        click.echo(f"left out: {failure} [{failure.reason}]", err=True)
    if len(shown) < len(summary.failures):
        click.echo(f"left out: {len(summary.failures) - len(shown)} more; -v lists them all", err=True)
    return code


def _print(summary: ImportSummary, folder: Path) -> None:
    files = counted(len(summary.written), "label file")
    click.echo(f"{files} with {summary.aircraft} aircraft written to {folder}")
    if summary.kept:
        click.echo(f"{counted(len(summary.kept), 'label file')} kept as found: already there")
    for name, number in summary.other_categories.items():
        click.echo(f"{number} annotations of category {name!r} left out (--category chooses)")
    if summary.unknown_keypoints:
        click.echo(f"keypoints left out that are none of the nine: {', '.join(summary.unknown_keypoints)}")
    if summary.failures:
        click.echo(f"{counted(len(summary.failures), 'picture')} left out, see below")
        if all(failure.reason == "missing-image" for failure in summary.failures):
            click.echo(
                "none of the missing pictures is below --root: is it the folder that file_name starts from?"
            )


def _values(summary: ImportSummary) -> dict[str, Any]:
    return {
        "written": [str(path) for path in summary.written],
        "kept": [str(path) for path in summary.kept],
        "aircraft": summary.aircraft,
        "other_categories": dict(summary.other_categories),
        "unknown_keypoints": list(summary.unknown_keypoints),
        "failures": [{"reason": f.reason, "message": f.message} for f in summary.failures],
    }
