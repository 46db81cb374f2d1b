"""What the labels of one picture say, after every rule of the contract was applied.

Pixel centres are at integers, so a picture covers (-0.5, -0.5) to (W - 0.5, H - 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vircraft.annotation.keypoints import KEYPOINTS, Visibility

Point = tuple[float, float]
Keypoint = tuple[float, float, Visibility]

ABSENT: Keypoint = (0.0, 0.0, Visibility.INVISIBLE)

# Half a pixel taken from a coordinate and added again gives the same float from a quarter of a pixel on;
# below, what is left over stands behind the twelfth decimal.
EXACT_FROM, DECIMALS = 0.25, 12


def to_edges(value: float) -> float:
    """Return a coordinate that counts pixel centres as one that counts pixel edges, as files do."""
    edge = value + 0.5
    return edge if edge >= EXACT_FROM else round(edge, DECIMALS)


@dataclass(frozen=True)
class Annotation:
    """One aircraft on one picture.

    Attributes:
        group_id: the number that its shapes share; None when the picture holds one aircraft only.
        box_xyxy: left, top, right, bottom in pixels, inside the picture, of positive size.
        area: pixels of the mask as pycocotools counts them; the box's area when there is no mask.
        keypoints: nine of (x, y, visibility) in the order of `KEYPOINTS`; (0, 0, INVISIBLE) when it cannot be
            placed.
        polygons: the outline's pieces, clipped to the picture; empty when the outline is an RLE or missing.
        rle: the mask as COCO's compressed RLE (`size` [H, W] and `counts`), where a mask, a hole or a crowd
            takes part.
        crowd: many aircraft, not told apart; has no keypoints.
        shapes: positions in the file of the shapes it is made of.
    """

    group_id: int | None
    box_xyxy: tuple[float, float, float, float]
    area: float
    keypoints: tuple[Keypoint, ...] = (ABSENT,) * len(KEYPOINTS)
    polygons: tuple[tuple[Point, ...], ...] = ()
    rle: Mapping[str, Any] | None = None
    crowd: bool = False
    shapes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.keypoints) != len(KEYPOINTS):
            raise ValueError(f"{len(self.keypoints)} keypoints; there are {len(KEYPOINTS)}")
        x0, y0, x1, y1 = self.box_xyxy
        if not (x1 > x0 and y1 > y0):
            raise ValueError(f"box {self.box_xyxy} has no size")
        if self.polygons and self.rle is not None:
            raise ValueError("an outline is either polygons or an RLE")

    @property
    def visible_count(self) -> int:
        """Number of keypoints that are labelled (visible or occluded), COCO's `num_keypoints`."""
        return sum(v > 0 for _, _, v in self.keypoints)


PROPOSED = "proposed"  # file flag of labels that tracking filled in and that nobody has confirmed


@dataclass(frozen=True)
class PictureAnnotations:
    """One label file that follows the contract.

    Attributes:
        path: the label file.
        file_name: the picture, relative to the root, with forward slashes.
        size_wh: size of the picture in pixels, EXIF orientation applied.
        annotations: by ascending group id.
        flags: of the whole picture (`reviewed`, `skip`, `proposed`).
        warnings: names of what is allowed but should be known (`clipped`, `no-mask`, ...), each once.
        skipped: the file is flagged `skip`; then nothing else of it was read.
        coco: what an import noted of the COCO file that it comes from: `image_id`, and `annotation_ids` by
            group id.
    """

    path: Path
    file_name: str
    size_wh: tuple[int, int]
    annotations: tuple[Annotation, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    skipped: bool = False
    coco: Mapping[str, Any] = field(default_factory=dict)

    @property
    def proposed(self) -> bool:
        """The labels were filled in by tracking, and nobody has confirmed them."""
        return bool(self.flags.get(PROPOSED))
