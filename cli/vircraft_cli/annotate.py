"""`vircraft annotate`: open Labelme on a dataset, set up for aircraft."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.printable import printable
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from vircraft.annotation.labelling.labelme_program import LabelmeProgram
    from vircraft.annotation.labelling.offers import Plan
    from vircraft.annotation.labelling.session import Event, LabellingSummary
    from vircraft.annotation.labelling.workbench import Outcome

FAILED, FINISHED_WITH_FAILURES, INTERRUPTED = 1, 3, 130


@click.command("annotate")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--on",
    default="infrared",
    show_default=True,
    metavar="infrared|visible|FOLDER",
    help="Draw on these pictures; a folder holds fused ones, named as the infrared ones are.",
)
@click.option("--clip", "clips", multiple=True, metavar="NAME", help="Only this clip; may be repeated.")
@click.option(
    "--only",
    type=click.Choice(["unlabelled", "labelled", "proposed", "all"]),
    default="all",
    show_default=True,
    help="Show these pairs only; 'proposed' makes proposals, as --propose does.",
)
@click.option("--labelme", type=click.Path(path_type=Path), metavar="PATH", help="The Labelme to start.")
@click.option(
    "--propose",
    is_flag=True,
    help="Pre-fill the frames that follow a labelled one; only what you touch is kept.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be shown; start nothing, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is merged when it is.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def command(
    dataset: Path,
    on: str,
    clips: tuple[str, ...],
    only: str,
    labelme: Path | None,
    propose: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Label the aircraft of DATASET in Labelme: nine keypoints, outline, box.

    Labelme opens on the first picture without labels, with labels, flags, colours and shortcuts set. It saves
    by itself, and what it saves goes into DATASET/labels at once, one file a pair, whatever picture it was
    drawn on. Close its window when you are done.

    \b
    Example:
      vircraft annotate dataset
      vircraft annotate dataset --on visible --clip approach_01 --only unlabelled
      vircraft annotate dataset --propose

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 done but something needs a look (a label file that breaks a
    rule, a pair that could not be shown, a conflict), 130 interrupted; what was drawn is merged all the same.
    """
    from vircraft.annotation.labelling.labelme_program import find_labelme, require_display
    from vircraft.annotation.labelling.offers import OfferSettings
    from vircraft.annotation.labelling.session import label_pictures, propose_and_plan
    from vircraft.dataset import Dataset

    settings = OfferSettings(on, clips, only, propose or only == "proposed")  # type: ignore[arg-type]
    if dry_run:
        return _print_plan(propose_and_plan(Dataset.open(dataset), settings), as_json, quiet)
    Dataset.open(dataset)  # a wrong path is the first thing to hear of
    program = find_labelme(labelme)
    require_display(os.environ)
    with _Progress(program, as_json, verbose, quiet) as progress:
        summary = label_pictures(dataset, settings, program, on_event=progress)
    code = _exit_code(summary)
    if as_json:
        click.echo(json.dumps({"event": "end", **_summary_json(summary), "exit_code": code}))
    else:
        _print_summary(summary, program, quiet)
    return code


class _Progress:
    """Shows events: a bar while pictures are set up, then a line for what a person should know."""

    def __init__(self, program: LabelmeProgram, as_json: bool, verbose: bool, quiet: bool) -> None:
        from tqdm import tqdm

        self.program, self.as_json, self.verbose, self.quiet = program, as_json, verbose, quiet
        show = sys.stderr.isatty() and not (quiet or as_json)
        self.bar = tqdm(total=0, unit="picture", leave=False, disable=not show, file=sys.stderr)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, event: Event) -> None:
        from vircraft.annotation.labelling.offers import Offer, Plan
        from vircraft.annotation.labelling.workbench import Outcome

        if isinstance(event, Plan):
            self._begin(event)
        elif isinstance(event, Offer):
            self.bar.update()
            if self.bar.n == self.bar.total:
                self.bar.close()
        elif isinstance(event, Outcome):
            if self.as_json:
                click.echo(json.dumps({"event": "saved", **_outcome_json(event)}))
            elif event.kind not in ("merged", "removed"):
                click.echo(_outcome_line(event), err=True)
            elif self.verbose:
                click.echo(_outcome_line(event))
        else:
            click.echo(f"not saved yet: {printable(str(event))}", err=True)

    def _begin(self, plan: Plan) -> None:
        self.bar.total = len(plan.offers)
        if not (self.as_json or self.quiet) and plan.offers:
            click.echo(f"{_counts(plan)}; {self.program.name} opens, close its window when you are done")


