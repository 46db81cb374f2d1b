"""`vircraft stats`: what the labels of a dataset or folder hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from vircraft.annotation.label_files import LabelFiles
    from vircraft.annotation.labelme import LabelFileError
    from vircraft.annotation.picture import PictureAnnotations
    from vircraft.annotation.statistics import KeypointCounts, LabelStatistics

FINISHED_WITH_FAILURES = 3
MOST_NAMED = 20  # files that break a rule, on the terminal


@click.command("stats", short_help="Count keypoints by visibility, sizes and places of labelled aircraft.")
@click.argument("source", metavar="DATASET|FOLDER", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write CSV files, figures (SVG, PNG) and stats.html here.",
)  # fmt: skip
@click.option("--by", type=click.Choice(["clip", "split"]), help="Count each clip or split by itself, too.")
@click.option(
    "--splits", "splits_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help='JSON or TOML, {"train": [clips...], ...}; implies --by split.',
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def command(
    source: Path,
    output: Path | None,
    by: Literal["clip", "split"] | None,
    splits_file: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Count what the labels of a dataset, or of a folder of Labelme files, hold.

    How often each of the nine keypoints is visible, occluded and invisible (an absent one is invisible), how
    large the boxes are and where they lie. Files flagged skip or proposed are counted apart. Files that break
    a rule are named and left out, and the exit code is 3.

    \b
    Example:
      vircraft stats dataset
      vircraft stats dataset -o statistics --by clip
      vircraft stats dataset --splits splits.json --json
    """
    from vircraft.annotation.exchange.splits import read_splits
    from vircraft.annotation.label_folder import find_labels, short_name
    from vircraft.annotation.statistics import gather_statistics

    if by == "split" and splits_file is None:
        raise click.UsageError(
            "--by split needs --splits FILE, which says which clip is in which split: "
            '{"train": ["clip_a"], "val": ["clip_b"]}'
        )
    by = by or ("split" if splits_file else None)
    split_of = read_splits(splits_file) if splits_file else {}
    found = find_labels(source)
    files, failures = read_with_progress(found, show=not (quiet or as_json))
    statistics = gather_statistics(
        files, failures, by=by, split_of=split_of, name_of=lambda path: short_name(found, path)
    )
    written: list[Path] = []
    if output is not None:
        from vircraft.report.stats_files import write_statistics

        written = write_statistics(statistics, output, source.resolve().name)
    if as_json:
        click.echo(json.dumps(record(statistics, written), ensure_ascii=False))
    else:
        if not quiet:
            _print_statistics(statistics)
        _print_failures(failures)
        if written and not quiet:
            click.echo(str(written[-1]))
    return FINISHED_WITH_FAILURES if failures else 0


def read_with_progress(
    found: LabelFiles, *, show: bool
) -> tuple[list[PictureAnnotations], list[LabelFileError]]:
    """Read label files behind a progress bar, which a terminal alone sees."""
    from tqdm import tqdm

    from vircraft.annotation.label_folder import read_labels_of

    hidden = not show or not sys.stderr.isatty()
    with tqdm(total=len(found.files), unit="file", leave=False, disable=hidden) as bar:

        def done(path: Path) -> None:
            bar.update()

        return read_labels_of(found, done)


def record(statistics: LabelStatistics, written: list[Path]) -> dict[str, Any]:
    """Return the statistics as one JSON object."""
    from vircraft.annotation.statistics import size_quartiles

    sizes = {
        q.quantity: {"count": q.count}
        | ({"quartiles": [q.least, q.lower, q.median, q.upper, q.most]} if q.count else {})
        for q in size_quartiles(statistics.aircraft)
    }
    return {
        "pictures": statistics.pictures,
        "empty": statistics.empty,
        "aircraft": len(statistics.aircraft),
        "crowds": statistics.crowds,
        "without_keypoints": statistics.unmarked,
        "reviewed": statistics.reviewed,
        "skipped": statistics.skipped,
        "proposed": statistics.proposed,
        "keypoints": _counts_record(statistics.everything),
        "by": statistics.grouping,
        "groups": {
            group.group: {"aircraft": group.aircraft, "keypoints": _counts_record(group)}
            for group in statistics.groups
        },
        "sizes": sizes,
        "failures": [
            {"file": one.name, "reason": one.reason, "shape": one.shape, "message": one.message}
            for one in statistics.failures
        ],
        "files": [str(path) for path in written],
    }


