"""`vircraft sigmas`: how well two annotators agree, and the OKS sigmas that follow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.printable import printable

if TYPE_CHECKING:
    from vircraft.annotation.agreement import Agreement, VisibilityAgreement
    from vircraft.annotation.labelme import LabelFileError
    from vircraft.annotation.sigmas import KeypointAgreement

FINISHED_WITH_FAILURES = 3
MOST_NAMED = 10


@click.command("sigmas", short_help="Compare two annotators' labels; measure the OKS sigmas.")
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="PATH",
    help="Write sigmas.json, keypoints.csv, visibility.csv and aircraft.csv into this folder; or, when it "
    "ends in .json, the sigmas alone into this file.",
)  # fmt: skip
@click.option(
    "--robust", is_flag=True, help="Write the sigmas that come from medians, which gross errors do not move."
)
@click.option(
    "--min-pairs", type=click.IntRange(min=1), default=10, show_default=True,
    help="Write no sigma of a keypoint with fewer pairs.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def command(
    first: Path,
    second: Path,
    output: Path | None,
    robust: bool,
    min_pairs: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compare the labels that two annotators, or one annotator twice, made of the same pictures.

    A and B are datasets or folders of Labelme files; files of one name belong together (where a name occurs
    in several folders, files of one path). B may be label files alone: their pictures are then looked for
    where A has them. Aircraft are matched by their boxes.

    For each keypoint: distance between the two, the OKS sigma that follows (with its 95 % interval over
    pictures), and how often both call it visible, occluded or invisible. `vircraft export coco --sigmas`
    takes the sigmas.json that -o writes.

    \b
    Example:
      vircraft sigmas dataset dataset/labels_b
      vircraft sigmas dataset second_annotator -o agreement
      vircraft export coco dataset --sigmas agreement/sigmas.json
    """
    from vircraft.annotation.agreement import by_name, compare
    from vircraft.annotation.label_folder import find_labels, matched_names, names_below, read_again
    from vircraft.annotation.sigmas import sigma_table
    from vircraft.errors import InputFileError
    from vircraft_cli.stats import read_with_progress

    found_a, found_b = find_labels(first), find_labels(second)
    if set(found_a.files) == set(found_b.files):
        raise click.UsageError("A and B are the same files; give the labels of two annotators")
    show = not (quiet or as_json)
    files_a, failures_a = read_with_progress(found_a, show=show)
    files_b, failures_b = read_with_progress(found_b, show=show)
    names_a, names_b = matched_names(names_below(found_a, first), names_below(found_b, second))
    again, failures_b = read_again(failures_b, names_b, found_a, names_a)
    agreement = compare(by_name(files_a, names_a), by_name([*files_b, *again], names_b))
    failures = [*failures_a, *failures_b]
    if not agreement.pictures:
        _print_failures(failures)
        raise InputFileError(
            f"no label file has the same name, and a picture of the same size, as one in {first}; files of "
            "both annotators are matched by name",
            path=second,
            reason="nothing-to-compare",
        )
    sigmas = sigma_table(agreement.keypoints, min_pairs, robust=robust)
    written = [] if output is None else _write(output, agreement, sigmas)
    if as_json:
        click.echo(json.dumps(record(agreement, sigmas, failures, written)))
    else:
        if not quiet:
            _print_agreement(agreement)
        _print_remarks(agreement, sigmas, min_pairs)
        _print_failures(failures)
        if written and not quiet:
            click.echo(printable(str(written[0])))
    return FINISHED_WITH_FAILURES if failures else 0


def record(
    agreement: Agreement,
    sigmas: dict[str, float],
    failures: list[LabelFileError],
    written: list[Path],
) -> dict[str, Any]:
    """Return everything as one JSON object; unknown numbers are null."""
    return {
        "pictures": agreement.pictures,
        "aircraft": len(agreement.matches),
        "only_first": [list(one) for one in agreement.only_first],
        "only_second": [list(one) for one in agreement.only_second],
        "missing_first": list(agreement.missing_first),
        "missing_second": list(agreement.missing_second),
        "other_size": list(agreement.other_size),
        "keypoints": {a.keypoint: _keypoint_record(a) for a in agreement.keypoints},
        "visibility": {v.keypoint: _visibility_record(v) for v in agreement.visibility},
        "box_iou": _spread([m.box_iou for m in agreement.matches]),
        "mask_iou": _spread([m.mask_iou for m in agreement.matches if m.mask_iou is not None]),
        "sigmas": sigmas,
        "failures": [
            {"file": str(e.path), "reason": e.reason, "shape": e.shape, "message": e.message}
            for e in failures
        ],
        "files": [str(path) for path in written],
    }


