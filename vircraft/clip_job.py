"""The work on one clip: probe, synchronise, sample, register, write; resumed where it was left.

A unit of work is one clip. Registration follows the rig through a clip, so a clip that was interrupted is
followed again from its start, and gives the same answers; what the journal and the files on disk already hold
is confirmed and not written again.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vircraft import registration as registering
from vircraft.annotation.truth import write_truth_labels
from vircraft.clip_inputs import Inputs, hash_inputs, is_done
from vircraft.clip_records import RecordMaker, told_remarks
from vircraft.clip_task import ClipEvent, ClipResult, ClipTask, State
from vircraft.clips import Clip, probe_clip
from vircraft.dataset import (
    clip_files,
    files_match,
    journal_path,
    label_path,
    lock_clip,
    picture_path,
    software_versions,
)
from vircraft.errors import DatasetError, InputFileError
from vircraft.executors import Emit
from vircraft.files import encode_png, hash_bytes, remove_temporaries, write_atomically
from vircraft.journal import (
    ClipRecord,
    EndRecord,
    FailureRecord,
    Journal,
    JournalWriter,
    PairRecord,
    encode,
    read_journal,
)
from vircraft.reading import DamagedFrame
from vircraft.registration.result import Registration
from vircraft.registration.warp import warp_visible
from vircraft.report.media import media_path, write_pair_media
from vircraft.sampling import FramePair, plan_pairs, read_pairs
from vircraft.settings import build
from vircraft.simulation.truth import ClipTruth, read_truth
from vircraft.stopwatch import Stopwatch, peak_memory_mb
from vircraft.sync import Synchronisation, synchronise


def run_clip(task: ClipTask, emit: Emit) -> ClipResult:
    """Do one clip; whatever is wrong with it becomes a failure record.

    Raises:
        DatasetError: the dataset cannot be written; no clip could go on.
    """
    started = time.monotonic()
    name = task.source.name
    watch = Stopwatch()
    with lock_clip(task.dataset_root, name):
        for folder, suffix in (("infrared", ".png"), ("visible", ".png"), ("labels", ".json")):
            remove_temporaries(task.dataset_root / folder, clip_files(name, suffix))
        job = _ClipJob(task, emit, watch)
        trace = ""
        try:
            result = job.run()
        except DatasetError:
            raise
        except InputFileError as error:
            result = job.give_up(error.reason, str(error), error.path)
        except Exception as error:
            trace = traceback.format_exc()
            result = job.give_up("internal-error", f"{type(error).__name__}: {error}", None)
        finally:
            job.close()
    return replace(
        result,
        cpu_s={stage: round(cpu_s, 4) for stage, cpu_s in watch.cpu_s.items()},
        wall_s=round(time.monotonic() - started, 3),
        peak_mb=peak_memory_mb(),
        trace=trace,
    )


class _ClipJob:
    """The state of the work on one clip."""

    def __init__(self, task: ClipTask, emit: Emit, watch: Stopwatch) -> None:
        self.task, self.emit, self.watch = task, emit, watch
        self.root = task.dataset_root
        self.report_dir = task.dataset_root / "report"
        self.name = task.source.name
        self.settings = task.settings
        self.make = RecordMaker(task, Inputs({}, ""))
        self.journal = Journal(journal_path(self.root, self.name))
        self.writer: JournalWriter | None = None
        self.records: list[PairRecord] = []
        self.failures: list[FailureRecord] = []
        self.flaws: list[DamagedFrame] = []  # damage met while decoding, wherever it lies
        self.remarks: tuple[str, ...] = ()
        self.sync_facts: dict[str, Any] = {}
        self.truth: ClipTruth | None = None

    def run(self) -> ClipResult:
        with self.watch.stage("hash"):
            self.make = RecordMaker(self.task, hash_inputs(self.task.source, self.task.clips_root))
            try:
                self.journal = read_journal(self.journal.path)
            except DatasetError as error:
                if "all" not in self.task.force:
                    return self.give_up("damaged-journal", str(error), None)
        again = self.task.force & {"sync", "register", "all"}
        if is_done(self.journal, self.make.inputs, self.settings) and not again:
            kept = self._keep()
            if kept is not None:
                return kept
        return self._make()

    def close(self) -> None:
        """Close the journal."""
        if self.writer is not None:
            self.writer.close()

    def give_up(self, reason: str, message: str, path: Path | None) -> ClipResult:
        """End the clip with a failure record, unless its journal holds pairs from before the trouble."""
        return self._end_with(self.make.failure(reason, message, path))

    def _end_with(self, failure: FailureRecord) -> ClipResult:
        self.failures.append(failure)
        if self.writer is None and not self.journal.pairs and failure.reason != "damaged-journal":
            self.writer = JournalWriter(self.journal)
        if self.writer is not None:
            for record in self.failures:
                self._put(record)
            self.writer.finish()
        return self._result("failed")

    def _keep(self) -> ClipResult | None:
        """Confirm a clip that is done; make again what is missing of its files. None: it must be redone."""
        self.records = list(self.journal.pairs)
        self.failures = list(self.journal.failures)
        clip_record = self.journal.clip
        assert clip_record is not None
        self.sync_facts = _short_sync(clip_record.sync)
        self.remarks = told_remarks(clip_record)
        with self.watch.stage("hash"):
            lost = {r.id for r in self.records if not files_match(self.root, r)}
        redraw = {r.id for r in self.records if self.task.media and not self._has_media(r)}
        wanted = lost | redraw
        state: State = "kept"
        if wanted:
            clip = self._probe()
            sync = build(Synchronisation, clip_record.sync)
            plan = plan_pairs(clip, sync, self.settings.sampling)
            ticks = {r.tick: r for r in self.records if r.id in wanted}
            part = replace(plan, pairs=tuple(p for p in plan.pairs if p.tick in ticks))
            if len(part.pairs) < len(ticks):
                return None
            self.emit(ClipEvent("started", self.name, len(part.pairs)))
            for pair in self.watch.each("decode", read_pairs(clip, part)):
                record = ticks[pair.tick]
                registered = self._warp(pair, record.registration())
                if pair.id in lost and self._write_pictures(pair, registered) != record.files:
                    return None
                if pair.id in redraw:
                    self._draw(pair, record.registration(), registered)
                self.emit(ClipEvent("pair", self.name, verdict=record.verdict))
            state = "made"
        if "truth" in self.make.inputs.files:
            for record in self.records:
                if record.verdict != "rejected" and not label_path(self.root, record.id).exists():
                    self._label(record)
        return self._result(state)

    def _make(self) -> ClipResult:
        self.records, self.failures, self.flaws = [], [], []
        clip = self._probe()
        with self.watch.stage("sync"):
            sync = self._synchronise(clip)
        plan = plan_pairs(clip, sync, self.settings.sampling)
        self.failures += self.make.losses(clip)
        self.writer = JournalWriter(self.journal)
        record = self.make.clip(clip, sync, plan)
        self.sync_facts = _short_sync(record.sync)
        self.remarks = self.make.remarks(clip, sync)
        self._put(record)
        if not plan.pairs:
            self._remove_orphans()
            return self._end_with(self.make.no_pairs(clip, sync, plan))
        self.emit(ClipEvent("started", self.name, len(plan.pairs)))
        frames = self.watch.each("decode", read_pairs(clip, plan, self._note_damage, self.flaws.append))
        answers = registering.register_clip(frames, self.settings.registration)
        for pair, registration in self.watch.each("register", answers):
            self._do_pair(pair, registration)
        named = {(failure.file, failure.frame) for failure in self.failures}
        unnamed = [f for f in self.flaws if (self.make.file_name(f.path), f.frame_index) not in named]
        self.failures += self.make.flaws(unnamed)
        self.failures += self.make.nothing_registered(clip, self.records)
        for failure in self.failures:
            self._put(failure)
        verdicts = Counter(r.verdict for r in self.records)
        counts = {verdict: verdicts[verdict] for verdict in ("accepted", "coarse_only", "rejected", "human")}
        self._put(EndRecord(self.name, {**counts, "failures": len(self.failures)}))
        assert self.writer is not None
        self.writer.finish()
        self._remove_orphans()
        return self._result("made")

    def _probe(self) -> Clip:
        with self.watch.stage("probe"):
            clip = probe_clip(self.task.source)
        self.remarks = self.make.remarks(clip)
        return clip

    def _synchronise(self, clip: Clip) -> Synchronisation:
        """Take the synchronisation from the journal when nothing that it depends on has changed."""
        old = self.journal.clip
        if (
            old is not None
            and old.sync_hash == self.make.sync_hash
            and old.software == software_versions()
            and not self.task.force & {"sync", "all"}
        ):
            return build(Synchronisation, old.sync)
        # What is used is what was read back from plain values, so that a resumed clip starts from the same.
        sync = synchronise(clip, self.settings.sync, self.settings.offset_frames)
        return build(Synchronisation, self.make.plain(sync))

    def _do_pair(self, pair: FramePair, registration: Registration) -> None:
        assert self.writer is not None
        record = self.make.pair(pair, registration, self.sync_facts)
        there = self.writer.expected()
        done = (
            isinstance(there, PairRecord)
            and encode(replace(there, files={})) == encode(record)
            and files_match(self.root, there)
        )
        draw = self.task.media and (not done or not self._has_media(record))
        registered = self._warp(pair, registration) if draw or not done else None
        if done and isinstance(there, PairRecord):
            record = there
        else:
            record = replace(record, files=self._write_pictures(pair, registered))
        if draw:
            self._draw(pair, registration, registered)
        if registration.status != "refused" and "truth" in self.make.inputs.files:
            self._label(record)
        self._put(record)
        self.records.append(record)
        self.emit(ClipEvent("pair", self.name, verdict=record.verdict))

    def _put(self, record: ClipRecord | PairRecord | FailureRecord | EndRecord) -> None:
        assert self.writer is not None
        with self.watch.stage("write"):
            self.writer.put(record)

    def _warp(self, pair: FramePair, registration: Registration) -> NDArray[Any] | None:
        if registration.h_ir_from_vis is None:
            return None
        with self.watch.stage("warp"):
            height, width = pair.infrared.shape
            return warp_visible(pair.visible, registration.h_ir_from_vis, (width, height))

    def _write_pictures(self, pair: FramePair, registered: NDArray[Any] | None) -> dict[str, str]:
        """Write both pictures of a pair that was not refused; return their hashes by path."""
        if registered is None:
            return {}
        hashes = {}
        with self.watch.stage("write"):
            for modality, picture in (("infrared", pair.infrared), ("visible", registered)):
                content = encode_png(picture)
                path = picture_path(self.root, modality, pair.id)
                write_atomically(path, content)
                hashes[path.relative_to(self.root).as_posix()] = hash_bytes(content)
        return hashes

    def _draw(self, pair: FramePair, registration: Registration, registered: NDArray[Any] | None) -> None:
        with self.watch.stage("media"):
            write_pair_media(self.report_dir, pair, registration, registered)

    def _has_media(self, record: PairRecord) -> bool:
        kind = "infrared" if record.verdict == "rejected" else "edges"
        return not self.task.force and media_path(self.report_dir, record.id, kind).exists()

    def _label(self, record: PairRecord) -> None:
        """Turn a simulated clip's truth into labels, unless somebody has labelled the pair already."""
        if label_path(self.root, record.id).exists() or any(f.reason == "bad-truth" for f in self.failures):
            return
        path = self.task.clips_root / self.make.inputs.files["truth"]["name"]
        path = path if path.is_file() else self.task.source.infrared.with_name(path.name)
        with self.watch.stage("labels"):
            try:
                self.truth = self.truth or read_truth(path)
                count = len(self.truth.infrared_frames)
                if record.infrared_index >= count:
                    raise InputFileError(
                        f"describes {count} infrared frames and has no frame {record.infrared_index}; does "
                        "it belong to this video?",
                        path=path,
                    )
            except InputFileError as error:
                self.failures.append(self.make.failure("bad-truth", str(error), path))
                return
            write_truth_labels(self.root, record.id, self.truth, record.infrared_index)

    def _remove_orphans(self) -> None:
        """Remove pictures of pairs that the clip no longer has, left by earlier settings."""
        known = {Path(path) for record in self.records for path in record.files}
        for folder in ("infrared", "visible"):
            pattern = clip_files(self.name, ".png")
            for path in sorted((self.root / folder).glob("*.png")):
                if pattern.fullmatch(path.name) and Path(folder, path.name) not in known:
                    path.unlink(missing_ok=True)

    def _note_damage(self, tick: int, frame: DamagedFrame) -> None:
        self.failures.append(self.make.damaged(tick, frame))

    def _result(self, state: State) -> ClipResult:
        return ClipResult(
            clip=self.name,
            state=state,
            verdicts=dict(Counter((r.verdict, r.reason) for r in self.records)),
            failures=tuple(self.failures),
            remarks=self.remarks,
            sync=self.sync_facts,
            inputs=self.make.inputs.files,
        )


def _short_sync(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("offset_frames", "drift_ppm", "source", "confidence")}


__all__ = ["ClipEvent", "ClipResult", "ClipTask", "run_clip"]
