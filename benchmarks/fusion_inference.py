"""Measure fusing: CPU seconds and peak memory by preset, tiles against the whole picture, frames a second.

Each figure comes from a process of its own, on one thread unless --threads says otherwise:

    python benchmarks/fusion_inference.py
    python benchmarks/fusion_inference.py --weights run/weights.safetensors --infrared ir.png --visible vi.png
    python benchmarks/fusion_inference.py --device cuda --precision bf16 --presets lite,base

Networks have random weights unless --weights gives trained ones, which only the tiles' difference depends on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SMALL_WH, LARGE_WH, COMPARED_WH = (640, 480), (4096, 3072), (1536, 1152)
RUNS = 3
FRAMES = 40


def main() -> None:
    """Run every job and print a table."""
    options = parse()
    if options.job:
        print(json.dumps(JOBS[options.job](options)))
        return
    columns = ("preset", "job", "CPU s", "wall s", "MB over idle", "MB peak", "remarks")
    print(f"{columns[0]:7}{columns[1]:24}" + "".join(f"{c:>13}" for c in columns[2:6]) + f"  {columns[6]}")
    for preset in options.presets.split(","):
        for job in options.jobs.split(","):
            values = run_job(job, preset)
            numbers = "".join(f"{values.get(key, float('nan')):13.2f}" for key in ("cpu_s", "wall_s"))
            memory = "".join(f"{values.get(key, float('nan')):13.0f}" for key in ("over_idle_mb", "peak_mb"))
            print(f"{preset:7}{job:24}{numbers}{memory}  {values.get('remarks', '')}", flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default="lite,base,paper")
    parser.add_argument("--jobs", default="picture,compare,large,video")
    parser.add_argument("--weights", type=Path, help="trained weights of the one preset named")
    parser.add_argument("--infrared", type=Path, help="a real picture for the tiles' comparison")
    parser.add_argument("--visible", type=Path, help="its partner")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="32")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tile", type=int, default=512, help="of the comparison, pixels")
    parser.add_argument("--job", choices=sorted(JOBS), help=argparse.SUPPRESS)
    return parser.parse_args()


def run_job(job: str, preset: str) -> dict[str, Any]:
    """Run one job in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--job", job, "--presets", preset]
    environment = {**os.environ, "THP_MEM_ALLOC_ENABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        return {"remarks": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def make_fuser(options: argparse.Namespace, **settings: Any) -> Any:
    """Return a fuser that has run once on a small picture, so that libraries are loaded."""
    import torch

    from fgfusion_model.checkpoints import load_weights
    from fgfusion_model.inference.fuser import Fuser, InferenceSettings
    from fgfusion_model.network import FGFusion
    from fgfusion_model.settings import preset

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    model = load_weights(options.weights) if options.weights else FGFusion(preset(options.presets))
    fuser = Fuser(model, InferenceSettings(options.device, options.precision, options.batch, **settings))
    fuser.fuse(np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.uint8))
    return fuser


def pictures(options: argparse.Namespace, size_wh: tuple[int, int]) -> tuple[Any, Any]:
    """Return an infrared and a visible picture of a size, real ones where they are given."""
    if options.infrared and options.visible:
        pair = cv2.imread(str(options.infrared), cv2.IMREAD_GRAYSCALE), cv2.imread(str(options.visible))
        return tuple(cv2.resize(p, size_wh, interpolation=cv2.INTER_CUBIC) for p in pair)  # type: ignore[return-value]
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (size_wh[1] // 16, size_wh[0] // 16, 4), np.uint8)
    large = cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC)
    return large[..., 3].copy(), large[..., :3].copy()


