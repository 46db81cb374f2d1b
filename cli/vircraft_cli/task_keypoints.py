"""`vircraft task keypoints`: train, judge and use a keypoint network (Sec. 3.3.2)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vircraft_cli.task_options import (
    FILE,
    EvalTaskOptions,
    PredictTaskOptions,
    TrainTaskOptions,
    dataset_argument,
    eval_options,
    output_option,
    pictures_option,
    predict_options,
    train_options,
)
from vircraft_cli.task_results import run_evaluation, run_prediction
from vircraft_cli.words import counted

if TYPE_CHECKING:
    from fgfusion_model.downstream.keypoints import Found, Settings


@click.group("keypoints")
def command() -> None:
    """Find the nine keypoints of an aircraft with HRNet, from a box about it.

    \b
    Example:
      vircraft task keypoints train dataset --pictures visible -o runs/visible --preset small
      vircraft task keypoints eval dataset --pictures visible --weights runs/visible/weights.safetensors
      vircraft task keypoints predict pictures --weights runs/visible/weights.safetensors -o found --draw
    """


@command.command("train")
@dataset_argument
@pictures_option
@output_option("RUN", "Folder of the run.")
@click.option("--loss", type=click.Choice(["cross_entropy", "mse"]), help="[default: cross_entropy]")
@click.option("--init", metavar="random|imagenet|FILE", help="First weights of HRNet.  [default: random]")
@click.option("--category", metavar="NAME", help="Whose keypoints, where several categories have some.")
@train_options()
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

    base: Settings = keypoints.preset(given.preset)
    settings = given.settings(base, loss=loss, init=init, category=category)
    return run_training(given, "objects", partial(keypoints.train, dataset, pictures, settings, output))


@command.command("eval")
@eval_options("Folder for result.json, COCO's results, drift.csv and sheets.")
@click.option(
    "--figures", type=click.IntRange(min=0), default=12, show_default=True, help="Objects on the sheets."
)
def evaluate(figures: int, **options: Any) -> int:
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
    given = EvalTaskOptions(**options)
    from fgfusion_model.downstream import keypoints

    return run_evaluation(given, keypoints.evaluate, figures=figures)


@command.command("predict")
@predict_options("Folder for keypoints.json and drawn/.")
@click.option("--boxes", type=FILE, metavar="FILE.json", help="COCO file.  [default: the whole picture]")
@click.option("--draw", is_flag=True, help="Also draw what was found.")
def predict(boxes: Path | None, draw: bool, **options: Any) -> int:
    """Find keypoints in PICTURES, files or folders, and write them as COCO's results.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    given = PredictTaskOptions(**options)
    from fgfusion_model.downstream import keypoints

    return run_prediction(given, keypoints.predict, _found, boxes=boxes, draw=draw)


def _found(found: Found) -> str:
    return f"keypoints of {counted(found.objects, 'object')} in {counted(found.pictures, 'picture')}"
