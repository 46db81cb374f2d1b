"""What `vircraft experiment run` shows: a bar over the cells with the time left, lines elsewhere, JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.experiments.events import Ended, ExperimentEvent, Planned
    from vircraft_cli.stopper import Stopper

ACTIONS = {
    "keep": "done already",
    "resume": "to go on with",
    "again": "to make again: inputs have changed",
    "make": "to make",
    "fuse": "to look at when their pictures are fused anew",
    "failed": "failed before, or without its inputs",
}


class Progress:
    """Shows the events of an experiment.

    Args:
        stopper: is armed as soon as something is worth stopping for.
        quiet, as_json, verbose: how much to say, and how.
        dry_run: list every cell's action.
    """

    def __init__(self, stopper: Stopper, quiet: bool, as_json: bool, verbose: int, dry_run: bool) -> None:
        self.stopper, self.quiet, self.as_json, self.verbose = stopper, quiet, as_json, verbose
        self.dry_run = dry_run
        self.hidden = quiet or as_json or not sys.stderr.isatty()
        self.bar = self._bar(unit="picture")
        self.shares: dict[str, float] = {}
        self.phases: dict[str, str] = {}
        self.done, self.wished = 0, False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, event: ExperimentEvent) -> None:
        """Show an event."""
        from fgfusion_model.experiments import events

        self.stopper.armed = True
        self._tell_wish()
        match event:
            case events.Fusing():
                self._count(f"fusing {event.method}", event.done, event.total)
            case events.Checking():
                self._count(f"checking {event.method}", event.done, event.total)
            case events.Planned():
                self._planned(event)
            case events.SetAside():
                text = (
                    f"{event.cell.name}: {', '.join(event.changes) or 'its record'} changed; "
                    f"it is made again, the old one is {event.folder}"
                )
                values = {"cell": event.cell.name, "changes": event.changes, "folder": str(event.folder)}
                self._say("set-aside", text, values)
            case events.Kept():
                score = "" if event.score is None else f" {event.score:.4f}"
                kept = {"cell": event.cell.name, "score": event.score}
                self._say("kept", f"{event.cell.name}: done before{score}", kept, level=1)
            case events.Moved():
                self._moved(event.cell.name, event.phase, event.share)
            case events.Ended():
                self._ended(event)

    def _planned(self, event: Planned) -> None:
        counts = Counter[str](event.actions.values())
        todo = sum(counts[action] for action in ("make", "again", "resume"))
        listed = ", ".join(f"{counts[action]} {text}" for action, text in ACTIONS.items() if counts[action])
        self._say(
            "plan",
            f"{counted(len(event.actions), 'cell')}: {listed}; {event.jobs} at once",
            {"actions": event.actions, "jobs": event.jobs},
        )
        if self.dry_run and not self.as_json and not self.quiet:
            for name, action in event.actions.items():
                click.echo(f"{name}: {ACTIONS[action]}")
        self.bar.close()
        self.bar = self._bar(
            total=todo,
            unit="cell",
            bar_format="{l_bar}{bar}| {n:.1f}/{total} cells [{elapsed}<{remaining}{postfix}]",
        )

    def _moved(self, name: str, phase: str, share: float) -> None:
        if self.phases.get(name) != phase:
            self.phases[name] = phase
            self._say("phase", f"{name}: {phase}", {"cell": name, "phase": phase}, level=1)
        self.shares[name] = share
        self._refresh()

    def _ended(self, event: Ended) -> None:
        self.shares.pop(event.cell.name, None)
        self.done += event.seconds > 0 and event.state != "running"
        self._refresh()
        score = "" if event.score is None else f" {event.score:.4f}"
        took = f" in {event.seconds:.0f} s" if event.seconds else ""
        state = "stopped" if event.state == "running" else event.state
        why = f": {event.message}" if event.message else ""
        values = {
            "cell": event.cell.name,
            "state": state,
            "score": event.score,
            "message": event.message,
            "seconds": round(event.seconds, 1),
        }
        self._say("cell", f"{event.cell.name}: {state}{score}{took}{why}", values, failure=bool(why))

    def _refresh(self) -> None:
        self.bar.n = min(self.bar.total or 0, self.done + sum(self.shares.values()))
        self.bar.refresh()

    def _count(self, text: str, done: int, total: int) -> None:
        self.bar.set_description_str(text, refresh=False)
        self.bar.total = total
        self.bar.n = done
        self.bar.update(0)

    def _tell_wish(self) -> None:
        if self.stopper.asked() and not self.wished:
            self.wished = True
            self.bar.write("stopping after checkpoints are written; once more ends at once", file=sys.stderr)

    def _bar(self, **options: Any) -> Any:
        from tqdm import tqdm

        return tqdm(disable=self.hidden, file=sys.stderr, dynamic_ncols=True, **options)

    def _say(
        self, kind: str, text: str, values: Mapping[str, Any], level: int = 0, failure: bool = False
    ) -> None:
        if self.as_json:
            click.echo(json.dumps({"event": kind, **values}, ensure_ascii=False))
        elif failure or (not self.quiet and self.verbose >= level):
            self.bar.write(text, file=sys.stderr)
