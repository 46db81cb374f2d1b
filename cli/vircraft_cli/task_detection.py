"""`vircraft task detection`: train, judge and use a detector (Sec. 3.3.4)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    from fgfusion_model.downstream.detection import Settings
    from fgfusion_model.training.runtime import DeviceName

PRESETS = ("paper", "small")  # as fgfusion_model.downstream.detection has them, without importing it


@click.group("detection")
def command() -> None:
    """Find objects as boxes, with FCOS or with a YOLO program that you installed.

    \b
    Example:
      vircraft task detection train M3FD --pictures fused -o runs/fused
      vircraft task detection eval M3FD --pictures fused --weights runs/fused/weights.safetensors
      vircraft task detection train M3FD --pictures fused --detector yolo -o runs/yolo
      vircraft task detection eval M3FD --pictures fused --weights runs/yolo/yolo.json
    """


@command.command("train")
@dataset_argument
@pictures_option
@output_option("RUN", "Folder of the run.")
@click.option("--detector", type=click.Choice(["fcos", "yolo"]), help="[default: fcos, which is built in]")
@click.option(
    "--yolo-program",
    type=click.Choice(["yolo", "yolov5"]),
    help="Which program: of ultralytics, or of the package yolov5.  [default: yolo]",
)
@click.option("--yolo-model", metavar="NAME", help="What it starts from.  [default: yolov5s.pt]")
@click.option("--classes", metavar="A,B,...|FILE", help="Names.  [default: the dataset's]")
@click.option("--init", metavar="random|imagenet|FILE", help="First weights of ResNet.  [default: random]")
@train_options(PRESETS)
def train(
    dataset: Path,
    pictures: str,
    output: Path,
    detector: Literal["fcos", "yolo"] | None,
    yolo_program: Literal["yolo", "yolov5"] | None,
    yolo_model: str | None,
    classes: str | None,
    init: str | None,
    **options: Any,
) -> int:
    """Train a detector on the boxes of DATASET.

    DATASET has COCO's annotations/instances_SPLIT.json (see 'vircraft export coco'), or Annotation/*.xml as
    M3FD. M3FD has no official split: train.txt, val.txt and test.txt (also in meta/) are used where they are;
    else a hash of the names divides the pictures 0.70, 0.15, 0.15.

    The preset 'paper' takes 300 epochs of batch 8 as published, with FCOS on ResNet-50 instead of YOLOv5.
    'small' trains in minutes on a CPU. YOLO is not part of vircraft (its licence is AGPL): --detector yolo
    writes its data, starts the program on your PATH, and reads its answers.

    \b
    Writes (below RUN):
      weights.safetensors   for 'eval' and 'predict'; of YOLO: yolo.json, which names its weights
      log.csv               the loss at every step; of YOLO: program.log
      checkpoints/          the last state; settings.toml: all settings
      yolo-data/, program/  what the YOLO program was given, and what it wrote

    \b
    Exit code: 0 all good, 1 error, 2 usage, 130 stopped by Ctrl-C, 143 by SIGTERM; --resume goes on.
    """
    given = TrainTaskOptions(**options)
    from fgfusion_model.downstream import detection
    from vircraft_cli.task_training import run_training

    base: Settings = given.settings(detection.preset(given.preset))
    named: dict[str, Any] = {"program": yolo_program, "model": yolo_model}
    yolo = replace(base.yolo, **{name: value for name, value in named.items() if value is not None})
    chosen: dict[str, Any] = {"detector": detector, "classes": listed_classes(classes), "init": init}
    settings = replace(base, yolo=yolo, **{name: v for name, v in chosen.items() if v is not None})
    return run_training(
        given,
        "pictures",
        lambda **told: detection.train(
            dataset, pictures, settings, output, given.runtime(), split=given.split, val=given.val,
            resume=given.resume, **told,
        ),
    )  # fmt: skip


@command.command("eval")
@dataset_argument
@pictures_option
@weights_option
@output_option("DIR", "Folder for result.json, COCO's results and figures.", required=False)
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
    """Judge a detector on a split of DATASET by pycocotools' COCOeval.

    Prints AP50, AP75, mAP[50,95] and, where there are several classes, AP50 of each.

    \b
    Writes into -o:
      result.json             all scores, and AP50 by picture
      detections_SPLIT.json   COCO's results, and labels_SPLIT.json: what they were judged against
      figures/                labels and answer side by side
    """
    from fgfusion_model.downstream import detection
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        result = detection.evaluate(
            weights, dataset, pictures, split=split, output=output, runtime=Runtime(device),
            on_file=bar.update,
        )  # fmt: skip
    print_result(result, as_json, quiet)
    return 0


@command.command("predict")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PICTURES...")
@weights_option
@output_option("DIR", "Folder for detections.json and overlays/.")
@device_option
@json_option
@quiet_option
def predict(
    sources: tuple[Path, ...], weights: Path, output: Path, device: DeviceName, as_json: bool, quiet: bool
) -> int:
    """Find objects in PICTURES, files or folders.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    from fgfusion_model.downstream import detection
    from fgfusion_model.training.runtime import Runtime

    with Bar("picture", quiet or as_json) as bar:
        found = detection.predict(weights, sources, output, Runtime(device), on_file=bar.update)
    return print_predicted(found.pictures, found.failures, found.file, as_json, quiet)
