#!/usr/bin/env python3
"""Run `vircraft align` over the registration benchmark and print its table, beside the paper's recipe.

    python benchmarks/registration.py --bench BENCH/registration.py --sources SOURCES.csv \\
        [--seeds 1 2 3] [--share 2] [--recipes vircraft paper] [--work DIR]

BENCH generates pairs with known truth from aligned pictures and scores the answers; this script only calls
it, calls `vircraft align`, and adds what the score leaves out: the agreement of the predicted errors.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

TIERS = ("easy", "standard", "hard", "fhd", "clip", "real", "negative")


def load(path: Path) -> ModuleType:
    """Import the benchmark from its file."""
    spec = importlib.util.spec_from_file_location("bench", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--share", type=float, default=2.0)
    parser.add_argument("--recipes", nargs="+", default=["vircraft"])
    parser.add_argument("--work", type=Path, help="keep pairs and answers here, and reuse the pairs")
    args = parser.parse_args()
    bench = load(args.bench)
    work = args.work or Path(tempfile.mkdtemp(prefix="vircraft-bench-"))
    for recipe in args.recipes:
        seeds = []
        for seed in args.seeds:
            pairs = work / f"seed{seed}-share{args.share:g}"
            if not (pairs / "truth.csv").exists():
                generate = [sys.executable, str(args.bench), "generate", "--sources", str(args.sources)]
                generate += ["--seed", str(seed), "--share", str(args.share), "--out", str(pairs)]
                subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
            answers = pairs / f"{recipe}.csv"
            align = [
                "vircraft",
                "align",
                str(pairs / "pairs.csv"),
                "-o",
                str(answers),
                "--recipe",
                recipe,
                "-q",
            ]
            subprocess.run(align, check=True)
            _, each = bench.score(pd.read_csv(pairs / "truth.csv"), pd.read_csv(answers))
            seeds.append(each.assign(seed=seed))
        print(f"\nrecipe {recipe}, seeds {args.seeds}, share {args.share:g}")
        table(pd.concat(seeds))


def table(each: pd.DataFrame) -> None:
    """Print one row a tier: the mean over the seeds, and the lowest and highest seed."""
    print(f"{'tier':9} {'n':>4}  {'@3 px':22}{'@5 px':22}{'@10 px':22}median refused  wrong   ms")
    for tier in TIERS:
        rows = each[each["tier"] == tier]
        if tier == "negative":
            by_seed = rows.groupby("seed")["answered"].mean()
            print(f"{tier:9} {len(rows):4}  accepted {spread(by_seed)}")
            continue
        cells = [spread((rows["error"] < px).groupby(rows["seed"]).mean()) for px in (3, 5, 10)]
        wrong = (rows["answered"] & (rows["error"] > 10)).mean()
        print(
            f"{tier:9} {len(rows):4}  {'  '.join(cells)}  {rows['error'].median():5.2f}"
            f"  {1 - rows['answered'].mean():6.1%}  {wrong:5.1%}  {rows['ms'].median():4.0f}"
        )
    pairs = each[each["tier"] != "negative"]
    answered = pairs[pairs["answered"]]
    rigs = each[each["tier"] == "clip"].groupby(["seed", "rig"])["error"].median()
    print(
        f"rigs: median {rigs.median():.2f} px, worst {rigs.max():.2f} px, under 2 px {(rigs < 2).mean():.0%}"
    )
    print(f"answered but more than 10 px off: {(answered['error'] > 10).sum() / len(pairs):.1%} of pairs")
    ratio = np.maximum(answered["predicted_error_px"], 1) / np.maximum(answered["error"], 1)
    within = (np.abs(np.log(ratio)) <= np.log(2)).mean()
    print(f"predicted error within a factor 2 of the true one: {within:.1%} of answered pairs")


def spread(by_seed: pd.Series) -> str:
    """Return mean and range of a share over seeds."""
    return f"{by_seed.mean():6.1%} ({by_seed.min():5.1%}-{by_seed.max():6.1%})"


if __name__ == "__main__":
    main()
