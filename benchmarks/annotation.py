"""Measure reading and exporting label files: files a second, seconds for 10,000, peak memory.

Generates pictures and Labelme files (nine keypoints, an outline of 12 to 60 vertices), then runs each job
in a process of its own:

    python benchmarks/annotation.py --files 10000
    python benchmarks/annotation.py --labelme2coco PYTHON   # beside labelme2coco, installed for that Python
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from vircraft.annotation.keypoints import KEYPOINTS

SIZE_WH = (640, 512)


def main() -> None:
    """Generate, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--labelme2coco", metavar="PYTHON", help="a Python that has labelme2coco installed")
    parser.add_argument("--job", choices=sorted(JOBS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        JOBS[options.job](options.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(root / "full", options.files, with_keypoints=True)
        generate(root / "polygons", options.files, with_keypoints=False)
        print(f"{'job':34} {'files':>6} {'wall s':>14} {'files/s':>8} {'peak MB':>8}")
        for job, folder in (("read", "full"), ("export", "full"), ("export-masks", "full")):
            show(job, options, [sys.executable, __file__, "--job", job, "--folder", str(root / folder)])
        command = [sys.executable, __file__, "--job", "export", "--folder", str(root / "polygons")]
        show("export, polygons only", options, command)
        if options.labelme2coco:
            command = [options.labelme2coco, "-c", LABELME2COCO, str(root / "polygons"), str(root / "l2c")]
            show("labelme2coco, polygons only", options, command)


LABELME2COCO = "import sys, labelme2coco; labelme2coco.convert(sys.argv[1], sys.argv[2])"


def show(job: str, options: argparse.Namespace, command: list[str]) -> None:
    """Run a job some times and print a line: median, fastest and slowest."""
    walls, peak = [], 0.0
    for _ in range(options.runs):
        start = time.perf_counter()
        code = "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, "
        code += "stderr=subprocess.DEVNULL, check=True); "
        code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        out = subprocess.run([sys.executable, "-c", code, *command], check=True, stdout=subprocess.PIPE)
        walls.append(time.perf_counter() - start)
        peak = max(peak, int(out.stdout) / 1024)
    wall = sorted(walls)[len(walls) // 2]
    spread = f"{wall:.2f} ({min(walls):.2f}-{max(walls):.2f})"
    print(f"{job:34} {options.files:6d} {spread:>14} {options.files / wall:8.0f} {peak:8.0f}", flush=True)


def read(folder: Path) -> None:
    """Read every file by the rules."""
    from vircraft.annotation.documents import LabelFileError
    from vircraft.annotation.label_files import find_label_files, read_each

    for _, result in read_each(find_label_files(folder)):
        if isinstance(result, LabelFileError):
            raise result


def export(folder: Path, paint: bool = False) -> None:
    """Write COCO, with or without masks."""
    from vircraft.annotation.export import export_coco

    output = folder.parent / "out"
    shutil.rmtree(output, ignore_errors=True)
    summary = export_coco(folder, output, paint=paint, strict=True)
    print(summary.aircraft, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


JOBS = {"read": read, "export": export, "export-masks": lambda folder: export(folder, True)}


def generate(folder: Path, count: int, *, with_keypoints: bool) -> None:
    """Write pictures and label files as annotators leave them."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    picture = cv2.imencode(".png", rng.integers(0, 60, (SIZE_WH[1], SIZE_WH[0])).astype(np.uint8))[1].tobytes()
    for k in range(count):
        (folder / f"{k:06d}.png").write_bytes(picture)
        (folder / f"{k:06d}.json").write_text(json.dumps(labels(rng, f"{k:06d}.png", with_keypoints), indent=2))


def labels(rng: np.random.Generator, image_path: str, with_keypoints: bool) -> dict[str, object]:
    """Return a Labelme document: an outline around a random place, points within it."""
    vertices = int(rng.integers(12, 61))
    angles = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    centre = rng.uniform((150, 120), (490, 390))
    radii = rng.uniform(40, 110, (vertices, 1)) * (1.0, 0.5)
    outline = centre + radii * np.column_stack([np.cos(angles), np.sin(angles)])
    shapes = [shape("aircraft", "polygon", outline.round(2).tolist())]
    if with_keypoints:
        points = (centre + rng.uniform(-30, 30, (len(KEYPOINTS), 2))).round(2)
        shapes += [
            shape(name, "point", [point.tolist()], {"occluded": bool(k % 4 == 0), "invisible": False})
            for k, (name, point) in enumerate(zip(KEYPOINTS, points, strict=True))
        ]
    return {
        "version": "6.3.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": SIZE_WH[1],
        "imageWidth": SIZE_WH[0],
    }


def shape(
    label: str, kind: str, points: list[list[float]], flags: dict[str, bool] | None = None
) -> dict[str, object]:
    """Return one shape as Labelme writes it."""
    return {
        "label": label,
        "points": points,
        "group_id": 1,
        "description": "",
        "shape_type": kind,
        "flags": flags or {},
        "mask": None,
    }


if __name__ == "__main__":
    main()