def _counts_record(counts: KeypointCounts) -> dict[str, dict[str, int]]:
    from vircraft.annotation.keypoints import KEYPOINTS

    return {
        name: {"visible": v, "occluded": o, "invisible": i}
        for name, (v, o, i) in zip(KEYPOINTS, counts.counts, strict=True)
    }


def _print_statistics(statistics: LabelStatistics) -> None:
    click.echo(_summary(statistics))
    if not statistics.aircraft:
        return
    _print_counts(statistics.everything)
    if statistics.groups:
        _print_groups(statistics)
    _print_sizes(statistics)


def _summary(statistics: LabelStatistics) -> str:
    count = len(statistics.aircraft)
    parts = [f"{statistics.pictures} labelled picture{'' if statistics.pictures == 1 else 's'}"]
    parts += [f"{statistics.empty} with nothing in view"] if statistics.empty else []
    parts.append(f"{count} aircraft")
    parts += [f"{statistics.unmarked} of them without any keypoint"] if statistics.unmarked else []
    for number, text in (
        (statistics.crowds, "crowds"),
        (statistics.reviewed, "reviewed"),
        (statistics.skipped, "skipped (left out)"),
        (statistics.proposed, "proposed and not looked at (left out)"),
        (len(statistics.failures), "break a rule (left out)"),
    ):
        parts += [f"{number} {text}"] if number else []
    return ", ".join(parts)


def _print_counts(counts: KeypointCounts) -> None:
    from vircraft.annotation.keypoints import KEYPOINTS

    click.echo(f"{'':14}{'visible':>16}{'occluded':>16}{'invisible':>16}")
    rows = [*zip(KEYPOINTS, counts.counts, strict=True), ("all", counts.total)]
    for name, row in rows:
        total = sum(row)
        cells = [f"{n:,}".rjust(8) + f"{100 * n / max(1, total):5.0f} %".rjust(8) for n in row]
        click.echo(f"{name:14}{''.join(cells)}")


def _print_groups(statistics: LabelStatistics) -> None:
    """Print a row a group: shares of all keypoints, and how often each is visible, per cent."""
    width = max(18, *(len(group.group) + 2 for group in statistics.groups))
    short = ("Head", "Vert", "Tail", "L.fr", "R.fr", "L.root", "R.root", "L.beh", "R.beh")
    click.echo(f"\n{'':{width}}{'':8}{'all nine, %':>18}   visible, %")
    heads = "".join(f"{name:>7}" for name in short)
    click.echo(f"{statistics.grouping:{width}}{'aircraft':>8}{'vis':>6}{'occ':>6}{'inv':>6}  {heads}")
    for group in statistics.groups:
        shares = "".join(f"{100 * n / max(1, 9 * group.aircraft):6.0f}" for n in group.total)
        visible = "".join(f"{100 * row[0] / max(1, group.aircraft):7.0f}" for row in group.counts)
        click.echo(f"{group.group:{width}}{group.aircraft:8}{shares}  {visible}")


def _print_sizes(statistics: LabelStatistics) -> None:
    from vircraft.annotation.statistics import size_quartiles
    from vircraft.report.stats_files import readable

    click.echo(f"\n{'boxes':18}{'least':>10}{'1/4':>10}{'median':>10}{'3/4':>10}{'most':>10}")
    for q in size_quartiles(statistics.aircraft):
        if q.count:
            cells = "".join(f"{readable(v):>10}" for v in (q.least, q.lower, q.median, q.upper, q.most))
            click.echo(f"{q.quantity:18}{cells}")


def _print_failures(failures: list[LabelFileError]) -> None:
    """Name the files that break a rule, and how many broke which."""
    from collections import Counter

    for error in failures[:MOST_NAMED]:
        click.echo(f"left out  {error} [{error.reason}]", err=True)
    if len(failures) > MOST_NAMED:
        click.echo(f"... and {len(failures) - MOST_NAMED} more (--json or -o lists them all)", err=True)
    if failures:
        reasons = Counter(error.reason for error in failures).most_common()
        click.echo("left out  " + ", ".join(f"{reason} {count}" for reason, count in reasons), err=True)
