"""How far labels can be carried along a clip, on simulated approaches with known truth.

    python benchmarks/propose.py [--seeds 11,12,13] [--clips 4] [--out FOLDER] [--jobs 2] [--csv steps.csv]

Films and registers the clips (those that are whole in FOLDER are used again), takes the truth of every second
pair as what a person has drawn, carries it on by up to ten pairs (every 10th frame at 50 frames a second: two
seconds) and compares it with the truth there. Three ways are compared: the last labels copied, the motion of
the whole aircraft alone, and what `--propose` does. Pictures are the dataset's own, so the visible one
carries its registration's error.

Errors of keypoints are in pixels and, behind the stroke, in percent of the diagonal of the aircraft's box.
`seen` are keypoints drawn as visible, `hidden` those drawn as occluded.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.annotation.labelme import LabelFile, read_labels
from vircraft.annotation.tracking.carry import carry_on, cut_to_picture
from vircraft.annotation.tracking.motion import FramePictures, find_motion, paint_region
from vircraft.annotation.tracking.propose import LEAST_CONFIDENCE, read_pictures
from vircraft.build import build_dataset
from vircraft.dataset import Dataset, label_path
from vircraft.executors import ProcessExecutor
from vircraft.simulation.film import ClipFiles, film_clip
from vircraft.simulation.settings import PlanSettings, plan_clips
from vircraft.simulation.truth import read_truth

STEPS = (1, 2, 5, 10)
NEAR_PX = 5.0
NEAR_IOU = 0.85

Way = Callable[[LabelFile, Iterable[FramePictures]], Iterator[tuple[LabelFile, float]]]


@dataclass(frozen=True)
class Score:
    """Labels carried to one frame, against its truth."""

    way: str
    clip: str
    zoom: bool
    step: int
    confidence: float
    seen_px: tuple[float, ...]
    hidden_px: tuple[float, ...]
    iou: float
    diagonal_px: float

    @property
    def median_px(self) -> float:
        """Return the median error of all keypoints."""
        errors = self.seen_px + self.hidden_px
        return float(np.median(errors)) if errors else float("nan")

    @property
    def near(self) -> bool:
        """Say whether little is left to correct."""
        return not self.median_px > NEAR_PX and self.iou > NEAR_IOU


def main() -> None:
    """Film, register, carry, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="11,12,13")
    parser.add_argument("--clips", type=int, default=4, help="of each seed: day, dusk, night, day")
    parser.add_argument("--out", type=Path, help="keep clips and datasets there and use them again")
    parser.add_argument("--jobs", type=int, default=1, help="clips registered at once")
    parser.add_argument("--csv", type=Path, help="write one row for each carried frame there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        roots = [
            make_dataset(folder / f"seed{s}", int(s), options.clips, options.jobs)
            for s in options.seeds.split(",")
        ]
        cv2.setNumThreads(1)
        scores: list[Score] = []
        for name, way in WAYS.items():
            started = time.process_time()
            carried = [score for root in roots for score in score_dataset(root, name, way)]
            scores += carried
            ms = 1000 * (time.process_time() - started) / max(len(carried), 1)
            print_way(name, carried, ms)
    ours = [score for score in scores if score.way == "propose"]
    print_kinds(ours)
    print_calibration(ours)
    if options.csv:
        write_csv(options.csv, scores)


def make_dataset(folder: Path, seed: int, clips: int, jobs: int) -> Path:
    """Film and register the clips of one seed unless they are there; labels are the truth's."""
    films, root = folder / "clips", folder / "dataset"
    films.mkdir(parents=True, exist_ok=True)
    for settings in plan_clips(PlanSettings(clips=clips, seed=seed)):
        if not ClipFiles.of(films, settings.name).truth.exists():
            film_clip(settings, films)
    build_dataset(films, root, executor=ProcessExecutor(jobs), report=False)
    return root


