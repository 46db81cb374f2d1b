"""16-bit pictures as 8-bit ones, for programs that show or read 8 bits only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.errors import PictureError
from vircraft.files import encode_png

_DARKEST, _BRIGHTEST = 0.05, 99.95  # percentiles that become black and white in an 8-bit copy


def eight_bit_png(path: Path) -> bytes:
    """Return a 16-bit picture as an 8-bit PNG, which Labelme can open.

    Grey levels are stretched between the percentiles 0.05 and 99.95 of the picture. That leaves out dead and
    glowing pixels but not an aircraft, which may be hotter than all the rest and fill a thousandth of it.

    Raises:
        PictureError: `bad-image`, it cannot be decoded.
    """
    # decoded from memory: cv2.imread crashes on names that are not UTF-8
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise PictureError("cannot be decoded", path=path, reason="bad-image")
    return encode_png(stretch(picture))


def stretch(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture of any depth, (H, W) or (H, W, C), as 8 bit."""
    low, high = np.percentile(picture[::2, ::2], (_DARKEST, _BRIGHTEST))
    scaled = (picture.astype(np.float32) - low) * (255 / max(high - low, 1.0))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)