def _keypoint_record(a: KeypointAgreement) -> dict[str, Any]:
    values = {
        "rms_px": a.rms_px,
        "median_px": a.median_px,
        "rms_relative": a.rms_relative,
        "sigma": a.sigma,
        "sigma_low": a.sigma_low,
        "sigma_high": a.sigma_high,
        "sigma_robust": a.sigma_robust,
    }
    return {"pairs": a.pairs} | {k: None if math.isnan(v) else round(v, 6) for k, v in values.items()}


def _visibility_record(v: VisibilityAgreement) -> dict[str, Any]:
    return {
        "count": v.count,
        "share": round(v.share, 6) if v.count else None,
        "kappa": None if v.kappa is None else round(v.kappa, 6),
        "confusion": [list(row) for row in v.confusion],
    }


def _spread(values: list[float]) -> dict[str, Any]:
    import numpy as np

    if not values:
        return {"count": 0}
    five = np.percentile(values, (0, 25, 50, 75, 100))
    return {"count": len(values), "quartiles": [round(float(v), 6) for v in five]}


def _write(output: Path, agreement: Agreement, sigmas: dict[str, float]) -> list[Path]:
    """Write the sigmas, and the tables beside them when `output` is a folder; return what was written."""
    from vircraft.files import write_atomically

    text = json.dumps(sigmas, indent=2) + "\n"
    if output.suffix.lower() == ".json":
        write_atomically(output, text.encode())
        return [output]
    contents = {"sigmas.json": text, **_tables(agreement)}
    for name, content in contents.items():
        write_atomically(output / name, content.encode("utf-8", "backslashreplace"))
    return [output / name for name in contents]


def _tables(agreement: Agreement) -> dict[str, str]:
    from vircraft.annotation.keypoints import KEYPOINTS

    keypoints = [
        {"keypoint": a.keypoint, **_keypoint_record(a)} | {"few_pairs": int(a.few)}
        for a in agreement.keypoints
    ]
    words = ("visible", "occluded", "invisible")
    visibility = [
        {"keypoint": v.keypoint, "first": words[i], "second": words[j], "count": v.confusion[i][j]}
        for v in agreement.visibility
        for i in range(3)
        for j in range(3)
    ]
    aircraft = [
        {
            "picture": m.picture,
            "first_group": m.first.group_id,
            "second_group": m.second.group_id,
            "box_iou": round(m.box_iou, 6),
            "mask_iou": None if m.mask_iou is None else round(m.mask_iou, 6),
            "scale_px": round(m.scale_px, 6),
            **{
                f"{name}_px": None if math.isnan(d) else round(float(d), 6)
                for name, d in zip(KEYPOINTS, m.distance_px, strict=True)
            },
        }
        for m in agreement.matches
    ]
    tables = {"keypoints.csv": keypoints, "visibility.csv": visibility, "aircraft.csv": aircraft}
    return {name: _csv(rows) for name, rows in tables.items()}


