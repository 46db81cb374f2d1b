"""Score fusion methods on sets of real pairs, and time the metrics.

    python benchmarks/fusion.py scores --set MSRS=../shared/data/msrs --set TNO=../shared/data/tno_masks
    python benchmarks/fusion.py scores --sources ../shared/data/registration/sources.csv --weights lite
    python benchmarks/fusion.py scores --set MSRS=data/msrs --fused SeAFusion=seafusion
    python benchmarks/fusion.py metrics

A set is a folder with infrared/, visible/ and perhaps masks/, or a dataset. `--sources` reads the table of
aligned pairs of the registration benchmark: each of its data sets becomes a set, its visible pictures brought
onto the infrared grid by h00..h22. `--fused NAME=DIR` holds a folder for each set (DIR/MSRS/...), fused by
some other program; `--weights` fuses with FGFusion first. Average, Max and a Laplacian pyramid are in every
table. Sheets go to --output.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch

from fgfusion_model.inference.fuser import Fuser, InferenceSettings
from fgfusion_model.inference.job import FusingJob, fuse_files
from fgfusion_model.inference.picture_files import survey
from fgfusion_model.metrics import METRICS, score
from fgfusion_model.metrics.contrast import foreground_contrast
from fgfusion_model.metrics.ssim import ssim_pair
from fgfusion_model.network import FGFusion
from fgfusion_model.scoring import (
    ScoreSettings,
    ScoreTable,
    Sources,
    dataset_sources,
    score_folders,
    write_scores,
    write_sheets,
)
from fgfusion_model.scoring.files import shown
from vircraft.registration.warp import warp_visible

SIZE_HW = (480, 640)
TIMED_RUNS = 5
ALIGNED = "aligned"  # the role of pairs whose alignment was measured


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    scores = commands.add_parser("scores", help="tables for sets of pairs")
    scores.add_argument("--set", dest="sets", action="append", default=[], metavar="NAME=DIR")
    scores.add_argument("--sources", type=Path, metavar="CSV")
    scores.add_argument("--fused", action="append", default=[], metavar="NAME=DIR")
    scores.add_argument("--weights", action="append", default=[], metavar="NAME|PATH")
    scores.add_argument("--convention", choices=["cddfuse", "tang"], default="cddfuse")
    scores.add_argument("--device", default="auto")
    scores.add_argument("-o", "--output", type=Path, help="also write tables and sheets here, by set")
    metrics = commands.add_parser("metrics", help="CPU milliseconds of each metric for a 480x640 picture")
    metrics.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.command == "scores":
        print_scores(options)
    else:
        time_metrics(options.threads)


def print_scores(options: argparse.Namespace) -> None:
    """Print a table for each set."""
    settings = ScoreSettings(convention=options.convention, device=options.device)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sets = named(options.sets)
        if options.sources is not None:
            sets |= aligned_sets(options.sources, work / "sets")
        for set_name, root in sets.items():
            sources = dataset_sources(root)
            methods = {method: folder / set_name for method, folder in named(options.fused).items()}
            for weights in options.weights:
                methods[Path(weights).stem] = fuse(
                    sources, weights, work / "fused" / set_name, options.device
                )
            table = score_folders(methods, sources, settings)
            print_table(set_name, table)
            if options.output is not None:
                write_scores(table, options.output / set_name)
                write_sheets(table, methods, sources, options.output / set_name)


def named(pairs: list[str]) -> dict[str, Path]:
    """Read NAME=DIR options."""
    return {name: Path(folder) for name, _, folder in (pair.partition("=") for pair in pairs)}


def aligned_sets(table: Path, work: Path) -> dict[str, Path]:
    """Write the aligned pairs of a table as folders, visible on the infrared grid; return them by data set.

    What the visible picture does not cover is cut off: the largest centred part of both that has no black
    border.
    """
    rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["role"] == ALIGNED]
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        infrared = cv2.imread(str(table.parent / row["infrared"]), cv2.IMREAD_GRAYSCALE)
        visible = cv2.imread(str(table.parent / row["visible"]))
        if infrared is None or visible is None:
            raise SystemExit(f"{table}: a picture of {row['scene']} cannot be read")
        h = np.array([float(row[f"h{r}{c}"]) for r in range(3) for c in range(3)]).reshape(3, 3)
        size_wh = (infrared.shape[1], infrared.shape[0])
        inset = uncovered_px(visible.shape[:2], h, size_wh)
        place = np.s_[inset : size_wh[1] - inset, inset : size_wh[0] - inset]
        warped = warp_visible(visible, h, size_wh)
        for kind, picture in (("infrared", infrared), ("visible", warped)):
            folder = work / row["dataset"] / kind
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{row['scene']}.png"), np.ascontiguousarray(picture[place]))
        found[row["dataset"]] += 1
    return {name: work / name for name in found}


def uncovered_px(visible_hw: tuple[int, int], h: np.ndarray, size_wh: tuple[int, int]) -> int:
    """Return how far from the border the visible picture may not reach."""
    whole = np.full(visible_hw, 255, np.uint8)
    covered = cv2.warpPerspective(whole, h, size_wh, flags=cv2.INTER_NEAREST) > 0
    most = min(size_wh) // 4
    insets = (n for n in range(most) if covered[n : size_wh[1] - n, n : size_wh[0] - n].all())
    return next(insets, most)


def fuse(sources: Sources, weights: str, out: Path, device: str) -> Path:
    """Fuse a set with FGFusion; print the pictures a second, reading and writing included."""
    model = FGFusion.from_pretrained(weights)
    job = FusingJob(out, survey(sources.found.pairs))
    start = time.perf_counter()
    summary = fuse_files(sources.found, job, Fuser(model, InferenceSettings(device=device)))
    print(f"{out.name}: {summary.made / (time.perf_counter() - start):.2f} pictures a second")
    return out


def print_table(name: str, table: ScoreTable) -> None:
    """Print means and half the width of the intervals, a line a method."""
    low, high = table.intervals
    print(f"\n{name}, {len(table.pictures)} pictures, convention {table.settings.convention}")
    width = max(len(method) for method in table.methods)
    print(f"{'':{width}}  " + "".join(f"{metric.name:>14}" for metric in table.metrics))
    for m, method in enumerate(table.methods):
        cells = [
            f"{shown(metric, float(table.means[m, k]))} ±{shown(metric, float(high[m, k] - low[m, k]) / 2)}"
            for k, metric in enumerate(table.metrics)
        ]
        print(f"{method:{width}}  " + "".join(f"{cell:>14}" for cell in cells))
    for failure in table.failures:
        print(f"left out: {failure.message} [{failure.reason}]")


def time_metrics(threads: int) -> None:
    """Print the CPU time of each metric and of all together."""
    import fgfusion_model.metrics as package

    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 1, SIZE_HW[0] // 4, SIZE_HW[1] // 4, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, SIZE_HW, mode="bicubic")
    pictures = (255 * smooth).round().clamp(0, 255)
    fused, infrared, visible = pictures.split(1)
    f, a, b = (p[:, 0] for p in (fused, infrared, visible))
    jobs = {name: (function, (f,)) for name, function in package._OF_FUSED.items()}
    jobs |= {name: (function, (f, a, b)) for name, function in package._OF_THREE.items()}
    jobs |= {"SSIM, MS-SSIM": (ssim_pair, (f, a, b)), "contrast": (foreground_contrast, (f, f > 200))}
    jobs |= {f"all {len(METRICS)}": (score, (fused, infrared, visible, fused > 200))}
    print(f"CPU milliseconds for a picture of {SIZE_HW[1]}x{SIZE_HW[0]}, {threads} thread(s)")
    for name, (function, arguments) in jobs.items():
        function(*arguments)
        times_ms = []
        for _ in range(TIMED_RUNS):
            start = time.process_time()
            function(*arguments)
            times_ms.append((time.process_time() - start) * 1000)
        print(f"{name:14} {sorted(times_ms)[TIMED_RUNS // 2]:7.1f}", flush=True)


if __name__ == "__main__":
    main()
