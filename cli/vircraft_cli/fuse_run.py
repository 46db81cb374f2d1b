"""`vircraft fuse run`: a dataset, two folders, two pictures or two videos in, fused ones out."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vircraft_cli.fuse_run_report import Teller

if TYPE_CHECKING:
    from fgfusion_model.inference.fuser import Fuser
    from fgfusion_model.inference.grey_levels import GreyLevels
    from fgfusion_model.inference.job import Outcome
    from fgfusion_model.inference.picture_pairs import FoundPictures


@click.command("run")
@click.argument("dataset", required=False, type=click.Path(path_type=Path))
@click.option(
    "--infrared", type=click.Path(path_type=Path), metavar="PATH", help="A folder, a picture or a video."
)
@click.option("--visible", type=click.Path(path_type=Path), metavar="PATH", help="Its visible partner.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for NAME.png or NAME.mp4, NAME as the infrared file; of two files also a file.",
)
@click.option(
    "--weights", default="lite", show_default=True, metavar="NAME|PATH", help="Bundled ones, or a file."
)
@click.option(
    "--network",
    type=click.Choice(["paper", "base", "lite"]),
    help="Insist on weights of this preset.  [default: what the weights are of]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--precision", type=click.Choice(["32", "bf16"]), default="32", show_default=True)
@click.option(
    "--batch", type=click.IntRange(min=1), help="Pictures at once.  [default: 1 on a CPU, 8 on a GPU]"
)
@click.option(
    "--tile",
    default="auto",
    show_default=True,
    metavar="auto|off|N",
    help="Fuse large pictures in overlapping tiles of N pixels; auto where memory needs it.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Of the CPU.  [default: one per core]")
@click.option(
    "--range",
    "range_",
    default="auto",
    show_default=True,
    metavar="auto|full|LOW,HIGH",
    help="Counts of 16-bit infrared that become black and white; auto: percentiles over the whole job.",
)
@click.option(
    "--offset",
    type=float,
    metavar="FRAMES",
    help="Of videos: infrared frame i shows what visible frame i + FRAMES shows.  [default: by their times]",
)
@click.option("--foreground", is_flag=True, help="Also write the foreground maps, to foreground/.")
@click.option("--force", is_flag=True, help="Make again what is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and list every failure.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures only.")
def command(
    dataset: Path | None,
    infrared: Path | None,
    visible: Path | None,
    output: Path,
    weights: str,
    network: Literal["paper", "base", "lite"] | None,
    device: str,
    precision: Literal["32", "bf16"],
    batch: int | None,
    tile: str,
    threads: int | None,
    range_: str,
    offset: float | None,
    foreground: bool,
    force: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Fuse the registered pairs of DATASET, or of two folders, two pictures or two videos.

    Both pictures of a pair must have one size; what comes out has it, too, in 8 bits and with the colour of
    the visible picture. What is there already is kept, so that a job that was stopped goes on; no mask is
    needed. Names without a partner and pictures that cannot be fused are listed; the others go on.

    \b
    Example:
      vircraft fuse run dataset -o fused
      vircraft fuse run --infrared ir --visible vi -o fused --foreground
      vircraft fuse run --infrared ir.png --visible vi.png -o fused
      vircraft fuse run --infrared a_infrared.mp4 --visible a_visible.mp4 -o fused

    \b
    Writes:
      NAME.png, NAME.mp4         fused; videos as H.264 with the sound of the visible one
      foreground/NAME.png        255 where the foreground is certain, with --foreground

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pairs failed, 130 interrupted.
    """
    _check_inputs(dataset, infrared, visible)
    tell = Teller(as_json, verbose, quiet)
    # Large pages spare the kernel much work on large activations; it must be said before torch is loaded.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    _use_threads(threads)
    fuser = _fuser(weights, network, device, precision, batch, tile, foreground)
    levels = _levels(range_)
    if infrared is not None and visible is not None and _are_videos(infrared, visible):
        return _run_video(infrared, visible, output, offset, levels, foreground, force, fuser, tell)
    if offset is not None:
        raise click.UsageError("--offset is for videos; pictures pair up by name")
    return _run_pictures(dataset, infrared, visible, output, levels, foreground, force, fuser, tell)


def _check_inputs(dataset: Path | None, infrared: Path | None, visible: Path | None) -> None:
    both, none = infrared is not None and visible is not None, infrared is None and visible is None
    if (dataset is None and not both) or (dataset is not None and not none):
        raise click.UsageError("name a DATASET, or --infrared PATH and --visible PATH (not both)")
    if infrared is not None and visible is not None and infrared.is_dir() != visible.is_dir():
        raise click.UsageError(
            f"{infrared} and {visible} must both be folders or both be files; one of them is a folder"
        )


