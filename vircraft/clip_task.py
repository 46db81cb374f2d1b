"""What travels between the job and its workers: a clip to do, its progress, what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vircraft.clips import ClipSource
from vircraft.journal import FailureRecord
from vircraft.settings import BuildSettings

State = Literal["made", "kept", "failed"]


@dataclass(frozen=True)
class ClipTask:
    """One clip to do, as it travels to a worker.

    Attributes:
        source: the two files.
        clips_root: folder that names in records are relative to.
        dataset_root: where to write.
        settings: of the job.
        force: stages to do again although they are done; later stages follow.
        media: write the report's pictures.
    """

    source: ClipSource
    clips_root: Path
    dataset_root: Path
    settings: BuildSettings
    force: frozenset[str] = frozenset()
    media: bool = True


@dataclass(frozen=True)
class ClipResult:
    """What became of one clip.

    Attributes:
        clip: its name.
        state: `made` (anything was computed), `kept` (it was done before), `failed` (given up).
        verdicts: count of pairs by (verdict, reason).
        failures: what could not be used.
        remarks: what is odd, for people.
        sync: the offset, where it came from and how sure it is.
        inputs: names, sizes and hashes.
        cpu_s: CPU time by stage.
        wall_s: time it took.
        peak_mb: the most memory that the worker ever held.
        trace: stack trace of an unexpected error.
    """

    clip: str
    state: State
    verdicts: dict[tuple[str, str], int] = field(default_factory=dict)
    failures: tuple[FailureRecord, ...] = ()
    remarks: tuple[str, ...] = ()
    sync: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0
    peak_mb: float = 0.0
    trace: str = ""


@dataclass(frozen=True)
class ClipEvent:
    """Progress of one clip: `started` with the number of pairs to come, `pair` for each of them."""

    kind: Literal["started", "pair"]
    clip: str
    total: int = 0
    verdict: str = ""
