"""`vircraft register`: binocular clips in, a registered dataset with a report out."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft.errors import SettingsError
from vircraft_cli.printable import shown_path
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from vircraft.build import BuildSummary, ClipPlan, Event, JobEvent
    from vircraft.clip_task import ClipResult
    from vircraft.errors import ClipError
    from vircraft.executors import Executor
    from vircraft.journal import FailureRecord
    from vircraft.registration.settings import Recipe
    from vircraft.settings import BuildSettings

FINISHED_WITH_FAILURES = 3


@click.command("register")
@click.argument("clips", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Dataset folder; an existing one is continued."
)
@click.option(
    "--every", type=click.IntRange(min=1), help="Make a pair of every so many frames.  [default: 10]"
)
@click.option(
    "--offset",
    type=float,
    metavar="FRAMES",
    help="Infrared frame i shows what visible frame i + FRAMES shows; for all clips, instead of estimates.",
)
@click.option(
    "--recipe",
    type=click.Choice(["vircraft", "paper"]),
    help="'paper' is the published plain recipe, for comparison; nothing checks its answers.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.toml",
    help="Settings of all stages.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Clips worked on at once.  [default: one per core]")
@click.option("--cluster", metavar="ADDRESS", help="Work on a Dask cluster, such as tcp://host:8786.")
@click.option(
    "--force",
    multiple=True,
    type=click.Choice(["sync", "register", "report", "all"]),
    help="Do a stage again although it is done, and those after it.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@click.option("--no-report", is_flag=True, help="Leave out the report and its pictures.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("-v", "--verbose", count=True, help="Say more: remarks and times; -vv adds stack traces.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and the report's path only.")
def command(
    clips: Path,
    output: Path | None,
    every: int | None,
    offset: float | None,
    recipe: str | None,
    config: Path | None,
    jobs: int | None,
    cluster: str | None,
    force: tuple[str, ...],
    dry_run: bool,
    no_report: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> int:
    """Turn the binocular clips in CLIPS into a registered dataset with a report.

    CLIPS is a folder with files such as a_infrared.mp4 and a_visible.mp4, or a clips.csv. The streams are
    put on one clock, every 10th frame is registered and checked, and what passed is written to the dataset
    together with a report to look at. A job that was stopped goes on where it was when started again.

    \b
    Example:
      vircraft register clips -o dataset
      vircraft register clips -o dataset --every 5 --offset 3.5
      vircraft register clips --dry-run

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some clip or frame failed, 130 interrupted.
    """
    from vircraft.build import build_dataset, plan_build

    settings = _settings(config, every, offset, recipe)
    executor = _executor(jobs, cluster)
    if dry_run:
        plans, errors = plan_build(clips, output, settings, executor=executor)
        if as_json:
            _print_plans_json(plans, errors)
        else:
            _print_plans(plans, errors, output, verbose)
        return FINISHED_WITH_FAILURES if errors or any(p.action == "fail" for p in plans) else 0
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': where shall the dataset go?")
    with _Progress(quiet or as_json, verbose, as_json, settings.sync.min_confidence) as progress:
        summary = build_dataset(
            clips, output, settings, executor=executor, force=force, report=not no_report, on_event=progress
        )
    report = output / "report" / "index.html" if summary.report else None
    code = FINISHED_WITH_FAILURES if summary.failures else 0
    if as_json:
        _print_end_json(summary, output, report, code)
        return code
    if not quiet:
        _print_summary(summary, verbose)
    if quiet:
        for failure in summary.failures:
            click.echo(_failure_line(failure), err=True)
    if report:
        click.echo(report)
    return code


def _settings(
    config: Path | None, every: int | None, offset: float | None, recipe: str | None
) -> BuildSettings:
    """Read the configuration file and let the options overrule it."""
    from vircraft.settings import BuildSettings, load_settings

    settings = BuildSettings() if config is None else load_settings(config)
    if every is not None:
        settings = replace(settings, sampling=replace(settings.sampling, every=every))
    if offset is not None:
        settings = replace(settings, offset_frames=offset)
    if recipe is not None:
        chosen: Recipe = "paper" if recipe == "paper" else "vircraft"
        settings = replace(settings, registration=replace(settings.registration, recipe=chosen))
    return settings


def _executor(jobs: int | None, cluster: str | None) -> Executor:
    from vircraft.executors import ClusterExecutor, ProcessExecutor

    if cluster is not None:
        if jobs is not None:
            raise SettingsError("--jobs and --cluster exclude each other; the cluster has its own workers")
        return ClusterExecutor(cluster)
    return ProcessExecutor(jobs or _cores())


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Progress:
    """Shows events: a bar on a terminal, a line for each clip elsewhere, JSON lines when asked for."""

    def __init__(self, quiet: bool, verbose: int, as_json: bool, min_confidence: float) -> None:
        from tqdm import tqdm

        self.quiet, self.verbose, self.as_json = quiet, verbose, as_json
        self.min_confidence = min_confidence  # in an offset; below it a person should look
        self.clips = self.done = 0
        self.seen: Counter[str] = Counter()
        show = not quiet and sys.stderr.isatty()
        self.bar = tqdm(total=0, unit="pair", disable=not show, file=sys.stderr, dynamic_ncols=True)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, event: Event) -> None:
        from vircraft.clip_task import ClipEvent

        if isinstance(event, ClipEvent):
            if event.kind == "started":
                self.bar.total = (self.bar.total or 0) + event.total
                self.bar.refresh()
            else:
                self.seen[event.clip] += 1
                self.bar.update()
        elif event.kind == "changed":
            self._tell_changes(event)
        elif event.kind == "found":
            self.clips = event.total
            self._describe()
        elif event.kind == "report":
            self.bar.set_description_str("writing the report")
        elif event.result is not None:
            self.done += 1
            missed = sum(event.result.verdicts.values()) - self.seen[event.result.clip]
            if event.result.state == "made" and missed > 0:  # events may be lost, as on a cluster
                self.bar.total = max(self.bar.total or 0, self.bar.n + missed)
                self.bar.update(missed)
            self._describe()
            self._show(event.result)

    def _tell_changes(self, event: JobEvent) -> None:
        if self.as_json:
            changes = {name: {"was": old, "is": new} for name, old, new in event.changes}
            click.echo(json.dumps({"event": "changed", "settings": changes}, ensure_ascii=False))
        elif not self.quiet:
            listed = ", ".join(f"{name} {_value(old)} -> {_value(new)}" for name, old, new in event.changes)
            text = f"the dataset was made with other settings ({listed}): its clips are made anew"
            self.bar.write(text, file=sys.stderr)

    def _describe(self) -> None:
        self.bar.set_description_str(f"{self.done}/{self.clips} clips")

    def _show(self, result: ClipResult) -> None:
        if self.as_json:
            click.echo(json.dumps(_clip_json(result), ensure_ascii=False))
        if result.trace and self.verbose > 1:
            self.bar.write(result.trace, file=sys.stderr)
        if not self.quiet:
            self.bar.write(_clip_line(result, self.verbose, self.min_confidence), file=sys.stderr)


def _value(value: Any) -> str:
    return "unset" if value is None else str(value)


def _clip_line(result: ClipResult, verbose: int, min_confidence: float) -> str:
    verdicts = _by_verdict(result.verdicts)
    what = ", ".join(f"{count} {_words(verdict)}" for verdict, count in verdicts.items()) or "no pairs"
    clock = ""
    if result.sync:
        source, confidence = result.sync["source"], result.sync["confidence"]
        weak = confidence < min_confidence
        doubt = "; weak: look at its curve in the report, or say --offset" if weak else ""
        if source == "assumed":
            doubt = "; nothing moves to find it by: say --offset"
        clock = (
            f"; offset {result.sync['offset_frames']:+.2f} frames ({source}, {confidence:.0%} sure{doubt})"
        )
    state = {"kept": " (done before)", "failed": " FAILED"}.get(result.state, "")
    lines = [f"{result.clip}: {what}{clock}{state}"]
    if verbose:
        lines += [f"  {remark}" for remark in result.remarks]
        stages = ", ".join(f"{stage} {cpu_s:.2f}" for stage, cpu_s in result.cpu_s.items())
        lines.append(f"  CPU seconds: {stages}; peak memory {result.peak_mb:.0f} MB")
    return "\n".join(lines)


def _print_summary(summary: BuildSummary, verbose: int) -> None:
    total = sum(summary.verdicts.values())
    verdicts = _by_verdict(summary.verdicts)
    of = counted(len(summary.clips), "clip")
    click.echo(f"{counted(total, 'pair')} of {of} in {shown_path(summary.dataset)}")
    for verdict, count in verdicts.items():
        reasons = {reason: n for (v, reason), n in summary.verdicts.items() if v == verdict and reason}
        listed = ", ".join(f"{reason} {n}" for reason, n in reasons.items())
        click.echo(f"  {count:6d} {_words(verdict)}{f' ({listed})' if listed else ''}")
    if summary.failures:
        click.echo(f"  {len(summary.failures):6d} failure{'' if len(summary.failures) == 1 else 's'}")
        shown = summary.failures if verbose else summary.failures[:20]
        for failure in shown:
            click.echo(f"         {_failure_line(failure)}")
        if len(shown) < len(summary.failures):
            click.echo(f"         ... and {len(summary.failures) - len(shown)} more; see the report")


def _failure_line(failure: FailureRecord) -> str:
    return f"[{failure.reason}] {failure.message}"


def _by_verdict(verdicts: dict[tuple[str, str], int]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for (verdict, _), count in verdicts.items():
        total[verdict] += count
    return {
        verdict: total[verdict]
        for verdict in ("accepted", "coarse_only", "human", "rejected")
        if total[verdict]
    }


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _clip_json(result: ClipResult) -> dict[str, Any]:
    return {
        "event": "clip",
        "clip": result.clip,
        "state": result.state,
        "verdicts": _by_verdict(result.verdicts),
        "reasons": {reason: n for (_, reason), n in result.verdicts.items() if reason},
        "sync": result.sync,
        "remarks": list(result.remarks),
        "failures": [_failure_json(failure) for failure in result.failures],
        "cpu_s": result.cpu_s,
    }


def _failure_json(failure: FailureRecord) -> dict[str, Any]:
    return {
        "clip": failure.clip,
        "reason": failure.reason,
        "message": failure.message,
        "file": failure.file,
        "frame": failure.frame,
    }


def _print_end_json(summary: BuildSummary, output: Path, report: Path | None, code: int) -> None:
    end = {
        "event": "end",
        "dataset": str(output),
        "report": None if report is None else str(report),
        "clips": len(summary.clips),
        "verdicts": _by_verdict(summary.verdicts),
        "failures": [_failure_json(failure) for failure in summary.failures],
        "exit_code": code,
    }
    click.echo(json.dumps(end, ensure_ascii=False))


def _print_plans(plans: list[ClipPlan], errors: list[ClipError], output: Path | None, verbose: int) -> None:
    width = max([len(plan.clip) for plan in plans] + [4])
    click.echo(f"{'clip':{width}}  {'pairs':>5}  {'offset, frames':>14}  source")
    for plan in plans:
        if plan.offset_source:
            offset = f"{plan.offset_frames:+14.2f}  {plan.offset_source} ({plan.confidence:.0%} sure)"
        else:
            offset = " " * 14
        note = {
            "keep": "  done already",
            "again": "  made before, from other settings or files",
            "fail": "  would fail",
        }.get(plan.action, "")
        click.echo(f"{plan.clip:{width}}  {plan.pairs:5d}  {offset}{note}")
        skipped = ", ".join(f"{reason} {count}" for reason, count in plan.skipped.items())
        if skipped:
            click.echo(f"{'':{width}}         without a partner: {skipped}")
        if plan.message and (verbose or plan.action == "fail"):
            click.echo(f"{'':{width}}         {plan.message}")
    for error in errors:
        click.echo(f"would fail: [{error.reason}] {error}")
    todo = [plan for plan in plans if plan.action in ("make", "again")]
    count = sum(plan.pairs for plan in todo)
    into = f" in {output}" if output else ""
    click.echo(f"would make {counted(count, 'pair')} of {counted(len(todo), 'clip')}{into}; nothing written")


def _print_plans_json(plans: list[ClipPlan], errors: list[ClipError]) -> None:
    for plan in plans:
        values = {
            "event": "plan",
            "clip": plan.clip,
            "action": plan.action,
            "pairs": plan.pairs,
            "offset_frames": plan.offset_frames,
            "offset_source": plan.offset_source,
            "confidence": plan.confidence,
            "skipped": plan.skipped,
            "message": plan.message,
        }
        click.echo(json.dumps(values, ensure_ascii=False))
    for error in errors:
        file = "" if error.path is None else error.path.name
        click.echo(
            json.dumps({"event": "failure", "reason": error.reason, "message": str(error), "file": file})
        )