def peak_mb() -> float:
    """Return the highest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_picture(options: argparse.Namespace, size_wh: tuple[int, int], runs: int) -> dict[str, Any]:
    """Fuse a picture and return the best CPU time, wall time and the memory."""
    fuser = make_fuser(options)
    pair = pictures(options, size_wh)
    idle_mb = peak_mb()
    times = []
    for _ in range(runs):
        started = time.process_time(), time.perf_counter()
        fuser.fuse(*pair)
        times.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    cpu_s, wall_s = np.min(times, axis=0)
    tile = fuser.tile_for(size_wh[1], size_wh[0])
    memory = {"over_idle_mb": peak_mb() - idle_mb, "peak_mb": peak_mb()}
    how = f"tiles up to {tile}" if tile else "whole"
    return {"cpu_s": cpu_s, "wall_s": wall_s, **memory, "remarks": f"{size_wh[0]}x{size_wh[1]} {how}"}


def compare_tiles(options: argparse.Namespace) -> dict[str, Any]:
    """Fuse one picture whole and in tiles: levels of difference, and whether cuts show.

    `seam` is the mean step of the difference across the middles of the overlaps, over its mean step
    everywhere; 1 means that nothing points to the cuts.
    """
    from fgfusion_model.inference.tiles import plan_spans

    infrared, visible = pictures(options, COMPARED_WH)
    whole = make_fuser(options, tile="off").fuse(infrared, visible).picture
    fuser = make_fuser(options, tile=options.tile)
    started = time.process_time(), time.perf_counter()
    tiled = fuser.fuse(infrared, visible).picture
    spent = time.process_time() - started[0], time.perf_counter() - started[1]
    luma = [np.asarray(p, np.float32) @ np.array([0.114, 0.587, 0.299], np.float32) for p in (whole, tiled)]
    difference = luma[1] - luma[0]
    step = np.abs(np.diff(difference, axis=1)).mean(0)
    spans = plan_spans(COMPARED_WH[0], options.tile, fuser.settings.tile_overlap(options.tile))
    overlaps = [slice(b.start, a.stop) for a, b in pairwise(spans)]
    seam = np.mean([step[o].mean() for o in overlaps]) / step.mean()
    steepest = np.max([step[o].max() for o in overlaps])
    text = (
        f"{COMPARED_WH[0]}x{COMPARED_WH[1]}, tiles of {options.tile}: differ by "
        f"{np.abs(difference).mean():.2f} levels (99 %: {np.percentile(np.abs(difference), 99):.2f}); "
        f"step in overlaps {seam:.2f} of the usual, steepest column {steepest:.3f} levels"
    )
    return {"cpu_s": spent[0], "wall_s": spent[1], "peak_mb": peak_mb(), "remarks": text}


def time_video(options: argparse.Namespace) -> dict[str, Any]:
    """Fuse two videos of 640x480 and return the frames a second, decoding and encoding included."""
    import av

    from fgfusion_model.inference.video import VideoJob, fuse_video, open_pair

    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"a_{kind}.mp4" for kind in ("infrared", "visible")]
        for path, picture in zip(paths, pictures(options, SMALL_WH), strict=True):
            with av.open(str(path), "w") as container:
                stream: Any = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = *SMALL_WH, "yuv420p"
                for i in range(FRAMES):
                    kind = "gray" if picture.ndim == 2 else "bgr24"
                    frame = av.VideoFrame.from_ndarray(np.roll(picture, 3 * i, 1), format=kind)
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
        fuser = make_fuser(options)
        pair = open_pair(*paths)
        idle_mb = peak_mb()
        started = time.process_time(), time.perf_counter()
        summary = fuse_video(pair, VideoJob(Path(name) / "out.mp4"), fuser)
        cpu_s, wall_s = time.process_time() - started[0], time.perf_counter() - started[1]
    memory = {"over_idle_mb": peak_mb() - idle_mb, "peak_mb": peak_mb()}
    text = f"{summary.frames} frames of 640x480: {summary.frames / wall_s:.2f} frames/s"
    return {"cpu_s": cpu_s / summary.frames, "wall_s": wall_s / summary.frames, **memory, "remarks": text}


JOBS = {
    "picture": lambda options: time_picture(options, SMALL_WH, RUNS),
    "large": lambda options: time_picture(options, LARGE_WH, 1),
    "compare": compare_tiles,
    "video": time_video,
}

if __name__ == "__main__":
    main()
