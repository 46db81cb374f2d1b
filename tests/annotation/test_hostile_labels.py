"""Label files made to take all time or memory, each read in a process that has 1 GB and half a minute."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from contract_files import chunk, png, write

SIDE = 16_384
MOST_BYTES = 15_800_000
READ = """
import re, resource, sys, time
from pathlib import Path
from vircraft.annotation.rules import LabelFileError, read_annotations
start = time.monotonic()
try:
    print("ok", read_annotations(Path(sys.argv[1], "a.json"), Path(sys.argv[1])).warnings)
except LabelFileError as error:
    print(error.reason)
print(time.monotonic() - start)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""
READ_OFTEN = """
import sys
from pathlib import Path
from vircraft.annotation.rules import read_annotations
kept = []
for k in range(500):
    found = read_annotations(Path(sys.argv[1], "a.json"), Path(sys.argv[1]))
    kept.append((found, bytes(24), [bytes(20) for _ in range(k % 7)]))
    if len(kept) > 50:
        kept = kept[::2]
print(found.annotations[0].area)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured on Linux only"),
]


def drawn(points, group=1, kind="polygon", **more) -> str:
    content = {"label": "aircraft", "points": points, "group_id": group, "shape_type": kind, **more}
    return json.dumps(content, separators=(",", ":"))


def document(*shapes: str) -> str:
    return f'{{"imagePath":"im.png","shapes":[{",".join(shapes)}]}}'


def many(make) -> str:
    """Return as many shapes as a file may hold."""
    shapes, size = [], 0
    while size < MOST_BYTES:
        shapes.append(make(len(shapes)))
        size += len(shapes[-1]) + 1
    return document(*shapes)


def triangle(k: int, side: int = 9) -> list[list[int]]:
    x, y = k % 1600 * 10, k // 1600 * 10
    return [[x, y], [x + side, y], [x, y + side]]


def mask_of(side: int, rows: bytes, depth: int = 1, colour: int = 0, extra: bytes = b"") -> str:
    return base64.b64encode(png((side, side), rows, depth, colour, extra)).decode()


def stripes(side: int) -> str:
    rows = b"\0" + b"\xaa" * (side // 8) + b"\0" + b"\x55" * (side // 8)
    return mask_of(side, rows * (side // 2))


def masks(depth: int, colour: int, bytes_per_row: int) -> str:
    text = mask_of(8192, (b"\0\xff" + bytes(bytes_per_row - 1)) * 8192, depth, colour)
    return many(lambda k: drawn([[0, 0], [8191, 8191]], k, "mask", mask=text))


def profile_bomb() -> str:
    text = mask_of(8, b"\0\xff" * 8, 1, 0, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(400_000_000))))
    return document(drawn([[0, 0], [7, 7]], kind="mask", mask=text))


FILES = {
    "empty lists": lambda: '{"imagePath":"im.png","shapes":[],"x":[' + "[]," * 5_200_000 + "0]}",
    "objects": lambda: '{"imagePath":"im.png","shapes":[],"x":["\U0001f600",' + '{"":0},' * 2_200_000 + "0]}",
    "embedded picture": lambda: '{"imagePath":"im.png","shapes":[],"imageData":"' + "A" * 250_000_000 + '"}',
    "a path": lambda: json.dumps({"imagePath": "x/" * 7_500_000, "shapes": []}),
    "long integers": lambda: f'{{"imagePath":"im.png","shapes":[],"x":[{("1" * 4300 + ",") * 3600}0]}}',
    "flags": lambda: json.dumps(
        {"imagePath": "im.png", "shapes": [], "flags": dict.fromkeys(range(10**6), True)}
    ),
    "groups": lambda: many(lambda k: drawn([[0, 0], [9, 9]], k, "rectangle")),
    "a million vertices": lambda: document(
        drawn([[k % 1400 * 10 + k % 7, k // 1400 * 10 + k % 3] for k in range(1_000_000)])
    ),
    "a zigzag": lambda: document(drawn([[k % 2 * SIDE, k // 64] for k in range(1_000_000)])),
    "a zigzag across the border": lambda: document(
        drawn([[k % 2 * 9 - 4, round(k / 80, 1)] for k in range(1_100_000)])
    ),
    "the longest outline": lambda: document(drawn([[k % 2 * SIDE, k * 130] for k in range(120)])),
    "large triangles": lambda: many(lambda k: drawn([[0, 0], [SIDE, 0], [0, SIDE]])),
    "large triangles in groups": lambda: many(lambda k: drawn([[0, 0], [SIDE, 0], [0, SIDE]], k)),
    "small triangles": lambda: many(lambda k: drawn(triangle(k))),
    "as many small triangles as are taken": lambda: document(*(drawn(triangle(k)) for k in range(9_500))),
    "small holes": lambda: many(lambda k: drawn(triangle(k), flags={"hole": k > 0})),
    "circles": lambda: many(lambda k: drawn([[-900_000, 100], [1, 100]], k, "circle")),
    "masks": lambda: masks(1, 0, 1024),
    "masks of 16 bit colour": lambda: masks(16, 6, 65_536),
    "a mask of stripes": lambda: document(drawn([[0, 0], [8191, 8191]], kind="mask", mask=stripes(8192))),
    "a profile": profile_bomb,
}


def stripe(left: int, right: int) -> str:
    return drawn([[left, 0], [right, 0], [right, SIDE], [left, SIDE]])


def test_runs_of_millions_of_pixels_do_not_corrupt_memory(tmp_path):
    # pycocotools 2.0.11 writes one byte too many for these four runs; the process dies some allocations later
    (tmp_path / "im.png").write_bytes(png((SIDE, SIDE), None))
    write(tmp_path, document(stripe(1100, 3300), stripe(4500, SIDE)))
    command = [sys.executable, "-c", READ_OFTEN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) == SIDE * (2200 + SIDE - 4500)


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_ends_in_time_and_memory(tmp_path, name):
    (tmp_path / "im.png").write_bytes(png((SIDE, SIDE), None))
    write(tmp_path, FILES[name]())
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    outcome, seconds, megabytes = done.stdout.splitlines()
    print(f"{name}: {outcome}, {float(seconds):.1f} s, {float(megabytes):.0f} MB")
    assert float(seconds) < 30
    assert float(megabytes) < 1000
