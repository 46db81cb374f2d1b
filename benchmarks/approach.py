"""How well the aircraft itself is registered, on simulated approaches with known truth.

    python benchmarks/approach.py [--clips 12] [--seed 1] [--out FOLDER] [--jobs 2] [--csv pairs.csv]

Films the clips (those that are whole in FOLDER are used again), finds the offset between the streams, samples
every 10th frame and registers each clip as `vircraft register` does. For every pair in which an aircraft is
seen, the keypoints of the visible frame are carried by the estimate and compared with those of the infrared
frame: the keypoint transfer error, in pixels of an infrared picture 640 wide.

Beside it stands `far`: how far the aircraft would be off if the distant background were registered perfectly.
Part of that is parallax; the rest comes from shutters that do not open together while the head follows the
aircraft and the background runs through the picture.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.clips import find_clips, probe_clip
from vircraft.registration import register_clip
from vircraft.registration.settings import RegistrationSettings
from vircraft.registration.warp import apply_homography
from vircraft.sampling import FramePair, SamplingSettings, plan_pairs, read_pairs
from vircraft.simulation.film import ClipFiles, film_clip
from vircraft.simulation.settings import ClipSettings, PlanSettings, plan_clips
from vircraft.simulation.truth import ClipTruth, read_truth
from vircraft.sync import synchronise


@dataclass(frozen=True)
class PairScore:
    """One pair in which an aircraft is seen."""

    id: str
    status: str
    reason: str
    predicted_error_px: float
    errors_px: tuple[float, ...]  # of each keypoint; empty when refused
    far_error_px: float


@dataclass(frozen=True)
class ClipScore:
    """One clip."""

    settings: ClipSettings
    pairs: tuple[PairScore, ...]
    unseen: int  # pairs without an aircraft
    offset_error_frames: float
    ms_per_pair: float  # CPU, reading left out


def main() -> None:
    """Film, register, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", type=int, default=12, help="at least 12 to meet every light and difficulty"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of each clip")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--out", type=Path, help="keep the clips there and use them again")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--recipe", choices=("vircraft", "paper"), default="vircraft")
    parser.add_argument("--true-offset", action="store_true", help="take the offset from the truth")
    parser.add_argument("--csv", type=Path, help="write one row for each pair there")
    options = parser.parse_args()
    plan = PlanSettings(clips=options.clips, seed=options.seed, duration_s=options.duration)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        work = [
            (clip, folder, options.every, options.recipe, options.true_offset)
            for clip in varied(plan_clips(plan))
        ]
        if options.jobs > 1:
            with ProcessPoolExecutor(options.jobs) as pool:
                scores = print_rows(pool.map(score_clip, *zip(*work, strict=True)))
        else:
            scores = print_rows(score_clip(*each) for each in work)
    print_total(scores)
    if options.csv:
        write_csv(options.csv, scores)


def varied(clips: Sequence[ClipSettings]) -> list[ClipSettings]:
    """Let every second clip zoom, whatever the seed says."""
    return [replace(clip, zoom=k % 2 == 1) for k, clip in enumerate(clips)]


def score_clip(settings: ClipSettings, folder: Path, every: int, recipe: str, true_offset: bool) -> ClipScore:
    """Film a clip unless it is there, register its pairs and compare them with the truth."""
    cv2.setNumThreads(1)
    files = ClipFiles.of(folder, settings.name)
    if not files.truth.exists() or read_truth(files.truth).settings != settings.as_dict():
        film_clip(settings, folder)
    truth = read_truth(files.truth)
    source = next(s for s in find_clips(folder)[0] if s.name == settings.name)
    clip = probe_clip(source)
    sync = synchronise(clip, offset_frames=truth.offset_frames if true_offset else None)
    pairs = plan_pairs(clip, sync, SamplingSettings(every=every))
    registration = RegistrationSettings(recipe="paper" if recipe == "paper" else "vircraft")
    scores, unseen, cpu_s = [], 0, 0.0
    reader = TimedPairs(read_pairs(clip, pairs))
    started = time.process_time()
    for pair, answer in register_clip(reader, registration):
        score = score_pair(truth, pair, answer.h_ir_from_vis)
        if score is None:
            unseen += 1
            continue
        predicted = float("nan") if answer.predicted_error_px is None else answer.predicted_error_px
        scores.append(PairScore(pair.id, answer.status, answer.reason, predicted, score[0], score[1]))
    cpu_s = time.process_time() - started - reader.cpu_s
    return ClipScore(
        settings,
        tuple(scores),
        unseen,
        (sync.offset_s - truth.offset_s) * truth.visible_fps,
        1000 * cpu_s / max(len(scores) + unseen, 1),
    )


