"""`vircraft align`: register still pictures listed in a CSV file."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from vircraft.executors import THREAD_VARIABLES


@click.command("align", short_help="Register pairs of still pictures listed in a CSV file.")
@click.argument(
    "pairs_csv", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PAIRS.csv"
)
@click.option(
    "-o", "--out", "out_csv", required=True, type=click.Path(dir_okay=False, path_type=Path),
    metavar="EST.csv", help="Where to write the answers.",
)  # fmt: skip
@click.option(
    "--warp", "warp_dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Also write each visible picture on the infrared grid, as DIR/ID.png.",
)  # fmt: skip
@click.option(
    "--recipe", type=click.Choice(["vircraft", "paper"]), help="'paper' runs the published plain recipe."
)
@click.option("--scale-min", type=float, help="Smallest share of the visible width that infrared may span.")
@click.option("--scale-max", type=float, help="Largest share.")
@click.option("--rotation", "rotation_deg", type=float, help="Roll between the cameras, searched within +-.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a pair on standard output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def command(
    pairs_csv: Path,
    out_csv: Path,
    warp_dir: Path | None,
    recipe: str | None,
    scale_min: float | None,
    scale_max: float | None,
    rotation_deg: float | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Register pairs of still pictures.

    PAIRS.csv has the columns id, visible, infrared (paths relative to the file) and optionally rig: pairs
    with the same rig share one homography. EST.csv gets id, status (fine, coarse, refused), h00..h22 mapping
    visible to infrared pixels, predicted_error_px, reason and ms, the CPU time of the pair. A refusal is an
    answer; the exit code is 3 only when pictures could not be read.

    \b
    Example:
      printf 'id,visible,infrared\\na,rgb/1.jpg,ir/1.png\\n' > pairs.csv
      vircraft align pairs.csv -o est.csv --warp registered
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))  # before NumPy: `ms` is that of one thread
    import cv2
    from tqdm import tqdm

    from vircraft.registration.settings import RegistrationSettings
    from vircraft.stills import align_pairs, read_pairs_csv, write_answers

    cv2.setNumThreads(1)
    settings = RegistrationSettings()
    settings = replace(
        settings,
        recipe="paper" if recipe == "paper" else "vircraft",
        scale_min=settings.scale_min if scale_min is None else scale_min,
        scale_max=settings.scale_max if scale_max is None else scale_max,
        rotation_deg=settings.rotation_deg if rotation_deg is None else rotation_deg,
    )
    rows = read_pairs_csv(pairs_csv)
    started = time.monotonic()
    answers = []
    bar = tqdm(total=len(rows), unit="pair", disable=quiet or as_json or not sys.stderr.isatty())
    with bar:
        for answer in align_pairs(rows, settings, warp_dir):
            answers.append(answer)
            bar.update()
            if as_json:
                click.echo(json.dumps(answer.record()))
            elif answer.failure and not quiet:
                bar.clear()
                click.echo(f"{answer.id}: {answer.failure}", err=True)
    order = {row.id: n for n, row in enumerate(rows)}
    write_answers(sorted(answers, key=lambda a: order[a.id]), out_csv)
    failed = sum(bool(a.failure) for a in answers)
    if not quiet and not as_json:
        counts = {s: sum(a.status == s for a in answers) for s in ("fine", "coarse", "refused")}
        text = ", ".join(f"{n} {s}" for s, n in counts.items())
        pairs = "1 pair" if len(answers) == 1 else f"{len(answers)} pairs"
        click.echo(f"{pairs} in {time.monotonic() - started:.1f} s: {text}")
        if failed:
            click.echo(f"{failed} could not be read; see the reason column", err=True)
        click.echo(str(out_csv))
    return 3 if failed else 0
