"""Make the picture folders that explain the documented experiment's table, from the simulation's truth.

    python benchmarks/experiment/explain.py exp
    vircraft experiment run benchmarks/experiment/explain.toml ...     # see docs/experiment.md

Writes (below EXP/explain):

- `visible_exact/`: the visible picture warped so that the true keypoints of its aircraft fall on the labels
  (an affine map fitted to them): what the visible camera shows when registration has no error;
- `both/`, `both_exact/`: infrared as red, visible luminance as green and blue: both pictures, nothing fused.
  How well a network does with them tells how much is there to be won by fusing;
- `full_grey/`: luminance of `fused/full`, to tell what colour does.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.files import encode_png, write_atomically
from vircraft.registration.warp import warp_visible
from vircraft.simulation.truth import ClipTruth, read_truth

Picture = NDArray[Any]


def main() -> None:
    """Make the folders; what is there is made again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("exp", type=Path)
    exp: Path = parser.parse_args().exp
    clips: dict[str, list[dict[str, str]]] = {}
    with (exp / "dataset" / "pairs.csv").open(encoding="utf-8", newline="") as file:
        for pair in csv.DictReader(file):
            if pair["verdict"] != "rejected":
                clips.setdefault(pair["clip"], []).append(pair)
    moved = []
    for clip, pairs in clips.items():
        truth = read_truth(exp / "clips" / f"{clip}.truth.json")
        for pair, frame in frames_of(exp / "clips" / f"{clip}_visible.mp4", pairs):
            h = aircraft_map(truth, int(pair["infrared_index"]), int(pair["visible_index"]))
            write_pair(exp, pair["id"], warp_visible(frame, h, truth.infrared_wh))
            moved.append(pair["id"])
    print(f"{len(moved)} pairs of {len(clips)} clips in {exp / 'explain'}")


def frames_of(path: Path, pairs: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], Picture]]:
    """Yield each pair with its visible frame, (H, W, 3) BGR."""
    wanted = {int(pair["visible_index"]): pair for pair in pairs}
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                yield wanted[index], frame.to_ndarray(format="bgr24")


def aircraft_map(truth: ClipTruth, infrared_index: int, visible_index: int) -> NDArray[np.float64]:
    """Return the affine map, as (3, 3), that brings the visible keypoints closest to the infrared ones."""
    source = truth.visible_frames[visible_index].keypoints
    target = truth.infrared_frames[infrared_index].keypoints_infrared
    both = (source[:, 2] > 0) & (target[:, 2] > 0)
    ones = np.column_stack([source[both, :2], np.ones(both.sum())])
    solution, *_ = np.linalg.lstsq(ones, target[both, :2], rcond=None)
    return np.vstack([solution.T, [0, 0, 1]])


def write_pair(exp: Path, name: str, exact: Picture) -> None:
    """Write the pictures of one pair."""
    infrared = cv2.imread(str(exp / "dataset/infrared" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    visible = cv2.imread(str(exp / "dataset/visible" / f"{name}.png"))
    fused = cv2.imread(str(exp / "fused/full" / f"{name}.png"))
    assert infrared is not None
    assert visible is not None
    assert fused is not None
    pictures = {
        "visible_exact": exact,
        "both": stacked(infrared, visible),
        "both_exact": stacked(infrared, exact),
        "full_grey": grey(fused),
    }
    for folder, picture in pictures.items():
        write_atomically(exp / "explain" / folder / f"{name}.png", encode_png(picture))


def stacked(infrared: Picture, visible: Picture) -> Picture:
    """Return a BGR picture with infrared as red and visible luminance as the others."""
    return np.dstack([grey(visible), grey(visible), infrared])


def grey(picture: Picture) -> Picture:
    """Return the luminance of a BGR picture."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


if __name__ == "__main__":
    main()
