"""`vircraft task`: what comes after fusion; a task's module, and torch, load when it runs."""

from __future__ import annotations

import click

from vircraft_cli.lazy import LazyGroup

# name -> (module, one line of help), so that `vircraft task --help` imports none of them
COMMANDS = {
    "keypoints": ("vircraft_cli.task_keypoints", "Nine keypoints of an aircraft, with HRNet."),
    "segmentation": ("vircraft_cli.task_segmentation", "Classes of pixels, with DeepLabV3+."),
    "detection": ("vircraft_cli.task_detection", "Boxes, with a detector built in or YOLO."),
}


@click.group("task", cls=LazyGroup, modules=COMMANDS)
def command() -> None:
    """Train and judge a downstream network on visible, infrared or fused pictures.

    Needs the extra 'tasks': pip install 'vircraft[tasks]'. 'vircraft experiment' runs many of these and
    makes the tables.

    \b
    Example:
      vircraft task keypoints train dataset --pictures visible -o runs/visible
      vircraft task keypoints eval dataset --pictures visible --weights runs/visible/weights.safetensors
      vircraft task segmentation train MSRS --pictures fused -o runs/segmentation
      vircraft task detection train M3FD --pictures infrared -o runs/detection
    """
