"""HRNet (timm) with one heatmap a keypoint from its highest resolution (Sec. 3.3.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.hrnet import HighResolutionNet
from torch import Tensor, nn

from fgfusion_model.downstream.keypoints.settings import Settings
from fgfusion_model.downstream.network_input import DEVIATION, MEAN
from vircraft.errors import InputFileError, SettingsError

HEAD_DEVIATION = 0.001  # of the head's first weights: all positions begin as equally likely
OTHER_PARTS = ("incre_modules", "downsamp_modules", "final_layer", "classifier")  # of a classifier


class KeypointNetwork(nn.Module):
    """One heatmap a keypoint, at a quarter of the crop's size.

    Args:
        body: timm's HRNet.
        keypoints: how many.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: nn.Module, keypoints: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Conv2d(_channels(body), keypoints, 1)
        nn.init.normal_(self.head.weight, std=HEAD_DEVIATION)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        for name, shares in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, 255 * torch.from_numpy(shares).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """Return heatmaps, (B, K, H / 4, W / 4): logits for the cross entropy, values for the MSE.

        Args:
            crops: (B, 3, H, W) RGB, 0..255, whole numbers or not.
        """
        body: Any = self.body
        x = (crops.float() - self.mean) / self.deviation
        x = body.act1(body.bn1(body.conv1(x)))
        x = body.act2(body.bn2(body.conv2(x)))
        heatmaps: Tensor = self.head(body.stages(x)[0])
        return heatmaps


def make_network(settings: Settings, keypoints: int, *, with_init: bool = True) -> KeypointNetwork:
    """Return a new network.

    Args:
        settings: which one, and its first weights.
        keypoints: how many heatmaps.
        with_init: False: random weights, for others to be put in.

    Raises:
        SettingsError: the library's own weights cannot be had.
        InputFileError: the file of first weights is not of this network.
    """
    init = settings.init if with_init else "random"
    body = _tiny() if settings.network == "hrnet_tiny" else _from_timm(settings.network, init)
    if init not in ("random", "imagenet"):
        _put_in(body, Path(init))
    elif init == "imagenet" and settings.network == "hrnet_tiny":
        raise SettingsError("init is 'imagenet'; hrnet_tiny has no such weights: choose 'random'")
    for name in OTHER_PARTS:
        setattr(body, name, None)
    _keep_highest_resolution(body)
    return KeypointNetwork(body, keypoints)


def _from_timm(name: str, init: str) -> nn.Module:
    try:
        body: nn.Module = timm.create_model(name, pretrained=init == "imagenet", head="")
    except Exception as error:  # a hub without a network fails in many ways
        if init != "imagenet":
            raise
        raise SettingsError(
            f"init is 'imagenet', but the weights of {name} cannot be had ({str(error).splitlines()[0]}); "
            "they need a network the first time: choose 'random', or the path of a .safetensors file"
        ) from error
    return body


def _tiny() -> nn.Module:
    """Return the smallest HRNet that still exchanges four resolutions, for tests and trials."""

    def stage(*channels: int) -> dict[str, Any]:
        count = len(channels)
        return {
            "num_modules": 1,
            "num_branches": count,
            "block_type": "BASIC" if count > 1 else "BOTTLENECK",
            "num_blocks": (1,) * count,
            "num_channels": channels,
            "fuse_method": "SUM",
        }

    stages = [stage(16), stage(16, 32), stage(16, 32, 64), stage(16, 32, 64, 128)]
    config: dict[str, Any] = {f"stage{k}": table for k, table in enumerate(stages, 1)}
    body: nn.Module = HighResolutionNet({"stem_width": 32, **config}, num_classes=0, head="")
    return body


def _put_in(body: nn.Module, path: Path) -> None:
    """Put weights from a file of timm's layout into the body; those of a classifier are passed over."""
    try:
        tensors = load_file(path)
        lacking, _ = body.load_state_dict(tensors, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputFileError(
            f"cannot be used as first weights ({str(error).splitlines()[0]}); give a .safetensors file that "
            "timm wrote for the same network",
            path=path,
            reason="first-weights",
        ) from error
    lacking = [name for name in lacking if not name.startswith(OTHER_PARTS)]
    if lacking:
        raise InputFileError(
            f"lacks {len(lacking)} tensors of the network, such as {lacking[0]}; give a .safetensors file "
            "that timm wrote for the same network",
            path=path,
            reason="first-weights",
        )


def _keep_highest_resolution(body: nn.Module) -> None:
    """Drop the last exchange's ways to lower resolutions, which nothing reads."""
    last: Any = cast(Any, body).stage4[-1]
    last.fuse_layers = nn.ModuleList([last.fuse_layers[0]])


def _channels(body: nn.Module) -> int:
    return int(cast(Any, body).stage4[-1].num_in_chs[0])