class TimedPairs:
    """Hands pairs on and keeps the CPU time that reading them took."""

    def __init__(self, pairs: Iterable[FramePair]) -> None:
        self._pairs = iter(pairs)
        self.cpu_s = 0.0

    def __iter__(self) -> TimedPairs:
        return self

    def __next__(self) -> FramePair:
        started = time.process_time()
        try:
            return next(self._pairs)
        finally:
            self.cpu_s += time.process_time() - started


def score_pair(
    truth: ClipTruth, pair: FramePair, h_ir_from_vis: NDArray[np.float64] | None
) -> tuple[tuple[float, ...], float] | None:
    """Return the keypoints' errors and the far scene's; None when no aircraft is seen in both pictures."""
    frame = truth.infrared_frames[pair.infrared_index]
    infrared = frame.keypoints_infrared
    visible = truth.visible_frames[pair.visible_index].keypoints
    both = (infrared[:, 2] > 0) & (visible[:, 2] > 0)
    if frame.box is None or not both.any():
        return None
    to_640 = 640 / truth.infrared_wh[0]
    far = apply_homography(truth.h_far_between(pair.infrared_index, pair.visible_index), visible[both, :2])
    far_error = float(to_640 * np.median(np.linalg.norm(far - infrared[both, :2], axis=1)))
    errors: tuple[float, ...] = ()
    if h_ir_from_vis is not None:
        carried = apply_homography(h_ir_from_vis, visible[both, :2])
        errors = tuple(float(e) for e in to_640 * np.linalg.norm(carried - infrared[both, :2], axis=1))
    return errors, far_error


HEADER = (
    f"{'clip':<22}{'background':<11}{'aircraft':<9}{'zoom':<5}{'seen':>5}{'accepted':>9}{'coarse':>7}"
    f"{'median':>8}{'95 %':>7}{'far':>7}{'offset':>8}{'ms':>6}"
)


def print_rows(scores: Iterable[ClipScore]) -> list[ClipScore]:
    """Print a row for each clip as it comes."""
    print(HEADER)
    kept = []
    for score in scores:
        s = score.settings
        words = f"{s.name:<22}{s.difficulty:<11}{s.aircraft:<9}{'yes' if s.zoom else '':<5}"
        print(
            words + figures(score.pairs) + f"{score.offset_error_frames:>+8.2f}{score.ms_per_pair:>6.0f}",
            flush=True,
        )
        kept.append(score)
    return kept


def print_total(scores: Sequence[ClipScore]) -> None:
    """Print the row of all clips together and what it is held against."""
    pairs = [pair for score in scores for pair in score.pairs]
    print(f"{'all':<47}{figures(pairs)}")
    print("wanted: median under 2 px, 95 % under 5 px on accepted pairs; 90 % with an aircraft accepted")
    print(f"{sum(s.unseen for s in scores)} pairs show no aircraft")
    wrong = [p for p in pairs if p.status == "fine" and np.median(p.errors_px) > 10]
    print(f"accepted and more than 10 px off: {len(wrong)} {' '.join(p.id for p in wrong)}")


def figures(pairs: Sequence[PairScore]) -> str:
    """Return counts and errors of some pairs as columns."""
    seen = len(pairs)
    fine = [p for p in pairs if p.status == "fine"]
    coarse = sum(p.status == "coarse" for p in pairs)
    errors = np.array([e for p in fine for e in p.errors_px])
    median, high = np.quantile(errors, (0.5, 0.95)) if len(errors) else (np.nan, np.nan)
    far = float(np.median([p.far_error_px for p in pairs])) if seen else np.nan
    share = 100 * len(fine) / seen if seen else np.nan
    return f"{seen:>5}{share:>7.0f} %{coarse:>7}{median:>8.2f}{high:>7.2f}{far:>7.2f}"


def write_csv(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write one row for each pair."""
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(
            [
                "id",
                "status",
                "reason",
                "predicted_error_px",
                "median_error_px",
                "largest_error_px",
                "far_error_px",
            ]
        )
        for score in scores:
            for p in score.pairs:
                errors = p.errors_px or (float("nan"),)
                row = (p.predicted_error_px, float(np.median(errors)), max(errors), p.far_error_px)
                out.writerow([p.id, p.status, p.reason, *(f"{v:.3f}" for v in row)])


if __name__ == "__main__":
    main()
