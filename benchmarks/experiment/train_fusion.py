"""Train FGFusion and the ablations of Tab. 5 on the experiment's train clips, and fuse all pairs with each.

Runs `vircraft fuse train` and `vircraft fuse run` on what `make_data.py` made. No picture of the other splits
is seen in training. Steps, seed and crops are the same for all; so is the loss, but for what an ablation
takes out of it:

    python benchmarks/experiment/train_fusion.py exp
    python benchmarks/experiment/train_fusion.py exp --steps 20 --only full     # to try it out

Writes (below EXP): fusion_data/ (the train clips), fusion/VARIANT (the runs), fused/VARIANT (a picture of
every pair). What is there is kept; a training that was stopped goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

VARIANTS = ("full", "baseline", "without_foreground", "without_interaction", "without_mask_weight")
BUNDLED = "bundled"  # the weights of the package, which saw none of these pictures
RECIPE = """\
# of the documented experiment, over the preset 'fast'
batch = {batch}
steps = {steps}

[data]
crop = {crop}
val_ratio = 0.0
"""
STEPS, BATCH, CROP = 1200, 4, 128  # five to ten minutes on one core
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "THP_MEM_ALLOC_ENABLE": "1"}  # large pages: quicker on a CPU
VIRCRAFT = str(Path(sys.executable).with_name("vircraft"))


def main() -> None:
    """Pick the train clips, then train and fuse."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", type=Path, metavar="EXP", help="folder that make_data.py wrote")
    parser.add_argument("--only", nargs="+", choices=[*VARIANTS, BUNDLED], default=[*VARIANTS, BUNDLED])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--crop", type=int, default=CROP)
    parser.add_argument("--jobs", type=int, default=2, help="at once, each on one core (default 2)")
    options = parser.parse_args()
    root: Path = options.experiment
    pick_train_clips(root / "dataset", root / "splits.json", root / "fusion_data")
    config = root / "fusion.toml"
    config.write_text(
        RECIPE.format(batch=options.batch, steps=options.steps, crop=options.crop), encoding="utf-8"
    )
    with ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(work, root, name, config) for name in options.only]
        for job in as_completed(jobs):
            say(job.result())


def pick_train_clips(dataset: Path, splits: Path, target: Path) -> None:
    """Make a dataset of the train clips alone: their pictures, labels and journals."""
    clips = set(json.loads(splits.read_text(encoding="utf-8"))["train"])
    with (dataset / "pairs.csv").open(encoding="utf-8", newline="") as table:
        names = [p["id"] for p in csv.DictReader(table) if p["clip"] in clips and p["verdict"] != "rejected"]
    shutil.rmtree(target, ignore_errors=True)
    files = [Path("dataset.json"), *(Path("journal", f"{clip}.jsonl") for clip in sorted(clips))]
    for name in names:
        files += [
            Path("infrared", f"{name}.png"),
            Path("visible", f"{name}.png"),
            Path("labels", f"{name}.json"),
        ]
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset / file, target / file)
    say(f"{len(names)} pairs of {len(clips)} clips to train on in {target}")


def work(root: Path, name: str, config: Path) -> str:
    """Train one network, unless it is the bundled one, and fuse every pair; return what to say of it."""
    times = []
    if name == BUNDLED:
        weights = "lite"
    else:
        weights = str(root / "fusion" / name / "weights.safetensors")
        times.append(f"trained in {timed(lambda: train(root, name, config)):.0f} s")
    seconds = timed(
        lambda: run("fuse", "run", root / "dataset", "-o", root / "fused" / name, "--weights", weights, "-q")
    )
    return f"{name}: {', '.join([*times, f'fused in {seconds:.0f} s'])}, to {root / 'fused' / name}"


def train(root: Path, name: str, config: Path) -> None:
    """Train one network, or go on with it."""
    ablation = [] if name == "full" else ["--ablation", name]
    target = root / "fusion" / name
    data = root / "fusion_data"
    run(
        "fuse", "train", data, "-o", target, "--preset", "fast", "--network", "lite", "--config", config,
        *ablation, "--seed", 0, "--device", "cpu", "--threads", 1, "--cache", "ram", "--resume", "-q",
    )  # fmt: skip


def run(*arguments: object) -> None:
    """Run a command of vircraft on one core, so that the same command gives the same weights."""
    words = [VIRCRAFT, *map(str, arguments)]
    code = subprocess.run(
        words, check=False, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL
    ).returncode
    if code:
        raise SystemExit(f"{' '.join(words[1:4])} ...: exit code {code}")


def timed(job: Callable[[], None]) -> float:
    """Return how many seconds a job took."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def say(text: str) -> None:
    """Print a line at once, in one piece, since several jobs print."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
