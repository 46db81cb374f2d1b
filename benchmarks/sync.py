"""How exactly the offset between two streams is found: recordings re-cut in known ways, and wrong pairings.

Each trial cuts other starts, lengths and losses out of a clip whose offset is known, writes the two files
anew, and asks `synchronise`. Wrong pairings put together streams of different scenes: nothing may be
confident there.

    python benchmarks/sync.py CLIPS [CLIPS ...] [--trials 40] [--seed 1] [--full]

CLIPS are folders with NAME_infrared.*, NAME_visible.* and NAME.truth.json (`offset` or `offset_frames`), such
as those that `vircraft simulate` writes. The truth is read by this script alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vircraft.clips import Clip, ClipSource, find_clips, probe_clip
from vircraft.errors import ClipError
from vircraft.reading import DamagedFrame, read_frames
from vircraft.streams import Stream
from vircraft.sync import Synchronisation, synchronise

SURE = 0.5  # the confidence from which on `register` does not warn


@dataclass(frozen=True)
class Known:
    """A clip and what its truth says."""

    clip: Clip
    offset_s: float
    drift_ppm: float


@dataclass(frozen=True)
class Result:
    """One trial; the error is nan for wrong pairings."""

    name: str
    kind: str
    truth_frames: float
    sync: Synchronisation
    error_frames: float
    cpu_s: float
    seconds: float


def read_known(source: ClipSource) -> Known | None:
    """Return a clip with its truth; None when it has none or cannot be used."""
    try:
        clip = probe_clip(source)
    except ClipError:
        return None
    if clip.truth is None:
        return None
    truth = json.loads(clip.truth.read_text(encoding="utf-8"))
    frames = truth.get("offset_measured", truth.get("offset_frames", truth.get("offset")))
    starts = truth.get(
        "start_s", {"infrared": clip.infrared.start_time_s, "visible": clip.visible.start_time_s}
    )
    drift = float(truth.get("drift_ppm", 0.0))
    offset_s = starts["visible"] + frames / clip.visible.rate_fps - starts["infrared"] * (1 + drift * 1e-6)
    return Known(clip, offset_s, drift)


def recut(stream: Stream, path: Path, first_s: float, length_s: float, lost_share: float, seed: int) -> None:
    """Write a stretch of a stream as a file that starts at 0, some frames lost, times kept otherwise."""
    rng = np.random.default_rng(seed)
    inside = np.flatnonzero((stream.times_s >= first_s) & (stream.times_s < first_s + length_s))
    keep = [int(i) for i in inside if i == inside[0] or rng.random() >= lost_share]
    zero_s = float(stream.times_s[keep[0]])
    base = Fraction(1, 90_000)
    with av.open(str(path), "w") as container:
        out = container.add_stream(
            "libx264",
            rate=Fraction(stream.rate_fps).limit_denominator(1001),
            options={"crf": "18", "preset": "veryfast"},
        )
        out.pix_fmt, out.codec_context.time_base, out.codec_context.thread_count = "yuv420p", base, 1
        width, height = stream.size_wh if stream.rotation_deg % 180 == 0 else stream.size_wh[::-1]
        out.width, out.height = width, height
        for index, frame in read_frames(stream, keep):
            if isinstance(frame, DamagedFrame):
                continue
            picture = frame.reformat(format="yuv420p")
            picture.pts, picture.time_base = round((stream.times_s[index] - zero_s) / base), base
            picture.pict_type = 0
            container.mux(out.encode(picture))
        container.mux(out.encode())


def trial(known: Known, partner: Known, rng: np.random.Generator, folder: Path) -> Result:
    """Re-cut one infrared stream and a visible one (its own, or another clip's) and synchronise them."""
    infrared, visible = known.clip.infrared, partner.clip.visible
    own = known is partner
    length_s = min(float(rng.uniform(3, 8)), 0.95 * infrared.duration_s, 0.95 * visible.duration_s)
    first_s = infrared.start_time_s + float(rng.uniform(0, max(infrared.duration_s - length_s, 0.01)))
    step_s = 1 / visible.rate_fps
    shift_frames = int(rng.integers(-int(1.2 / step_s), int(1.2 / step_s) + 1))
    true_s = known.offset_s + first_s * known.drift_ppm * 1e-6 if own else 0.0
    start_s = first_s + true_s + shift_frames * step_s if own else visible.start_time_s
    lost = float(rng.choice([0.0, 0.0, 0.03]))
    paths = [folder / "t_infrared.mp4", folder / "t_visible.mp4"]
    recut(infrared, paths[0], first_s, length_s, lost, int(rng.integers(1 << 30)))
    recut(visible, paths[1], start_s, length_s, lost, int(rng.integers(1 << 30)))
    zero_ir = float(infrared.times_s[np.searchsorted(infrared.times_s, first_s)])
    zero_vis = float(visible.times_s[np.searchsorted(visible.times_s, start_s)])
    truth_frames = (zero_ir + true_s - zero_vis) / step_s
    clip = probe_clip(ClipSource("t", paths[0], paths[1]))
    return measure(
        clip,
        known.clip.name if own else f"{known.clip.name}+{partner.clip.name}",
        "own" if own else "wrong",
        truth_frames,
    )


def measure(clip: Clip, name: str, kind: str, truth_frames: float) -> Result:
    """Synchronise a clip and compare."""
    started = time.process_time()
    sync = synchronise(clip)
    cpu_s = time.process_time() - started
    error = sync.offset_frames - truth_frames if kind != "wrong" else float("nan")
    return Result(name, kind, truth_frames, sync, error, cpu_s, clip.infrared.duration_s)


def show(results: list[Result]) -> None:
    """Print a row a trial and what they say together."""
    head = f"{'clip':34} {'kind':6} {'truth':>8} {'found':>8} {'error':>7} {'conf':>5}"
    print(f"{head} {'source':9} {'drift':>6} {'CPU s':>6}")
    for r in results:
        error = "" if np.isnan(r.error_frames) else f"{r.error_frames:+.3f}"
        truth = "" if r.kind == "wrong" else f"{r.truth_frames:.2f}"
        s = r.sync
        print(
            f"{r.name:34.34} {r.kind:6} {truth:>8} {s.offset_frames:8.2f} {error:>7} {s.confidence:5.2f} "
            f"{s.source:9} {s.drift_ppm:6.0f} {r.cpu_s:6.2f}"
        )
    own = [r for r in results if r.kind != "wrong"]
    wrong = [r for r in results if r.kind == "wrong"]
    print(f"\nown pairings: {len(own)}, wrong pairings: {len(wrong)}; error in frames")
    _summary("all own", own)
    _summary("sure ones", [r for r in own if r.sync.confidence >= SURE])
    if wrong:
        print(f"  wrong pairings held for sure: {np.mean([r.sync.confidence >= SURE for r in wrong]):.0%}")
    cpu_s, length_s = np.mean([r.cpu_s for r in results]), np.mean([r.seconds for r in results])
    print(f"  CPU: {cpu_s:.2f} s for a clip of {length_s:.1f} s")


def _summary(name: str, results: list[Result]) -> None:
    if results:
        errors = np.abs([r.error_frames for r in results])
        shares = ", ".join(f"within {limit} {np.mean(errors <= limit):.0%}" for limit in (0.1, 0.5, 1))
        print(f"  {name:9} {len(results):3}: median {np.median(errors):.3f}, {shares}")


def main() -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("clips", nargs="+", type=Path, help="folders of clips with their truth")
    parser.add_argument(
        "--trials", type=int, default=40, help="re-cut trials; every third is a wrong pairing"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="the clips as they are, nothing re-cut")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    found = [read_known(source) for folder in arguments.clips for source in find_clips(folder)[0]]
    clips = [known for known in found if known is not None]
    results: list[Result] = []
    if arguments.full:
        for known in clips:
            start_s = known.clip.infrared.start_time_s
            offset_s = (
                known.offset_s + start_s * (1 + known.drift_ppm * 1e-6) - known.clip.visible.start_time_s
            )
            results.append(
                measure(known.clip, known.clip.name, "full", offset_s * known.clip.visible.rate_fps)
            )
        show(results)
        return
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        for k in range(arguments.trials):
            known = clips[int(rng.integers(len(clips)))]
            others = [other for other in clips if other is not known]
            wrong = k % 3 == 2 and bool(others)
            partner = others[int(rng.integers(len(others)))] if wrong else known
            results.append(trial(known, partner, rng, Path(folder)))
    show(results)


if __name__ == "__main__":
    main()
