"""Train FGFusion (Sec. 3.2): the loop, readable on a page, and what it needs before and after."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from fgfusion_model.data import CacheMode, LeftOut, count_masks
from fgfusion_model.data.feed import Feed, Share, names_of
from fgfusion_model.data.order import SampleOrder
from fgfusion_model.losses import FusionLoss
from fgfusion_model.training.events import Began, DivergedError, OnEvent, Remark
from fgfusion_model.training.learner import make_learner
from fgfusion_model.training.pairs import TrainingData, compare_tables, load_training_data
from fgfusion_model.training.record import Recorder, StepRecord
from fgfusion_model.training.run_folder import RunFolder
from fgfusion_model.training.runtime import (
    Runtime,
    describe,
    make_fabric,
    memory_errors,
    own_random_state,
    quick_convolutions,
)
from fgfusion_model.training.schedule import rate_share
from fgfusion_model.training.settings import TrainingSettings
from fgfusion_model.training.state import Progress, load_state, read_progress
from vircraft.errors import SettingsError
from vircraft.settings import setting_changes

GPU_LOOKS = 25  # steps between two looks at the losses on a GPU: each look waits for it


@dataclass(frozen=True)
class TrainingSummary:
    """What a training did.

    Attributes:
        step, steps: steps done, and of how many.
        stopped: it was asked to stop before its end.
        weights: the result, for `FGFusion.from_pretrained`.
        loss: mean over the last epoch's steps that this process has seen; nan when it took none.
        scores: of the latest validation.
        left_out: pairs that it went without.
        remarks: what a user should know.
        samples_per_s: over all steps, without loading, validation and checkpoints.
        waiting: share of that time spent waiting for data.
        cache: where the pictures waited.
    """

    step: int
    steps: int
    stopped: bool
    weights: Path
    loss: float
    scores: dict[str, float]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]
    samples_per_s: float
    waiting: float
    cache: CacheMode


def train(
    settings: TrainingSettings,
    output: Path,
    runtime: Runtime | None = None,
    *,
    resume: bool = False,
    on_event: OnEvent = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingSummary:
    """Train a network and write everything of it to a folder.

    Called with `devices` above 1, Fabric starts the calling script once more for each further device; only
    the first process tells events and writes files.

    Args:
        settings: what decides the result, its sources included.
        output: the folder, see `run_folder`.
        runtime: where and how it runs.
        resume: go on from the last checkpoint in the folder; without one, begin.
        on_event: is told what happens.
        stop: is asked after every step whether to stop; then a checkpoint is written.

    Raises:
        SettingsError: settings that do not fit each other, or other ones than those of the run to resume.
        DatasetError: data or folder cannot be used, or the disk is full; the last checkpoint is whole.
        DeviceError: no such device, or its memory is full.
        DivergedError: a loss is not finite; the last checkpoint is from before.
    """
    runtime = runtime or Runtime()
    settings.part_size(runtime.devices)
    fabric = make_fabric(runtime, settings.precision)
    folder = RunFolder(output)
    with contextlib.ExitStack() as stack:
        going = False
        if fabric.global_rank == 0:  # before the others are started, which would wait for it if it fails
            going = folder.prepare(resume=resume)
            stack.enter_context(folder.lock())
        fabric.launch()
        going = bool(fabric.broadcast(going))
        tell: OnEvent = on_event if fabric.global_rank == 0 else (lambda event: None)
        stack.enter_context(quick_convolutions(fabric.device))
        stack.enter_context(own_random_state(fabric.device, settings.seed, fabric.global_rank))
        stack.enter_context(
            memory_errors(
                f"{settings.part_size(runtime.devices)} crops of {settings.data.crop} px at once; raise "
                "--accumulate, lower --batch, or use --precision bf16 or --cache ram"
            )
        )
        training = stack.enter_context(
            contextlib.closing(_Training(settings, runtime, fabric, folder, going, tell, stop))
        )
        return training.run()


class _Training:
    """One training of one process."""

    def __init__(
        self,
        settings: TrainingSettings,
        runtime: Runtime,
        fabric: Fabric,
        folder: RunFolder,
        going: bool,
        tell: OnEvent,
        stop: Callable[[], bool],
    ) -> None:
        self.runtime, self.fabric, self.folder, self.tell, self.stop = runtime, fabric, folder, tell, stop
        self.feed: Feed | None = None
        self.record: Recorder | None = None
        self.data = load_training_data(settings, runtime, fabric.device, tell)
        self.settings = _without_masks(settings, self.data)
        self.order = SampleOrder(
            self.data.sources, [source.weight for source in settings.data.sources], settings.seed
        )
        self.epoch_steps = self.order.epoch_length / settings.batch
        self.steps = settings.steps or max(1, round(settings.epochs * self.epoch_steps))
        self.learner = make_learner(self.settings, fabric.device)
        self.progress = Progress(0, None, self.settings.deciding(), self.data.digest())
        if going:
            self.progress = self._resumed()
        self.recent: list[float] = []

    def run(self) -> TrainingSummary:
        """Take the steps that are left."""
        self._open()
        assert self.record is not None
        model, optimiser = self._set_up()
        loss = FusionLoss(self.settings.loss)
        step, stopped, pending = self.progress.step, False, list[StepRecord]()
        self.record.start_clock()
        while step < self.steps and not stopped:
            rate = self._set_rate(optimiser, step)
            terms = self._learn(model, loss, step)
            norm = self._move(optimiser)
            self.learner.follow(step, self.settings.optimiser.ema)
            pending.append(StepRecord(step, terms, norm, rate))
            step += 1
            if step == self.steps or len(pending) >= self._looks() or self.record.due(step):
                stopped, late = self._agreed(self.stop(), self.record.late())
                self._look(pending)
                pending = []
                self.record.keep(step, saving=stopped or late, last=step == self.steps)
        return self._summary(step, stopped and step < self.steps)

    def _learn(self, model: Any, loss: FusionLoss, step: int) -> Tensor:
        """Add up the gradients of a step, part by part; return the terms of its loss."""
        assert self.feed is not None
        assert self.record is not None
        parts = self.settings.accumulate
        sums: list[Tensor] = []
        for part in range(parts):
            with self.record.waiting():
                batch = self.feed.make(step, part)
            with self.fabric.no_backward_sync(model, enabled=part < parts - 1):
                fusion = model(batch.seen_infrared, batch.visible)
                terms = loss(fusion, batch.infrared, batch.visible, batch.mask)
                self.fabric.backward(terms.total / parts)
            sums.append(torch.stack([term.detach() for term in terms]) / parts)
        return torch.stack(sums).sum(0)

    def _move(self, optimiser: Any) -> Tensor:
        """Take the step; return the length of its gradient before it was clipped."""
        clip = self.settings.optimiser.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.learner.network.parameters(), clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return norm.detach()

    def close(self) -> None:
        """End threads and files."""
        if self.feed is not None:
            self.feed.close()
        if self.record is not None:
            self.record.close()

    def _open(self) -> None:
        """Open the feed and the folder's files, and tell that it begins."""
        for text in self.data.remarks:
            self.tell(Remark(text))
        share = Share(self.fabric.global_rank, self.fabric.world_size, self.settings.accumulate)
        self.feed = Feed(
            self.data.loaded.store,
            self.order,
            batch=self.settings.batch,
            crop=self.settings.data.crop,
            augment=self.settings.augment,
            device=self.fabric.device,
            share=share,
        )
        self.record = Recorder(
            self.folder,
            self.settings,
            self.runtime,
            self.data,
            self.learner,
            self.progress,
            self.epoch_steps,
            self.fabric,
            self.tell,
        )
        began = Began(
            self.progress.step,
            self.steps,
            self.epoch_steps,
            self.data.train,
            len(self.data.held_out),
            {str(kind): n for kind, n in count_masks(self.data.loaded.pairs).items()},
            describe(self.fabric),
            self.data.loaded.store.mode,
            sum(p.numel() for p in self.learner.network.parameters()),
        )
        self.tell(began)

    def _set_up(self) -> tuple[Any, Any]:
        """Return the network and the optimiser as Fabric wraps them."""
        network: Any = self.learner.network.train()
        if self.runtime.compile:
            network = torch.compile(network)
        model, optimiser = self.fabric.setup(network, self.learner.optimiser)
        return model, optimiser

    def _set_rate(self, optimiser: Any, step: int) -> float:
        rate = self.settings.optimiser.learning_rate * rate_share(step, self.steps, self.settings.schedule)
        for group in optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _looks(self) -> int:
        return GPU_LOOKS if self.fabric.device.type == "cuda" else 1

    def _agreed(self, *wishes: bool) -> tuple[bool, ...]:
        """Return which of some wishes any process has."""
        if self.fabric.world_size == 1:
            return wishes
        flags = torch.tensor([float(wish) for wish in wishes], device=self.fabric.device)
        total = torch.as_tensor(self.fabric.all_reduce(flags, reduce_op="sum"))
        return tuple(bool(flag) for flag in total.tolist())

    def _look(self, pending: list[StepRecord]) -> None:
        """Read the losses of the latest steps, and stop where one is not finite.

        Raises:
            DivergedError: naming the pairs of that step.
        """
        assert self.record is not None
        rows = self.record.rows(pending)
        for row in rows:
            if not (math.isfinite(row["total"]) and math.isfinite(row["gradient_norm"])):
                raise DivergedError(self._diverged(int(row["step"]) - 1, row["total"]))
        self.recent = (self.recent + [row["total"] for row in rows])[-max(1, round(self.epoch_steps)) :]
        self.record.write(rows)

    def _diverged(self, step: int, total: float) -> str:
        everyone = self.order.take(step * self.settings.batch, self.settings.batch)
        kept = (
            f"the checkpoint of step {self.record.saved_step} is whole"
            if self.record is not None and self.record.saved_step
            else "no checkpoint was written yet"
        )
        what = "the gradient is not finite" if math.isfinite(total) else f"the loss is {total}"
        return (
            f"step {step + 1}: {what} on the batch {names_of(everyone, self.data.names)}; {kept}. Try a "
            "lower learning rate (optimiser.learning_rate), optimiser.clip_norm = 1, or --precision 32"
        )

    def _resumed(self) -> Progress:
        """Go on from the last checkpoint, if it belongs to these settings and data.

        Raises:
            SettingsError: it does not; the differences are named.
        """
        saved = read_progress(self.folder.last)
        changes = setting_changes(saved.settings, self.progress.settings)
        if changes:
            listed = "; ".join(f"{name} was {old}, is {new}" for name, old, new in changes[:5])
            more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
            raise SettingsError(
                f"{self.folder.root}: was begun with other settings ({listed}{more}); resume with those "
                "(give --resume alone), or begin in another folder"
            )
        if saved.data != self.progress.data:
            difference = compare_tables(self.folder.data, self.data)
            raise SettingsError(
                f"{self.folder.root}: was begun with other data: {difference}; put them back, or "
                "begin in another folder"
            )
        return load_state(self.folder.last, self.learner)

    def _summary(self, step: int, stopped: bool) -> TrainingSummary:
        assert self.record is not None
        return TrainingSummary(
            step,
            self.steps,
            stopped,
            self.folder.weights,
            sum(self.recent) / len(self.recent) if self.recent else float("nan"),
            dict(self.record.scores),
            self.data.left_out,
            self.data.remarks,
            self.record.clock.samples_per_s(),
            self.record.clock.waiting_share(),
            self.data.loaded.store.mode,
        )


def _without_masks(settings: TrainingSettings, data: TrainingData) -> TrainingSettings:
    """Leave the foreground branch out where no pair has labels and nothing shall stand in for them."""
    known = not all(map(math.isnan, data.loaded.foreground))
    return settings if known else replace(settings, network=replace(settings.network, foreground=False))
