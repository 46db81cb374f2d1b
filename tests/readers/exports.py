"""The exports that the readers load, made by the installed command, and the fixtures that give them."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import pytest
import read_datumaro
import read_fiftyone
import read_like_coco
import read_supervision
from drawn_cases import write_folder
from labelled_dataset import read_truth
from reading import Reading
from truth import Picture

PROJECT = Path(__file__).resolve().parents[2]
VIRCRAFT = os.environ.get("VIRCRAFT", str(PROJECT / ".venv/bin/vircraft"))
LABELLED = Path(os.environ.get("VIRCRAFT_LABELLED", PROJECT / "demo/dataset"))

READERS: dict[str, Callable[[Path, Path], Reading]] = {
    "pycocotools": partial(read_like_coco.read, "pycocotools"),
    "xtcocotools": partial(read_like_coco.read, "xtcocotools"),
    "faster-coco-eval": partial(read_like_coco.read, "faster_coco_eval"),
    "fiftyone": read_fiftyone.read,
    "datumaro": read_datumaro.read,
    "supervision": read_supervision.read,
}


@dataclass(frozen=True, eq=False)
class Export:
    """One export: the pictures' root, the folder it was written to, and the truth."""

    root: Path
    out: Path
    pictures: tuple[Picture, ...]

    def files(self, kind: str) -> list[Path]:
        """Return the COCO files of a kind, one a split."""
        found = sorted((self.out / "annotations").glob(f"{kind}_*.json"))
        assert found, f"{self.out} has no {kind}_SPLIT.json"
        return found


@pytest.fixture(scope="session", params=["drawn", "dataset"])
def export(request: pytest.FixtureRequest) -> Export:
    """Export the drawn cases, or a labelled dataset where there is one."""
    if request.param == "dataset" and not (LABELLED / "labels").is_dir():
        pytest.skip(f"{LABELLED} has no labels; `make demo` makes it, or set VIRCRAFT_LABELLED")
    return export_once(request.param)


@cache
def export_once(name: str) -> Export:
    """Make an export in a folder of its own, once for all checks: a plain folder's, or a dataset's."""
    folder = Path(tempfile.mkdtemp(prefix="vircraft-readers-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if name == "dataset":
        run_export(str(LABELLED), "-o", str(folder / "coco"))
        return Export(LABELLED, folder / "coco", tuple(read_truth(LABELLED)))
    pictures = write_folder(folder / "drawn")
    run_export("--root", str(folder / "drawn"), "-o", str(folder / "coco"), "--masks")
    return Export(folder / "drawn", folder / "coco", tuple(pictures))


def run_export(*arguments: str) -> None:
    """Export by the command that users run."""
    command = [VIRCRAFT, "export", "coco", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:  # there is nothing to read then
        pytest.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}", returncode=1)


@pytest.fixture(scope="session", params=["person_keypoints", "instances"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name the files that are read."""
    return str(request.param)


@pytest.fixture(scope="session", params=sorted(READERS))
def reading(request: pytest.FixtureRequest, export: Export, kind: str) -> Reading:
    """Return what a reader says about the files of a kind."""
    return read_once(request.param, export, kind)


@cache
def read_once(reader: str, export: Export, kind: str) -> Reading:
    """Read the files of all splits with a reader, once for all checks."""
    readings = [READERS[reader](path, export.root) for path in export.files(kind)]
    pictures = {name: seen for reading in readings for name, seen in reading.pictures.items()}
    assert len(pictures) == sum(len(reading.pictures) for reading in readings)  # one split each
    return replace(readings[0], pictures=pictures)
