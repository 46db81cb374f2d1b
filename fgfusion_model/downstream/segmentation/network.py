"""DeepLabV3+ of segmentation-models-pytorch, and what it says about a picture of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.downstream.network_input import normalised, shrunk
from fgfusion_model.downstream.pictures import Rgb
from fgfusion_model.downstream.segmentation.label_maps import LabelMap
from fgfusion_model.downstream.segmentation.settings import Settings
from vircraft.errors import InputFileError, SettingsError

STRIDE = 16  # sides of what the network sees are multiples of it


def make_network(settings: Settings, classes: int) -> nn.Module:
    """Return a new DeepLabV3+: (N, 3, H, W) normalised RGB -> (N, classes, H, W) logits.

    Raises:
        SettingsError: the pretrained weights cannot be had.
        InputFileError: the file of first weights cannot be read, or is of another encoder.
    """
    network = _build(settings, classes, "imagenet" if settings.init == "imagenet" else None)
    if settings.init not in ("random", "imagenet"):
        _load_encoder(network, Path(settings.init))
    return network


def _build(settings: Settings, classes: int, weights: str | None) -> nn.Module:
    from segmentation_models_pytorch import DeepLabV3Plus

    try:
        network: nn.Module = DeepLabV3Plus(
            settings.encoder,
            encoder_weights=weights,
            encoder_output_stride=settings.output_stride,
            decoder_channels=settings.channels,
            decoder_atrous_rates=settings.atrous_rates,
            decoder_aspp_dropout=settings.dropout,
            classes=classes,
        )
    except Exception as error:  # the library's downloads fail in many ways
        if weights is None:
            raise
        raise SettingsError(
            f"init is 'imagenet', and the weights of {settings.encoder} cannot be had "
            f"({type(error).__name__}); use init = 'random', or a .safetensors file of the encoder's weights"
        ) from error
    return network


def _load_encoder(network: nn.Module, path: Path) -> None:
    encoder = network.get_submodule("encoder")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputFileError(
            f"is no safetensors file that can be read ({error}); init is 'random', 'imagenet' or such a file",
            path=path,
        ) from error
    known = {k: v for k, v in tensors.items() if not k.startswith(("fc.", "classifier."))}  # of 1000 classes
    missing = encoder.state_dict().keys() - known.keys()
    strange = known.keys() - encoder.state_dict().keys()
    if missing or strange:
        name = sorted(missing or strange)[0]
        what = "lacks" if missing else "holds"
        raise InputFileError(f"is of another encoder: it {what} {name}", path=path, reason="other-settings")
    try:
        nn.Module.load_state_dict(encoder, known)
    except RuntimeError as error:
        raise InputFileError(
            f"is of another encoder ({str(error).splitlines()[-1].strip()})",
            path=path,
            reason="other-settings",
        ) from error


def segment(network: nn.Module, picture: Rgb, longest: int, device: torch.device) -> LabelMap:
    """Return the class of each pixel of a picture of any size, (H, W).

    The picture is padded to a multiple of 16 and the answer cut back; where it was shrunk before, the logits
    are enlarged to its full size.
    """
    height, width = picture.shape[:2]
    small = shrunk(picture, longest)
    inner = small.shape[:2]
    image = torch.from_numpy(normalised(small.astype(np.float32) / 255))[None].to(device)
    image = functional.pad(image, (0, -inner[1] % STRIDE, 0, -inner[0] % STRIDE))
    image = image.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits: Tensor = network(image)[..., : inner[0], : inner[1]].float()
        if inner != (height, width):
            logits = functional.interpolate(logits, (height, width), mode="bilinear", align_corners=False)
        return logits[0].argmax(0).to(torch.uint8).cpu().numpy()
