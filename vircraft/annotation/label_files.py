"""Find the label files of a dataset or of any folder, and read them one after the other."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vircraft.annotation.clip_names import clip_of
from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.picture import PictureAnnotations
from vircraft.annotation.pictures import PictureFinder
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import MANIFEST
from vircraft.errors import DatasetError

LABELS_FOLDER = "labels"
# what an export leaves in a folder is JSON, too
_EXPORTED = re.compile(r"(person_keypoints|instances)_[^/]*\.json|ids\.json")


@dataclass(frozen=True)
class LabelFiles:
    """The label files below a root.

    Attributes:
        root: the folder that neither they nor their pictures may lie outside of.
        files: sorted by their path.
        is_dataset: the root is a dataset of vircraft; `files` are its `labels/ID.json`.
        unreadable: folders that could not be listed.
    """

    root: Path
    files: tuple[Path, ...]
    is_dataset: bool
    unreadable: tuple[Path, ...] = ()

    def name(self, path: Path) -> str:
        """Return a file's path relative to the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def all_clips(self) -> set[str]:
        """Return the clips of a dataset that have pictures, labelled or not."""
        if not self.is_dataset:
            return set()
        names = (path.stem for path in (self.root / "infrared").glob("*.png"))
        return {clip for name in names if (clip := clip_of(name))}

    def clip(self, path: Path) -> str:
        """Return the clip that a label file belongs to; "" where the root is no dataset."""
        return clip_of(path.stem) if self.is_dataset else ""


def find_label_files(root: Path) -> LabelFiles:
    """Find the label files of a dataset (`labels/*.json`) or below any folder (`**/*.json`).

    Hidden files, hidden folders, COCO files in folders named `annotations`, and folders behind links are left
    out. What is found need not be a regular file: reading it says what is wrong.

    Raises:
        DatasetError: the root is not there or no folder, or a dataset has no readable `labels/`.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DatasetError(f"{root}: {what}; give a dataset or a folder with Labelme files")
    if (root / MANIFEST).is_file():
        folder = root / LABELS_FOLDER
        try:
            files = [path for path in folder.iterdir() if _is_label_name(path.name)]
        except OSError as error:
            raise DatasetError(
                f"{folder}: cannot be listed ({error.strerror or error}); draw labels with "
                f"'vircraft annotate {root}', or bring the folder back"
            ) from error
        return LabelFiles(root, tuple(sorted(files)), True)
    unreadable: list[Path] = []
    files = sorted(_walk(root, lambda error: unreadable.append(Path(error.filename))))
    return LabelFiles(root, tuple(files), False, tuple(unreadable))


def _is_label_name(name: str) -> bool:
    return name.lower().endswith(".json") and not name.startswith(".")


def _walk(root: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=on_error):
        folders[:] = [name for name in folders if not name.startswith(".")]
        exports = Path(folder).name == "annotations"
        for name in names:
            if _is_label_name(name) and not (exports and _EXPORTED.fullmatch(name)):
                yield Path(folder, name)


def read_each(
    found: LabelFiles, on_file: Callable[[Path], None] | None = None
) -> Iterator[tuple[Path, PictureAnnotations | LabelFileError]]:
    """Read label files by the rules; a bad one becomes its error and stops none of the others.

    Args:
        found: what to read.
        on_file: is called after each file, for a progress bar.
    """
    finder = PictureFinder(found.root)
    for path in found.files:
        try:
            result: PictureAnnotations | LabelFileError = read_annotations(path, finder)
            if found.is_dataset:
                _check_pair(path, result)
        except LabelFileError as error:
            result = error
        except Exception as error:  # a bug in a reader of pictures or masks must not stop the others
            result = LabelFileError(
                f"cannot be read ({type(error).__name__}: {error}); please report this file",
                path=path,
                reason="internal-error",
            )
        yield path, result
        if on_file is not None:
            on_file(path)


def _check_pair(path: Path, result: PictureAnnotations | LabelFileError) -> None:
    """Make sure that a dataset's label file is drawn on a picture of its own pair."""
    if isinstance(result, LabelFileError) or result.skipped or Path(result.file_name).stem == path.stem:
        return
    raise LabelFileError(
        f"is drawn on {result.file_name}, a picture of another pair; name the file after its picture, or "
        "label the pair again",
        path=path,
        reason="wrong-picture",
    )
