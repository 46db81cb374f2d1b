"""`vircraft annotate`: offer pictures, run Labelme on them, merge what is drawn, check what was merged."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.labelling.folders import FOLDER
from vircraft.annotation.labelling.labelme_program import LabelmeProgram, config_text, start_labelme
from vircraft.annotation.labelling.offers import (
    OFFERED_VERDICTS,
    LeftOut,
    Offer,
    OfferSettings,
    Plan,
    plan_offers,
)
from vircraft.annotation.labelling.workbench import Outcome, Workbench
from vircraft.annotation.labelme import to_json
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import Dataset, label_path
from vircraft.errors import DatasetBusyError, DatasetError, InputFileError, VircraftError
from vircraft.files import write_atomically
from vircraft.locks import FileLock

LOCK = "annotate.lock"
_POLL_S = 1.0
_STOP_S = 5.0  # for Labelme to end when it is asked to
_LOG_TAIL = 1500  # characters of what Labelme said before it fell over

Event = Outcome | Plan | Offer | DatasetError


@dataclass(frozen=True)
class Broken:
    """A label file that was merged and breaks a rule of the contract."""

    pair_id: str
    reason: str
    message: str


@dataclass(frozen=True)
class LabellingSummary:
    """What came out of it.

    Attributes:
        offered: number of pictures that Labelme showed.
        left_out: pairs that could not be offered.
        pictureless: pairs without a picture in the folder that was asked for.
        outcomes: what became of saved files; each pair once, as it was in the end.
        recovered: of those, from a run that was killed.
        broken: merged label files that break a rule.
        labelled, total: pairs of the dataset with labels, and all that can be labelled.
        exit_status: Labelme's; 0 when it was not started.
        log_tail: the end of what Labelme said when its status is not 0.
        interrupted: by Ctrl-C.
    """

    offered: int
    left_out: tuple[LeftOut, ...]
    pictureless: int
    outcomes: tuple[Outcome, ...]
    recovered: tuple[Outcome, ...]
    broken: tuple[Broken, ...]
    labelled: int
    total: int
    exit_status: int = 0
    log_tail: str = ""
    interrupted: bool = False


def label_pictures(
    root: Path,
    settings: OfferSettings,
    program: LabelmeProgram,
    *,
    on_event: Callable[[Event], object] = lambda event: None,
    poll_s: float = _POLL_S,
) -> LabellingSummary:
    """Open Labelme on the pictures of a dataset and merge what is drawn until its window is closed.

    Args:
        root: the dataset.
        settings: which pictures.
        program: Labelme.
        on_event: told of the plan before Labelme starts, of each offer that was set up, of each outcome, and
            of a disk that cannot take a file (it is tried again).
        poll_s: seconds between two looks at Labelme's folder.

    Raises:
        DatasetBusyError: another run, or a Labelme window of an earlier one, is open on the dataset.
        DatasetError: there is no dataset, or the disk cannot take a file; what was drawn is then still in
            `annotate/` and merged by the next run.
        SettingsError, LabelmeError: as `plan_offers` and `start_labelme` tell.
    """
    dataset = Dataset.open(root)
    with ExitStack() as stack:
        lock = _lock(stack, root)
        bench = Workbench.open(dataset)
        recovered = bench.recover()
        plan = propose_and_plan(dataset, settings)
        on_event(plan)
        offers, undecodable = bench.stage(plan.offers, on_event)
        status, tail, interrupted = 0, "", False
        drawn: list[Outcome] = []
        if offers:
            write_atomically(bench.config, config_text(program.version).encode())
            process = start_labelme(program, _first(bench, offers), bench.config, bench.log, [lock.fileno()])
            interrupted, drawn = _watch(process, bench, on_event, poll_s)
            status = 0 if interrupted else process.returncode
            tail = "" if status == 0 else _log_tail(bench.log)
        for stray in bench.clear():
            drawn.append(stray)
            on_event(stray)
    outcomes = _final([*recovered, *drawn])
    labelled, total = _progress(dataset)
    return LabellingSummary(
        offered=len(offers),
        left_out=(*plan.left_out, *undecodable),
        pictureless=plan.pictureless,
        outcomes=outcomes,
        recovered=tuple(recovered),
        broken=tuple(_check(root, outcomes)),
        labelled=labelled,
        total=total,
        exit_status=status,
        log_tail=tail,
        interrupted=interrupted,
    )


def propose_and_plan(dataset: Dataset, settings: OfferSettings) -> Plan:
    """Return the pairs to offer, with proposals where they are wanted and can be made.

    Raises:
        SettingsError, DatasetError: as `plan_offers`.
    """
    if not settings.propose:
        return plan_offers(dataset, settings)
    clips = {journal.path.stem for journal in dataset.journals() if journal.pairs}
    wanted = sorted(clips & set(settings.clips) if settings.clips else clips)
    proposals, failed = _propose(dataset.root, wanted)
    plan = plan_offers(dataset, settings, proposals)
    named = {left_out.name for left_out in plan.left_out}
    return replace(plan, left_out=(*plan.left_out, *(one for one in failed if one.name not in named)))


def _propose(root: Path, clips: Sequence[str]) -> tuple[dict[str, Mapping[str, Any]], list[LeftOut]]:
    """Return proposals by pair, as Labelme documents, and what could not be used for them."""
    from vircraft.annotation.tracking.propose import propose_clip

    proposals: dict[str, Mapping[str, Any]] = {}
    failed: list[LeftOut] = []

    def pass_over(error: InputFileError) -> None:
        name = "" if error.path is None else error.path.stem
        failed.append(LeftOut(name, error.reason, f"proposals go on without it: {error}"))

    for clip in clips:
        try:
            for proposal in propose_clip(root, clip, on_unreadable=pass_over):
                document = json.loads(to_json(proposal.labels))
                document["flags"] = {**document["flags"], "proposed": True}
                proposals[proposal.pair_id] = document
        except VircraftError as error:
            failed.append(LeftOut(clip, "no-proposals", str(error)))
        except Exception as error:  # a bug in the tracking must not keep anybody from labelling
            message = f"no proposals ({type(error).__name__}: {error}); please report this clip"
            failed.append(LeftOut(clip, "internal-error", message))
    return proposals, failed


def _lock(stack: ExitStack, root: Path) -> FileLock:
    try:
        return stack.enter_context(FileLock(root / LOCK, f"the folder {root / FOLDER}", wait_s=0.5))
    except DatasetBusyError as error:
        raise DatasetBusyError(
            f"{error}. If that process is gone, its Labelme window is still open: close it"
        ) from error


def _first(bench: Workbench, offers: Sequence[Offer]) -> Path:
    """Return the staged picture to open first: the first without labels."""
    todo = (offer for offer in offers if not offer.labelled)
    name = next(todo, offers[0]).pair_id
    return bench.pictures / f"{name}.png"


def _watch(
    process: subprocess.Popen[bytes], bench: Workbench, on_event: Callable[[Event], object], poll_s: float
) -> tuple[bool, list[Outcome]]:
    """Merge what Labelme saves until it ends or Ctrl-C is pressed, which ends it, too.

    Returns:
        Whether it was interrupted, and what was merged.
    """
    outcomes: list[Outcome] = []
    interrupted = False

    def take(found: list[Outcome]) -> None:
        for outcome in found:
            outcomes.append(outcome)
            on_event(outcome)

    told = ""
    try:
        while process.poll() is None:
            time.sleep(poll_s)
            try:
                take(bench.collect())
            except DatasetError as error:  # Labelme goes on saving beside: tell once, try again
                if str(error) != told:
                    told = str(error)
                    on_event(error)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _stop(process)
    take(bench.collect(final=True))
    if process.returncode == 0:
        take(bench.take_away_removed())
    return interrupted, outcomes


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End Labelme if it is still there; it has saved by itself what was drawn."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _log_tail(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip()[-_LOG_TAIL:]
    except OSError:
        return ""


def _final(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Return the last outcome of each pair; it was new if it was so at any time."""
    last: dict[str, Outcome] = {}
    for outcome in outcomes:
        new = outcome.new or (outcome.name in last and last[outcome.name].new)
        last[outcome.name] = replace(outcome, new=new)
    return tuple(last.values())


def _check(root: Path, outcomes: Sequence[Outcome]) -> Iterator[Broken]:
    """Return the merged label files that break a rule of the contract."""
    for outcome in outcomes:
        if outcome.kind == "merged":
            try:
                read_annotations(outcome.path, root)
            except LabelFileError as error:
                yield Broken(outcome.name, error.reason, str(error))


def _progress(dataset: Dataset) -> tuple[int, int]:
    """Return how many pairs have labels, and how many could have."""
    ids = [record.id for record in dataset.pairs() if record.verdict in OFFERED_VERDICTS]
    return sum(label_path(dataset.root, pair_id).exists() for pair_id in ids), len(ids)
