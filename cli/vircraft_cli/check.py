"""`vircraft check`: what is wrong or odd in label files, for all of them at once."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.printable import printable

if TYPE_CHECKING:
    from vircraft.annotation.checking.check import CheckedFile, CheckReport

FOUND_ERRORS = 3
# What the contract warns of, for the summary; findings bring their own texts.
_WARNINGS = {
    "clipped": "a shape reaches over the edge of the picture and is clipped",
    "exif-rotated": "the picture is turned by its EXIF data",
    "no-mask": "an aircraft has a box but no outline",
    "self-crossing": "an outline crosses itself",
}


@click.command("check")
@click.argument("source", metavar="DATASET|FOLDER", type=click.Path(path_type=Path))
@click.option("--errors-only", is_flag=True, help="Leave out warnings.")
@click.option(
    "--code",
    "codes",
    multiple=True,
    metavar="CODE",
    help="Show this reason or warning only, such as point-jumps; may be given more than once.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a file on standard output, nothing else."
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Also files without remark, and pairs without label file."
)
@click.option("-q", "--quiet", is_flag=True, help="Print one line for each file with an error only.")
def command(
    source: Path, errors_only: bool, codes: tuple[str, ...], as_json: bool, verbose: bool, quiet: bool
) -> int:
    """Find what is wrong or odd in the label files of a dataset or of any folder.

    Errors break a rule of the label files: such a file is left out of an export. Warnings are what a person
    should look at: left and right exchanged, a point off the outline or jumping between frames, labels
    without picture, and so on; they change nothing. With --json every file has its line, whatever
    --errors-only and --code say.

    \b
    Example:
      vircraft check dataset
      vircraft check dataset --code left-right-swapped --code point-jumps
      vircraft check labelled --json > check.jsonl

    \b
    Exit code: 0 no file has an error, 1 error, 2 usage, 3 some file has an error, 130 interrupted.
    """
    from tqdm import tqdm

    from vircraft.annotation.checking.check import check_labels, find_files_to_check

    for code in codes:
        _refuse_unknown(code)
    found = find_files_to_check(source)
    hide = quiet or as_json or not sys.stderr.isatty()
    with tqdm(total=len(found.files), unit="file", leave=False, disable=hide, file=sys.stderr) as bar:

        def advance(_: Path) -> None:
            bar.update()

        report = check_labels(found, on_file=advance)
    if as_json:
        for file in report.files:
            click.echo(json.dumps(file_record(file)))
        _print_pairs(report, verbose=False, err=True)
    elif quiet:
        for file in report.files:
            if file.outcome == "error":
                click.echo(f"{printable(file.name)}: {_error_line(file)}", err=True)
    else:
        _print_blocks(report, errors_only, codes, verbose)
        _print_summary(report, source, verbose)
    return FOUND_ERRORS if report.outcomes["error"] else 0


def _refuse_unknown(code: str) -> None:
    from vircraft.annotation.checking.findings import FINDINGS
    from vircraft.annotation.documents import REASONS

    known = (*REASONS, *_WARNINGS, *FINDINGS)
    if code not in known:
        close = difflib.get_close_matches(code, known, 1)
        advice = f"did you mean {close[0]}?" if close else f"it is one of {', '.join(known)}"
        raise click.UsageError(f"--code {code}: there is no such code; {advice}")


def file_record(file: CheckedFile) -> dict[str, Any]:
    """Return a file as one JSON object."""
    return {
        "file": file.name,
        "outcome": file.outcome,
        "reason": file.reason,
        "shape": file.shape,
        "message": file.message,
        "warnings": list(file.all_warnings),
        "findings": [
            {"code": finding.code, "shape": finding.shape, "message": finding.message}
            for finding in file.findings
        ],
    }


def _print_blocks(report: CheckReport, errors_only: bool, codes: tuple[str, ...], verbose: bool) -> None:
    for file in report.files:
        lines = _lines(file, errors_only, codes, verbose)
        if lines or (verbose and not codes and not errors_only):
            state = "" if lines else f"  {file.outcome}"
            click.echo(click.style(printable(file.name), bold=True) + state)
            for line in lines:
                click.echo(f"  {line}")


def _lines(file: CheckedFile, errors_only: bool, codes: tuple[str, ...], verbose: bool) -> list[str]:
    lines = []
    if file.outcome == "error" and (not codes or file.reason in codes):
        lines.append(click.style("error    ", fg="red") + _error_line(file))
    if errors_only:
        return lines
    label = click.style("warning  ", fg="yellow")
    shown = [warning for warning in file.warnings if warning in codes or (verbose and not codes)]
    lines += [f"{label}{_code(warning)}: {_WARNINGS.get(warning, '')}" for warning in shown]
    for finding in file.findings:
        if not codes or finding.code in codes:
            lines.append(f"{label}{_code(finding.code, finding.shape)}: {printable(finding.message)}")
    return lines


def _error_line(file: CheckedFile) -> str:
    return f"{_code(file.reason, file.shape)}: {printable(file.message)}"


def _code(code: str, shape: int | None = None) -> str:
    where = "" if shape is None else f" (shape {shape})"
    return click.style(code, bold=True) + where


def _print_summary(report: CheckReport, source: Path, verbose: bool) -> None:
    from vircraft.annotation.checking.findings import FINDINGS

    outcomes, counts = report.outcomes, report.codes
    total = len(report.files)
    parts = [f"{outcomes['ok']} good"]
    parts += [f"{outcomes['skip']} skipped"] if outcomes["skip"] else []
    parts.append(f"{outcomes['error']} with an error")
    click.echo(
        f"{total} label file{'' if total == 1 else 's'} in {printable(str(source))}: {', '.join(parts)}"
    )
    meanings = {**_WARNINGS, **FINDINGS}
    reasons = sorted(code for code in counts if code not in meanings)
    for code in (*reasons, *(code for code in meanings if counts[code])):
        click.echo(f"  {counts[code]:6d}  {code:25} {meanings.get(code, '(error)')}")
    _print_pairs(report, verbose, err=False)


def _print_pairs(report: CheckReport, verbose: bool, err: bool) -> None:
    if report.unlabelled:
        click.echo(f"  {len(report.unlabelled):6d}  of {report.pair_count} pairs have no label file", err=err)
        for pair in report.unlabelled if verbose else ():
            click.echo(f"          {printable(pair)}", err=err)
    for remark in report.remarks:
        click.echo(printable(remark), err=True)
