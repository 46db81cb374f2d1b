"""`vircraft fuse score`: a table of methods' fused pictures on the field's metrics."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vircraft.dataset import MANIFEST
from vircraft_cli.bar import Bar

if TYPE_CHECKING:
    from fgfusion_model.inference.picture_pairs import PairFailure
    from fgfusion_model.scoring import ScoreTable, Sources

FINISHED_WITH_FAILURES = 3
SHOWN_FAILURES = 20
UNLIMITED = 10_000  # columns of text where there is no terminal


@click.command("score")
@click.argument("fused", nargs=-1, type=click.Path(path_type=Path))
@click.option("--infrared", type=click.Path(path_type=Path), metavar="DIR", help="The infrared pictures.")
@click.option("--visible", type=click.Path(path_type=Path), metavar="DIR", help="The visible pictures.")
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    metavar="DATASET",
    help="A dataset instead of the two folders; may also stand among FUSED.",
)
@click.option(
    "--masks",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Foreground masks, not 0 inside; gives foreground contrast.  [default: a dataset's masks/]",
)
@click.option(
    "--convention",
    type=click.Choice(["cddfuse", "tang"]),
    default="cddfuse",
    show_default=True,
    help="'tang': MI in bits, SSIM and MS-SSIM summed over the sources, PSNR 48.13 dB higher.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--names", metavar="A,B", help="Names of the methods.  [default: those of the folders]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder for scores.csv, scores.md and the sheet."
)
@click.option(
    "--sheet",
    "sheet_pairs",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Pairs on the side-by-side sheet; 0 draws none.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="List everything that is left out.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no remarks.")
def command(
    fused: tuple[Path, ...],
    infrared: Path | None,
    visible: Path | None,
    dataset: Path | None,
    masks: Path | None,
    convention: Literal["cddfuse", "tang"],
    device: str,
    names: str | None,
    output: Path | None,
    sheet_pairs: int,
    seed: int,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Judge the fused pictures in FUSED, a folder a method, beside Average, Max and a Laplacian pyramid.

    A fused picture has the name of its infrared one. A picture that a method lacks, or that cannot be read,
    is named and left out for all methods.

    \b
    Example:
      vircraft fuse score fused --infrared ir --visible vis -o scores
      vircraft fuse score ours theirs --dataset dataset --names FGFusion,SeAFusion

    \b
    Writes into -o:
      scores.csv           every metric of every picture and method
      scores.md            means, intervals over pictures, ranks
      sheet_01.png, ...    infrared, visible and all methods side by side

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but something was left out, 130 interrupted.
    """
    folders, dataset = _split(fused, dataset)
    methods = _named(folders, names)
    _check_sources(dataset, infrared, visible)
    from fgfusion_model.scoring import ScoreSettings, score_folders, write_scores, write_sheets
    from fgfusion_model.sheet import SheetSettings

    sources = _sources(dataset, infrared, visible, masks)
    settings = ScoreSettings(convention=convention, device=device, seed=seed)
    with Bar("picture", quiet or as_json) as bar:
        table = score_folders(methods, sources, settings, on_picture=bar.update)
    files: list[Path] = []
    if output is not None:
        files += write_scores(table, output)
        if sheet_pairs:
            files += write_sheets(table, methods, sources, output, SheetSettings(pairs=sheet_pairs))
    code = FINISHED_WITH_FAILURES if table.failures else 0
    if as_json:
        click.echo(_json(table, files, code))
        return code
    _print_table(table)
    if not quiet:
        _print_remarks(table, files)
    _print_failures(table.failures, verbose)
    return code


def _split(fused: tuple[Path, ...], dataset: Path | None) -> tuple[list[Path], Path | None]:
    """Return the folders of fused pictures, and the dataset if one stands among them."""
    datasets = [path for path in fused if (path / MANIFEST).is_file()]
    if len(datasets) + (dataset is not None) > 1:
        raise click.UsageError("name one dataset only")
    return [path for path in fused if path not in datasets], datasets[0] if datasets else dataset


def _named(folders: list[Path], names: str | None) -> dict[str, Path]:
    """Return the folders by the methods' names."""
    if names is None:
        chosen = [folder.resolve().name for folder in folders]
        repeated = {name for name, count in Counter(chosen).items() if count > 1}
        chosen = [
            f"{folder.resolve().parent.name}/{name}" if name in repeated else name
            for folder, name in zip(folders, chosen, strict=True)
        ]
    else:
        chosen = [name.strip() for name in names.split(",")]
        if len(chosen) != len(folders) or not all(chosen):
            raise click.UsageError(f"--names has {len(chosen)} names for {len(folders)} folders")
    if len(set(chosen)) < len(chosen):
        raise click.UsageError(f"two methods share a name ({', '.join(chosen)}); give others with --names")
    return dict(zip(chosen, folders, strict=True))


