"""`vircraft task segmentation`: train, judge and use DeepLabV3+ (Sec. 3.3.3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vircraft_cli.bar import Bar
from vircraft_cli.task_options import (
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
from vircraft_cli.task_segmentation_words import listed_classes, print_predicted, print_result

if TYPE_CHECKING:
    from fgfusion_model.downstream.segmentation import Settings
    from fgfusion_model.training.runtime import DeviceName

PRESETS = ("paper", "small")  # as fgfusion_model.downstream.segmentation has them, without importing it


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
@train_options(PRESETS)
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

    base: Settings = given.settings(segmentation.preset(given.preset))
    chosen: dict[str, Any] = {"classes": listed_classes(classes), "init": init}
    settings = replace(base, **{name: value for name, value in chosen.items() if value is not None})
    return run_training(
        given,
        "pictures",
        lambda **told: segmentation.train(
            dataset, pictures, settings, output, given.runtime(), split=given.split, val=given.val,
            resume=given.resume, **told,
        ),
    )  # fmt: skip


@command.command("eval")
@dataset_argument
@pictures_option
@weights_option
@output_option("DIR", "Folder for result.json, confusion.csv and figures.", required=False)
@click.option("--split", default="test", show_default=True, help="To judge on.")
@device_option
@json_option
@quiet_option
def evaluate(
    dataset: Path,
    pictures: str,
    weights: Path,
    output: Path | None,
    split: str,
    device: DeviceName,
    as_json: bool,
    quiet: bool,
) -> int:
    """Judge a network on a split of DATASET, at the full size of its label maps.

    Prints the IoU of each class in the order of their ids, and the mean over the classes that occur.

    \b
    Writes into -o:
      result.json     all scores, and mIoU by picture
      confusion.csv   pixels by label (rows) and answer (columns)
      figures/        picture, label and answer side by side
    """
    from fgfusion_model.downstream import segmentation
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        result = segmentation.evaluate(
            weights, dataset, pictures, split=split, output=output, runtime=Runtime(device),
            on_file=bar.update,
        )  # fmt: skip
    print_result(result, as_json, quiet)
    return 0


@command.command("predict")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURES...")
@weights_option
@output_option("DIR", "Folder for labels/ and overlays/.")
@device_option
@json_option
@quiet_option
def predict(
    sources: tuple[Path, ...], weights: Path, output: Path, device: DeviceName, as_json: bool, quiet: bool
) -> int:
    """Segment PICTURES, files or folders: class ids as PNG, and in colour over the picture.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    from fgfusion_model.downstream import segmentation
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        found = segmentation.predict(weights, sources, output, Runtime(device), on_file=bar.update)
    return print_predicted(len(found.files), found.failures, output, as_json, quiet)
