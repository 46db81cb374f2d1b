"""A picture, or both pictures of a pair, with what its label file says."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vircraft.annotation.documents import RuleError, load_document
from vircraft.annotation.label_files import LabelFiles
from vircraft.annotation.label_folder import short_name
from vircraft.annotation.labelme import LabelFileError, read_labels
from vircraft.annotation.pictures import read_size
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import label_path, picture_path
from vircraft.errors import DatasetError, PictureError
from vircraft.journal import PairRecord
from vircraft.report.drawing import Picture, bgr
from vircraft.report.marks import DrawnAircraft, from_annotation, from_shapes
from vircraft.report.media import media_path, read_picture

BOTH = "both"
MODALITIES = ("infrared", "visible")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


@dataclass(frozen=True)
class DrawnLabels:
    """What one label file says, as far as it can be drawn.

    Attributes:
        aircraft: what to draw.
        file_name: the picture, relative to the root; "" when the file breaks a rule or is skipped.
        flags: that are set (`reviewed`, `skip`, `proposed`).
        warnings: what is allowed but should be known.
        problem: the reason code when the file breaks a rule; what can be read is drawn nevertheless.
        message: what exactly is wrong then.
    """

    aircraft: tuple[DrawnAircraft, ...] = ()
    file_name: str = ""
    flags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""
    message: str = ""


@dataclass(frozen=True)
class LabelledPictures:
    """One picture to draw labels on, or several of one grid (infrared, visible, fused).

    Attributes:
        name: id of the pair, or name of the label file.
        pictures: (title, (H, W, 3) uint8 BGR), all of one size.
        labels: None when there is no label file.
        sources: the files of the pictures.
    """

    name: str
    pictures: tuple[tuple[str, Picture], ...]
    labels: DrawnLabels | None
    sources: tuple[Path, ...] = ()

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        height, width = self.pictures[0][1].shape[:2]
        return width, height


def read_drawn(path: Path, root: Path) -> DrawnLabels:
    """Read a label file for drawing; one that breaks a rule is drawn as far as it can be read."""
    try:
        file = read_annotations(path, root)
    except LabelFileError as error:
        return DrawnLabels(_leniently(path), problem=error.reason, message=str(error))
    return DrawnLabels(
        aircraft=tuple(from_annotation(annotation) for annotation in file.annotations),
        file_name="" if file.skipped else file.file_name,  # the path in a skipped file was not checked
        flags=tuple(name for name, is_set in file.flags.items() if is_set),
        warnings=file.warnings,
    )


def pair_labels(dataset_root: Path, pair_id: str) -> DrawnLabels | None:
    """Return the labels of a pair; None when nobody has labelled it."""
    path = label_path(dataset_root, pair_id)
    return read_drawn(path, dataset_root) if path.is_file() else None


def pair_pictures(dataset_root: Path, record: PairRecord, on: str = BOTH) -> LabelledPictures:
    """Return a pair of a dataset with its labels.

    A rejected pair has no registered visible picture, so only its infrared one is taken.

    Args:
        dataset_root: the dataset.
        record: the pair.
        on: `infrared`, `visible`, `both`, or a folder with pictures of the same name on the infrared grid,
            such as fused ones.

    Raises:
        DatasetError: a picture of the pair is gone.
        PictureError: the folder has none of this name, it cannot be read, or has another shape.
    """
    size_wh = record.infrared_wh
    if on in (*MODALITIES, BOTH):
        kinds = [kind for kind in MODALITIES if on in (kind, BOTH)]
        if record.verdict == "rejected":
            kinds = ["infrared"]
        pictures = [(kind, load_frame(dataset_root, kind, record)) for kind in kinds]
        sources = [picture_path(dataset_root, kind, record.id) for kind in kinds]
    else:
        sources = [find_picture(Path(on), record.id)]
        pictures = [(Path(on).name, load_picture(sources[0]))]
    fitted = tuple((title, _on_grid(picture, size_wh, record.id)) for title, picture in pictures)
    return LabelledPictures(record.id, fitted, pair_labels(dataset_root, record.id), tuple(sources))


def file_pictures(found: LabelFiles, path: Path, on: str | None = None) -> LabelledPictures:
    """Return the picture of a label file of a plain folder, with its labels.

    Args:
        found: where the file is.
        path: the label file.
        on: a folder with pictures of the same name to draw on; None: the picture that was labelled.

    Raises:
        PictureError: the picture is gone, cannot be read, or has another shape.
    """
    labels = read_drawn(path, found.root)
    own = found.root / labels.file_name if labels.file_name else _picture_beside(path, found.root)
    if own is None:
        message = labels.message or f"{path}: its picture is not found beside it"
        raise PictureError(message, reason=labels.problem or "missing-image")
    picture, sources = load_picture(own), [own]
    title = own.name
    if on is not None:
        size_wh = (picture.shape[1], picture.shape[0])
        other = find_picture(Path(on), path.stem)
        sources.append(other)
        picture, title = _on_grid(load_picture(other), size_wh, other.name), f"{Path(on).name}/{other.name}"
    return LabelledPictures(short_name(found, path), ((title, picture),), labels, tuple(sources))


def load_frame(root: Path, kind: str, record: PairRecord) -> Picture:
    """Read a frame as BGR from the dataset, or from the report where only that has it.

    Raises:
        DatasetError: neither has it.
    """
    places = [media_path(root / "report", record.id, kind)]
    if record.verdict != "rejected":
        places.insert(0, picture_path(root, kind, record.id))
    for path in places:
        picture = read_picture(path)
        if picture is not None:
            return bgr(picture)
    hint = "run the same 'vircraft register' again to make it again"
    raise DatasetError(f"{places[0]}: the {kind} picture of {record.id} is missing or unreadable; {hint}")


def load_picture(path: Path) -> Picture:
    """Read a picture as 8-bit BGR, its EXIF orientation applied, 16 bits stretched.

    Raises:
        PictureError: it is missing or no picture.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, "no such file")
        read_size(path)  # refuses a header that claims more pixels than anybody wants to decode
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise PictureError(message, path=path, reason="missing-image") from error
    except (RuleError, cv2.error) as error:
        reason = error.reason if isinstance(error, RuleError) else "bad-image"
        raise PictureError(str(error), path=path, reason=reason) from error
    if picture is None:
        raise PictureError("is no picture that can be read", path=path, reason="bad-image")
    return bgr(picture)


