"""Refuse pairs that cannot be fused by their size."""

from __future__ import annotations

from pathlib import Path

from fgfusion_model.network import MIN_SIDE
from vircraft.errors import PictureError


def check_sizes(
    infrared_hw: tuple[int, ...], visible_hw: tuple[int, ...], infrared: Path | str, visible: Path | str
) -> None:
    """Refuse pictures of two sizes, and too small ones.

    Args:
        infrared_hw, visible_hw: height and width, pixels.
        infrared, visible: how to name them in a message.

    Raises:
        PictureError: `size-mismatch` or `too-small`.
    """
    sizes = [f"{width}x{height}" for height, width in (infrared_hw, visible_hw)]
    if infrared_hw != visible_hw:
        raise PictureError(
            f"{infrared}: is {sizes[0]}, but {visible} is {sizes[1]}; only registered pairs of one size can "
            "be fused: see 'vircraft register' and 'vircraft align'",
            reason="size-mismatch",
        )
    if min(infrared_hw) < MIN_SIDE:
        raise PictureError(
            f"{infrared}: is {sizes[0]}; the network needs {MIN_SIDE} pixels on a side or more",
            reason="too-small",
        )
