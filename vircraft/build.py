"""The register job: every clip of a folder into one dataset, over an executor."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vircraft.clip_inputs import hash_inputs, is_done
from vircraft.clip_job import run_clip
from vircraft.clip_task import ClipEvent, ClipResult, ClipTask
from vircraft.clips import ClipSource, find_clips, probe_clip
from vircraft.dataset import (
    MANIFEST,
    Dataset,
    journal_path,
    lock_dataset,
    prepare_folder,
    software_versions,
    write_pairs_csv,
)
from vircraft.errors import ClipError, DatasetError, SettingsError
from vircraft.executors import Emit, Executor, Outcome, ProcessExecutor
from vircraft.files import disk_error, remove_temporaries, write_json
from vircraft.journal import FailureRecord, JournalWriter, read_journal
from vircraft.report import write_report
from vircraft.sampling import plan_pairs
from vircraft.settings import BuildSettings, setting_changes
from vircraft.sync import synchronise

STAGES = ("sync", "register", "report", "all")


@dataclass(frozen=True)
class JobEvent:
    """Progress of the job.

    Attributes:
        kind: `changed` (the dataset was made with other settings), `found` (clips to do), `clip` (one is
            finished), `report` (it is begun).
        total: how many clips there are to do.
        result: of the clip that is finished.
        changes: for each setting that differs, its dotted name, the old value and the new one.
    """

    kind: str
    total: int = 0
    result: ClipResult | None = None
    changes: tuple[tuple[str, Any, Any], ...] = ()


Event = JobEvent | ClipEvent
OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class BuildSummary:
    """What a job did.

    Attributes:
        dataset: the folder.
        clips: by name; those of this job only.
        failures: of all of them, and of files that belong to no clip.
        report: `report/index.html`; None when it was not asked for.
    """

    dataset: Path
    clips: tuple[ClipResult, ...]
    failures: tuple[FailureRecord, ...]
    report: Path | None

    @property
    def verdicts(self) -> dict[tuple[str, str], int]:
        """Return the count of pairs by (verdict, reason), most frequent first."""
        total: Counter[tuple[str, str]] = Counter()
        for clip in self.clips:
            total.update(clip.verdicts)
        return dict(total.most_common())


@dataclass(frozen=True)
class ClipPlan:
    """What a job would do with one clip.

    Attributes:
        clip: its name.
        action: `make`, `again` (made before with other settings or files), `keep` (done already) or `fail`.
        offset_frames, offset_source, confidence: what synchronisation decides.
        pairs: how many would be made.
        skipped: ticks without a pair, by reason.
        message: why it would fail; remarks otherwise.
    """

    clip: str
    action: str
    offset_frames: float = 0.0
    offset_source: str = ""
    confidence: float = 0.0
    pairs: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    message: str = ""


def build_dataset(
    clips: Path,
    out: Path,
    settings: BuildSettings | None = None,
    *,
    executor: Executor | None = None,
    force: Sequence[str] = (),
    report: bool = True,
    on_event: OnEvent = lambda event: None,
) -> BuildSummary:
    """Register every clip of a folder into a dataset; go on where an earlier job stopped.

    Args:
        clips: folder of clips, or a `clips.csv`.
        out: the dataset; made when missing.
        settings: of all stages.
        executor: where clips are worked on; one process for each core when left out.
        force: stages to do again although they are done (`sync`, `register`, `report`, `all`); each takes
            the later ones with it.
        report: write `report/`.
        on_event: told of progress, from any thread.

    Raises:
        ClipError: there is no such folder, or its `clips.csv` is unreadable.
        DatasetError: the folder is no dataset, is in use, or cannot be written.
        SettingsError: an unknown stage in `force`.
    """
    settings = settings or BuildSettings()
    unknown = [stage for stage in force if stage not in STAGES]
    if unknown:
        raise SettingsError(f"unknown stage {unknown[0]!r} to force; stages are {', '.join(STAGES)}")
    clips, out = clips.resolve(), out.resolve()
    clips_root = clips.parent if clips.is_file() else clips
    sources, errors = _find_clips(clips)
    executor = executor or ProcessExecutor(os.cpu_count() or 1)
    started = datetime.now().astimezone()
    prepare_folder(out)
    with lock_dataset(out):
        dataset, changes = _open_or_create(out, clips_root.name, settings)
        if changes:
            on_event(JobEvent("changed", changes=changes))
        _make_folders(out)
        failures = _record_homeless(out, clips_root, sources, errors)
        tasks = [
            ClipTask(source, clips_root, out, settings, frozenset(force), media=report)
            for source in sorted(sources, key=_work, reverse=True)
        ]
        on_event(JobEvent("found", total=len(tasks)))
        results: list[ClipResult] = []
        outcomes = executor.run(run_clip, tasks, on_event)
        try:
            for outcome in outcomes:
                result = _settle(outcome)
                results.append(result)
                on_event(JobEvent("clip", result=result))
        finally:
            outcomes.close()  # type: ignore[attr-defined]
            results.sort(key=lambda r: r.clip)
            _write_run(out, clips, settings, force, started, results)
            write_pairs_csv(dataset)
        if any(result.state == "made" for result in results):
            dataset = Dataset(out, dataset.name, settings.record(), software_versions())
            dataset.write_manifest()
        path = None
        if report:
            on_event(JobEvent("report"))
            path = write_report(out)
    every_failure = (*failures, *(f for result in results for f in result.failures))
    return BuildSummary(out, tuple(results), every_failure, path)


def plan_build(
    clips: Path, out: Path | None, settings: BuildSettings | None = None, *, executor: Executor | None = None
) -> tuple[list[ClipPlan], list[ClipError]]:
    """Find out what `build_dataset` would do; write nothing.

    Returns:
        A plan for each clip by name, and an error for each file that belongs to no clip.

    Raises:
        ClipError: there is no such folder, or its `clips.csv` is unreadable.
    """
    settings = settings or BuildSettings()
    clips = clips.resolve()
    clips_root = clips.parent if clips.is_file() else clips
    sources, errors = _find_clips(clips)
    root = Path() if out is None else out.resolve()
    tasks = [ClipTask(source, clips_root, root, settings, media=False) for source in sources]
    executor = executor or ProcessExecutor(os.cpu_count() or 1)
    plans: list[ClipPlan] = []
    for outcome in executor.run(plan_clip, tasks, lambda event: None):
        name = outcome.task.source.name
        message = str(outcome.error) if outcome.error else "it killed its worker process"
        plans.append(outcome.result or ClipPlan(name, "fail", message=message))
    return sorted(plans, key=lambda plan: plan.clip), errors


def plan_clip(task: ClipTask, emit: Emit) -> ClipPlan:
    """Probe and synchronise one clip and count its pairs."""
    settings, name = task.settings, task.source.name
    try:
        inputs = hash_inputs(task.source, task.clips_root)
        journal = read_journal(journal_path(task.dataset_root, name))
        done = is_done(journal, inputs, settings)
        clip = probe_clip(task.source)
        sync = synchronise(clip, settings.sync, settings.offset_frames)
        plan = plan_pairs(clip, sync, settings.sampling)
    except (ClipError, DatasetError) as error:
        return ClipPlan(name, "fail", message=str(error))
    return ClipPlan(
        clip=name,
        action="keep" if done else "fail" if not plan.pairs else "again" if journal.complete else "make",
        offset_frames=sync.offset_frames,
        offset_source=sync.source,
        confidence=sync.confidence,
        pairs=len(plan.pairs),
        skipped=dict(plan.skipped),
        message="; ".join(remark.message for remark in (*clip.remarks, *sync.remarks)),
    )


def _find_clips(clips: Path) -> tuple[list[ClipSource], list[ClipError]]:
    sources, errors = find_clips(clips)
    if not sources and not errors:
        raise ClipError("holds no video; name files NAME_infrared.mp4 and NAME_visible.mp4", path=clips)
    return sources, errors


def _open_or_create(
    out: Path, name: str, settings: BuildSettings
) -> tuple[Dataset, tuple[tuple[str, Any, Any], ...]]:
    """Return the dataset, and what of its settings is no longer what it was made with."""
    changes: tuple[tuple[str, Any, Any], ...] = ()
    if (out / MANIFEST).is_file():
        old = Dataset.open(out)
        if old.settings == settings.record():
            return old, ()
        name, changes = old.name, setting_changes(old.settings, settings.record())
    dataset = Dataset(out, name, settings.record(), software_versions())
    dataset.write_manifest()
    return dataset, changes


def _make_folders(out: Path) -> None:
    try:
        for folder in ("journal", "infrared", "visible"):
            (out / folder).mkdir(exist_ok=True)
        remove_temporaries(out, re.compile(r"(dataset|run)\.json|pairs\.csv"))
    except OSError as error:
        raise disk_error(out, error) from error


def _record_homeless(
    out: Path, clips_root: Path, sources: Sequence[ClipSource], errors: Sequence[ClipError]
) -> list[FailureRecord]:
    """Give files that belong to no clip a journal with their failure; forget those of earlier jobs."""
    by_name: dict[str, list[FailureRecord]] = {}
    taken = {source.name for source in sources}
    for error in errors:
        path = error.path or clips_root
        file = path.relative_to(clips_root).as_posix() if path.is_relative_to(clips_root) else path.name
        name = re.sub(r"[^\w.-]+", "_", file)
        name = f"{name}_file" if name in taken else name
        message = str(error).replace(f"{clips_root}/", "")
        by_name.setdefault(name, []).append(FailureRecord(name, error.reason, message, file))
    for path in sorted((out / "journal").glob("*.jsonl")):
        if path.stem in by_name or path.stem in taken:
            continue
        try:
            old = read_journal(path).records
        except DatasetError:
            continue
        if all(isinstance(record, FailureRecord) for record in old):
            path.unlink(missing_ok=True)
    for name, records in by_name.items():
        writer = JournalWriter(read_journal(journal_path(out, name)))
        for record in records:
            writer.put(record)
        writer.finish()
        writer.close()
    return [record for records in by_name.values() for record in records]


def _work(source: ClipSource) -> int:
    """Return how large a clip is, so that the longest do not start last."""
    sizes = [path.stat().st_size for path in (source.infrared, source.visible) if path.is_file()]
    return sum(sizes)


def _settle(outcome: Outcome[ClipTask, ClipResult]) -> ClipResult:
    """Return a task's result; one that killed its worker is recorded as crashed."""
    if outcome.result is not None:
        return outcome.result
    if outcome.error is not None:
        raise outcome.error
    task = outcome.task
    name = task.source.name
    message = (
        f"{task.source.infrared.name}, {task.source.visible.name}: working on it killed the worker process "
        "twice (out of memory, or a decoder that crashed); try fewer --jobs, or re-encode the files"
    )
    failure = FailureRecord(name, "crashed", message)
    journal = read_journal(journal_path(task.dataset_root, name))
    writer = JournalWriter(journal)
    for record in (*journal.records, failure):
        writer.put(record)
    writer.close()
    return ClipResult(name, "failed", failures=(failure,))


def _write_run(
    out: Path,
    clips: Path,
    settings: BuildSettings,
    force: Sequence[str],
    started: datetime,
    results: Sequence[ClipResult],
) -> None:
    """Write `run.json`: what this job was, on what it worked, and where its time went."""
    stages: Counter[str] = Counter()
    for result in results:
        stages.update(result.cpu_s)
    ended = datetime.now().astimezone()
    values: dict[str, Any] = {
        "started": started.isoformat(timespec="seconds"),
        "wall_s": round((ended - started).total_seconds(), 3),
        "cpu_s_by_stage": {stage: round(cpu_s, 3) for stage, cpu_s in stages.most_common()},
        "clips_folder": str(clips),
        "settings": settings.record(),
        "force": list(force),
        "software": software_versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "clips": {
            result.clip: {
                "state": result.state,
                "wall_s": result.wall_s,
                "cpu_s": result.cpu_s,
                "peak_mb": result.peak_mb,
                "inputs": result.inputs,
                **({"trace": result.trace} if result.trace else {}),
            }
            for result in results
        },
    }
    write_json(out / "run.json", values, indent=2)


__all__ = ["BuildSummary", "ClipPlan", "Event", "JobEvent", "build_dataset", "plan_build"]
