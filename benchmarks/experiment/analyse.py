"""Say where the methods of the documented experiment differ: by light, by keypoint, and against each other.

    python benchmarks/experiment/analyse.py exp/out
    python benchmarks/experiment/analyse.py exp/out --methods Visible Infrared FGFusion

Reads the cells of a keypoint experiment and prints Markdown: mean OKS by light; median drift of visible
keypoints in pixels by keypoint; and how often each method's OKS is above that of the first one named in
`--against`, mean over seeds.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pandas as pd

from fgfusion_model.downstream.results import read_result

LIGHTS = ("day", "dusk", "night")
VISIBLE = "2"  # as COCO writes it


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="an experiment's folder")
    parser.add_argument("--methods", nargs="*", help="only these, by folder name")
    parser.add_argument("--against", default="Infrared")
    options = parser.parse_args()
    folders = sorted((options.out / "cells" / "keypoints").iterdir())
    folders = [f for f in folders if not options.methods or f.name in options.methods]
    oks = pd.concat([read_oks(folder) for folder in folders])
    by_light = oks.pivot_table(index="method", columns="light", values="oks")[list(LIGHTS)]
    by_light["all"] = oks.groupby("method")["oks"].mean()
    print_table("Mean OKS", by_light, 3)
    drift = pd.concat([read_drift(folder) for folder in folders])
    print_table("Median drift, px", drift.pivot_table("drift", "method", "keypoint", aggfunc="median"), 2)
    means = oks.groupby(["picture", "method"])["oks"].mean().unstack()
    above = pd.DataFrame({m: (means[m] > means[options.against]).groupby(light_of).mean() for m in means}).T
    print_table(f"Share of pictures with a higher OKS than {options.against}", above[list(LIGHTS)], 2)


def read_oks(folder: Path) -> pd.DataFrame:
    """Return a row for each picture and seed of a method."""
    rows = [
        {"method": folder.name, "picture": stem, "light": light_of(stem), "oks": value}
        for result in sorted(folder.glob("seed-*/result.json"))
        for stem, value in read_result(result).per_picture["OKS"].items()
    ]
    return pd.DataFrame(rows)


def read_drift(folder: Path) -> pd.DataFrame:
    """Return the drift of each visible keypoint of a method."""
    rows = []
    for path in sorted(folder.glob("seed-*/drift.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows += [
                {"method": folder.name, "keypoint": row["keypoint"], "drift": float(row["drift_px"])}
                for row in csv.DictReader(file)
                if row["v"] == VISIBLE
            ]
    return pd.DataFrame(rows)


def light_of(stem: str) -> str:
    """Return the light in the name of a simulated clip."""
    return next(light for light in LIGHTS if light in stem)


def print_table(title: str, table: pd.DataFrame, decimals: int) -> None:
    """Print a table as Markdown."""
    print(f"\n{title}:\n")
    print(f"| | {' | '.join(map(str, table.columns))} |")
    print(f"|---|{'---|' * len(table.columns)}")
    for name, row in table.iterrows():
        print(f"| {name} | {' | '.join(f'{v:.{decimals}f}' for v in np.asarray(row, float))} |")


if __name__ == "__main__":
    main()
