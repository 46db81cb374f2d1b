"""The work on one clip: probe, synchronise, sample, register, write; resumed where it was left.

A unit of work is one clip. Registration follows the rig through a clip, so a clip that was interrupted is
followed again from its start, and gives the same answers; what the journal and the files on disk already hold
is confirmed and not written again.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vircraft import registration as registering
from vircraft.annotation.truth import write_truth_labels
from vircraft.clip_inputs import Inputs, hash_inputs, is_done, relative_name
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
    pair_record,
    read_journal,
)
from vircraft.reading import DamagedFrame
from vircraft.registration.result import Registration
from vircraft.registration.warp import warp_visible
from vircraft.report.media import media_path, write_pair_media
from vircraft.sampling import FramePair, PairPlan, plan_pairs, read_pairs
from vircraft.settings import build, fingerprint, plain
from vircraft.simulation.truth import ClipTruth, read_truth
from vircraft.stopwatch import Stopwatch, peak_memory_mb
from vircraft.streams import Stream
from vircraft.sync import Synchronisation, synchronise

# Remarks on a stream that mean that something of the recording is gone.
LOSSES = ("truncated", "damaged", "one-frame")


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
        self.inputs = Inputs({}, "")
        self.journal = Journal(journal_path(self.root, self.name))
        self.writer: JournalWriter | None = None
        self.records: list[PairRecord] = []
        self.failures: list[FailureRecord] = []
        self.remarks: tuple[str, ...] = ()
        self.sync_facts: dict[str, Any] = {}
        self.truth: ClipTruth | None = None

    def run(self) -> ClipResult:
        with self.watch.stage("hash"):
            self.inputs = hash_inputs(self.task.source, self.task.clips_root)
            try:
                self.journal = read_journal(self.journal.path)
            except DatasetError as error:
                if "all" not in self.task.force:
                    return self.give_up("damaged-journal", str(error), None)
        again = self.task.force & {"sync", "register", "all"}
        if is_done(self.journal, self.inputs, self.settings) and not again:
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
        self.failures.append(self._failure(reason, message, path))
        if self.writer is None and not self.journal.pairs and reason != "damaged-journal":
            self.writer = JournalWriter(self.journal)
        if self.writer is not None:
            for failure in self.failures:
                self._put(failure)
            self.writer.finish()
        return self._result("failed")

    def _keep(self) -> ClipResult | None:
        """Confirm a clip that is done; make again what is missing of its files. None: it must be redone."""
        self.records = list(self.journal.pairs)
        self.failures = list(self.journal.failures)
        clip_record = self.journal.clip
        assert clip_record is not None
        self.sync_facts = _short_sync(clip_record.sync)
        remarks = (*clip_record.probe["remarks"], *clip_record.sync["remarks"])
        self.remarks = tuple(dict.fromkeys(remark["message"] for remark in remarks))
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
        if "truth" in self.inputs.files:
            for record in self.records:
                if record.verdict != "rejected" and not label_path(self.root, record.id).exists():
                    self._label(record)
        return self._result(state)

    def _make(self) -> ClipResult:
        self.records, self.failures = [], []
        clip = self._probe()
        with self.watch.stage("sync"):
            sync = self._synchronise(clip)
        plan = plan_pairs(clip, sync, self.settings.sampling)
        self._note_losses(clip)
        self.writer = JournalWriter(self.journal)
        self._put(self._clip_record(clip, sync, plan))
        if not plan.pairs:
            return self.give_up(*_why_no_pairs(clip, sync, plan))
        self.emit(ClipEvent("started", self.name, len(plan.pairs)))
        frames = self.watch.each("decode", read_pairs(clip, plan, self._note_damage))
        answers = registering.register_clip(frames, self.settings.registration)
        for pair, registration in self.watch.each("register", answers):
            self._do_pair(clip, pair, registration)
        self._note_nothing_registered(clip)
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
        self.remarks = tuple(dict.fromkeys(self._relative(remark.message) for remark in clip.remarks))
        return clip

    def _synchronise(self, clip: Clip) -> Synchronisation:
        """Take the synchronisation from the journal when nothing that it depends on has changed."""
        old = self.journal.clip
        if (
            old is not None
            and old.sync_hash == self._sync_hash()
            and old.software == software_versions()
            and not self.task.force & {"sync", "all"}
        ):
            return build(Synchronisation, old.sync)
        # What is used is what was read back from plain values, so that a resumed clip starts from the same.
        sync = synchronise(clip, self.settings.sync, self.settings.offset_frames)
        return build(Synchronisation, self._plain(sync))

    def _sync_hash(self) -> str:
        return fingerprint([self.inputs.digest, self.settings.sync_digest()])

    def _clip_record(self, clip: Clip, sync: Synchronisation, plan: PairPlan) -> ClipRecord:
        facts = self._plain(sync)
        self.sync_facts = _short_sync(facts)
        self.remarks = tuple(dict.fromkeys((*self.remarks, *(remark.message for remark in sync.remarks))))
        return ClipRecord(
            clip=self.name,
            inputs=self.inputs.files,
            inputs_hash=self.inputs.digest,
            settings=self.settings.record(),
            settings_hash=self.settings.digest(),
            sync_hash=self._sync_hash(),
            probe={
                "infrared": self._stream_facts(clip.infrared),
                "visible": self._stream_facts(clip.visible),
                "remarks": self._plain(clip.remarks),
            },
            sync=facts,
            plan={"pairs": len(plan.pairs), "skipped": dict(plan.skipped), "rate_fps": plan.rate_fps},
            software=software_versions(),
        )

    def _do_pair(self, clip: Clip, pair: FramePair, registration: Registration) -> None:
        assert self.writer is not None
        frames = {
            **{key: getattr(pair, key) for key in ("id", "clip", "tick", "infrared_index", "visible_index")},
            **{key: float(getattr(pair, key)) for key in ("infrared_time_s", "visible_time_s")},
            "infrared_wh": (pair.infrared.shape[1], pair.infrared.shape[0]),
            "visible_wh": (pair.visible.shape[1], pair.visible.shape[0]),
            "sync": self.sync_facts,
            "inputs_hash": self.inputs.digest,
            "settings_hash": self.settings.digest(),
        }
        record = pair_record(frames, registration)
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
        if registration.status != "refused" and "truth" in self.inputs.files:
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
        path = self.task.clips_root / self.inputs.files["truth"]["name"]
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
                self.failures.append(self._failure("bad-truth", str(error), path))
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
        message = f"the pair at tick {tick} is left out: {frame}"
        self.failures.append(self._failure("damaged-frame", message, frame.path, frame.frame_index))

    def _note_losses(self, clip: Clip) -> None:
        for remark in clip.remarks:
            if remark.code in LOSSES:
                stream = clip.visible if remark.path == clip.visible.path else clip.infrared
                message = f"{stream.path}: {remark.message}; what it holds was used"
                self.failures.append(self._failure(remark.code, message, stream.path, stream.frame_count))

    def _note_nothing_registered(self, clip: Clip) -> None:
        if any(record.verdict != "rejected" for record in self.records) or not self.records:
            return
        reasons = Counter(record.reason or "refused" for record in self.records)
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        first = self.records[0]
        message = (
            f"{clip.infrared.path}: none of {len(self.records)} pairs could be registered ({listed}), frame "
            f"{first.infrared_index} on: is its view inside the visible one, is the offset right, do the "
            "lenses fit the scale range of the settings?"
        )
        failure = self._failure("nothing-registered", message, clip.infrared.path, first.infrared_index)
        self.failures.append(failure)

    def _failure(
        self, reason: str, message: str, path: Path | None, frame: int | None = None
    ) -> FailureRecord:
        file = "" if path is None else relative_name(path, self.task.clips_root)
        return FailureRecord(self.name, reason, self._relative(message), file, frame)

    def _relative(self, text: str) -> str:
        return text.replace(f"{self.task.clips_root}/", "").replace(f"{self.task.dataset_root}/", "")

    def _plain(self, value: Any) -> Any:
        """Return plain values with paths relative to the clips folder."""
        return _map_texts(plain(value), self._relative)

    def _stream_facts(self, stream: Stream) -> dict[str, Any]:
        values = {f.name: getattr(stream, f.name) for f in fields(stream)}
        facts = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
        return {**self._plain(facts), "start_time_s": stream.start_time_s}

    def _result(self, state: State) -> ClipResult:
        return ClipResult(
            clip=self.name,
            state=state,
            verdicts=dict(Counter((r.verdict, r.reason) for r in self.records)),
            failures=tuple(self.failures),
            remarks=self.remarks,
            sync=self.sync_facts,
            inputs=self.inputs.files,
        )


def _short_sync(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("offset_frames", "drift_ppm", "source", "confidence")}


def _why_no_pairs(clip: Clip, sync: Synchronisation, plan: PairPlan) -> tuple[str, str, Path]:
    counts = ", ".join(f"{reason} {count}" for reason, count in plan.skipped.items()) or "no tick"
    reason = "no-overlap" if set(plan.skipped) == {"no-overlap"} else "no-pairs"
    about = next((f"{r.message}; " for r in sync.remarks if r.code == "no-overlap"), "")
    message = (
        f"{clip.infrared.path}: no frame has a partner in {clip.visible.path} ({counts}); {about}offset "
        f"{sync.offset_frames:.2f} frames ({sync.source}); if that is wrong, say it with --offset or in "
        f"{clip.name}.sync.toml"
    )
    return reason, message, clip.infrared.path


def _map_texts(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return value


__all__ = ["ClipEvent", "ClipResult", "ClipTask", "run_clip"]
