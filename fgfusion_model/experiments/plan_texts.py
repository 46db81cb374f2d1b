"""Plans to fill in: all of the paper's experiments, and a small example."""

from __future__ import annotations

from collections.abc import Mapping

PAPER = """\
# The paper's experiments: Tab. 2 (keypoints), 3 (segmentation), 4 (detection) and 5 (ablations).
# Fill in the folders; they are taken from this file's own. Then:
#   vircraft experiment run plan.toml -o experiment --dry-run      says what is missing
#   vircraft experiment run plan.toml -o experiment
# {task} stands for a task's name: fused/CDDFuse/keypoints, fused/CDDFuse/segmentation, ...
# A fused picture has the name and the size of its infrared one. Where the dataset has folders for its splits
# (MSRS: train, test), a folder of fused pictures may have them, too.

name = "FGFusion, Tab. 2 to 5"
seeds = [0, 1, 2]          # a training each; the paper has one
reference = "FGFusion"     # whose lead is tested, and the last row of Tab. 5
paper = true               # show the paper's figures beside the measured ones

[[method]]
name = "Visible"
pictures = "visible"

[[method]]
name = "Infrared"
pictures = "infrared"

[[method]]
name = "CDDFuse"
pictures = "fused/CDDFuse/{task}"

[[method]]
name = "PSFusion"
pictures = "fused/PSFusion/{task}"

[[method]]
name = "TarDAL"
pictures = "fused/TarDAL/{task}"

[[method]]
name = "MRFS"
pictures = "fused/MRFS/{task}"

[[method]]
name = "GIFNet"
pictures = "fused/GIFNet/{task}"

[[method]]
name = "FGFusion"
weights = "runs/full/weights.safetensors"     # of `vircraft fuse train`; "lite": the bundled ones

# Not in the paper, and a table without them says little:
[[method]]
name = "Average"
baseline = "Average"

[[method]]
name = "Max"
baseline = "Max"

# Tab. 5, of `vircraft fuse train --ablation NAME`
[[ablation]]
name = "Baseline"
weights = "runs/baseline/weights.safetensors"

[[ablation]]
name = "without foreground"
weights = "runs/without_foreground/weights.safetensors"

[[ablation]]
name = "without interaction"
weights = "runs/without_interaction/weights.safetensors"

[[ablation]]
name = "without mask weight"
weights = "runs/without_mask_weight/weights.safetensors"

[[task]]
name = "keypoints"
kind = "keypoints"
data = "VIRcraft"          # of `vircraft register` and `vircraft export coco`
preset = "paper"           # HRNet-w32, Adam 1e-3, weight decay 5e-4, batch 6, 200 epochs

[[task]]
name = "segmentation"
kind = "segmentation"
data = "MSRS"              # train/ and test/ with ir/, vi/, Segmentation_labels/
preset = "paper"           # DeepLabV3+, Adam 1e-3, batch 12, 300 epochs
val = ""                   # MSRS has none

[[task]]
name = "detection"
kind = "detection"
data = "M3FD"              # Ir/, Vis/, Annotation/
preset = "paper"           # 300 epochs, batch 8; a detector of torchvision, where the paper has YOLOv5
# settings = {detector = "yolo"}    # YOLOv5 by a program that you installed, see docs/guide-task.md
"""

EXAMPLE = """\
# A small experiment on a dataset of `vircraft register` with labels of `vircraft export coco`.
# Folders are taken from this file's own.

name = "Which pictures serve keypoint detection best?"
seeds = [0, 1, 2]
reference = "FGFusion"

[[method]]
name = "Visible"
pictures = "visible"

[[method]]
name = "Infrared"
pictures = "infrared"

[[method]]
name = "Average"
baseline = "Average"

[[method]]
name = "Max"
baseline = "Max"

[[method]]
name = "FGFusion"
weights = "lite"           # the bundled ones; or a file of `vircraft fuse train`

# [[method]]
# name = "Another"
# pictures = "fused/another"     # a folder of fused pictures
# seeds = [0, 1]                 # instead of the plan's

[[task]]
name = "keypoints"
kind = "keypoints"
data = "dataset"
preset = "small"           # minutes a training on a CPU; "paper" is the published recipe
# settings = {fit = {epochs = 30}}
"""

PLANS: Mapping[str, str] = {"paper": PAPER, "example": EXAMPLE}
