"""`vircraft task detection`: train, judge and use a detector (Sec. 3.3.4)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vircraft_cli.task_options import (
    EvalTaskOptions,
    PredictTaskOptions,
    TrainTaskOptions,
    dataset_argument,
    eval_options,
    given_of,
    listed_classes,
    output_option,
    pictures_option,
    predict_options,
    train_options,
)
from vircraft_cli.task_results import run_evaluation, run_prediction

if TYPE_CHECKING:
    from fgfusion_model.downstream.detection import Settings


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
@train_options()
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

    base: Settings = detection.preset(given.preset)
    settings = given.settings(base, detector=detector, classes=listed_classes(classes, least=1), init=init)
    named = given_of({"program": yolo_program, "model": yolo_model})
    settings = replace(settings, yolo=replace(settings.yolo, **named))
    return run_training(given, "pictures", partial(detection.train, dataset, pictures, settings, output))


@command.command("eval")
@eval_options("Folder for result.json, COCO's results and figures.")
def evaluate(**options: Any) -> int:
    """Judge a detector on a split of DATASET by pycocotools' COCOeval.

    Prints AP50, AP75, mAP[50,95] and, where there are several classes, AP50 of each.

    \b
    Writes into -o:
      result.json             all scores, and AP50 by picture
      detections_SPLIT.json   COCO's results, and labels_SPLIT.json: what they were judged against
      figures/                labels and answer side by side
    """
    given = EvalTaskOptions(**options)
    from fgfusion_model.downstream import detection

    return run_evaluation(given, detection.evaluate)


@command.command("predict")
@predict_options("Folder for detections.json and overlays/.")
def predict(**options: Any) -> int:
    """Find objects in PICTURES, files or folders.

    \b
    Exit code: 0 all good, 1 error, 2 usage, 3 finished but some pictures could not be read.
    """
    given = PredictTaskOptions(**options)
    from fgfusion_model.downstream import detection

    return run_prediction(given, detection.predict)
