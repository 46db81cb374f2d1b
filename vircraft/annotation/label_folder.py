"""The labels of a dataset, of a folder inside one, or of any folder, read as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.label_files import LabelFiles, find_label_files, read_each
from vircraft.annotation.picture import PictureAnnotations
from vircraft.annotation.pictures import Picture, PictureFinder
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import MANIFEST
from vircraft.errors import InputFileError

_PAIR_ID = re.compile(r"(.+)_\d{6,}")


@dataclass
class BorrowedPictures(PictureFinder):
    """Finds the pictures of label files that came without them, where another annotator's are.

    Attributes:
        root: the other annotator's root.
        folder: the other annotator's folder of labels; `imagePath` is taken relative to it.
    """

    folder: Path = Path()

    def guard(self, path: Path) -> None:
        """Let any label file pass: its own folder is not the root of the pictures."""

    def find(self, folder: Path, image_path: str) -> Picture:
        """Return the picture that `image_path` names, as seen from the other annotator's folder."""
        return super().find(self.folder, image_path)


def find_labels(source: Path) -> LabelFiles:
    """Find the label files of a dataset, of a folder inside one (another annotator's), or of any folder.

    Raises:
        DatasetError: no such folder.
        InputFileError: it holds no label file (`no-labels`).
    """
    found = find_label_files(source)
    if not found.files:
        raise InputFileError(
            "holds no label file (*.json); label some pictures with 'vircraft annotate' or Labelme",
            path=source,
            reason="no-labels",
        )
    if found.is_dataset:
        return found
    resolved = source.resolve()
    for folder in resolved.parents[:2]:  # DATASET/labels_b, DATASET/annotators/b
        if (folder / MANIFEST).is_file():
            files = tuple(resolved / path.relative_to(source) for path in found.files)
            return replace(found, root=folder, files=files)
    return found


def read_labels_of(
    found: LabelFiles, on_file: Callable[[Path], None] | None = None
) -> tuple[list[PictureAnnotations], list[LabelFileError]]:
    """Read label files; one that breaks a rule never stops the others.

    Returns:
        What was read, and the errors of the others, both in the order of the files.
    """
    results = [result for _, result in read_each(found, on_file)]
    return (
        [result for result in results if isinstance(result, PictureAnnotations)],
        [result for result in results if isinstance(result, LabelFileError)],
    )


def read_again(
    errors: Iterable[LabelFileError], other: LabelFiles
) -> tuple[list[PictureAnnotations], list[LabelFileError]]:
    """Read files whose picture was not found once more, with the pictures of another annotator.

    Args:
        errors: of a first reading.
        other: the other annotator's label files.

    Returns:
        What could be read now, and the errors that remain.
    """
    folders = {path.name: path.parent for path in other.files}
    read, remaining = [], []
    for error in errors:
        path = error.path
        if path is None or error.reason not in ("missing-image", "unsafe-path") or path.name not in folders:
            remaining.append(error)
            continue
        try:
            read.append(read_annotations(path, BorrowedPictures(other.root, folder=folders[path.name])))
        except LabelFileError as again:
            remaining.append(again)
    return read, remaining


def short_name(found: LabelFiles, path: Path) -> str:
    """Return what to call a label file: a pair's id in a dataset, else its path below the root, no suffix."""
    return path.stem if found.is_dataset else found.name(path).removesuffix(path.suffix)


def clip_of(name: str) -> str:
    """Return the clip of a picture named like a dataset's pair (CLIP_000120); "" for any other name."""
    match = _PAIR_ID.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""
