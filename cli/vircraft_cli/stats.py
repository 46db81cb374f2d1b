"""`vircraft stats`: what the labels of a dataset or folder hold."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vircraft_cli.printable import printable

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
@click.option(
    "--ratios", metavar="NAME=SHARE,...",
    help="Shares of the clips, with --by split.  [default: as the export, train=0.7,val=0.15,test=0.15]",
)  # fmt: skip
@click.option("--seed", type=int, help="Of the split, with --by split.  [default: as the export, 0]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def command(
    source: Path,
    output: Path | None,
    by: Literal["clip", "split"] | None,
    splits_file: Path | None,
    ratios: str | None,
    seed: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Count what the labels of a dataset, or of a folder of Labelme files, hold.

    How often each of the nine keypoints is visible, occluded and invisible (an absent one is invisible), how
    large the boxes are and where they lie. Files flagged skip or proposed are counted apart. Files that break
    a rule are named and left out, and the exit code is 3.

    --by split of a dataset splits its clips as 'vircraft export' does with the same --ratios and --seed.

    \b
    Example:
      vircraft stats dataset
      vircraft stats dataset -o statistics --by clip
      vircraft stats dataset --splits splits.json --json
    """
    from vircraft.annotation.label_folder import find_labels, short_name
    from vircraft.annotation.statistics import gather_statistics

    by = by or ("split" if splits_file else None)
    if (ratios is not None or seed is not None) and (by != "split" or splits_file is not None):
        raise click.UsageError("--ratios and --seed are for --by split without --splits FILE")
    found = find_labels(source)
    splits = _choose_splits(found, splits_file, ratios, seed) if by == "split" else _Splits()
    files, failures = read_with_progress(found, show=not (quiet or as_json))
    splits.check(found, files)
    statistics = gather_statistics(
        files, failures, by=by, split_of=splits.split_of, name_of=lambda path: short_name(found, path)
    )
    written: list[Path] = []
    if output is not None:
        from vircraft.report.stats_files import write_statistics

        written = write_statistics(statistics, output, source.resolve().name)
    if as_json:
        click.echo(json.dumps({**record(statistics, written), "splits": splits.origin}))
    else:
        if not quiet:
            _print_statistics(statistics, splits.words)
        _print_failures(failures, statistics)
        if written and not quiet:
            click.echo(printable(str(written[-1])))
    return FINISHED_WITH_FAILURES if failures else 0


@dataclass(frozen=True)
class _Splits:
    """Which clip is in which split, and where that comes from.

    Attributes:
        split_of: clip -> split.
        origin: for --json; None without splits.
        words: for people.
        file: that says so, where one does.
    """

    split_of: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] | None = None
    words: str = ""
    file: Path | None = None

    def check(self, found: LabelFiles, files: Iterable[PictureAnnotations]) -> None:
        """Make sure that the file knows the clip of all that counts, and no clip without a label file."""
        from vircraft.annotation.clip_names import clip_of
        from vircraft.annotation.exchange.splits import check_splits

        if self.file is None:
            return
        clips = {clip_of(f.path.stem) for f in files if not f.skipped and not f.proposed}
        clips |= {clip_of(path.stem) for path in found.files} & self.split_of.keys()
        check_splits(self.split_of, clips - {""}, self.file)


def _choose_splits(
    found: LabelFiles, splits_file: Path | None, ratios: str | None, seed: int | None
) -> _Splits:
    """Return the splits of a file, or those that the export of a dataset makes."""
    from vircraft.annotation.exchange.selection import ExportSettings
    from vircraft.annotation.exchange.splits import make_splits, parse_ratios, read_splits

    if splits_file is not None:
        words = f"splits by {splits_file}"
        return _Splits(read_splits(splits_file), {"file": str(splits_file)}, words, splits_file)
    if not found.is_dataset:
        raise click.UsageError(
            "--by split of a folder that is no dataset needs --splits FILE, which says which clip is in "
            'which split: {"train": ["clip_a"], "val": ["clip_b"]}'
        )
    default = ExportSettings()
    shares = default.ratios if ratios is None else parse_ratios(ratios)
    seed = default.seed if seed is None else seed
    listed = ",".join(f"{name}={share:g}" for name, share in shares.items())
    return _Splits(
        make_splits((found.clip(path) for path in found.files), shares, seed),
        {"ratios": dict(shares), "seed": seed},
        f"splits as 'vircraft export coco' makes them: {listed}, seed {seed}",
    )


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


def _print_statistics(statistics: LabelStatistics, splits: str) -> None:
    click.echo(_summary(statistics))
    if not statistics.aircraft:
        return
    _print_counts(statistics.everything)
    if statistics.groups:
        _print_groups(statistics)
    if splits:
        click.echo(printable(splits))
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
    names = [printable(group.group) for group in statistics.groups]
    width = max(18, *(len(name) + 2 for name in names))
    short = ("Head", "Vert", "Tail", "L.fr", "R.fr", "L.root", "R.root", "L.beh", "R.beh")
    click.echo(f"\n{'':{width}}{'':8}{'all nine, %':>18}   visible, %")
    heads = "".join(f"{name:>7}" for name in short)
    click.echo(f"{statistics.grouping:{width}}{'aircraft':>8}{'vis':>6}{'occ':>6}{'inv':>6}  {heads}")
    for name, group in zip(names, statistics.groups, strict=True):
        shares = "".join(f"{100 * n / max(1, 9 * group.aircraft):6.0f}" for n in group.total)
        visible = "".join(f"{100 * row[0] / max(1, group.aircraft):7.0f}" for row in group.counts)
        click.echo(f"{name:{width}}{group.aircraft:8}{shares}  {visible}")


def _print_sizes(statistics: LabelStatistics) -> None:
    from vircraft.annotation.statistics import size_quartiles
    from vircraft.report.stats_files import readable

    click.echo(f"\n{'boxes':18}{'least':>10}{'1/4':>10}{'median':>10}{'3/4':>10}{'most':>10}")
    for q in size_quartiles(statistics.aircraft):
        if q.count:
            cells = "".join(f"{readable(v):>10}" for v in (q.least, q.lower, q.median, q.upper, q.most))
            click.echo(f"{q.quantity:18}{cells}")


def _print_failures(failures: list[LabelFileError], statistics: LabelStatistics) -> None:
    """Name the files that break a rule, and how many broke which."""
    for error in failures[:MOST_NAMED]:
        click.echo(f"left out  {error} [{error.reason}]", err=True)
    if len(failures) > MOST_NAMED:
        click.echo(f"... and {len(failures) - MOST_NAMED} more (--json or -o lists them all)", err=True)
    if failures:
        reasons = statistics.failures_by_reason.items()
        click.echo("left out  " + ", ".join(f"{reason} {count}" for reason, count in reasons), err=True)
