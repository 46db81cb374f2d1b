"""The records that the work on a clip leaves in its journal: facts, pairs, and what went wrong.

Paths in them are relative to the clips folder, so that moved clips leave the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vircraft.clip_inputs import Inputs, relative_name
from vircraft.clip_task import ClipTask
from vircraft.clips import Clip
from vircraft.dataset import software_versions
from vircraft.journal import ClipRecord, FailureRecord, PairRecord, pair_record
from vircraft.reading import DamagedFrame
from vircraft.registration.result import Registration
from vircraft.sampling import FramePair, PairPlan
from vircraft.settings import fingerprint, plain
from vircraft.streams import Stream
from vircraft.sync import Synchronisation

# Remarks on a stream that mean that something of the recording is gone.
LOSSES = ("truncated", "damaged", "one-frame")


@dataclass(frozen=True)
class RecordMaker:
    """Makes the records of one clip.

    Attributes:
        task: the clip, its folders and the settings.
        inputs: hashes of its files.
    """

    task: ClipTask
    inputs: Inputs

    @property
    def sync_hash(self) -> str:
        """Return the hash of what the synchronisation depends on."""
        return fingerprint([self.inputs.digest, self.task.settings.sync_digest()])

    def clip(self, clip: Clip, sync: Synchronisation, plan: PairPlan) -> ClipRecord:
        """Return what is known before the pairs are registered."""
        return ClipRecord(
            clip=self.task.source.name,
            inputs=self.inputs.files,
            inputs_hash=self.inputs.digest,
            settings=self.task.settings.record(),
            settings_hash=self.task.settings.digest(),
            sync_hash=self.sync_hash,
            probe={
                "infrared": self._stream_facts(clip.infrared),
                "visible": self._stream_facts(clip.visible),
                "remarks": self.plain(clip.remarks),
            },
            sync=self.plain(sync),
            plan={"pairs": len(plan.pairs), "skipped": dict(plan.skipped), "rate_fps": plan.rate_fps},
            software=software_versions(),
        )

    def pair(self, pair: FramePair, registration: Registration, sync_facts: dict[str, Any]) -> PairRecord:
        """Return the record of a pair whose pictures are not written yet."""
        frames = {
            **{key: getattr(pair, key) for key in ("id", "clip", "tick", "infrared_index", "visible_index")},
            **{key: float(getattr(pair, key)) for key in ("infrared_time_s", "visible_time_s")},
            "infrared_wh": (pair.infrared.shape[1], pair.infrared.shape[0]),
            "visible_wh": (pair.visible.shape[1], pair.visible.shape[0]),
            "sync": sync_facts,
            "inputs_hash": self.inputs.digest,
            "settings_hash": self.task.settings.digest(),
        }
        return pair_record(frames, registration)

    def failure(
        self, reason: str, message: str, path: Path | None = None, frame: int | None = None
    ) -> FailureRecord:
        """Return a failure of this clip."""
        file = "" if path is None else self.file_name(path)
        return FailureRecord(self.task.source.name, reason, self.relative(message), file, frame)

    def damaged(self, tick: int, frame: DamagedFrame) -> FailureRecord:
        """Return the failure of a pair whose frame cannot be decoded."""
        message = f"the pair at tick {tick} is left out: {frame}"
        return self.failure("damaged-frame", message, frame.path, frame.frame_index)

    def flaws(self, frames: Sequence[DamagedFrame]) -> list[FailureRecord]:
        """Return one failure for each file that holds damaged frames, the first of them named."""
        failures = []
        for path in dict.fromkeys(frame.path for frame in frames):
            own = sorted({f.frame_index: f for f in frames if f.path == path}.items())
            first = own[0][1]
            more = f", {len(own)} damaged frames in all" if len(own) > 1 else ""
            message = f"{first}{more}; pairs that build on damage are left out, the rest is used"
            failures.append(self.failure("damaged", message, path, first.frame_index))
        return failures

    def losses(self, clip: Clip) -> list[FailureRecord]:
        """Return a failure for each part of the recording that is gone."""
        failures = []
        for remark in clip.remarks:
            if remark.code in LOSSES:
                stream = clip.visible if remark.path == clip.visible.path else clip.infrared
                message = f"{stream.path}: {remark.message}; what it holds was used"
                failures.append(self.failure(remark.code, message, stream.path, stream.frame_count))
        return failures

    def nothing_registered(self, clip: Clip, records: Sequence[PairRecord]) -> list[FailureRecord]:
        """Return a failure when every pair of a clip was rejected: somebody should look at it."""
        if not records or any(record.verdict != "rejected" for record in records):
            return []
        reasons = Counter(record.reason or "refused" for record in records)
        listed = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        first = records[0]
        blind = [reason for reason in reasons if reason.endswith(("-constant", "-saturated"))]
        only_visible = bool(blind) and all(reason.startswith("visible") for reason in blind)
        stream = clip.visible if only_visible else clip.infrared
        frame = first.visible_index if only_visible else first.infrared_index
        hint = (
            "frames show nothing; was a lens covered, or the exposure wrong?"
            if len(blind) == len(reasons)
            else "is the infrared view inside the visible one, is the offset right, do the lenses fit the "
            "scale range of the settings?"
        )
        message = (
            f"{stream.path}: none of {len(records)} pairs could be registered ({listed}), frame {frame} on: "
            f"{hint}"
        )
        return [self.failure("nothing-registered", message, stream.path, frame)]

    def no_pairs(self, clip: Clip, sync: Synchronisation, plan: PairPlan) -> FailureRecord:
        """Return the failure of a clip in which no frame has a partner."""
        counts = ", ".join(f"{reason} {count}" for reason, count in plan.skipped.items()) or "no tick"
        reason = "no-overlap" if set(plan.skipped) == {"no-overlap"} else "no-pairs"
        about = next((f"{r.message}; " for r in sync.remarks if r.code == "no-overlap"), "")
        message = (
            f"{clip.infrared.path}: no frame has a partner in {clip.visible.path} ({counts}); {about}offset "
            f"{sync.offset_frames:.2f} frames ({sync.source}); if that is wrong, say it with --offset or in "
            f"{clip.name}.sync.toml"
        )
        return self.failure(reason, message, clip.infrared.path)

    def file_name(self, path: Path) -> str:
        """Return how records name a file."""
        return relative_name(path, self.task.clips_root)

    def relative(self, text: str) -> str:
        """Return a text with the folders of this machine left out."""
        return text.replace(f"{self.task.clips_root}/", "").replace(f"{self.task.dataset_root}/", "")

    def plain(self, value: Any) -> Any:
        """Return plain values with paths relative to the clips folder."""
        return _map_texts(plain(value), self.relative)

    def remarks(self, clip: Clip, sync: Synchronisation | None = None) -> tuple[str, ...]:
        """Return what is odd, each once, with the camera that it is about."""
        found = (*clip.remarks, *(sync.remarks if sync else ()))
        cameras = {clip.infrared.path: "infrared", clip.visible.path: "visible"}
        told = ((cameras.get(r.path) if r.path else None, self.relative(r.message)) for r in found)
        return _told(told)

    def _stream_facts(self, stream: Stream) -> dict[str, Any]:
        """Return what people want to know of a stream; nothing that grows with its length."""
        values = {f.name: getattr(stream, f.name) for f in fields(stream)}
        facts = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
        return {**self.plain(facts), "start_time_s": stream.start_time_s}


def told_remarks(record: ClipRecord) -> tuple[str, ...]:
    """Return the same as `RecordMaker.remarks` from what the journal holds."""
    cameras = {record.probe[camera].get("path"): camera for camera in ("infrared", "visible")}
    found = (*record.probe["remarks"], *record.sync["remarks"])
    return _told((cameras.get(remark["path"]), remark["message"]) for remark in found)


def _told(remarks: Iterable[tuple[str | None, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{camera}: {text}" if camera else text for camera, text in remarks))


def _map_texts(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return value