def _use_threads(threads: int | None) -> None:
    """Give the network the cores; OpenCV's own threads would only be in their way."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot read is reported
    if threads is not None:
        torch.set_num_threads(threads)


def _fuser(
    weights: str,
    network: Literal["paper", "base", "lite"] | None,
    device: str,
    precision: Literal["32", "bf16"],
    batch: int | None,
    tile: str,
    foreground: bool,
) -> Fuser:
    from fgfusion_model.checkpoints import bundled_weights, load_weights
    from fgfusion_model.inference.fuser import Fuser, InferenceSettings
    from fgfusion_model.settings import preset

    size: int | Literal["auto", "off"] = "off" if tile == "off" else "auto"
    if tile not in ("auto", "off"):
        if not tile.isdigit():
            raise click.UsageError(f"--tile is {tile!r}; it is auto, off or a number of pixels")
        size = int(tile)
    settings = InferenceSettings(device, precision, batch or 0, size)
    path = bundled_weights(weights)
    model = load_weights(path, None if network is None else preset(network))
    if foreground and not model.settings.foreground:
        raise click.UsageError(f"{path} has no foreground branch; leave out --foreground")
    return Fuser(model, settings)


def _levels(range_: str) -> GreyLevels | None:
    from fgfusion_model.inference.grey_levels import parse_levels

    return None if range_ == "auto" else parse_levels(range_)


def _are_videos(infrared: Path, visible: Path) -> bool:
    from fgfusion_model.inference.picture_pairs import is_video

    kinds = [is_video(path) and not path.is_dir() for path in (infrared, visible)]
    if kinds[0] != kinds[1]:
        raise click.UsageError(f"{infrared} and {visible}: one is a video, the other is not")
    return kinds[0]


def _run_pictures(
    dataset: Path | None,
    infrared: Path | None,
    visible: Path | None,
    output: Path,
    levels: GreyLevels | None,
    foreground: bool,
    force: bool,
    fuser: Fuser,
    tell: Teller,
) -> int:
    from fgfusion_model.inference.job import FusingJob, fuse_files
    from fgfusion_model.inference.picture_files import survey

    found, output = _find(dataset, infrared, visible, output)
    job = FusingJob(output, survey(found.pairs, levels), foreground, force)
    tell.plan(found, job.appearance.infrared, job.appearance.palette)
    with _Bar(tell.hidden, len(found.pairs), "picture") as bar:

        def on_outcome(outcome: Outcome) -> None:
            bar.update()
            tell.outcome(outcome)

        summary = fuse_files(found, job, fuser, on_outcome)
    return tell.summary(summary, output)


def _find(
    dataset: Path | None, infrared: Path | None, visible: Path | None, output: Path
) -> tuple[FoundPictures, Path]:
    """Return the pairs and the folder to write to."""
    from fgfusion_model.inference.picture_pairs import find_dataset_pairs, match_folders, pair_files

    if dataset is not None:
        return find_dataset_pairs(dataset), output
    assert infrared is not None
    assert visible is not None
    if infrared.is_dir():
        return match_folders(infrared, visible), output
    found = pair_files(infrared, visible)
    if output.suffix and not output.is_dir():
        if output.suffix.lower() != ".png":
            raise click.UsageError(f"{output}: fused pictures are written as PNG; give a folder or NAME.png")
        return replace(found, pairs=(replace(found.pairs[0], name=output.stem),)), output.parent
    return found, output


def _run_video(
    infrared: Path,
    visible: Path,
    output: Path,
    offset: float | None,
    levels: GreyLevels | None,
    foreground: bool,
    force: bool,
    fuser: Fuser,
    tell: Teller,
) -> int:
    from fgfusion_model.inference.video import VideoJob, fuse_video, open_pair

    is_file = output.suffix and not output.is_dir()
    job = VideoJob(output if is_file else output / f"{infrared.stem}.mp4", foreground, force)
    pair = open_pair(infrared, visible, offset, levels)
    tell.video_plan(pair)
    with _Bar(tell.hidden, pair.frames, "frame") as bar:
        summary = fuse_video(pair, job, fuser, bar.reach)
    return tell.video_summary(summary, job.path)


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self, hidden: bool, total: int, unit: str) -> None:
        from tqdm import tqdm

        hidden = hidden or not sys.stderr.isatty()
        self.bar = tqdm(total=total, unit=unit, disable=hidden, dynamic_ncols=True)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self) -> None:
        self.bar.update()

    def reach(self, done: int) -> None:
        self.bar.update(done - self.bar.n)
