"""FCOS of torchvision with a feature pyramid that trains from scratch, and its answer to a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.detection.settings import Settings
from fgfusion_model.downstream.network_input import normalised, shrunk
from fgfusion_model.downstream.pictures import Rgb
from vircraft.errors import InputFileError, SettingsError

STRIDE = 32  # sides of a batch are multiples of it
LEVELS = (8, 16, 32, 64, 128)  # pixels of the picture that a cell of each level of the pyramid stands for


class _AsItIs(GeneralizedRCNNTransform):  # type: ignore[misc,unused-ignore]
    """Puts pictures into a batch; size and brightness are ours already."""

    def normalize(self, image: Tensor) -> Tensor:
        return image

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        return image, target


class _FloatAnchors(AnchorGenerator):  # type: ignore[misc,unused-ignore]
    """Places anchors in 32 bits, also where the features have 16: those cannot count to 640."""

    def forward(self, image_list: Any, feature_maps: list[Tensor]) -> list[Tensor]:
        anchors: list[Tensor] = super().forward(image_list, [level.float() for level in feature_maps])
        return anchors


class _FloatLoss(FCOS):  # type: ignore[misc,unused-ignore]
    """Computes the losses in 32 bits: 16 have too few digits for the overlap of boxes."""

    def compute_loss(
        self, targets: Any, head_outputs: dict[str, Tensor], anchors: Any, num_anchors_per_level: Any
    ) -> Any:
        outputs = {name: value.float() for name, value in head_outputs.items()}
        with torch.autocast(outputs["cls_logits"].device.type, enabled=False):
            return super().compute_loss(targets, outputs, anchors, num_anchors_per_level)


def make_network(settings: Settings, classes: int) -> nn.Module:
    """Return a new FCOS: a list of (3, H, W) normalised RGB, with targets while training.

    Its batch norms learn (frozen ones, as usual with pretrained weights, stay at their first values).

    Raises:
        SettingsError: the pretrained weights cannot be had.
        InputFileError: the file of first weights cannot be read, or is of another network.
    """
    body = _body(settings)
    width = body.inplanes // 8
    levels = {"layer2": "0", "layer3": "1", "layer4": "2"}
    channels = settings.channels
    pyramid = BackboneWithFPN(
        body, levels, [width * 2, width * 4, width * 8], channels, LastLevelP6P7(channels, channels)
    )
    anchors = _FloatAnchors(tuple((stride,) for stride in LEVELS), ((1.0,),) * len(LEVELS))
    network: nn.Module = _FloatLoss(
        pyramid,
        classes,
        anchor_generator=anchors,
        head=FCOSHead(channels, 1, classes, settings.head_convs),
        score_thresh=settings.score_least,
        nms_thresh=settings.nms_iou,
    )
    network.transform = _AsItIs(1, 1, [0.0] * 3, [1.0] * 3, STRIDE)
    return network


def _body(settings: Settings) -> Any:
    make = getattr(resnet, settings.backbone)
    if settings.init != "imagenet":
        body = make(weights=None)
        if settings.init != "random":
            _load_body(body, Path(settings.init))
        return body
    try:
        return make(weights="IMAGENET1K_V1")
    except Exception as error:  # downloads fail in many ways
        raise SettingsError(
            f"init is 'imagenet', and the weights of {settings.backbone} cannot be had "
            f"({type(error).__name__}); use init = 'random', or a .safetensors file of torchvision's weights"
        ) from error


def _load_body(body: nn.Module, path: Path) -> None:
    try:
        tensors = {k: v for k, v in load_file(path).items() if not k.startswith("fc.")}  # of 1000 classes
        missing, strange = body.load_state_dict(tensors, strict=False)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputFileError(
            f"is no safetensors file that can be read ({error}); init is 'random', 'imagenet' or such a file",
            path=path,
        ) from error
    except RuntimeError as error:
        raise InputFileError(
            f"is of another network ({str(error).splitlines()[-1].strip()})",
            path=path,
            reason="other-settings",
        ) from error
    if wrong := [name for name in (*missing, *strange) if not name.startswith("fc.")]:
        raise InputFileError(f"is of another network: see {wrong[0]}", path=path, reason="other-settings")


def lit(picture: Rgb, gain: float = 1.0) -> NDArray[np.float32]:
    """Return (3, H, W) as the network takes it, times a gain of the brightness and cut at white."""
    return normalised(np.minimum(picture.astype(np.float32) * np.float32(gain / 255), 1))


def detect(
    network: nn.Module,
    picture: Rgb,
    longest: int,
    device: torch.device,
    size_wh: tuple[int, int] | None = None,
) -> Detections:
    """Return the boxes that a network in `eval` mode sees on a picture.

    Args:
        network: FCOS.
        picture: (H, W, 3) RGB, any size.
        longest: it is shrunk to.
        device: of the network.
        size_wh: of the full picture that the boxes are for; the picture's when not given.
    """
    small = shrunk(picture, longest)
    with torch.inference_mode():
        answer = network([torch.from_numpy(lit(small)).to(device)])[0]
    width, height = size_wh or picture.shape[1::-1]
    factors = np.array([width / small.shape[1], height / small.shape[0]] * 2)
    boxes = answer["boxes"].double().cpu().numpy() * factors
    scores, labels = answer["scores"].double().cpu().numpy(), answer["labels"].cpu().numpy()
    best = np.argsort(-scores, kind="stable")
    return Detections(boxes[best], scores[best], labels[best].astype(np.int64))