def find_picture(folder: Path, name: str) -> Path:
    """Return the picture of a given name, whatever its format, in a folder.

    Raises:
        PictureError: there is none.
    """
    for suffix in _SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise PictureError(
        f"holds no picture {name} (.png, .jpg, ...); '--on' takes infrared, visible, both, or a folder with "
        "pictures named like the labelled ones",
        path=folder,
        reason="missing-image",
    )


def _on_grid(picture: Picture, size_wh: tuple[int, int], name: str) -> Picture:
    """Return a picture enlarged or reduced to a size; its proportions must be the same within a hundredth."""
    width, height = picture.shape[1], picture.shape[0]
    if (width, height) == tuple(size_wh):
        return picture
    if abs(width * size_wh[1] / (height * size_wh[0]) - 1) > 0.01:
        raise PictureError(
            f"{name}: the picture is {width}x{height} and the labels are for {size_wh[0]}x{size_wh[1]}; they "
            "are drawn on pictures of the same proportions",
            reason="size-mismatch",
        )
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _leniently(path: Path) -> tuple[DrawnAircraft, ...]:
    try:
        return from_shapes(read_labels(path))
    except LabelFileError:
        return ()


def _picture_beside(path: Path, root: Path) -> Path | None:
    """Return the picture of a file that breaks a rule: what it names, or what is called like it.

    None where there is none, or none inside the root.
    """
    candidates = [path.with_suffix(suffix) for suffix in _SUFFIXES]
    with contextlib.suppress(RuleError):
        named = str(load_document(path).get("imagePath") or "")
        candidates.insert(0, path.parent / named.replace("\\", "/"))
    inside = root.resolve()
    for candidate in candidates:
        with contextlib.suppress(OSError, ValueError):
            if candidate.is_file() and candidate.resolve().is_relative_to(inside):
                return candidate
    return None
