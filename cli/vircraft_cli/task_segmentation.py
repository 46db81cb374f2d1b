"""`vircraft task segmentation`: train, judge and use DeepLabV3+ (Sec. 3.3.3)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.task_options import (
    EvalTaskOptions,
    PredictTaskOptions,
    TrainTaskOptions,
    dataset_argument,
    eval_options,
    listed_classes,
    output_option,
    pictures_option,
    predict_options,
    train_options,
)
from vircraft_cli.task_results import run_evaluation, run_prediction

if TYPE_CHECKING:
    from fgfusion_model.downstream.segmentation import Settings


@click.group("segmentation")
def command() -> None:
    """Give every pixel a class with DeepLabV3+.

    \b
    Example:
      vircraft task segmentation train MSRS --pictures visible -o runs/visible
      vircraft task segmentation eval MSRS --pictures visible --weights runs/visible/weights.safetensors
      vircraft task segmentation predict frames --weights runs/visible/weights.safetensors -o found
    """


@command.command("train")
@dataset_argument
@pictures_option
@output_option("RUN", "Folder of the run.")
@click.option("--classes", metavar="A,B,...|FILE", help="Names by id.  [default: the dataset's]")
@click.option("--init", metavar="random|imagenet|FILE", help="First weights of ResNet.  [default: random]")
@train_options()
def train(
    dataset: Path, pictures: str, output: Path, classes: str | None, init: str | None, **options: Any
) -> int:
    """Train DeepLabV3+ on the label maps of DATASET.

    DATASET is one as MSRS (train/vi, train/ir, train/Segmentation_labels), a single folder of such folders
    with train.txt and test.txt, or one of vircraft (masks/, splits from 'vircraft export coco'). A label map
    is a PNG whose values are class ids; 255 is no class. Names of the classes come from --classes,
    classes.txt, or the layout; else they are counted.

    The preset 'paper' is the published recipe: ResNet-50, cross entropy, Adam 1e-3, weight decay 5e-4, batch
    12, 300 epochs. 'small' trains in minutes on a CPU. Without a split 'val' (MSRS has none) the network is
    not looked at while it trains.

    \b
    Writes (below RUN):
      weights.safetensors   for 'eval' and 'predict'
      log.csv               the loss at every step
      checkpoints/          the last state; settings.toml: all settings

    \b
    Exit code: 0 all good, 1 error, 2 usage, 130 stopped by Ctrl-C, 143 by SIGTERM; --resume goes on.
    """
    given = TrainTaskOptions(**options)
    from fgfusion_model.downstream import segmentation
    from vircraft_cli.task_training import run_training

    base: Settings = segmentation.preset(given.preset)
    settings = given.settings(base, classes=listed_classes(classes), init=init)
    return run_training(given, "pictures", partial(segmentation.train, dataset, pictures, settings, output))


@command.command("eval")
@eval_options("Folder for result.json, confusion.csv and figures.")
def evaluate(**options: Any) -> int:
    """Judge a network on a split of DATASET, at the full size of its label maps.

    Prints the IoU of each class in the order of their ids, and the mean over the classes that occur.

    \b
    Writes into -o:
      result.json     all scores, and mIoU by picture
      confusion.csv   pixels by label (rows) and answer (columns)
      figures/        picture, label and answer side by side
    """
    given = EvalTaskOptions(**options)
    from fgfusion_model.downstream import segmentation

    return run_evaluation(given, segmentation.evaluate)


@command.command("predict")
@predict_options("Folder for labels/ and overlays/.")
def predict(**options: Any) -> int:
    """Segment PICTURES, files or folders: class ids as PNG, and in colour over the picture.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    given = PredictTaskOptions(**options)
    from fgfusion_model.downstream import segmentation

    return run_prediction(given, segmentation.predict)
