"""What a training leaves behind: curves, checkpoints, validations, weights, and how fast it went."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from fgfusion_model.checkpoints import save_weights
from fgfusion_model.data import count_masks
from fgfusion_model.losses import LossTerms
from fgfusion_model.network import FGFusion
from fgfusion_model.training.events import OnEvent, Remark, Saved, Stepped, Validated
from fgfusion_model.training.learner import Learner
from fgfusion_model.training.pairs import TrainingData
from fgfusion_model.training.run_folder import CurveFile, RunFolder
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.settings import TrainingSettings
from fgfusion_model.training.state import Progress, save_state
from fgfusion_model.training.toml_text import to_toml
from fgfusion_model.training.validation import COLUMNS, judge
from vircraft import __version__
from vircraft.errors import DatasetError
from vircraft.files import encode_png, write_atomically

TERMS = LossTerms._fields
LOG_COLUMNS = ("step", "epoch", *TERMS, "gradient_norm", "learning_rate")
VALIDATION_COLUMNS = ("step", "epoch", *COLUMNS)
TOLD_S = 0.2  # seconds between two events of steps: a progress bar needs no more


class StepRecord(NamedTuple):
    """A step as it lies on the device, before anybody has looked.

    Attributes:
        step: its number, from 0.
        terms: the loss and its terms, as TERMS.
        norm: of the gradient.
        rate: learning rate.
    """

    step: int
    terms: Tensor
    norm: Tensor
    rate: float


@dataclass
class Clock:
    """How long steps took, and how much of it was waiting for data."""

    batch: int
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        """Begin to count; what came before (a validation, a checkpoint) is no training."""
        self.started = time.perf_counter()

    def stop(self, steps: int) -> None:
        """Count the time since the start as that of so many steps."""
        self.seconds += time.perf_counter() - self.started
        self.steps += steps
        self.start()

    def samples_per_s(self) -> float:
        """Return crops trained on a second, over all devices."""
        return self.batch * self.steps / self.seconds if self.seconds else 0.0

    def waiting_share(self) -> float:
        """Return the share of the time spent waiting for data."""
        return self.waited / self.seconds if self.seconds else 0.0


class Recorder:
    """Keeps what a training leaves behind; of several processes only the first writes.

    Args:
        folder: where.
        settings: of the training.
        runtime: how it runs.
        data: what it works on.
        learner: what changes.
        progress: where it begins.
        epoch_steps: steps of an epoch.
        fabric: the processes.
        tell: is told what happens.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainingSettings,
        runtime: Runtime,
        data: TrainingData,
        learner: Learner,
        progress: Progress,
        epoch_steps: float,
        fabric: Fabric,
        tell: OnEvent,
    ) -> None:
        self.folder, self.settings, self.runtime, self.data = folder, settings, runtime, data
        self.learner, self.progress, self.epoch_steps = learner, progress, epoch_steps
        self.fabric, self.tell = fabric, tell
        self.first = fabric.global_rank == 0
        self.clock, self.lap = Clock(settings.batch), Clock(settings.batch)
        self.saved_step, self.saved_at = progress.step, time.monotonic()
        self.validate_steps = max(1, round(settings.validate_every * epoch_steps))
        self.scores: dict[str, float] = {}
        self.writer: Any = None
        if self.first:
            self._open_files()

    def start_clock(self) -> None:
        """Begin to measure the speed."""
        self.clock.start()
        self.lap.start()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure what happens inside as waiting for data."""
        started = time.perf_counter()
        yield
        spent = time.perf_counter() - started
        self.clock.waited += spent
        self.lap.waited += spent

    def due(self, step: int) -> bool:
        """Say whether something is to be kept after so many steps."""
        return step % self.validate_steps == 0 or (self.fabric.world_size == 1 and self.late())

    def late(self) -> bool:
        """Say whether the last checkpoint is old enough for another; processes may disagree."""
        return self.first and time.monotonic() - self.saved_at >= self.runtime.checkpoint_s

    def rows(self, pending: Sequence[StepRecord]) -> list[dict[str, float]]:
        """Return steps as lines of the log, means over the processes; waits for the device."""
        terms = torch.stack([record.terms for record in pending])
        norms = torch.stack([record.norm for record in pending]).float().cpu().tolist()
        if self.fabric.world_size > 1:
            terms = torch.as_tensor(self.fabric.all_reduce(terms, reduce_op="mean"))
        return [
            {
                "step": record.step + 1,
                "epoch": round((record.step + 1) / self.epoch_steps, 4),
                **dict(zip(TERMS, values, strict=True)),
                "gradient_norm": norm,
                "learning_rate": record.rate,
            }
            for record, values, norm in zip(pending, terms.float().cpu().tolist(), norms, strict=True)
        ]

    def write(self, rows: Sequence[dict[str, float]]) -> None:
        """Write the lines, and tell how fast it goes."""
        self.clock.stop(len(rows))
        self.lap.steps += len(rows)
        if not self.first:
            return
        self.log.add(rows)
        if self.writer is not None:
            for row in rows:
                for name in (*TERMS, "learning_rate", "gradient_norm"):
                    self.writer.add_scalar(f"train/{name}", row[name], int(row["step"]))
        if time.perf_counter() - self.lap.started > TOLD_S:
            self.lap.stop(0)
            last = rows[-1]
            speed, waiting = self.lap.samples_per_s(), self.lap.waiting_share()
            self.tell(Stepped(int(last["step"]), last["total"], last["learning_rate"], speed, waiting))
            self.lap = Clock(self.settings.batch)

    def keep(self, step: int, *, saving: bool, last: bool) -> None:
        """Validate and write a checkpoint, where it is time.

        Args:
            step: how many are done.
            saving: a checkpoint is wanted; all processes must say the same.
            last: it is the last step.

        Raises:
            DatasetError: the disk is full; raised in every process.
        """
        validate = last or step % self.validate_steps == 0
        if not (validate or saving):
            return
        trouble = self._keep(step, validate) if self.first else ""
        if self.fabric.world_size > 1:  # the others must not wait for a process that gave up
            trouble = str(self.fabric.broadcast(trouble))
        if trouble:
            raise DatasetError(trouble)
        self.saved_step, self.saved_at = step, time.monotonic()
        self.start_clock()

    def _keep(self, step: int, validate: bool) -> str:
        try:
            if validate:
                self._validate(step)
            self._save(step)
        except DatasetError as error:
            return f"{error} with --resume"
        return ""

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self.writer is not None:
            self.writer.close()

    def _open_files(self) -> None:
        write_atomically(self.folder.settings, to_toml(_with_whole_paths(self.settings).record()).encode())
        write_atomically(self.folder.data, self.data.table())
        self.log = CurveFile(self.folder.root / "log.csv", LOG_COLUMNS, self.progress.step)
        path = self.folder.root / "validation.csv"
        self.validations = CurveFile(path, VALIDATION_COLUMNS, self.progress.step)
        if self.runtime.tensorboard:
            self.writer = _tensorboard(self.folder.tensorboard, self.progress.step, self.tell)

    def _validate(self, step: int) -> None:
        numbers = self._judged()
        assert isinstance(self.learner.mean, FGFusion)
        judged = judge(self.learner.mean, self.data.loaded.store, numbers, self.settings.loss)
        self.scores = judged.scores
        sample = self.folder.sample(step)
        write_atomically(sample, encode_png(judged.sheet))
        loss = judged.scores.get("loss", float("nan"))
        best = bool(self.data.held_out) and (
            self.progress.best_loss is None or loss < self.progress.best_loss
        )
        if best:
            self.progress = replace(self.progress, best_loss=loss)
            save_weights(self.folder.best, self.learner.mean, self._notes(step))
        self.validations.add([{"step": step, "epoch": round(step / self.epoch_steps, 4), **judged.scores}])
        if self.writer is not None:
            for name, value in judged.scores.items():
                self.writer.add_scalar(f"validation/{name}", value, step)
            self.writer.add_image("validation/sheet", judged.sheet[None], step)
        self.tell(Validated(step, judged.scores, best, sample))

    def _judged(self) -> list[int]:
        """Return the pairs kept aside, thinned out evenly; those of the training where there are none."""
        everyone = self.data.held_out or range(self.data.train)
        most = min(len(everyone), self.settings.validate_most)
        return [everyone[int(k)] for k in np.linspace(0, len(everyone) - 1, most)]

    def _save(self, step: int) -> None:
        self.progress = replace(self.progress, step=step)
        assert isinstance(self.learner.mean, FGFusion)
        save_weights(self.folder.weights, self.learner.mean, self._notes(step))
        save_state(self.folder.last, self.learner, self.progress)
        self.tell(Saved(step, self.folder.last))

    def _notes(self, step: int) -> dict[str, str]:
        masks = {str(kind): number for kind, number in count_masks(self.data.loaded.pairs).items()}
        return {
            "step": str(step),
            "epoch": f"{step / self.epoch_steps:.2f}",
            "settings": json.dumps(self.settings.deciding(), sort_keys=True),
            "data": self.progress.data,
            "pairs": json.dumps({"train": self.data.train, "kept_aside": len(self.data.held_out)}),
            "masks": json.dumps(masks),
            "remarks": "\n".join(self.data.remarks),
            "scores": json.dumps({k: round(v, 4) for k, v in self.scores.items()}),
            "software": f"vircraft {__version__}, torch {torch.__version__}",
        }


def _with_whole_paths(settings: TrainingSettings) -> TrainingSettings:
    """Name the sources so that the settings hold wherever they are read."""
    sources = tuple(replace(source, path=source.path.resolve()) for source in settings.data.sources)
    return replace(settings, data=replace(settings.data, sources=sources))


def _tensorboard(path: Path, step: int, tell: OnEvent) -> Any:
    """Return a writer for TensorBoard; None, said plainly, where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        tell(Remark("tensorboard is not installed: curves go to log.csv only"))
        return None
    return SummaryWriter(str(path), purge_step=step + 1 if step else None)
