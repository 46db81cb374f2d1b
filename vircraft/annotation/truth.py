"""A simulated clip's truth as Labelme files, so that a simulated dataset is a labelled one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vircraft.annotation.keypoints import AIRCRAFT, KEYPOINTS, Visibility
from vircraft.annotation.labelme import LabelFile, Point, Shape, write_labels
from vircraft.annotation.polygons import Polygon, clip_to_picture, pixel_count
from vircraft.dataset import label_path
from vircraft.errors import DatasetError
from vircraft.files import disk_error

if TYPE_CHECKING:
    from vircraft.simulation.truth import ClipTruth, InfraredFrameTruth

_GROUP = 1  # the simulator films one aircraft
_DECIMALS = 3  # of a pixel, as many as the truth file keeps


def labels_from_truth(frame: InfraredFrameTruth, infrared_wh: tuple[int, int], image_path: str) -> LabelFile:
    """Turn the truth of one infrared frame into labels.

    Outline pieces are polygons, the box a rectangle, and every keypoint that is inside the picture a point,
    flagged `occluded` where something hides it; an invisible keypoint is left out. All share one group.
    Where no pixel of the aircraft is in view the file has no shapes: the picture is known to be empty, which
    is not the same as a picture that nobody labelled.

    Args:
        frame: the truth.
        infrared_wh: size of the infrared picture.
        image_path: the picture, relative to the label file's folder.
    """
    outline = [piece for polygon in frame.outline for piece in clip_to_picture(polygon, infrared_wh)]
    outline = [np.round(piece, _DECIMALS) for piece in outline]
    outline = [piece for piece in outline if pixel_count([piece], infrared_wh) > 0]
    if not outline:
        return LabelFile(image_path, infrared_wh, flags={"reviewed": True})  # nobody has to look again
    shapes = [Shape(AIRCRAFT, "polygon", _points(piece), _GROUP) for piece in outline]
    shapes.append(Shape(AIRCRAFT, "rectangle", _box(frame, outline, infrared_wh), _GROUP))
    for name, (x, y, v) in zip(KEYPOINTS, frame.keypoints_infrared, strict=True):
        visibility = Visibility(int(v))
        if visibility is not Visibility.INVISIBLE and _inside(x, y, infrared_wh):
            flags = {"occluded": visibility is Visibility.OCCLUDED, "invisible": False}
            point = (round(float(x), _DECIMALS), round(float(y), _DECIMALS))
            shapes.append(Shape(name, "point", (point,), _GROUP, flags))
    return LabelFile(image_path, infrared_wh, tuple(shapes))


def write_truth_labels(dataset_root: Path, pair_id: str, truth: ClipTruth, infrared_index: int) -> bool:
    """Write `labels/ID.json` of one pair from its clip's truth; labels that exist already are kept.

    Returns:
        True when the file was written.

    Raises:
        DatasetError: the truth does not know the frame, or the file cannot be written.
    """
    if not 0 <= infrared_index < len(truth.infrared_frames):
        raise DatasetError(
            f"{pair_id}: the truth of clip {truth.name} describes {len(truth.infrared_frames)} infrared "
            f"frames and has no frame {infrared_index}; does the truth file belong to this video?"
        )
    frame = truth.infrared_frames[infrared_index]
    path = label_path(dataset_root, pair_id)
    labels = labels_from_truth(frame, truth.infrared_wh, f"../infrared/{pair_id}.png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_labels(path, labels)
    except OSError as error:
        raise disk_error(path, error) from error


def _box(
    frame: InfraredFrameTruth, outline: list[Polygon], infrared_wh: tuple[int, int]
) -> tuple[Point, Point]:
    """Return two corners of the box, inside the picture; the outline's extent where the truth has no box."""
    vertices = np.concatenate(outline)
    low, high = vertices.min(0), vertices.max(0)
    if frame.box is not None:
        limit = np.array(infrared_wh) - 0.5
        corner_a, corner_b = np.clip(frame.box[:2], -0.5, limit), np.clip(frame.box[2:], -0.5, limit)
        if (corner_b > corner_a).all():
            low, high = corner_a, corner_b
    return _points(np.round([low, high], _DECIMALS))[0], _points(np.round([low, high], _DECIMALS))[1]


def _inside(x: float, y: float, size_wh: tuple[int, int]) -> bool:
    return -0.5 <= x <= size_wh[0] - 0.5 and -0.5 <= y <= size_wh[1] - 0.5


def _points(vertices: Polygon) -> tuple[Point, ...]:
    return tuple((float(x), float(y)) for x, y in vertices)
