"""`vircraft simulate`: film a simulated aircraft on approach, with exact truth."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import click

from vircraft.errors import SettingsError, VircraftError
from vircraft.simulation.film import ClipFiles, film_clip
from vircraft.simulation.settings import (
    AIRCRAFT_KINDS,
    DIFFICULTIES,
    LIGHTS,
    ClipSettings,
    PlanSettings,
    plan_clips,
)
from vircraft.simulation.truth import read_truth


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read WIDTHxHEIGHT."""
    if value is None:
        return None
    try:
        width, height = value.lower().split("x")
        return int(width), int(height)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a size such as 640x512") from None


def _words_of(allowed: tuple[str, ...]) -> Callable[..., tuple[str, ...] | None]:
    """Return a reader of comma-separated lists of known words."""

    def read(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        words = tuple(word.strip() for word in value.split(","))
        for word in words:
            if word not in allowed:
                raise click.BadParameter(f"{word!r} is not one of {', '.join(allowed)}")
        return words

    return read


@click.command("simulate")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for the clips.")
@click.option("--clips", type=int, default=4, show_default=True, help="How many clips.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same clips.")
@click.option("--duration", type=float, default=None, help="Seconds of each clip.  [default: 2.4]")
@click.option("--infrared-size", metavar="WxH", callback=_size, default=None, help="[default: 640x512]")
@click.option("--visible-size", metavar="WxH", callback=_size, default=None, help="[default: 1280x720]")
@click.option("--fps", type=float, default=None, help="Frames a second of both cameras.  [default: 50]")
@click.option("--infrared-fps", type=float, default=None, help="The infrared camera's own rate.")
@click.option("--visible-fps", type=float, default=None, help="The visible camera's own rate.")
@click.option(
    "--light",
    metavar="LIST",
    callback=_words_of(LIGHTS),
    default=None,
    help=f"Taken in turn: {', '.join(LIGHTS)}.",
)
@click.option(
    "--difficulty",
    metavar="LIST",
    callback=_words_of(DIFFICULTIES),
    default=None,
    help=f"Taken in turn: {', '.join(DIFFICULTIES)}.",
)
@click.option(
    "--aircraft",
    metavar="LIST",
    callback=_words_of(AIRCRAFT_KINDS),
    default=None,
    help=f"Taken in turn: {', '.join(AIRCRAFT_KINDS)}.",
)
@click.option(
    "--zoom/--no-zoom", default=None, help="Zoom in every clip, or in none.  [default: by the seed]"
)
@click.option(
    "--offset",
    type=float,
    default=None,
    help="Visible frames; infrared frame i shows visible frame i + offset.  [default: by the seed]",
)
@click.option(
    "--drift",
    type=float,
    default=None,
    help="Drift between the two clocks, parts per million.  [default: by the seed]",
)
@click.option(
    "--lost", type=int, default=None, help="Infrared frames lost in each clip.  [default: by the seed]"
)
@click.option(
    "--quality", type=int, default=21, show_default=True, help="H.264 constant rate factor, 0 best."
)
@click.option("--prefix", default="approach", show_default=True, help="First part of the clips' names.")
@click.option(
    "--quick", is_flag=True, help="Small and short: 640x360 + 320x256, 0.8 s. For trying things out."
)
@click.option("--force", is_flag=True, help="Render again what is already there.")
@click.option("--dry-run", is_flag=True, help="Say what would be rendered.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a clip.")
@click.option("-v", "--verbose", is_flag=True, help="Say more about each clip.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    output: Path,
    clips: int,
    seed: int,
    duration: float | None,
    infrared_size: tuple[int, int] | None,
    visible_size: tuple[int, int] | None,
    fps: float | None,
    infrared_fps: float | None,
    visible_fps: float | None,
    light: tuple[str, ...] | None,
    difficulty: tuple[str, ...] | None,
    aircraft: tuple[str, ...] | None,
    zoom: bool | None,
    offset: float | None,
    drift: float | None,
    lost: int | None,
    quality: int,
    prefix: str,
    quick: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> int:
    """Film a simulated aircraft on approach with an infrared and a visible camera.

    Writes NAME_infrared.mp4, NAME_visible.mp4 and NAME.truth.json for each clip: homographies of the far
    scene and of the aircraft, nine keypoints, box and outline for every frame, and what the two clocks did.
    A clip that is already there and complete is left alone.

    \b
    Examples:
      vircraft simulate -o clips
      vircraft simulate -o clips --clips 12 --seed 7 --light night,dusk --zoom
      vircraft simulate -o clips --quick
    """
    defaults = PlanSettings()
    plan = PlanSettings(
        clips=clips,
        seed=seed,
        duration_s=duration if duration is not None else (0.8 if quick else defaults.duration_s),
        infrared_wh=infrared_size or ((320, 256) if quick else defaults.infrared_wh),
        visible_wh=visible_size or ((640, 360) if quick else defaults.visible_wh),
        infrared_fps=infrared_fps or fps or defaults.infrared_fps,
        visible_fps=visible_fps or fps or defaults.visible_fps,
        lights=light or defaults.lights,  # type: ignore[arg-type]
        difficulties=difficulty or defaults.difficulties,  # type: ignore[arg-type]
        aircraft=aircraft or defaults.aircraft,  # type: ignore[arg-type]
        zoom=zoom,
        offset_frames=offset,
        drift_ppm=drift,
        lost=lost,
        quality=quality,
        prefix=prefix,
    )
    settings = plan_clips(plan)
    try:
        if not dry_run:
            output.mkdir(parents=True, exist_ok=True)
        for each in settings:
            _film(each, output, force, dry_run, as_json, verbose, quiet)
    except OSError as error:
        raise VircraftError(
            f"{output}: cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return 0


def _film(
    settings: ClipSettings,
    output: Path,
    force: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    files = ClipFiles.of(output, settings.name)
    state = "rendered"
    if files.truth.exists() and files.infrared.exists() and files.visible.exists() and not force:
        if read_truth(files.truth).settings != settings.as_dict():
            raise SettingsError(f"{files.truth}: a clip of other settings is there; --force replaces it")
        state = "kept"
    elif dry_run:
        state = "to render"
    else:
        _render(settings, output, quiet or as_json)
    if as_json:
        click.echo(json.dumps({"clip": settings.name, "state": state, "settings": settings.as_dict()}))
    elif not quiet:
        click.echo(f"{settings.name}: {state}, {_words(settings, verbose)}")


def _render(settings: ClipSettings, output: Path, silent: bool) -> None:
    import cv2
    from tqdm import tqdm

    cv2.setNumThreads(1)
    with tqdm(
        total=None, desc=settings.name, unit="frame", leave=False, disable=silent or not sys.stderr.isatty()
    ) as bar:

        def step(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        film_clip(settings, output, step)


def _words(s: ClipSettings, verbose: bool) -> str:
    text = f"{s.light}, {s.difficulty}, {s.aircraft}{', zoom' if s.zoom else ''}, {s.duration_s:g} s"
    if verbose:
        text += (
            f", visible {s.visible_wh[0]}x{s.visible_wh[1]} at {s.visible_fps:g} fps"
            f", infrared {s.infrared_wh[0]}x{s.infrared_wh[1]} at {s.infrared_fps:g} fps"
            f", offset {s.offset_frames:+g} frames, drift {s.drift_ppm:+g} ppm"
            f", lost {len(s.lost_infrared)} + {len(s.lost_visible)}, seed {s.seed}"
        )
    return text
