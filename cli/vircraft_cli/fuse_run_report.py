"""What `vircraft fuse run` says: lines for people, or JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.words import counted

if TYPE_CHECKING:
    from pathlib import Path

    from fgfusion_model.inference.grey_levels import GreyLevels
    from fgfusion_model.inference.job import FuseSummary, Outcome
    from fgfusion_model.inference.picture_pairs import FoundPictures, PairFailure
    from fgfusion_model.inference.video import VideoPair, VideoSummary

FINISHED_WITH_FAILURES = 3
SHOWN = 20  # failures listed without -v


class Teller:
    """Says what is done: lines for people, or JSON lines."""

    def __init__(self, as_json: bool, verbose: bool, quiet: bool) -> None:
        self.as_json, self.verbose, self.quiet = as_json, verbose, quiet

    @property
    def hidden(self) -> bool:
        """Whether a progress bar would be in the way."""
        return self.as_json or self.quiet

    def plan(self, found: FoundPictures, levels: GreyLevels, palette: str | None) -> None:
        """Say how the pictures are read, where that is not plain."""
        from fgfusion_model.inference.grey_levels import GreyLevels

        remarks = [] if palette is None else [f"infrared is painted with the {palette} palette; undone"]
        if levels != GreyLevels():
            remarks.append(f"16-bit infrared: counts {levels.low:g} to {levels.high:g} become black to white")
        self._remarks(remarks)

    def outcome(self, outcome: Outcome) -> None:
        """Say what became of a pair."""
        if not self.as_json:
            return
        failure = None if outcome.failure is None else _failure_json(outcome.failure)
        values: dict[str, Any] = {"event": "pair", "name": outcome.name, "state": outcome.state}
        values |= {"path": str(outcome.path)} if failure is None else {"failure": failure}
        self._print_json(values)

    def summary(self, summary: FuseSummary, output: Path) -> int:
        """Print what was done; return the exit code."""
        code = FINISHED_WITH_FAILURES if summary.failures else 0
        if self.as_json:
            self._print_json(
                {
                    "event": "end",
                    "output": str(output),
                    "made": summary.made,
                    "kept": summary.kept,
                    "other": summary.other,
                    "failures": [_failure_json(failure) for failure in summary.failures],
                    "exit_code": code,
                }
            )
            return code
        if not self.quiet:
            kept = f", {summary.kept} there already" if summary.kept else ""
            click.echo(f"{counted(summary.made, 'fused picture')} in {output}{kept}")
            if summary.other:
                click.echo(
                    f"{counted(summary.other, 'picture')} kept that other weights, settings or inputs made; "
                    "--force makes them again"
                )
            self._count_failures(summary.failures)
        shown = summary.failures if self.verbose or self.quiet else summary.failures[:SHOWN]
        for failure in shown:
            click.echo(f"failed: {failure.message} [{failure.reason}]", err=True)
        if len(shown) < len(summary.failures):
            more = len(summary.failures) - len(shown)
            click.echo(f"failed: {counted(more, 'more pair')}; -v lists them all", err=True)
        return code

    def video_plan(self, pair: VideoPair) -> None:
        """Say what is odd about the two videos."""
        self._remarks([remark.message for remark in pair.remarks])

    def video_summary(self, summary: VideoSummary, path: Path) -> int:
        """Print what was done; return the exit code."""
        code = FINISHED_WITH_FAILURES if summary.damaged else 0
        damaged = [str(frame) for frame in summary.damaged]
        if self.as_json:
            self._print_json(
                {
                    "event": "end",
                    "output": str(path),
                    "state": summary.state,
                    "frames": summary.frames,
                    "encoder": summary.encoder,
                    "sound": summary.sound,
                    "damaged": damaged,
                    "exit_code": code,
                }
            )
            return code
        if not self.quiet:
            sound = f"; sound: {summary.sound}" if summary.sound else ""
            made = f"{counted(summary.frames, 'fused frame')} in {path} ({summary.encoder}{sound})"
            there = "there already"
            if summary.state == "other":
                there += ", made by other weights, settings or inputs; --force makes it again"
            click.echo(made if summary.state == "made" else f"{path} is {there}")
        shown = damaged if self.verbose or self.quiet else damaged[:SHOWN]
        for text in shown:
            click.echo(f"left out: {text}", err=True)
        if len(shown) < len(damaged):
            click.echo(f"left out: {len(damaged) - len(shown)} more frames; -v lists them all", err=True)
        return code

    def _count_failures(self, failures: list[PairFailure]) -> None:
        unpaired = sum(failure.reason == "unpaired" for failure in failures)
        if unpaired:
            click.echo(f"{counted(unpaired, 'picture')} without a partner, see below")
        if len(failures) > unpaired:
            click.echo(f"{counted(len(failures) - unpaired, 'pair')} failed, see below")

    def _remarks(self, messages: list[str]) -> None:
        for message in messages:
            if self.as_json:
                self._print_json({"event": "remark", "message": message})
            elif not self.quiet:
                click.echo(message, err=True)

    @staticmethod
    def _print_json(values: dict[str, Any]) -> None:
        click.echo(json.dumps(values, ensure_ascii=False))


def _failure_json(failure: PairFailure) -> dict[str, str]:
    return {"name": failure.name, "reason": failure.reason, "message": failure.message}
