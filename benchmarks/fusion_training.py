"""Measure training: crops a second, CPU seconds a crop, and the share of a step spent waiting for data.

Generates pictures of 640x480, trains a few steps of each combination, and measures the data alone as well:

    python benchmarks/fusion_training.py
    python benchmarks/fusion_training.py --device cuda --steps 200 --batch 24 --network lite base paper \\
        --precision 32 bf16 --cache gpu ram none --compile
    OMP_NUM_THREADS=1 python benchmarks/fusion_training.py --batch 4 --cache ram none
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from fgfusion_model.data import CacheMode, Source, find_pairs, load_pairs
from fgfusion_model.data.feed import Feed
from fgfusion_model.data.order import SampleOrder
from fgfusion_model.training.loop import TrainingSummary, train
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.settings import DataSettings, TrainingSettings, find_network, recipe

SIZE_WH = (640, 480)
DATA_STEPS = 10
WARM = 3  # steps before the clock counts


def main() -> None:
    """Generate, measure, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--network", nargs="+", default=["lite"], choices=["lite", "base", "paper"])
    parser.add_argument("--precision", nargs="+", default=["32"], choices=["32", "bf16"])
    parser.add_argument("--cache", nargs="+", default=["ram", "none"], choices=["ram", "gpu", "none"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=48, help="of generated pictures")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # which tell every setting
        logging.getLogger(name).setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(root / "pairs", options.pairs)
        measure_data(root / "pairs", options)
        print(f"\n{'network':8} {'bits':5} {'cache':6} {'crops/s':>8} {'CPU s/crop':>11} {'waiting':>8}")
        for number, mix in enumerate(itertools.product(options.network, options.precision, options.cache)):
            measure_training(root / "pairs", root / f"run{number}", mix, options)


def measure_data(root: Path, options: argparse.Namespace) -> None:
    """Print how fast crops come without a network."""
    device = torch.device("cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu")
    print(f"data alone, to {device}: {'cache':6} {'load s':>8} {'crops/s':>9} {'CPU ms/crop':>12}")
    for cache in options.cache:
        started = time.perf_counter()
        loaded = load_pairs(find_pairs([Source(root)])[0].pairs, cache, device)
        load_s = time.perf_counter() - started
        order = SampleOrder([0] * len(loaded.pairs), [1.0], 0)
        augment = recipe("fast").augment
        feed = Feed(
            loaded.store, order, batch=options.batch, crop=options.crop, augment=augment, device=device
        )
        feed.make(0)
        before = Span.now()
        for step in range(1, DATA_STEPS + 1):
            feed.make(step)
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent, crops = Span.now() - before, DATA_STEPS * options.batch
        feed.close()
        rate, ms = crops / spent.wall_s, 1000 * spent.cpu_s / crops
        print(f"{'':{len(str(device)) + 17}}{cache:6} {load_s:8.2f} {rate:9.1f} {ms:12.2f}")


def measure_training(root: Path, run: Path, mix: tuple[str, str, CacheMode], options: Any) -> None:
    """Train some steps and print a line."""
    network, precision, cache = mix
    settings = replace(
        recipe("fast"),
        network=find_network(network),
        precision=precision,
        batch=options.batch,
        validate_every=1e6,
        validate_most=1,
        data=DataSettings((Source(root),), crop=options.crop, val_ratio=0.05),
    )
    runtime = Runtime(options.device, 1, cache, options.compile, checkpoint_s=1e6, tensorboard=False)
    warm = timed(settings, WARM, run / "warm", runtime)
    full = timed(settings, WARM + options.steps, run / "full", runtime)
    crops = options.steps * options.batch
    rate = crops / (full.train_s - warm.train_s)
    waiting = (full.waited_s - warm.waited_s) / (full.train_s - warm.train_s)
    cpu = (full.cpu_s - warm.cpu_s) / crops
    print(f"{network:8} {precision:5} {cache:6} {rate:8.2f} {cpu:11.3f} {waiting:8.1%}", flush=True)


@dataclass(frozen=True)
class Span:
    """Wall and CPU seconds of this process."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    @classmethod
    def now(cls) -> Span:
        """Return what the clocks say."""
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: Span) -> Span:
        return Span(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)


@dataclass(frozen=True)
class Timed:
    """What a training took: seconds of steps, seconds of them waiting for data, CPU seconds of all of it."""

    train_s: float
    waited_s: float
    cpu_s: float


def timed(settings: TrainingSettings, steps: int, run: Path, runtime: Runtime) -> Timed:
    """Train from the beginning; loading and the validation at the end cancel out in differences."""
    before = Span.now()
    summary: TrainingSummary = train(replace(settings, steps=steps), run, runtime)
    seconds = steps * settings.batch / summary.samples_per_s
    return Timed(seconds, seconds * summary.waiting, (Span.now() - before).cpu_s)


def generate(root: Path, count: int) -> None:
    """Write pictures with structure at every scale, as PNG decodes no faster than real ones then."""
    rng = np.random.default_rng(0)
    for name in ("infrared", "visible"):
        (root / name).mkdir(parents=True)
        for k in range(count):
            shape = (12, 16) if name == "infrared" else (12, 16, 3)
            picture = cv2.resize(rng.integers(0, 240, shape).astype(np.uint8), SIZE_WH)
            noise = rng.integers(0, 15, picture.shape).astype(np.uint8)
            cv2.imwrite(str(root / name / f"{k:04d}.png"), picture + noise)


if __name__ == "__main__":
    main()
