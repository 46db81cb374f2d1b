"""What `vircraft fuse train` shows: a bar with the time left, lines elsewhere, JSON when asked for."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vircraft.settings import plain
from vircraft_cli.printable import shown_path

if TYPE_CHECKING:
    from fgfusion_model.training.events import Began, Event, Stepped, Validated
    from fgfusion_model.training.loop import TrainingSummary
    from vircraft_cli.stopper import Stopper

MOST_LISTED = 20  # pairs left out that are named without -v
LINE_S = 30.0  # seconds between two lines about steps where there is no terminal
JSON_S = 5.0  # the same as JSON


class TrainProgress:
    """Shows the events of a training.

    Args:
        stopper: is armed when training begins.
        quiet, as_json, verbose: how much to say, and how.
        noun: what is trained on.
        unit: what a second's speed counts.
    """

    def __init__(
        self,
        stopper: Stopper,
        quiet: bool,
        as_json: bool,
        verbose: int,
        noun: str = "pairs",
        unit: str = "crops",
    ) -> None:
        from tqdm import tqdm

        self.noun, self.unit = noun, unit

        self.stopper, self.quiet, self.as_json, self.verbose = stopper, quiet, as_json, verbose
        self.terminal = sys.stderr.isatty() and not quiet and not as_json
        self.bar = tqdm(unit="pair", disable=not self.terminal, file=sys.stderr, dynamic_ncols=True)
        self.steps, self.told_at, self.wished = 0, -math.inf, False

    def __enter__(self) -> TrainProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        from fgfusion_model.training import events

        match event:
            case events.Loading():
                self.bar.set_description_str("reading")
                self.bar.total = event.total
                self.bar.update(event.done - self.bar.n)
            case events.Remark():
                self._say("remark", event.text, {"text": event.text})
            case events.Began():
                self._begin(event)
            case events.Stepped():
                self._step(event)
            case events.Validated():
                self._validated(event)
            case events.Saved():
                values = {"step": event.step, "path": str(event.path)}
                self._say("checkpoint", f"step {event.step}: checkpoint written", values, level=1)

    def _begin(self, event: Began) -> None:
        from tqdm import tqdm

        self.stopper.armed = True
        self.steps = event.steps
        self.bar.close()
        self.bar = tqdm(
            total=event.steps,
            initial=event.step,
            unit="step",
            disable=not self.terminal,
            file=sys.stderr,
            dynamic_ncols=True,
        )
        masks = ", ".join(f"{kind} {number}" for kind, number in event.masks.items())
        resumed = f", resumed at step {event.step}" if event.step else ""
        masked = f" (foreground from {masks})" if masks else ""
        text = (
            f"{event.train} {self.noun} to train on, {event.held_out} kept aside{masked}; "
            f"{event.steps} steps of {event.epoch_steps:.4g} an epoch on {event.device}, pictures in "
            f"{event.cache}, {event.parameters / 1e6:.2f} M parameters{resumed}"
        )
        values = {**vars(event), "masks": dict(event.masks)}
        self._say("began", text, values)

    def _step(self, event: Stepped) -> None:
        self._tell_wish()
        self.bar.set_postfix_str(
            f"loss {event.loss:.4f}, {event.samples_per_s:.1f} {self.unit}/s, {event.waiting:.0%} waiting",
            False,
        )
        self.bar.update(event.step - self.bar.n)
        if self.terminal or time.monotonic() - self.told_at < (JSON_S if self.as_json else LINE_S):
            return
        self.told_at = time.monotonic()
        speed = f"{event.samples_per_s:.1f} {self.unit}/s"
        text = f"step {event.step} of {self.steps}: loss {event.loss:.4f}, {speed}"
        self._say("step", text, dict(vars(event)))

    def _validated(self, event: Validated) -> None:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in event.scores.items())
        best = " (best so far)" if event.best else ""
        sample = str(event.sample) if event.sample else None
        values = {**vars(event), "scores": dict(event.scores), "sample": sample}
        self._say("validation", f"step {event.step}: kept aside: {scores}{best}", values)

    def _tell_wish(self) -> None:
        if self.stopper.asked() and not self.wished:
            self.wished = True
            self.bar.write("stopping after this step; once more ends at once", file=sys.stderr)

    def _say(self, kind: str, text: str, values: Mapping[str, Any], level: int = 0) -> None:
        if self.as_json and not self.quiet:
            click.echo(json.dumps(plain({"event": kind, **values}), ensure_ascii=False))
        elif not self.quiet and self.verbose >= level:
            self.bar.write(text, file=sys.stderr)


def print_summary(summary: TrainingSummary, code: int, as_json: bool, verbose: int, quiet: bool) -> None:
    """Print what came out, what was left out, and where the weights are."""
    if as_json:
        values = {
            "event": "end",
            "step": summary.step,
            "steps": summary.steps,
            "stopped": summary.stopped,
            "loss": summary.loss,
            "scores": summary.scores,
            "samples_per_s": summary.samples_per_s,
            "waiting": summary.waiting,
            "weights": str(summary.weights),
            "remarks": summary.remarks,
            "left_out": [vars(entry) for entry in summary.left_out],
            "exit_code": code,
        }
        click.echo(json.dumps(plain(values), ensure_ascii=False))
        return
    listed = summary.left_out if verbose or quiet else summary.left_out[:MOST_LISTED]
    for entry in listed:
        click.echo(f"left out: {entry.message} [{entry.reason}]", err=True)
    if more := len(summary.left_out) - len(listed):
        click.echo(f"left out: {more} more pairs; -v lists them all", err=True)
    if not quiet:
        click.echo(_result(summary), err=True)
    click.echo(shown_path(summary.weights))


def _result(summary: TrainingSummary) -> str:
    speed = f"{summary.samples_per_s:.1f} crops/s, {summary.waiting:.1%} of it waiting for data"
    loss = "" if math.isnan(summary.loss) else f", loss {summary.loss:.4f} over the last epoch"
    if summary.stopped:
        return f"stopped after step {summary.step} of {summary.steps}{loss}; go on with --resume"
    if not summary.samples_per_s:
        return f"all {summary.steps} steps were done before"
    return f"{summary.steps} steps done{loss}; {speed}"
