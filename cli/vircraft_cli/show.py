"""`vircraft show`: draw one pair of a dataset as a PNG."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="show")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("pair_id", metavar="PAIR_ID")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="PNG to write. [default: PAIR_ID.png here]"
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the pair's record and the picture's path as JSON."
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def command(dataset: Path, pair_id: str, output: Path | None, as_json: bool, quiet: bool) -> None:
    """Draw one pair of DATASET as a PNG.

    It shows the infrared frame, the registered visible frame, the infrared edges over it, a checkerboard of
    both, and the labels if there are any. PAIR_ID is an id from pairs.csv, or the path of one of its files.

    \b
    Example:
      vircraft show dataset approach_000120
      vircraft show dataset approach_000120 -o pair.png
    """
    from vircraft.dataset import Dataset
    from vircraft.files import encode_png, write_atomically
    from vircraft.report.pair_picture import draw_pair, find_pair
    from vircraft.settings import plain

    record = find_pair(Dataset.open(dataset), pair_id)
    picture = draw_pair(dataset, record.id)
    path = output or Path(f"{record.id}.png")
    if path.is_dir():
        path = path / f"{record.id}.png"
    elif path.suffix.lower() != ".png":
        raise click.UsageError(f"{path}: the picture is a PNG; name it {path.with_suffix('.png')}")
    write_atomically(path, encode_png(picture))
    if as_json:
        click.echo(json.dumps({"picture": str(path), **plain(record)}, ensure_ascii=False))
    elif not quiet:
        click.echo(str(path))
