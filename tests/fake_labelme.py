"""A program that answers as Labelme does and saves what a test wants, without Qt, on a small dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from report_dataset import INFRARED_WH

WIDTH, HEIGHT = INFRARED_WH

_PROGRAM = """#!{python}
import json, os, signal, sys, time
from pathlib import Path

if "--version" in sys.argv:
    print("Labelme {version}")
    sys.exit()
folder, first, config = Path.cwd(), sys.argv[1], Path(sys.argv[sys.argv.index("--config") + 1])

def read(pair):
    return json.loads((folder / f"{{pair}}.json").read_text())

def save(pair, **changes):
    path = folder / f"{{pair}}.json"
    document = read(pair) if path.exists() else {empty!r}
    path.write_text(json.dumps({{**document, "imagePath": f"{{pair}}.png", **changes}}, indent=2))

def wait_for(path, text=""):
    for _ in range(1000):
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.01)
    sys.exit(f"{{path}} did not get {{text!r}}")

labels = folder.parents[1] / "labels"
{body}
"""


def write_fake_labelme(folder: Path, body: str = "", version: str = "6.3.1") -> Path:
    """Write the program; `body` is what it does when it is started, in the folder of the pictures."""
    path = folder / "labelme"
    empty = {
        "version": version,
        "flags": {},
        "shapes": [],
        "imagePath": "",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }
    path.write_text(_PROGRAM.format(python=sys.executable, version=version, empty=empty, body=body))
    path.chmod(0o755)
    return path


def outline(*, x: float = 20.0, group: int | None = None) -> dict[str, Any]:
    """Return an outline as Labelme 6 saves it."""
    points = [[x, 20.0], [x + 60.0, 24.5], [x + 30.0, 80.25]]
    return {
        "label": "aircraft",
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": "polygon",
        "flags": {"hole": False, "crowd": False},
        "mask": None,
    }


def keypoint(label: str, x: float, y: float, *flags: str, group: int | None = None) -> dict[str, Any]:
    """Return a keypoint as Labelme 6 saves it."""
    return {
        "label": label,
        "points": [[x, y]],
        "group_id": group,
        "description": "",
        "shape_type": "point",
        "flags": {name: name in flags for name in ("occluded", "invisible")},
        "mask": None,
    }