def score_dataset(root: Path, name: str, way: Way) -> Iterator[Score]:
    """Carry the labels of every second pair of every clip on, and score them."""
    for journal in Dataset.open(root).journals():
        ids = [pair.id for pair in journal.pairs if pair.verdict != "rejected"]
        name_of_clip = journal.path.stem
        film = read_truth(ClipFiles.of(root.parent / "clips", name_of_clip).truth)
        truth = {i: read_labels(label_path(root, i)) for i in ids}
        pictures = {i: read_pictures(root, i) for i in ids}
        for start in range(0, len(ids) - 1, 2):
            chain = ids[start : start + 1 + max(STEPS)]
            drawn = truth[chain[0]]
            if not drawn.shapes:
                continue
            # fresh pictures, since what they keep for tracking would make later ways cheaper
            frames = (replace(pictures[i]) for i in chain)
            for step, (i, (labels, confidence)) in enumerate(
                zip(chain[1:], way(drawn, frames), strict=False), 1
            ):
                score = score_labels(labels, truth[i], drawn)
                if score is not None:
                    yield Score(name, name_of_clip, bool(film.settings["zoom"]), step, confidence, *score)


def copy_labels(labels: LabelFile, frames: Iterable[FramePictures]) -> Iterator[tuple[LabelFile, float]]:
    """Leave everything where it was."""
    for _ in list(frames)[1:]:
        yield labels, 1.0


def whole_motion(labels: LabelFile, frames: Iterable[FramePictures]) -> Iterator[tuple[LabelFile, float]]:
    """Move everything by the motion of the whole aircraft."""
    before: FramePictures | None = None
    for after in frames:
        if before is not None:
            region = paint_region(polygons(labels), labels.size_wh)
            if not region.any():
                return
            motion = find_motion(region, before, after)
            moved = [
                replace(s, points=tuple(map(tuple, motion.move(np.array(s.points))))) for s in labels.shapes
            ]
            labels = replace(labels, shapes=tuple(moved))
            yield cut_to_picture(labels), motion.likeness
        before = after


def propose(labels: LabelFile, frames: Iterable[FramePictures]) -> Iterator[tuple[LabelFile, float]]:
    """Carry the labels as `--propose` does, however unsure."""
    for carried in carry_on(labels, frames):
        yield carried.labels, carried.confidence


WAYS: dict[str, Way] = {"copy": copy_labels, "whole motion": whole_motion, "propose": propose}


def score_labels(
    labels: LabelFile, truth: LabelFile, drawn: LabelFile
) -> tuple[tuple[float, ...], tuple[float, ...], float, float] | None:
    """Return errors of seen and of hidden keypoints, IoU and the box's diagonal; None without aircraft."""
    outline = polygons(truth)
    if not outline:
        return None
    occluded = {s.label for s in drawn.shapes if s.flags.get("occluded")}
    here = {s.label: np.array(s.points[0]) for s in labels.shapes if s.shape_type == "point"}
    there = {s.label: np.array(s.points[0]) for s in truth.shapes if s.shape_type == "point"}
    errors = {k: float(np.hypot(*(here[k] - there[k]))) for k in there if k in here}
    a = paint_region(polygons(labels), truth.size_wh, grow_px=0) > 0
    b = paint_region(outline, truth.size_wh, grow_px=0) > 0
    iou = float((a & b).sum() / max((a | b).sum(), 1))
    diagonal = float(np.hypot(*np.ptp(np.vstack(outline), axis=0)))
    seen = tuple(e for k, e in errors.items() if k not in occluded)
    return seen, tuple(e for k, e in errors.items() if k in occluded), iou, diagonal


def polygons(labels: LabelFile) -> list[NDArray[np.float64]]:
    """Return the outline's pieces."""
    return [np.array(s.points) for s in labels.shapes if s.shape_type == "polygon"]


