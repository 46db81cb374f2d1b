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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        heads = f"{'wall s':>20} {'CPU s':>20} {'files/s':>8} {'/CPU s':>8} {'MB':>7}"
        print(f"{f'{options.files} files':30} {heads}")
        for job, folder in (
            ("read", "full"),
            ("export", "full"),
            ("export-masks", "full"),
            ("check", "full"),
        ):
            show(job, options, [sys.executable, __file__, "--job", job, "--folder", str(root / folder)])
        command = [sys.executable, __file__, "--job", "export", "--folder", str(root / "polygons")]
        show("export, polygons only", options, command)
        if options.labelme2coco:
            command = [options.labelme2coco, "-c", LABELME2COCO, str(root / "polygons"), str(root / "l2c")]
            show("labelme2coco, polygons only", options, command)


LABELME2COCO = "import sys, labelme2coco; labelme2coco.convert(sys.argv[1], sys.argv[2])"


def show(job: str, options: argparse.Namespace, command: list[str]) -> None:
    """Run a job some times and print a line: medians, in brackets the fastest and slowest run."""
    walls, cpus, peak = [], [], 0.0
    for _ in range(options.runs):
        start = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", MEASURE, *command], check=True, stdout=subprocess.PIPE)
        walls.append(time.perf_counter() - start)
        cpu_s, peak_kb = out.stdout.split()
        cpus.append(float(cpu_s))
        peak = max(peak, int(peak_kb) / 1024)
    wall, cpu = (sorted(values)[len(values) // 2] for values in (walls, cpus))
    columns = [f"{v:.2f} ({min(vs):.2f}-{max(vs):.2f})" for v, vs in ((wall, walls), (cpu, cpus))]
    rates = [f"{options.files / seconds:8.0f}" for seconds in (wall, cpu)]
    print(f"{job:30} {columns[0]:>20} {columns[1]:>20} {rates[0]} {rates[1]} {peak:7.0f}", flush=True)


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def read(folder: Path) -> None:
    """Read every file by the rules."""
    from vircraft.annotation.documents import LabelFileError
    from vircraft.annotation.label_files import find_label_files, read_each

    for _, result in read_each(find_label_files(folder)):
        if isinstance(result, LabelFileError):
            raise result


def export(folder: Path, paint: bool = False) -> None:
    """Write COCO, with or without masks."""
    from vircraft.annotation.exchange.export import export_coco

    output = folder.parent / "out"
    shutil.rmtree(output, ignore_errors=True)
    summary = export_coco(folder, output, paint=paint, strict=True)
    print(summary.aircraft, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def check(folder: Path) -> None:
    """Look for what is wrong or odd in every file."""
    subprocess.run([Path(sys.executable).with_name("vircraft"), "check", folder, "--json"], check=True)


JOBS = {"check": check, "read": read, "export": export, "export-masks": lambda folder: export(folder, True)}


def generate(folder: Path, count: int, *, with_keypoints: bool) -> None:
    """Write pictures and label files as annotators leave them."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    picture = cv2.imencode(".png", rng.integers(0, 60, (SIZE_WH[1], SIZE_WH[0])).astype(np.uint8))[
        1
    ].tobytes()
    for k in range(count):
        (folder / f"{k:06d}.png").write_bytes(picture)
        (folder / f"{k:06d}.json").write_text(
            json.dumps(labels(rng, f"{k:06d}.png", with_keypoints), indent=2)
        )


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
