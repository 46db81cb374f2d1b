"""Make the simulated dataset of the documented experiment: approaches by day, at dusk and at night.

Runs `vircraft simulate`, `vircraft register` and `vircraft export coco`; the same seeds make the same data:

    python benchmarks/experiment/make_data.py -o exp
    python benchmarks/experiment/make_data.py -o exp --clips 6     # 6 a light, to try it out

Every clip has the difficulty `rich` (airfield, buildings and hills behind the aircraft). With the others the
infrared picture alone shows the whole outline against a cold sky (`measure_contrast.py` has the figures).
Lights have seeds of their own, so that no two clips share a flight; within a light the clips are dealt to the
splits in the order of their numbers, so that all lights are in all splits in the same shares.

Writes (below EXP): clips/, dataset/ with annotations/ and masks/, splits.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SEEDS = {"day": 101, "dusk": 202, "night": 303}
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
SCENE = [
    "--duration", "1.4", "--visible-size", "640x360", "--infrared-size", "320x256", "--fps", "50",
    "--difficulty", "rich", "--aircraft", "airliner,cargo",
]  # fmt: skip
VIRCRAFT = str(Path(sys.executable).with_name("vircraft"))
FINISHED_WITH_FAILURES = 3  # of 'vircraft register': some pairs were rejected


def main() -> None:
    """Simulate, register, export, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="EXP")
    parser.add_argument("--clips", type=int, default=30, help="of each light (default 30)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default 2)")
    options = parser.parse_args()
    clips, dataset = options.output / "clips", options.output / "dataset"
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda light: simulate(clips, light, options.clips), SEEDS))
    run("register", clips, "-o", dataset, "--jobs", options.jobs, "-q", "--no-report")
    splits = options.output / "splits.json"
    splits.write_text(json.dumps(split_clips(dataset), indent=1) + "\n", encoding="utf-8")
    run("export", "coco", dataset, "--splits", splits)
    show(dataset, splits)


def simulate(clips: Path, light: str, count: int) -> None:
    """Render the clips of one light; those that are there are kept."""
    run("simulate", "-o", clips, "--clips", count, "--seed", SEEDS[light], "--light", light, "-q", *SCENE)


def run(*arguments: object) -> None:
    """Run a command of vircraft."""
    command = [VIRCRAFT, *map(str, arguments)]
    line = " ".join(["$ vircraft", *command[1:]])
    sys.stdout.write(f"{line}\n")  # in one piece, since several run at once
    sys.stdout.flush()
    code = subprocess.run(command, check=False).returncode
    if code not in (0, FINISHED_WITH_FAILURES):
        raise SystemExit(code)


def read_pairs(dataset: Path) -> list[dict[str, str]]:
    """Return the rows of pairs.csv."""
    with (dataset / "pairs.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def split_clips(dataset: Path) -> dict[str, list[str]]:
    """Deal the clips that have pairs to the splits, each light in the same shares."""
    usable = sorted({pair["clip"] for pair in read_pairs(dataset) if pair["verdict"] != "rejected"})
    splits: dict[str, list[str]] = {name: [] for name in SHARES}
    for light in SEEDS:
        clips = [clip for clip in usable if clip.endswith(f"_{light}")]
        train = round(SHARES["train"] * len(clips))
        val = train + round(SHARES["val"] * len(clips))
        for name, part in zip(SHARES, (clips[:train], clips[train:val], clips[val:]), strict=True):
            splits[name] += part
    return splits


def show(dataset: Path, splits: Path) -> None:
    """Print how many clips and pairs there are, by split and light, and how many were rejected."""
    split_of = {clip: name for name, clips in json.loads(splits.read_text("utf-8")).items() for clip in clips}
    pairs: Counter[tuple[str, str]] = Counter()
    clips: dict[tuple[str, str], set[str]] = {}
    for pair in read_pairs(dataset):
        light = pair["clip"].rpartition("_")[2]
        rejected = pair["verdict"] == "rejected"
        key = "rejected" if rejected else split_of[pair["clip"]], light
        pairs[key] += 1
        clips.setdefault(key, set()).add(pair["clip"])
    print(f"{'':10}" + "".join(f"{light:>22}" for light in SEEDS))
    for name in (*SHARES, "rejected"):
        cells = [(len(clips.get((name, light), ())), pairs[name, light]) for light in SEEDS]
        print(f"{name:10}" + "".join(f"{f'{p} pairs, {c} clips':>22}" for c, p in cells))


if __name__ == "__main__":
    main()
