"""The labels of a dataset, of a folder inside one, or of any folder, read as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.label_files import LABELS_FOLDER, LabelFiles, find_label_files, read_each
from vircraft.annotation.picture import PictureAnnotations
from vircraft.annotation.pictures import Picture, PictureFinder
from vircraft.annotation.rules import read_annotations
from vircraft.dataset import MANIFEST
from vircraft.errors import InputFileError


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
        What was read, and the errors of the others, both in the order of the files; folders that cannot be
        listed come last.
    """
    results = [result for _, result in read_each(found, on_file)]
    closed = [
        LabelFileError("the folder cannot be listed; make it readable", path=path, reason="unreadable")
        for path in found.unreadable
    ]
    return (
        [result for result in results if isinstance(result, PictureAnnotations)],
        [*(result for result in results if isinstance(result, LabelFileError)), *closed],
    )


def names_below(found: LabelFiles, source: Path) -> dict[Path, str]:
    """Return each label file's path below the folder that holds them, without suffix.

    Args:
        found: what `find_labels` found.
        source: where it was found; of a dataset, the folder of its labels counts.
    """
    folder = source / LABELS_FOLDER if found.is_dataset else source
    roots = folder, folder.resolve()
    names = {}
    for path in found.files:
        root = next(root for root in roots if path.is_relative_to(root))
        names[path] = path.relative_to(root).with_suffix("").as_posix()
    return names


def matched_names(
    first: Mapping[Path, str], second: Mapping[Path, str]
) -> tuple[dict[Path, str], dict[Path, str]]:
    """Return what to call the label files of two annotators, so that those of one picture are called alike.

    That is the plain name, unless files in several folders of either annotator share one: then the folders
    count, for both annotators.

    Args:
        first, second: what `names_below` returns.
    """
    both = [dict(names) for names in (first, second)]
    plain = [{path: name.rpartition("/")[2] for path, name in names.items()} for names in both]
    repeated = any(max(Counter(names.values()).values(), default=0) > 1 for names in plain)
    return (both[0], both[1]) if repeated else (plain[0], plain[1])


def read_again(
    errors: Iterable[LabelFileError],
    names: Mapping[Path, str],
    other: LabelFiles,
    other_names: Mapping[Path, str],
) -> tuple[list[PictureAnnotations], list[LabelFileError]]:
    """Read files whose picture was not found once more, with the pictures of another annotator.

    Args:
        errors: of a first reading.
        names: what to call the files that were read.
        other: the other annotator's label files.
        other_names: what to call those.

    Returns:
        What could be read now, and the errors that remain.
    """
    folders = {name: path.parent for path, name in other_names.items()}
    read, remaining = [], []
    for error in errors:
        name = None if error.path is None else names.get(error.path)
        lost = error.reason in ("missing-image", "unsafe-path")
        if error.path is None or name not in folders or not lost:
            remaining.append(error)
            continue
        try:
            pictures = BorrowedPictures(other.root, folder=folders[name])
            read.append(read_annotations(error.path, pictures))
        except LabelFileError as again:
            remaining.append(again)
    return read, remaining


def short_name(found: LabelFiles, path: Path) -> str:
    """Return what to call a label file: a pair's id in a dataset, else its path below the root, no suffix."""
    return path.stem if found.is_dataset else found.name(path).removesuffix(path.suffix)