def _exit_code(summary: LabellingSummary) -> int:
    if summary.interrupted:
        return INTERRUPTED
    if summary.exit_status != 0:
        return FAILED
    odd = summary.left_out or summary.broken or _odd(summary.outcomes)
    return FINISHED_WITH_FAILURES if odd else 0


def _odd(outcomes: tuple[Outcome, ...]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.kind not in ("merged", "removed")]


def _print_plan(plan: Plan, as_json: bool, quiet: bool) -> int:
    if as_json:
        for offer in plan.offers:
            state = "proposed" if offer.proposed else "labelled" if offer.labelled else "unlabelled"
            line = {"event": "plan", "pair": offer.pair_id, "picture": str(offer.picture), "labels": state}
            click.echo(json.dumps(line))
        end = {"offered": len(plan.offers), "pictureless": plan.pictureless, "left_out": _left_out_json(plan)}
        click.echo(json.dumps({"event": "end", **end}))
    else:
        if not quiet:
            click.echo(f"would open {_counts(plan)}; nothing written")
        _print_left_out(plan, quiet)
    return FINISHED_WITH_FAILURES if plan.left_out else 0


def _counts(plan: Plan) -> str:
    total = len(plan.offers)
    labelled = sum(offer.labelled for offer in plan.offers)
    proposed = sum(offer.proposed and not offer.labelled for offer in plan.offers)
    parts = [f"{labelled} labelled", f"{total - labelled} not"]
    if proposed:
        parts.append(f"{proposed} of those with a proposal")
    return f"{counted(total, 'picture')} ({', '.join(parts)})"


def _print_summary(summary: LabellingSummary, program: LabelmeProgram, quiet: bool) -> None:
    if not quiet:
        if not summary.offered:
            click.echo("no picture to show; see --only, --clip and 'vircraft annotate --help'")
        done = [outcome for outcome in summary.outcomes if outcome.kind == "merged"]
        new = sum(outcome.new for outcome in done)
        click.echo(
            f"{counted(len(done), 'picture')} labelled this time ({new} new); "
            f"{summary.labelled} of {summary.total} in the dataset have labels"
        )
        if summary.recovered:
            click.echo(f"  {len(summary.recovered)} of them from a run that was killed")
        for outcome in summary.outcomes:
            if outcome.kind == "removed":
                click.echo(f"  {_outcome_line(outcome)}")
    for outcome in _odd(summary.recovered):
        click.echo(_outcome_line(outcome), err=True)
    for broken in summary.broken:
        click.echo(f"needs a look: {printable(broken.message)} [{broken.reason}]", err=True)
    _print_left_out(summary, quiet)
    if summary.exit_status != 0:
        click.echo(
            f"{program.name} ended with status {summary.exit_status}; what it had saved is merged. It said:\n"
            f"{summary.log_tail or '(nothing)'}",
            err=True,
        )
    if summary.interrupted:
        click.echo("Interrupted; what was drawn is merged.", err=True)


def _print_left_out(plan: Plan | LabellingSummary, quiet: bool) -> None:
    if plan.pictureless and not quiet:
        click.echo(f"  {counted(plan.pictureless, 'pair')} without a picture in that folder")
    for left_out in plan.left_out:
        text = printable(f"{left_out.name}: {left_out.message}")
        click.echo(f"left out: {text} [{left_out.reason}]", err=True)


def _outcome_line(outcome: Outcome) -> str:
    name, path = printable(outcome.name), printable(str(outcome.path))
    return {
        "merged": f"{name}: saved",
        "removed": f"{name}: labels removed; the old ones are in {path}",
        "conflict": f"{name}: its labels were changed or removed by somebody else meanwhile; yours are in "
        f"{path}: compare the two, and put the better one in labels/",
        "damaged": f"{name}: was saved incompletely and cannot be read; it is in {path}",
        "stray": f"{name}: belongs to no pair, or this command has not made it; it is in {path}",
    }[outcome.kind]


def _summary_json(summary: LabellingSummary) -> dict[str, Any]:
    return {
        "offered": summary.offered,
        "saved": [_outcome_json(outcome) for outcome in summary.outcomes],
        "recovered": len(summary.recovered),
        "broken": [
            {"pair": broken.pair_id, "reason": broken.reason, "message": broken.message}
            for broken in summary.broken
        ],
        "left_out": _left_out_json(summary),
        "pictureless": summary.pictureless,
        "labelled": summary.labelled,
        "total": summary.total,
        "labelme_status": summary.exit_status,
        "labelme_said": summary.log_tail,
    }


def _left_out_json(plan: Plan | LabellingSummary) -> list[dict[str, str]]:
    return [{"name": one.name, "reason": one.reason, "message": one.message} for one in plan.left_out]


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {"pair": outcome.name, "kind": outcome.kind, "path": str(outcome.path), "new": outcome.new}