def _check_sources(dataset: Path | None, infrared: Path | None, visible: Path | None) -> None:
    if dataset is not None and (infrared is not None or visible is not None):
        raise click.UsageError("name a dataset, or --infrared and --visible, not both")
    if dataset is None and (infrared is None or visible is None):
        raise click.UsageError("say what was fused: --infrared DIR and --visible DIR, or --dataset DATASET")


def _sources(
    dataset: Path | None, infrared: Path | None, visible: Path | None, masks: Path | None
) -> Sources:
    from fgfusion_model.scoring import dataset_sources, folder_sources

    if dataset is not None:
        return dataset_sources(dataset, masks)
    assert infrared is not None
    assert visible is not None
    return folder_sources(infrared, visible, masks)


def _print_table(table: ScoreTable) -> None:
    """Print a line a metric and a column a method, in blocks that fit the terminal."""
    cells = [[_cell(table, m, k) for m in range(len(table.methods))] for k in range(len(table.metrics))]
    widths = [max(len(name), *(len(row[m]) for row in cells)) for m, name in enumerate(table.methods)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    labels = [f"{metric.name}{' (lower)' if metric.lower_is_better else ''}" for metric in table.metrics]
    margin = max(len(label) for label in labels)
    for block in _blocks(widths, room - margin):
        click.echo(f"{'':{margin}}  " + "  ".join(f"{table.methods[m]:{widths[m]}}" for m in block).rstrip())
        for label, row in zip(labels, cells, strict=True):
            click.echo(f"{label:{margin}}  " + "  ".join(f"{row[m]:{widths[m]}}" for m in block).rstrip())
        click.echo()


def _blocks(widths: list[int], room: int) -> list[list[int]]:
    """Put columns together as long as they fit."""
    blocks: list[list[int]] = []
    used = room
    for column, width in enumerate(widths):
        if used + width + 2 > room:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += width + 2
    return blocks


def _cell(table: ScoreTable, method: int, metric: int) -> str:
    """Return mean, mark and interval: `0.734* [0.721, 0.748]`."""
    from fgfusion_model.scoring.files import shown

    kind = table.metrics[metric]
    mean, low, high = (float(v[method, metric]) for v in (table.means, *table.intervals))
    place = int(table.places[method, metric])
    level = table.level_with_best[method, metric]
    mark = "*" if place == 1 else "=" if level else "+" if place == 2 else " "
    between = f" [{shown(kind, low)}, {shown(kind, high)}]" if shown(kind, low) else ""
    return f"{shown(kind, mean)}{mark}{between}"


def _print_remarks(table: ScoreTable, files: list[Path]) -> None:
    percent = f"{table.settings.confidence:.0%}"
    count = len(table.pictures)
    click.echo(
        f"{count} picture{'' if count == 1 else 's'}, convention {table.settings.convention}; [{percent} "
        "interval over pictures]; * best, + second best, = cannot be told from the best"
    )
    partial = {
        metric.name: int(table.counts[:, k].max())
        for k, metric in enumerate(table.metrics)
        if table.counts[:, k].max() < len(table.pictures)
    }
    if partial:
        listed = ", ".join(f"{name} {count}" for name, count in partial.items())
        click.echo(f"pictures that have a value: {listed}")
    for path in files:
        click.echo(path)


def _print_failures(failures: tuple[PairFailure, ...], verbose: bool) -> None:
    if not failures:
        return
    reasons = Counter(failure.reason for failure in failures)
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    shown = failures if verbose else failures[:SHOWN_FAILURES]
    for failure in shown:
        click.echo(f"left out: {failure.message} [{failure.reason}]", err=True)
    if len(shown) < len(failures):
        click.echo(f"left out: {len(failures) - len(shown)} more; -v lists them all", err=True)
    click.echo(f"left out in all: {len(failures)} ({listed})", err=True)


def _json(table: ScoreTable, files: list[Path], code: int) -> str:
    from fgfusion_model.scoring.files import scores_json

    values: dict[str, Any] = scores_json(table)
    values |= {"files": [str(path) for path in files], "exit_code": code}
    return json.dumps(values, ensure_ascii=False)
