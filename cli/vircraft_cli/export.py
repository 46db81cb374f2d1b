"""`vircraft export`: labels of a dataset or folder as COCO or YOLO."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vircraft_cli.bar import Bar
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from vircraft.annotation.documents import LabelFileError
    from vircraft.annotation.exchange.selection import ExportSettings, Modality, Selection

FINISHED_WITH_FAILURES = 3


@click.group("export")
def command() -> None:
    """Write the labels of a dataset or folder in the formats that trainers read.

    \b
    Example:
      vircraft export coco dataset
      vircraft export coco --root labelled -o coco
      vircraft export yolo-pose dataset
    """


@dataclass(frozen=True)
class _Given:
    """The options that every format takes."""

    dataset: Path | None
    root: Path | None
    output: Path | None
    ratios: str | None
    seed: int
    splits: Path | None
    on: Modality
    proposals: bool
    strict: bool
    as_json: bool
    verbose: bool
    quiet: bool


def _shared_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add what every format takes; the function is given it as one `_Given`."""

    @functools.wraps(function)
    def gather(**values: Any) -> int:
        shared = _Given(**{field.name: values.pop(field.name) for field in fields(_Given)})
        return function(shared, **values)

    options = [
        click.argument("dataset", required=False, type=click.Path(path_type=Path)),
        click.option(
            "--root",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="A folder of Labelme files and pictures that is no dataset; becomes one split, 'all'.",
        ),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), help="Where to write.  [default: the dataset]"
        ),
        click.option(
            "--ratios",
            metavar="NAME=SHARE,...",
            help="Shares of the clips.  [default: train=0.7,val=0.15,test=0.15]",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="Of the split."),
        click.option(
            "--splits",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help='JSON or TOML instead of ratios: {"train": ["clip_a"], "val": ["clip_b"]}.',
        ),
        click.option(
            "--on",
            type=click.Choice(["infrared", "visible"]),
            default="infrared",
            show_default=True,
            help="The pictures of a dataset that the export names.",
        ),
        click.option("--proposals", is_flag=True, help="Also proposed labels that nobody has confirmed."),
        click.option("--strict", is_flag=True, help="Stop at the first file that breaks a rule."),
        click.option("--json", "as_json", is_flag=True, help="A JSON object on standard output."),
        click.option("-v", "--verbose", is_flag=True, help="List every file that breaks a rule."),
        click.option("-q", "--quiet", is_flag=True, help="Print files that break a rule only."),
    ]
    for option in reversed(options):
        gather = option(gather)
    return gather


@command.command("coco")
@_shared_options
@click.option(
    "--sigmas",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="OKS sigmas by keypoint, as 'vircraft sigmas' writes them.  [default: 0.05 each]",
)
@click.option("--masks/--no-masks", default=None, help="Masks as PNG.  [default: of a dataset only]")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["coco", "yolo-pose"]),
    default="coco",
    show_default=True,
    help="'yolo-pose' is the same as 'vircraft export yolo-pose'.",
)
def export_coco(given: _Given, sigmas: Path | None, masks: bool | None, file_format: str) -> int:
    """Write the labels of DATASET as COCO, split by clip, and masks as PNG.

    A file that breaks a rule is reported and left out; 'vircraft check' says more about it. Ids stay the
    same from one export to the next, and clips never straddle splits.

    \b
    Example:
      vircraft export coco dataset
      vircraft export coco dataset --ratios train=0.8,val=0.2 --seed 3
      vircraft export coco --root labelled -o coco

    \b
    Writes:
      annotations/person_keypoints_SPLIT.json   nine keypoints, boxes, outlines
      annotations/instances_SPLIT.json          boxes and outlines
      masks/ID.png                              255 where an aircraft is

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some files were left out, 130 interrupted.
    """
    if file_format == "yolo-pose":
        _refuse("of yolo-pose", "sigmas", "masks")
        return _yolo(given)
    source, output = _source(given)
    settings = _settings(given, sigmas)
    from vircraft.annotation.exchange.export import export_coco as run
    from vircraft.dataset import MANIFEST

    paint = (source / MANIFEST).is_file() if masks is None else masks
    with Bar("file", given.quiet or given.as_json) as bar:
        summary = run(source, output, settings, paint=paint, strict=given.strict, on_file=bar.update)
    lines = [
        f"{split:8} {counted(summary.pictures[split], 'picture'):>14}  "
        f"{counted(summary.aircraft[split], 'aircraft', 'aircraft'):>14}  "
        f"{output / 'annotations' / f'person_keypoints_{split}.json'}"
        for split in summary.pictures
    ]
    if summary.masks:
        lines.append(f"{counted(summary.masks, 'mask')} in {output / 'masks'}")
    if summary.without_mask:
        lines.append(f"{counted(summary.without_mask, 'picture')} without mask: an aircraft has only a box")
    if summary.removed:
        names = [path.name for path in summary.removed]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        lines.append(f"removed, of an earlier export and true no more: {', '.join(names[:6])}{more}")
    values = {
        "files": [str(path) for path in summary.files],
        "removed": [str(path) for path in summary.removed],
        "pictures": dict(summary.pictures),
        "aircraft": dict(summary.aircraft),
        "masks": summary.masks,
    }
    return _report(summary.selection, lines, values, given)


