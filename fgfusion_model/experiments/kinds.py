"""What an experiment must know of a task: its code, the scores that its table shows, its labels.

A task's package has `preset(name)`, `PRESETS`, `train(...)` and `evaluate(...)`; nothing else is asked of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vircraft.errors import SettingsError

LabelKind = Literal["keypoints", "label_maps", "boxes", "coco"]


@dataclass(frozen=True)
class TaskKind:
    """A kind of task.

    Attributes:
        module: with `preset`, `PRESETS`, `train` and `evaluate`.
        title: of its table.
        table: the paper's number of it.
        scores: columns of its table; one that ends in `*` stands for all that begin so.
        main: the score that methods are ranked by, and that Tab. 5 shows.
        by_picture: value of each picture that the paired test compares.
        labels: how its labels are found, see `labels.FINDERS`.
        gives: scores that a plan may name, one that ends in `*` for all that begin so; (): any.
    """

    module: str
    title: str
    table: int
    scores: tuple[str, ...]
    main: str
    by_picture: str
    labels: LabelKind = "boxes"
    gives: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import the task's package, and with it torch.

        Raises:
            SettingsError: this version has no such task.
        """
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is None or not self.module.startswith(error.name):
                raise  # a package that the task needs: the command line names the extra
            raise SettingsError(f"this version of vircraft has no {self.module}") from error
        if not hasattr(module, "train"):
            raise SettingsError(f"{self.module} has no train(); this version of vircraft lacks that task")
        return module


Kinds = Mapping[str, TaskKind]

KINDS: Kinds = {
    "keypoints": TaskKind(
        "fgfusion_model.downstream.keypoints",
        "Keypoint detection",
        2,
        ("AP75", "mAP[50,95]", "share[OKS>0.75]", "mean share[OKS 0.50-0.95]"),
        "mAP[50,95]",
        "OKS",
        "keypoints",
        (
            *("AP50", "AP75", "mAP[50,95]", "AR[50,95]", "mean OKS"),
            *("share[OKS>*", "mean share[OKS 0.50-0.95]", "PCK*"),
        ),
    ),
    "segmentation": TaskKind(
        "fgfusion_model.downstream.segmentation",
        "Segmentation",
        3,
        ("IoU *", "mIoU"),
        "mIoU",
        "mIoU",
        "label_maps",
        ("IoU *", "mIoU"),
    ),
    "detection": TaskKind(
        "fgfusion_model.downstream.detection",
        "Object detection",
        4,
        ("AP50", "mAP[50,95]"),
        "mAP[50,95]",
        "AP50",
        "boxes",
        ("AP50", "AP75", "mAP[50,95]", "AP50 *"),
    ),
}
