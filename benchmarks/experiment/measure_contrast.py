"""Measure how much each modality shows of the simulated aircraft, before any detector is trained.

Around every keypoint that is in view, the aircraft's grey level is compared with that of what lies behind it:

    python benchmarks/experiment/measure_contrast.py exp/dataset
    python benchmarks/experiment/measure_contrast.py exp/dataset --by split light --pictures exp/fused/full

To compare difficulties, simulate each with its own `--prefix`, register and export them together, and say
`--by prefix light`.

Columns, by light (and what else `--by` names), in 8-bit grey levels of the luminance:

- `edge`: |mean inside - mean outside the aircraft| in a disc of 6 px, median over keypoints with both in it;
- `edge<10`: share of those keypoints whose contrast is below 10 grey levels;
- `inside`: standard deviation in a disc of 5 px that the aircraft fills, median over such keypoints;
- `vis>ir`: share of keypoints that the visible picture shows with more contrast, across the outline / inside;
- `apart`: how far the grey levels of the aircraft and of a band of 8 px around it are apart: |2 AUC - 1|, 0
  the same to 1 no overlap, mean over pictures.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Grey = NDArray[np.float64]
Mask = NDArray[np.bool_]
DISC_PX = 6
INSIDE_PX = 5
BAND_PX = 8
FEW = 12  # pixels on one side of the outline that do not make a mean
DIM = 10.0  # grey levels, below which an edge is hard to see in these cameras' noise
MODALITIES = ("visible", "infrared")


@dataclass
class Tally:
    """What was measured on the pictures of one row and one modality."""

    edges: list[float] = field(default_factory=list)
    insides: list[float] = field(default_factory=list)
    apart: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="exported by 'vircraft export coco'")
    parser.add_argument("--by", nargs="+", default=["light"], choices=["light", "prefix", "split"])
    parser.add_argument("--pictures", nargs="*", type=Path, default=[], help="folders of fused pictures, too")
    options = parser.parse_args()
    folders = {name: options.dataset / name for name in MODALITIES} | {f.name: f for f in options.pictures}
    rows: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for record in read_records(options.dataset):
        row = " ".join(str(record[key]) for key in options.by)
        for name in folders:
            measure_picture(options.dataset, folders[name], record, (rows[row][name], rows["all"][name]))
    show(rows)


def read_records(dataset: Path) -> Iterator[dict[str, Any]]:
    """Yield a record of each picture: its id, keypoints, light, first part of its name and split."""
    for path in sorted((dataset / "annotations").glob("person_keypoints_*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        images = {image["id"]: image for image in document["images"]}
        for annotation in document["annotations"]:
            image = images[annotation["image_id"]]
            prefix, _, light = image["clip"].rsplit("_", 2)
            yield {
                "id": image["pair_id"],
                "keypoints": np.reshape(annotation["keypoints"], (-1, 3)),
                "light": light,
                "prefix": prefix,
                "split": path.stem.removeprefix("person_keypoints_"),
            }


def measure_picture(dataset: Path, folder: Path, record: dict[str, Any], tallies: tuple[Tally, ...]) -> None:
    """Measure one picture into every tally."""
    name = f"{record['id']}.png"
    grey = luminance(folder / name)
    mask = read(dataset / "masks" / name, cv2.IMREAD_GRAYSCALE) > 0
    apart = distance_of_levels(grey, mask)
    points = record["keypoints"]
    places = points[points[:, 2] > 1, :2] - 0.5  # COCO counts pixel edges
    for tally in tallies:
        tally.apart.append(apart)
        for place in places:
            measure_keypoint(grey, mask, place, tally)


def measure_keypoint(grey: Grey, mask: Mask, place: Grey, tally: Tally) -> None:
    """Measure around one keypoint: across the outline, or on the aircraft where it fills the disc."""
    disc = disc_around(grey.shape, place, DISC_PX)
    inside, outside = grey[disc & mask], grey[disc & ~mask]
    if min(len(inside), len(outside)) >= FEW:
        tally.edges.append(float(abs(inside.mean() - outside.mean())))
    small = disc_around(grey.shape, place, INSIDE_PX)
    if mask[small].all():
        tally.insides.append(float(grey[small].std()))


def disc_around(shape: tuple[int, ...], place: Grey, radius: int) -> Mask:
    """Return (H, W), true within a radius of x, y."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    disc: Mask = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= radius**2
    return disc


def distance_of_levels(grey: Grey, mask: Mask) -> float:
    """Return |2 AUC - 1| of telling the aircraft from a band around it by grey level alone."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * BAND_PX + 1, 2 * BAND_PX + 1))
    band = (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask
    inside, outside = grey[mask], grey[band]
    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    auc = (ranks.mean() - (len(inside) + 1) / 2) / len(outside)
    return float(abs(2 * auc - 1))


def luminance(path: Path) -> Grey:
    """Return a picture's luminance, 0..255."""
    grey: Grey = cv2.cvtColor(read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2GRAY).astype(np.float64)
    return grey


def read(path: Path, how: int) -> NDArray[np.uint8]:
    """Return a picture that must be there."""
    picture = cv2.imread(str(path), how)
    if picture is None:
        raise SystemExit(f"{path}: no picture; export the dataset, and fuse all of it")
    return np.asarray(picture, np.uint8)


def show(rows: dict[str, dict[str, Tally]]) -> None:
    """Print the table."""
    print(f"{'':16} {'':20} {'n':>5} {'edge':>6} {'edge<10':>8} {'inside':>7} {'vis>ir':>7} {'apart':>6}")
    for row in sorted(rows, key=lambda row: (row == "all", row)):
        both = [rows[row][name] for name in MODALITIES]
        better = np.mean(np.array(both[0].edges) > np.array(both[1].edges))
        better_inside = np.mean(np.array(both[0].insides) > np.array(both[1].insides))
        for name, tally in rows[row].items():
            edges = np.array(tally.edges)
            compared = f"{better:.0%}/{better_inside:.0%}" if name == "visible" else ""
            print(
                f"{row:16} {name:20} {len(edges):5} {np.median(edges):6.1f} {np.mean(edges < DIM):8.0%} "
                f"{np.median(tally.insides):7.1f} {compared:>9} {np.mean(tally.apart):6.2f}"
            )


if __name__ == "__main__":
    main()