def print_way(name: str, scores: Sequence[Score], ms: float) -> None:
    """Print one way's errors after some steps."""
    print(f"{name}, {ms:.0f} ms CPU a frame")
    columns = ("seen median", "90 %", "hidden median", "90 %")
    print(f"  {'steps':<7}{'frames':>7}{''.join(f'{c:>15}' for c in columns)}{'IoU':>7}{'10 %':>6}")
    for step in STEPS:
        chosen = [s for s in scores if s.step == step]
        seen = [(e, 100 * e / s.diagonal_px) for s in chosen for e in s.seen_px]
        hidden = [(e, 100 * e / s.diagonal_px) for s in chosen for e in s.hidden_px]
        cells = "".join(f"{quantile(errors, q):>15}" for errors in (seen, hidden) for q in (0.5, 0.9))
        iou = np.quantile([s.iou for s in chosen] or [np.nan], (0.5, 0.1))
        print(f"  {step:<7}{len(chosen):>7}{cells}{iou[0]:>7.2f}{iou[1]:>6.2f}")
    print(flush=True)


def quantile(errors: Sequence[tuple[float, float]], q: float) -> str:
    """Return a quantile of errors in pixels and percent."""
    if not errors:
        return "-"
    px, percent = np.quantile(np.array(errors), q, axis=0)
    return f"{px:.2f} / {percent:.2f}"


def print_kinds(scores: Sequence[Score]) -> None:
    """Print the errors by light, and with and without zoom."""
    print("propose, median keypoint (all) and IoU after 1, 2, 5, 10 steps")
    for light in ("day", "dusk", "night"):
        print_kind(light, [s for s in scores if s.clip.endswith(light)])
    for zoom in (True, False):
        print_kind("zoom" if zoom else "no zoom", [s for s in scores if s.zoom is zoom])
    print()


def print_kind(words: str, scores: Sequence[Score]) -> None:
    """Print the errors of one kind of clip."""
    cells = []
    for step in STEPS:
        chosen = [s for s in scores if s.step == step]
        errors = [e for s in chosen for e in s.seen_px + s.hidden_px] or [np.nan]
        cells.append(f"{np.median(errors):6.2f} px {np.median([s.iou for s in chosen] or [np.nan]):.2f}")
    print(f"  {words:<8}{'   '.join(cells)}")


def print_calibration(scores: Sequence[Score]) -> None:
    """Print how often labels of some confidence are near the truth."""
    print(f"propose, near = median keypoint within {NEAR_PX:.0f} px and IoU over {NEAR_IOU}")
    for low, high in ((0.9, 1.01), (0.7, 0.9), (0.5, 0.7), (0.3, 0.5), (0.0, 0.3)):
        share_line(
            f"confidence {low:.1f} to {min(high, 1):.1f}", [s for s in scores if low <= s.confidence < high]
        )
    share_line(f"proposed (from {LEAST_CONFIDENCE})", [s for s in scores if s.confidence >= LEAST_CONFIDENCE])
    share_line("all", scores)


def share_line(words: str, scores: Sequence[Score]) -> None:
    """Print how many of some are near the truth."""
    if not scores:
        print(f"  {words:<24}   0 frames")
        return
    near = np.mean([s.near for s in scores])
    confidence = np.mean([s.confidence for s in scores])
    points = np.mean([not s.median_px > NEAR_PX for s in scores])
    iou = np.mean([s.iou > NEAR_IOU for s in scores])
    print(
        f"  {words:<24}{len(scores):>4} frames: near {near:4.0%} (keypoints {points:4.0%}, IoU {iou:4.0%}), "
        f"mean confidence {confidence:.2f}, at most step {max(s.step for s in scores)}"
    )


def write_csv(path: Path, scores: Sequence[Score]) -> None:
    """Write one row for each carried frame."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["way", "clip", "step", "confidence", "median_px", "iou", "near"])
        for s in scores:
            out.writerow(
                [
                    s.way,
                    s.clip,
                    s.step,
                    *(f"{v:.4f}" for v in (s.confidence, s.median_px, s.iou)),
                    int(s.near),
                ]
            )


if __name__ == "__main__":
    main()