@command.command("yolo-pose")
@_shared_options
def export_yolo(given: _Given) -> int:
    """Write the labels of DATASET in the pose format of the YOLO trainers.

    \b
    Example:
      vircraft export yolo-pose dataset
      vircraft export yolo-pose dataset -o yolo --on visible

    \b
    Writes (below yolo-pose/ unless -o says otherwise):
      data.yaml                  what to give the trainer
      images/SPLIT/ID.png        8-bit pictures
      labels/SPLIT/ID.txt        a line an aircraft: class, box, nine keypoints
    """
    return _yolo(given)


def _yolo(given: _Given) -> int:
    from vircraft.annotation.exchange.yolo import export_yolo_pose

    source, output = _source(given)
    if output == source:
        output = source / "yolo-pose"
    settings = _settings(given, None)
    with Bar("file", given.quiet or given.as_json) as bar:
        summary = export_yolo_pose(source, output, settings, strict=given.strict, on_file=bar.update)
    lines = [
        f"{split:8} {counted(summary.pictures[split], 'picture'):>14}  "
        f"{counted(summary.aircraft[split], 'aircraft', 'aircraft'):>14}"
        for split in summary.pictures
    ]
    for missing, split in summary.stand_ins.items():
        lines.append(f"there is no split {missing!r}: data.yaml names {split!r} in its place")
    lines.append(str(summary.config))
    values = {"files": [str(summary.config)], "pictures": dict(summary.pictures)}
    return _report(summary.selection, lines, values, given)


def _source(given: _Given) -> tuple[Path, Path]:
    """Return where the labels are and where the export goes."""
    dataset, root, output = given.dataset, given.root, given.output
    from vircraft.dataset import Dataset

    if (dataset is None) == (root is None):
        raise click.UsageError("name a DATASET, or a folder of Labelme files with --root DIR (not both)")
    if root is not None:
        for folder in root.resolve().parents[:2]:
            if (folder / "dataset.json").is_file():
                raise click.UsageError(
                    f"{root} is a folder of the dataset {folder}; export that: vircraft export coco {folder}"
                )
        if output is None:
            raise click.UsageError("Missing option '-o' / '--output': where shall the export of --root go?")
        if not (root / "dataset.json").exists():
            _refuse(
                "with --root: such a folder is one split, on its own pictures",
                "ratios",
                "seed",
                "splits",
                "on",
            )
        return root, output
    assert dataset is not None
    if dataset.is_dir() and not (dataset / "dataset.json").exists():
        raise click.UsageError(
            f"{dataset} is no dataset of vircraft; for a folder of Labelme files use: --root {dataset} -o OUT"
        )
    Dataset.open(dataset)
    return dataset, output or dataset


def _refuse(why: str, *names: str) -> None:
    """Refuse options that were given and would do nothing."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} does nothing {why}")


def _settings(given: _Given, sigmas: Path | None) -> ExportSettings:
    from vircraft.annotation.exchange.selection import ExportSettings, read_sigmas
    from vircraft.annotation.exchange.splits import DEFAULT_RATIOS, parse_ratios

    if given.ratios is not None and given.splits is not None:
        raise click.UsageError("--ratios and --splits exclude each other")
    return ExportSettings(
        ratios=dict(DEFAULT_RATIOS) if given.ratios is None else parse_ratios(given.ratios),
        seed=given.seed,
        splits_file=given.splits,
        sigmas={} if sigmas is None else read_sigmas(sigmas),
        on=given.on,
        proposals=given.proposals,
    )


def _report(selection: Selection, lines: list[str], values: dict[str, Any], given: _Given) -> int:
    """Print what was written and what was left out; return the exit code."""
    code = FINISHED_WITH_FAILURES if selection.failures else 0
    if given.as_json:
        values |= {
            "skipped": selection.skipped,
            "proposed": selection.proposed,
            "warnings": dict(selection.warnings),
            "failures": [_failure_json(selection, failure) for failure in selection.failures],
            "exit_code": code,
        }
        click.echo(json.dumps(values))
        return code
    if not given.quiet:
        for line in [*lines, *_left_out(selection)]:
            click.echo(line)
    shown = selection.failures if given.verbose or given.quiet else selection.failures[:20]
    for failure in shown:
        click.echo(f"left out: {failure} [{failure.reason}]", err=True)
    if len(shown) < len(selection.failures):
        more = len(selection.failures) - len(shown)
        click.echo(f"left out: {counted(more, 'more file')}; -v lists them all", err=True)
    return code


def _left_out(selection: Selection) -> list[str]:
    lines = []
    if not selection.pictures and not selection.failures:
        lines.append(f"no labels in {selection.root} to export; draw some with 'vircraft annotate'")
    if selection.skipped:
        lines.append(f"{counted(selection.skipped, 'file')} flagged skip")
    if selection.proposed:
        lines.append(
            f"{counted(selection.proposed, 'file')} proposed and not confirmed; --proposals takes them, too"
        )
    lines += [
        f"{counted(number, 'file')} with a warning: {name}" for name, number in selection.warnings.items()
    ]
    if selection.failures:
        lines.append(f"{counted(len(selection.failures), 'file')} left out, see below")
    return lines


def _failure_json(selection: Selection, failure: LabelFileError) -> dict[str, Any]:
    path = failure.path
    file = "" if path is None else path.relative_to(selection.root).as_posix()
    return {"file": file, "shape": failure.shape, "reason": failure.reason, "message": failure.message}
