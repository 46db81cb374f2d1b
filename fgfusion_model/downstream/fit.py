"""Find the weights of a task's network: one loop for all tasks, resumable, the same for the same seed."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from fgfusion_model.data.order import SampleOrder, mixed_seed
from fgfusion_model.downstream.settings import FitSettings
from fgfusion_model.downstream.weights import save_task_weights
from fgfusion_model.training.events import Began, DivergedError, OnEvent, Saved, Stepped, Validated
from fgfusion_model.training.learner import Learner
from fgfusion_model.training.run_folder import CurveFile, RunFolder
from fgfusion_model.training.runtime import (
    Runtime,
    describe,
    make_fabric,
    memory_errors,
    own_random_state,
    quick_convolutions,
)
from fgfusion_model.training.schedule import rate_share
from fgfusion_model.training.state import Progress, load_state, read_progress, save_state
from fgfusion_model.training.toml_text import to_toml
from vircraft.errors import SettingsError
from vircraft.files import write_atomically
from vircraft.settings import plain, setting_changes

PLACES = ("pictures", "infrared")  # of a record: where its pictures came from
TOLD_S = 0.2  # seconds between two events of steps
GPU_LOOKS = 25  # steps between two looks at the losses on a GPU: each look waits for it
LOOKAHEAD = 2  # batches that are made ready while a step is taken; more where more threads make them
MOST_READERS = 8  # threads that feed a GPU, where nobody said how many


class Problem(Protocol):
    """What a task gives to the loop."""

    task: str  # keypoints, segmentation or detection
    samples: int  # of the training split: pictures or objects
    held_out: int  # of the validation split; 0: none
    data: str  # digest of the labels, the pictures' names and sizes: a run is resumed on the same ones only

    def make_network(self) -> nn.Module:
        """Return a new network; torch's random state is seeded already."""

    def make_batch(self, samples: Sequence[int], seeds: Sequence[int]) -> Sequence[Tensor]:
        """Return the tensors of a batch; called from several threads.

        Args:
            samples: which ones.
            seeds: of the augmentation of each.
        """

    def loss(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Return the loss of a batch that lies on the network's device."""

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return scores of the validation split; the network is in `eval` mode, on its device."""

    def record(self) -> Mapping[str, Any]:
        """Return what the weights need to be used: settings, classes, ... as plain values."""


@dataclass(frozen=True)
class FitSummary:
    """What a training did.

    Attributes:
        step, steps: steps done, and of how many.
        stopped: it was asked to stop before its end.
        weights: the result.
        loss: mean over the last epoch's steps that were taken now; nan when there was none.
        scores: of the latest validation.
        samples_per_s: over all steps, without validation and checkpoints.
    """

    step: int
    steps: int
    stopped: bool
    weights: Path
    loss: float
    scores: Mapping[str, float]
    samples_per_s: float


def fit(
    problem: Problem,
    settings: FitSettings,
    output: Path,
    runtime: Runtime | None = None,
    *,
    resume: bool = False,
    on_event: OnEvent = lambda event: None,
    stop: Callable[[], bool] = lambda: False,
) -> FitSummary:
    """Train a task's network and write the run to a folder (see `training.run_folder`).

    Args:
        problem: network, data and loss.
        settings: how.
        output: the folder.
        runtime: where it runs; one device.
        resume: go on from the last checkpoint in the folder; without one, begin.
        on_event: is told what happens.
        stop: is asked after every step whether to stop; then a checkpoint is written.

    Raises:
        SettingsError: other settings or data than those of the run to resume.
        DatasetError: the folder cannot be used, or the disk is full; the last checkpoint is whole.
        DeviceError: no such device, or its memory is full.
        DivergedError: a loss is not finite; the last checkpoint is from before.
    """
    runtime = runtime or Runtime()
    if runtime.devices != 1:
        raise SettingsError("a task trains on one device; run several at a time instead")
    fabric = make_fabric(runtime, settings.precision)
    folder = RunFolder(output)
    going = folder.prepare(resume=resume)
    fabric.launch()
    with contextlib.ExitStack() as stack:
        stack.enter_context(folder.lock())
        stack.enter_context(quick_convolutions(fabric.device))
        stack.enter_context(own_random_state(fabric.device, settings.seed, 0))
        stack.enter_context(memory_errors(f"a batch of {settings.batch}; lower --batch or the input size"))
        return _Fit(problem, settings, runtime, fabric, folder, going, on_event, stop).run()


class _Fit:
    """One training."""

    def __init__(
        self,
        problem: Problem,
        settings: FitSettings,
        runtime: Runtime,
        fabric: Fabric,
        folder: RunFolder,
        going: bool,
        tell: OnEvent,
        stop: Callable[[], bool],
    ) -> None:
        self.problem, self.settings, self.runtime, self.fabric = problem, settings, runtime, fabric
        self.folder, self.tell, self.stop = folder, tell, stop
        self.order = SampleOrder([0] * problem.samples, [1.0], settings.seed)
        self.steps = settings.steps_of(problem.samples)
        self.epoch_steps = problem.samples / settings.batch
        self.record = dict(problem.record())
        self.learner = _make_learner(problem, settings, fabric.device)
        self.progress = Progress(0, None, self.record, problem.data)
        if going:
            self.progress = self._resumed()
        self.scores: dict[str, float] = {}
        self.saved_at = time.monotonic()
        self.recent: list[float] = []
        self.seconds, self.told_at, self.taken = 0.0, 0.0, 0

    def run(self) -> FitSummary:
        """Take the steps that are left."""
        step = self.progress.step
        self._open(step)
        model, optimiser = self.fabric.setup(self.learner.network.train(), self.learner.optimiser)
        stopped, pending = False, list[tuple[int, Tensor, float]]()
        with self._batches(step) as batches:
            while step < self.steps and not stopped:
                started = time.perf_counter()
                batch = next(batches)
                rate = self._set_rate(optimiser, step)
                loss = self.problem.loss(model, batch)
                self.fabric.backward(loss)
                self._move(optimiser, step)
                pending.append((step, loss.detach(), rate))
                step += 1
                self.seconds += time.perf_counter() - started
                if len(pending) >= self._looks() or step == self.steps or self._due(step):
                    self._look(pending)
                    pending = []
                    stopped = self.stop()
                    self._keep(step, saving=stopped, last=step == self.steps)
        return self._summary(step, stopped and step < self.steps)

    def _move(self, optimiser: Any, step: int) -> None:
        if self.settings.clip_norm:
            nn.utils.clip_grad_norm_(self.learner.network.parameters(), self.settings.clip_norm)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if self.settings.ema:
            self.learner.follow(step, self.settings.ema)

    @contextlib.contextmanager
    def _batches(self, first: int) -> Iterator[Iterator[Sequence[Tensor]]]:
        """Make batches ready in threads, in order, from a step on."""
        with ThreadPoolExecutor(self._readers(), thread_name_prefix="batch") as pool:
            ahead = max(LOOKAHEAD, self._readers())
            ready = [pool.submit(self._batch, step) for step in range(first, first + ahead)]
            try:
                yield self._taken(pool, ready, first + ahead)
            finally:
                for waiting in ready:
                    waiting.cancel()

    def _readers(self) -> int:
        """Return how many threads make batches: on a CPU one, since a step wants the cores itself."""
        if self.runtime.threads or self.fabric.device.type != "cuda":
            return self.runtime.threads or 1
        return min(MOST_READERS, os.cpu_count() or 1)

    def _taken(
        self, pool: ThreadPoolExecutor, ready: list[Future[Sequence[Tensor]]], following: int
    ) -> Iterator[Sequence[Tensor]]:
        for step in count(following):
            ready.append(pool.submit(self._batch, step))
            batch = ready.pop(0).result()
            yield [tensor.to(self.fabric.device, non_blocking=True) for tensor in batch]

    def _batch(self, step: int) -> Sequence[Tensor]:
        first = step * self.settings.batch
        samples = self.order.take(first, self.settings.batch)
        seeds = [mixed_seed(self.settings.seed, "augment", first + k) for k in range(len(samples))]
        return self.problem.make_batch(samples, seeds)

    def _set_rate(self, optimiser: Any, step: int) -> float:
        rate = self.settings.learning_rate * rate_share(step, self.steps, self.settings.schedule)
        for group in optimiser.param_groups:
            group["lr"] = rate
        return rate

    def _looks(self) -> int:
        return GPU_LOOKS if self.fabric.device.type == "cuda" else 1

    def _due(self, step: int) -> bool:
        return self._validating(step) or time.monotonic() - self.saved_at >= self.runtime.checkpoint_s

    def _validating(self, step: int) -> bool:
        if not self.problem.held_out or not self.settings.validate_every:
            return False
        every = max(1, round(self.settings.validate_every * self.epoch_steps))
        return step % every == 0 or step == self.steps

    def _open(self, step: int) -> None:
        table = {"task": self.problem.task, **plain(self.record)}
        write_atomically(self.folder.settings, to_toml(table).encode())
        self.log = CurveFile(self.folder.root / "log.csv", ("step", "epoch", "loss", "learning_rate"), step)
        self.tell(
            Began(
                step,
                self.steps,
                self.epoch_steps,
                self.problem.samples,
                self.problem.held_out,
                {},
                describe(self.fabric),
                "ram",
                sum(p.numel() for p in self.learner.network.parameters()),
            )
        )

    def _look(self, pending: Sequence[tuple[int, Tensor, float]]) -> None:
        """Read the losses of the latest steps, and stop where one is not finite.

        Raises:
            DivergedError: naming the step.
        """
        started = time.perf_counter()
        losses = torch.stack([loss for _, loss, _ in pending]).float().cpu().tolist()
        self.seconds += time.perf_counter() - started
        rows: list[dict[str, float]] = []
        for (step, _, rate), loss in zip(pending, losses, strict=True):
            if not math.isfinite(loss):
                raise DivergedError(
                    f"step {step + 1}: the loss is {loss}; the last checkpoint is whole. Try a lower "
                    f"learning rate than {rate:g}, or clip_norm = 1"
                )
            epoch = round((step + 1) / self.epoch_steps, 4)
            rows.append({"step": step + 1, "epoch": epoch, "loss": loss, "learning_rate": rate})
        self.log.add(rows)
        self.recent = (self.recent + losses)[-max(1, round(self.epoch_steps)) :]
        self.taken += len(pending)
        if time.monotonic() - self.told_at > TOLD_S:
            self.told_at = time.monotonic()
            self.tell(Stepped(pending[-1][0] + 1, losses[-1], pending[-1][2], self._speed(), 0.0))

    def _keep(self, step: int, *, saving: bool, last: bool) -> None:
        if self._validating(step):
            self.scores = self._validate()
            self.tell(Validated(step, self.scores, False, None))
        if saving or last or time.monotonic() - self.saved_at >= self.runtime.checkpoint_s:
            self.progress = Progress(step, None, self.record, self.problem.data)
            save_task_weights(self.folder.weights, self.learner.mean, self.problem.task, self.record)
            save_state(self.folder.last, self.learner, self.progress)
            self.saved_at = time.monotonic()
            self.tell(Saved(step, self.folder.last))

    def _validate(self) -> dict[str, float]:
        network = self.learner.mean.eval()
        state = torch.get_rng_state()
        with torch.no_grad():
            scores = dict(self.problem.validate(network))
        torch.set_rng_state(state)
        self.learner.network.train()
        return scores

    def _speed(self) -> float:
        return self.taken * self.settings.batch / self.seconds if self.seconds else 0.0

    def _resumed(self) -> Progress:
        """Go on from the last checkpoint, if it belongs to these settings and data.

        Raises:
            SettingsError: it does not; the differences are named.
        """
        saved = read_progress(self.folder.last)
        changes = setting_changes(_compared(saved.settings), _compared(plain(self.record)))
        if changes:
            listed = "; ".join(f"{name} was {old}, is {new}" for name, old, new in changes[:5])
            raise SettingsError(
                f"{self.folder.root}: was begun with other settings ({listed}); resume with those, or begin "
                "in another folder"
            )
        if saved.data != self.problem.data:
            raise SettingsError(
                f"{self.folder.root}: was begun with other pictures or labels; put those back, or begin in "
                "another folder"
            )
        return load_state(self.folder.last, self.learner)

    def _summary(self, step: int, stopped: bool) -> FitSummary:
        loss = sum(self.recent) / len(self.recent) if self.recent else float("nan")
        speed = self._speed()
        return FitSummary(step, self.steps, stopped, self.folder.weights, loss, self.scores, speed)


def _compared(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same on resume: pictures are known by their pixels, their folder may move."""
    return {name: value for name, value in record.items() if name not in PLACES}


def _make_learner(problem: Problem, settings: FitSettings, device: torch.device) -> Learner:
    """Return a new network and its optimiser; without `ema` the mean is the network itself."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = problem.make_network()
    # channels last is quicker on GPUs with tensor cores, and on CPUs
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = network
    if settings.ema:
        mean = copy.deepcopy(network).eval().requires_grad_(False)
    return Learner(network, mean, _make_optimiser(network, settings))


def _make_optimiser(network: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    parameters = [p for p in network.parameters() if p.requires_grad]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay
        )
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def generator(seed: int) -> np.random.Generator:
    """Return the random numbers of one sample's augmentation."""
    return np.random.default_rng(seed)
