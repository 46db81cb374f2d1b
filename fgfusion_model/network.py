"""FGFusion: infrared and visible luminance in, fused luminance and a foreground map out (Sec. 2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from fgfusion_model.backbone import DFEB, SFEB
from fgfusion_model.drm import DRM, DenseDetail
from fgfusion_model.foreground import ForegroundHead
from fgfusion_model.rfm import RFM
from fgfusion_model.sem import SEM, DenseSemantics
from fgfusion_model.settings import NetworkSettings
from fgfusion_model.sim import SIM
from vircraft.errors import PictureError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STRIDE = 16  # of the deepest features: sides are padded to a multiple of it
MIN_SIDE = 32  # pixels; below it the deepest features are one point


class Fusion(NamedTuple):
    """What the network returns.

    Attributes:
        fused: (N, 1, H, W), luminance in [0, 1], float32.
        foreground: (N, 1, H, W), logits, or None when the network has no foreground branch.
    """

    fused: Tensor
    foreground: Tensor | None


class FGFusion(nn.Module):
    """The network of Sec. 2 in the shape that its settings say."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.shallow_infrared = SFEB(settings.channels)
        self.shallow_visible = SFEB(settings.channels)
        self.deep_infrared = DFEB(settings)
        self.deep_visible = self.deep_infrared if settings.shared_body else DFEB(settings)
        self.detail = DRM(settings) if settings.interaction else DenseDetail(settings)
        self.semantics = SEM(settings) if settings.interaction else DenseSemantics(settings)
        self.injection = SIM(settings)
        self.reconstruction = RFM(settings)
        self.foreground = ForegroundHead(settings) if settings.foreground else None

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path = "lite") -> FGFusion:
        """Return a trained network, ready to fuse (`eval` mode, on the CPU).

        Args:
            name_or_path: the name of weights that come with the package, or a file that `save_weights` wrote.

        Raises:
            InputFileError: no such weights, or a file that does not hold any.
        """
        from fgfusion_model.checkpoints import bundled_weights, load_weights

        return load_weights(bundled_weights(name_or_path))

    def fuse(self, infrared: NDArray[Any], visible: NDArray[Any]) -> NDArray[np.uint8]:
        """Fuse one registered pair of pictures; see `fgfusion_model.inference.fuser.fuse_pictures`."""
        from fgfusion_model.inference.fuser import fuse_pictures

        return fuse_pictures(self, infrared, visible)

    def forward(self, infrared: Tensor, visible: Tensor) -> Fusion:
        """Fuse a batch of registered pairs.

        Args:
            infrared: (N, 1, H, W), luminance in [0, 1]; H and W from 32 up.
            visible: the same shape, luminance in [0, 1].

        Raises:
            PictureError: the shapes differ, are no batch of one channel, or a side is below 32 pixels.
        """
        _check_shapes(infrared, visible)
        height, width = infrared.shape[2:]
        pad = (0, -width % STRIDE, 0, -height % STRIDE)
        fused, foreground = self.fuse_padded(
            functional.pad(infrared, pad, mode="reflect"), functional.pad(visible, pad, mode="reflect")
        )
        if foreground is not None:
            foreground = foreground[..., :height, :width]
        return Fusion(fused[..., :height, :width], foreground)

    def fuse_padded(self, infrared: Tensor, visible: Tensor) -> Fusion:
        """Fuse a batch whose sides are multiples of 16; otherwise as `forward`, without its checks."""
        shallow_ir = self.shallow_infrared(infrared)
        shallow_vi = self.shallow_visible(visible)
        semantic = self.semantics(self.deep_infrared(shallow_ir), self.deep_visible(shallow_vi))
        steered = self.injection(self.detail(shallow_ir, shallow_vi), semantic)
        foreground = None if self.foreground is None else self.foreground(semantic)
        return Fusion(self.reconstruction(steered, infrared, visible), foreground)


def _check_shapes(infrared: Tensor, visible: Tensor) -> None:
    if infrared.shape != visible.shape:
        raise PictureError(
            f"infrared is {tuple(infrared.shape)} and visible {tuple(visible.shape)}; register the pair "
            "first, so that both have one size",
            reason="size-mismatch",
        )
    if infrared.ndim != 4 or infrared.shape[1] != 1:
        raise PictureError(
            f"pictures have shape {tuple(infrared.shape)}; the network takes (N, 1, H, W): use "
            "fgfusion_model.colour.luminance for colour",
            reason="wrong-shape",
        )
    if min(infrared.shape[2:]) < MIN_SIDE:
        raise PictureError(
            f"pictures are {infrared.shape[3]}x{infrared.shape[2]}; the network takes sides from {MIN_SIDE} "
            "pixels up: enlarge or pad them",
            reason="too-small",
        )
