"""The report's own pictures of a pair: what the dataset's folders do not show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from vircraft.files import write_atomically
from vircraft.report.drawing import displayable, edge_overlay

if TYPE_CHECKING:
    from vircraft.registration.result import Registration
    from vircraft.sampling import FramePair

MEDIA = "media"  # folder inside the report
MEDIA_KINDS = ("infrared", "visible", "edges")
MAX_WIDTH = 960  # wider pictures are reduced
_QUALITY = [
    cv2.IMWRITE_JPEG_QUALITY,
    82,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,  # thin coloured lines survive
]


def write_pair_media(
    report_dir: Path,
    pair: FramePair,
    registration: Registration,
    registered_visible: NDArray[np.generic] | None,
) -> None:
    """Write the pictures that the report needs of one pair besides those of the dataset.

    A registered pair gets its edge overlay; a refused one both frames as they came, since the dataset keeps
    none of them; a 16-bit infrared frame a copy that browsers can show. Pictures that an earlier run left
    for the same pair and that no longer hold are removed.

    Args:
        report_dir: the report's folder; made when missing.
        pair: the two frames.
        registration: what was found.
        registered_visible: visible on the infrared grid, (H, W, 3) uint8; None when refused.

    Raises:
        DatasetError: the pictures cannot be written (disk full, read-only folder).
    """
    refused = registration.status == "refused" or registered_visible is None
    pictures = {
        "infrared": pair.infrared if refused or pair.infrared.dtype != np.uint8 else None,
        "visible": pair.visible if refused else None,
        "edges": None if registered_visible is None else edge_overlay(pair.infrared, registered_visible),
    }
    for kind, picture in pictures.items():
        write_media(report_dir, pair.id, kind, picture)


def write_media(report_dir: Path, pair_id: str, kind: str, picture: NDArray[np.generic] | None) -> None:
    """Write one picture as `media/ID_KIND.jpg`, whole or not at all; None removes it."""
    path = media_path(report_dir, pair_id, kind)
    if picture is None:
        path.unlink(missing_ok=True)
        return
    _, encoded = cv2.imencode(".jpg", _reduced(displayable(picture)), _QUALITY)
    write_atomically(path, encoded.tobytes())


def read_picture(path: Path) -> NDArray[np.generic] | None:
    """Read a picture as it is stored, colour as BGR; None when it is missing or unreadable."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    # imread would print a warning for a missing file
    return cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None


def media_path(report_dir: Path, pair_id: str, kind: str) -> Path:
    """Return where a picture of a pair lies; the id must be a plain file name."""
    name = f"{pair_id}_{kind}.jpg"
    if Path(name).name != name or "\0" in name:
        raise ValueError(f"pair id {pair_id!r} is no file name")
    return report_dir / MEDIA / name


def _reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    if width <= MAX_WIDTH:
        return picture
    size = (MAX_WIDTH, max(1, round(height * MAX_WIDTH / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
