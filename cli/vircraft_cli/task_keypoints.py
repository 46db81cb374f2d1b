"""`vircraft task keypoints`: train, judge and use a keypoint network (Sec. 3.3.2)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vircraft_cli.bar import Bar
from vircraft_cli.printable import printable
from vircraft_cli.task_options import (
    FILE,
    TrainTaskOptions,
    dataset_argument,
    device_option,
    json_option,
    output_option,
    pictures_option,
    quiet_option,
    train_options,
    weights_option,
)
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.downstream.keypoints import Settings
    from fgfusion_model.downstream.results import TaskResult
    from fgfusion_model.training.runtime import DeviceName

FINISHED_WITH_FAILURES = 3
PRESETS = ("paper", "small")  # as fgfusion_model.downstream.keypoints has them, without importing it


@click.group("keypoints")
def command() -> None:
    """Find the nine keypoints of an aircraft with HRNet, from a box about it.

    \b
    Example:
      vircraft task keypoints train dataset --pictures visible -o runs/visible --preset small
      vircraft task keypoints eval dataset --pictures visible --weights runs/visible/weights.safetensors
      vircraft task keypoints predict frames --weights runs/visible/weights.safetensors -o found --draw
    """


@command.command("train")
@dataset_argument
@pictures_option
@output_option("RUN", "Folder of the run.")
@click.option("--loss", type=click.Choice(["cross_entropy", "mse"]), help="[default: cross_entropy]")
@click.option("--init", metavar="random|imagenet|FILE", help="First weights of HRNet.  [default: random]")
@click.option("--category", metavar="NAME", help="Whose keypoints, where several categories have some.")
@train_options(PRESETS)
def train(
    dataset: Path,
    pictures: str,
    output: Path,
    loss: Literal["cross_entropy", "mse"] | None,
    init: str | None,
    category: str | None,
    **options: Any,
) -> int:
    """Train HRNet on the labelled objects of DATASET (see 'vircraft export coco').

    The preset 'paper' is the published recipe: HRNet-w32, Adam 1e-3, weight decay 5e-4, batch 6, 200 epochs,
    weighted cross entropy over heatmap positions. 'small' trains in minutes on a CPU. Objects come in the
    same order, varied in the same way, whatever the pictures are.

    \b
    Writes (below RUN):
      weights.safetensors   for 'eval' and 'predict'
      log.csv               the loss at every step
      checkpoints/          the last state; settings.toml: all settings

    \b
    Exit code: 0 all good, 1 error, 2 usage, 130 stopped by Ctrl-C, 143 by SIGTERM; --resume goes on.
    """
    given = TrainTaskOptions(**options)
    from fgfusion_model.downstream import keypoints
    from vircraft_cli.task_training import run_training

    base: Settings = given.settings(keypoints.preset(given.preset))
    chosen: dict[str, Any] = {"loss": loss, "init": init, "category": category}
    settings = replace(base, **{name: value for name, value in chosen.items() if value is not None})
    return run_training(
        given,
        "objects",
        lambda **told: keypoints.train(
            dataset, pictures, settings, output, given.runtime(), split=given.split, val=given.val,
            resume=given.resume, **told,
        ),
    )  # fmt: skip


@command.command("eval")
@dataset_argument
@pictures_option
@weights_option
@output_option("DIR", "Folder for result.json, COCO's results, drift.csv and sheets.", required=False)
@click.option("--split", default="test", show_default=True, help="To judge on.")
@click.option(
    "--figures", type=click.IntRange(min=0), default=12, show_default=True, help="Objects on the sheets."
)
@device_option
@json_option
@quiet_option
def evaluate(
    dataset: Path,
    pictures: str,
    weights: Path,
    output: Path | None,
    split: str,
    figures: int,
    device: DeviceName,
    as_json: bool,
    quiet: bool,
) -> int:
    """Judge a network on a split of DATASET, from its labelled boxes.

    Prints COCO's AP and AR (pycocotools, with the dataset's own OKS sigmas), the share of objects above each
    OKS threshold (what the paper's Tab. 2 seems to be), and distances in pixels.

    \b
    Writes into -o:
      result.json                 all scores, and OKS by picture
      keypoints_results.json      COCO's results
      drift.csv                   each peak's drift from its label, in pixels
      sheet_01.png, ...           labels, peaks and heatmaps, as in Fig. 11
    """
    from fgfusion_model.downstream import keypoints
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        result = keypoints.evaluate(
            weights, dataset, pictures, split=split, output=output, runtime=Runtime(device),
            on_file=bar.update, figures=figures,
        )  # fmt: skip
    _print_result(result, as_json, quiet)
    return 0


@command.command("predict")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURES...")
@weights_option
@output_option("DIR", "Folder for keypoints.json and drawn/.")
@click.option("--boxes", type=FILE, metavar="FILE.json", help="COCO file.  [default: the whole picture]")
@click.option("--draw", is_flag=True, help="Also draw what was found.")
@device_option
@json_option
@quiet_option
def predict(
    sources: tuple[Path, ...],
    weights: Path,
    output: Path,
    boxes: Path | None,
    draw: bool,
    device: DeviceName,
    as_json: bool,
    quiet: bool,
) -> int:
    """Find keypoints in PICTURES, files or folders, and write them as COCO's results.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    from fgfusion_model.downstream import keypoints
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        found = keypoints.predict(
            weights, sources, output, boxes=boxes, draw=draw, runtime=Runtime(device), on_file=bar.update
        )
    code = FINISHED_WITH_FAILURES if found.failures else 0
    if as_json:
        values = {**vars(found), "results": str(found.results), "drawn": [str(path) for path in found.drawn]}
        click.echo(json.dumps({**values, "exit_code": code}, ensure_ascii=False))
        return code
    for failure in found.failures:
        click.echo(f"left out: {printable(failure)}", err=True)
    if not quiet:
        objects = counted(found.objects, "object")
        click.echo(f"keypoints of {objects} in {counted(found.pictures, 'picture')}", err=True)
    click.echo(printable(str(found.results)))
    return code


def _print_result(result: TaskResult, as_json: bool, quiet: bool) -> None:
    if as_json:
        from vircraft.settings import plain

        click.echo(json.dumps(plain(result), ensure_ascii=False))
        return
    width = max(map(len, result.scores))
    for name, value in result.scores.items():
        click.echo(f"{name:{width}}  {'-' if value is None else f'{value:.4f}'}")
    if not quiet:
        for remark in result.remarks:
            click.echo(f"note: {printable(remark)}", err=True)