def _csv(rows: list[dict[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _print_agreement(agreement: Agreement) -> None:
    click.echo(
        f"{agreement.pictures} picture{'' if agreement.pictures == 1 else 's'} labelled by both, "
        f"{len(agreement.matches)} aircraft labelled by both, {len(agreement.only_first)} by A alone, "
        f"{len(agreement.only_second)} by B alone"
    )
    click.echo(f"\n{'':14}{'pairs':>6}{'RMS px':>9}{'median px':>11}{'sigma':>9}   95 % interval      robust")
    for a in agreement.keypoints:
        if not a.pairs:
            click.echo(f"{a.keypoint:14}{0:6}")
            continue
        interval = f"{a.sigma_low:.4f} - {a.sigma_high:.4f}"
        mark = "  few" if a.few else "  outliers" if a.outliers else ""
        click.echo(
            f"{a.keypoint:14}{a.pairs:6}{a.rms_px:9.2f}{a.median_px:11.2f}{a.sigma:9.4f}   {interval}"
            f"{a.sigma_robust:10.4f}{mark}"
        )
    _print_visibility(agreement)
    for name, values in (
        ("box IoU", [m.box_iou for m in agreement.matches]),
        ("mask IoU", [m.mask_iou for m in agreement.matches if m.mask_iou is not None]),
    ):
        if values:
            five = "  ".join(f"{v:.3f}" for v in _spread(values)["quartiles"])
            click.echo(f"{name:9} least, quartiles, most: {five}  ({len(values)})")


def _print_visibility(agreement: Agreement) -> None:
    everything, *nine = agreement.visibility
    if not everything.count:
        return
    click.echo(f"\n{'':14}{'agree':>7}{'kappa':>8}   A says (rows), B says (columns)")
    rows = ("visible", "occluded", "invisible")
    click.echo(f"{'all':14}{100 * everything.share:5.0f} %{_kappa(everything)}   {'':10}" + _cells(rows))
    for name, row in zip(rows, everything.confusion, strict=True):
        click.echo(f"{'':32}{name:10}" + _cells(row))
    for v in nine:
        click.echo(f"{v.keypoint:14}{100 * v.share:5.0f} %{_kappa(v)}")
    click.echo()


def _cells(values: tuple[Any, ...]) -> str:
    return "".join(f"{value:>10}" for value in values)


def _kappa(v: VisibilityAgreement) -> str:
    return f"{'-':>8}" if v.kappa is None else f"{v.kappa:8.2f}"


def _print_remarks(agreement: Agreement, sigmas: dict[str, float], min_pairs: int) -> None:
    """Say what makes the figures doubtful."""
    from vircraft.annotation.sigmas import DEFAULT_SIGMA

    few = [a.keypoint for a in agreement.keypoints if a.pairs < min_pairs]
    remarks = []
    if agreement.identical:
        remarks.append("every point of A and B is at the very same place: one is a copy of the other")
    elif few:
        names = "all keypoints" if len(few) == len(agreement.keypoints) else ", ".join(few)
        remarks.append(
            f"fewer than {min_pairs} pairs of {names}: no sigma is written, the export takes {DEFAULT_SIGMA}"
        )
    if any(a.outliers for a in agreement.keypoints):
        names = ", ".join(a.keypoint for a in agreement.keypoints if a.outliers)
        worst = _worst(agreement)
        remarks.append(
            f"a few gross differences make up the sigma of {names}; look at {worst} first, or take --robust"
        )
    for pictures, text in (
        (agreement.missing_first, "labelled by B alone"),
        (agreement.missing_second, "labelled by A alone"),
        (agreement.other_size, "left out, the sizes of the pictures differ"),
    ):
        if pictures:
            word = "picture" if len(pictures) == 1 else "pictures"
            remarks.append(f"{len(pictures)} {word} {text}: {_listed(pictures)}")
    for found, text in ((agreement.only_first, "A"), (agreement.only_second, "B")):
        if found:
            shown = _listed([name if group is None else f"{name} ({group})" for name, group in found])
            remarks.append(f"{len(found)} aircraft only {text} labelled: {shown}")
    for remark in remarks:
        click.echo(f"note  {remark}", err=True)


def _worst(agreement: Agreement) -> str:
    """Return the picture with the largest difference, in parts of the aircraft's size."""
    import numpy as np

    worst = max(
        agreement.matches, key=lambda m: float(np.max(np.nan_to_num(m.distance_px), initial=0)) / m.scale_px
    )
    return worst.picture


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _print_failures(failures: list[LabelFileError]) -> None:
    for error in failures[:MOST_NAMED]:
        click.echo(f"left out  {error} [{error.reason}]", err=True)
    if len(failures) > MOST_NAMED:
        click.echo(f"... and {len(failures) - MOST_NAMED} more (--json lists them all)", err=True)
