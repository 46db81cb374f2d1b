"""`vircraft probe`: list the clips of a folder and what is odd about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vircraft.clips import Clip, Remark, Stream
    from vircraft.errors import ClipError


@click.command(name="probe")
@click.argument("clips", metavar="CLIPS", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a clip or failure.")
@click.option("-v", "--verbose", is_flag=True, help="Name the files of each clip too.")
@click.option("-q", "--quiet", is_flag=True, help="Print failures only.")
def command(clips: Path, as_json: bool, verbose: bool, quiet: bool) -> int:
    """List the binocular clips in the folder CLIPS (or in a clips.csv) and what is odd about them.

    Files pair up by name (NAME_infrared.mp4 with NAME_visible.mp4; also ir, thermal, vis, rgb), by folder
    (infrared/NAME.mp4 with visible/NAME.mp4), or as clips.csv says (columns name, infrared, visible and,
    if known, offset in visible frames). Exit code 3 when a file could not be used.

    \b
    Example:
      vircraft probe clips
      vircraft probe clips --json
    """
    from tqdm import tqdm

    from vircraft.clips import find_clips, probe_clip
    from vircraft.errors import ClipError

    sources, failures = find_clips(clips)
    probed: list[Clip] = []
    for source in tqdm(sources, unit="clip", leave=False, disable=None if not (quiet or as_json) else True):
        try:
            probed.append(probe_clip(source))
        except ClipError as error:
            failures.append(error)
    if not sources and not failures:
        raise ClipError(
            "holds no clips; name videos NAME_infrared.mp4 and NAME_visible.mp4",
            path=clips,
            reason="no-clips",
        )
    if as_json:
        for line in [*map(clip_record, probed), *map(failure_record, failures)]:
            click.echo(json.dumps(line, ensure_ascii=False))
    else:
        if not quiet:
            _print_table(probed, verbose)
        for failure in failures:
            click.echo(f"failed  {failure} [{failure.reason}]", err=True)
        if not quiet:
            odd = sum(bool(clip.remarks) for clip in probed)
            found = f"{len(probed)} clip{'' if len(probed) == 1 else 's'}"
            bad = f"{len(failures)} failure{'' if len(failures) == 1 else 's'}"
            click.echo(f"{found}, {odd} with remarks, {bad}")
    return 3 if failures else 0


def _print_table(clips: list[Clip], verbose: bool) -> None:
    """Print two rows a clip, one for each stream, and its remarks below."""
    head = ("clip", "stream", "size", "frames", "rate", "duration", "start", "codec", "pixels")
    rows: list[tuple[str, ...]] = [head]
    for clip in clips:
        rows += [(clip.name, *_cells(clip.infrared)), ("", *_cells(clip.visible))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    numbers = {3, 4, 5, 6}

    def line(row: tuple[str, ...]) -> str:
        cells = [
            c.rjust(w) if i in numbers else c.ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    click.echo(line(head))
    for k, clip in enumerate(clips):
        click.echo(line(rows[1 + 2 * k]))
        click.echo(line(rows[2 + 2 * k]))
        if verbose:
            click.echo(f"    infrared file: {clip.infrared.path}\n    visible file:  {clip.visible.path}")
        for extra, path in (("sidecar", clip.sync_sidecar), ("truth", clip.truth)):
            if path is not None and verbose:
                click.echo(f"    {extra}: {path}")
        for remark in clip.remarks:
            click.echo(f"    {_about(remark, clip)}{remark.message} [{remark.code}]")


def _about(remark: Remark, clip: Clip) -> str:
    if remark.path is None:
        return ""
    return "infrared: " if remark.path == clip.infrared.path else "visible: "


def _cells(stream: Stream) -> tuple[str, ...]:
    return (
        stream.modality,
        f"{stream.size_wh[0]}x{stream.size_wh[1]}",
        str(stream.frame_count),
        f"{stream.rate_fps:.3f}".rstrip("0").rstrip("."),
        f"{stream.duration_s:.2f} s",
        f"{stream.start_time_s:.3f} s",
        stream.codec,
        f"{stream.pixel_format}, {stream.bit_depth} bit",
    )


def clip_record(clip: Clip) -> dict[str, Any]:
    """Return a clip as one JSON object."""
    return {
        "clip": clip.name,
        "infrared": stream_record(clip.infrared),
        "visible": stream_record(clip.visible),
        "sync_sidecar": None if clip.sync_sidecar is None else str(clip.sync_sidecar),
        "truth": None if clip.truth is None else str(clip.truth),
        "remarks": [
            {"code": r.code, "message": r.message, "path": None if r.path is None else str(r.path)}
            for r in clip.remarks
        ],
    }


def stream_record(stream: Stream) -> dict[str, Any]:
    """Return what is known about a stream, without its frame times."""
    return {
        "path": str(stream.path),
        "size_wh": list(stream.size_wh),
        "frame_count": stream.frame_count,
        "rate_fps": round(stream.rate_fps, 6),
        "duration_s": round(stream.duration_s, 6),
        "start_time_s": round(stream.start_time_s, 6),
        "codec": stream.codec,
        "pixel_format": stream.pixel_format,
        "bit_depth": stream.bit_depth,
        "rotation_deg": stream.rotation_deg,
        "variable_rate": stream.variable_rate,
        "truncated": stream.truncated,
        "lost_count": stream.lost_count,
        "doubled_count": stream.doubled_count,
        "late_count": stream.late_count,
        "palette": stream.palette,
    }


def failure_record(error: ClipError) -> dict[str, Any]:
    """Return a failure as one JSON object."""
    return {
        "failure": error.reason,
        "message": str(error),
        "path": None if error.path is None else str(error.path),
    }
