"""Datumaro: rounds every coordinate to a hundredth of a pixel in single precision, that is by 0.005 px.

That flips pixels on the border of a slanted outline, so masks are taken from a second reading, which is
painted before it is rounded (`merge_instance_polygons`).
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from reading import Reading, SeenInstance, SeenPicture
from truth import Mask

# Its reader insists on a folder `images` beside `annotations` and looks file names up in it.
IMAGES = "images"


def read(annotations: Path, root: Path) -> Reading:
    """Read a view of the export in Datumaro's layout: a link named `images` to the dataset's root."""
    from datumaro import AnnotationType, Dataset

    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder)
        (view / IMAGES).symlink_to(root.resolve(), target_is_directory=True)
        (view / "annotations").mkdir()
        (view / "annotations" / annotations.name).write_bytes(annotations.read_bytes())
        task = annotations.name.rsplit("_", 1)[0]
        dataset = Dataset.import_from(str(view), f"coco_{task}")
        painted = Dataset.import_from(str(view), f"coco_{task}", merge_instance_polygons=True)
        pictures = {}
        for item in dataset:
            name = str(Path(item.media.path).relative_to(view / IMAGES))
            size = (item.media.size[1], item.media.size[0])
            masks = {
                a.id: np.asarray(a.image, bool)
                for a in painted.get(item.id, item.subset).annotations
                if a.type is AnnotationType.mask
            }
            pictures[name] = SeenPicture(str(root / name), size, _instances(item.annotations, masks))
    classes = tuple(label.name for label in dataset.categories()[AnnotationType.label])
    cannot = {"area": "it counts the area anew from the outline"}
    if AnnotationType.points not in dataset.categories():
        return Reading("datumaro", pictures, classes, cannot=cannot)
    (category,) = dataset.categories()[AnnotationType.points].items.values()
    names = tuple(category.labels)
    bones = frozenset(frozenset(names[end - 1] for end in joint) for joint in category.joints)
    return Reading("datumaro", pictures, classes, names, bones, cannot)


def _instances(found: list[Any], masks: dict[int, Mask]) -> tuple[SeenInstance, ...]:
    """Join the box, the points and the outline that Datumaro keeps apart, by the annotation's id."""
    parts: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for annotation in found:
        parts[annotation.id][annotation.type.name].append(annotation)
    instances = []
    for number, kinds in parts.items():
        (box,) = kinds["bbox"]
        points = None
        if kinds["points"]:
            xy, seen = kinds["points"][0].points, kinds["points"][0].visibility
            points = tuple(zip(xy[::2], xy[1::2], [int(v) for v in seen], strict=True))
        polygons = tuple(tuple(zip(p.points[::2], p.points[1::2], strict=True)) for p in kinds["polygon"])
        crowd = bool(box.attributes["is_crowd"])
        instances.append(
            SeenInstance(tuple(box.get_bbox()), points, masks.get(number), None, polygons, crowd)
        )
    return tuple(instances)
