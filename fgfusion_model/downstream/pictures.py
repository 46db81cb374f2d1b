"""Which pictures a task's network sees: the visible ones, the infrared ones, or a folder of fused ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fgfusion_model.colour import luminance
from fgfusion_model.data.folders import INFRARED, SUFFIXES, VISIBLE, all_by_stem, find_folder
from fgfusion_model.data.pictures import decode, read_size_wh
from vircraft.errors import DatasetError, PictureError
from vircraft.files import encode_png, write_atomically

Rgb = NDArray[np.uint8]
MODALITIES: Mapping[str, tuple[str, ...]] = {"infrared": INFRARED, "visible": VISIBLE}
NAMED = 5  # missing pictures that an error names


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one kind, found by name without suffix.

    Attributes:
        label: for people: `visible`, `infrared`, or the folder as given.
        folder: where they lie.
        paths: stem -> file.
        infrared: raw counts are spread over the range before a network sees them.
    """

    label: str
    folder: Path
    paths: Mapping[str, Path]
    infrared: bool = False

    def read(self, stem: str) -> Rgb:
        """Return a picture, (H, W, 3) RGB, 0..255; a grey one has three equal channels.

        Raises:
            PictureError: it cannot be decoded.
        """
        return read_rgb(self.paths[stem], infrared=self.infrared)


def find_pictures(root: Path, choice: str, split: str = "") -> PictureSet:
    """Find the pictures of a dataset, or a method's fused ones.

    Args:
        root: the dataset; its folders are `visible/` and `infrared/`, or as in MSRS and M3FD (`vi`, `Vis`,
            `ir`, `Ir`), in itself or in the folder of the split.
        choice: `visible`, `infrared`, or a folder of fused pictures, flat or with a folder for each split.
        split: such as `train` or `test`.

    Raises:
        DatasetError: there is no such folder, no picture in it, or two of one name.
    """
    if choice in MODALITIES:
        places = [find_folder(root, (split,)), root] if split else [root]
        folder = next((f for p in places if p and (f := find_folder(p, MODALITIES[choice]))), None)
        if folder is None:
            names = ", ".join(f"{name}/" for name in MODALITIES[choice])
            raise DatasetError(f"{root}: has no folder of {choice} pictures ({names})")
    else:
        folder = Path(choice)
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise DatasetError(
                f"{folder}: {what}; pictures are 'visible', 'infrared' or a folder of fused pictures"
            )
        folder = (find_folder(folder, (split,)) if split else None) or folder
    return PictureSet(choice, folder, _one_by_stem(folder), infrared=choice == "infrared")


def _one_by_stem(folder: Path) -> dict[str, Path]:
    paths = all_by_stem(folder)
    if not paths:
        raise DatasetError(f"{folder}: holds no picture")
    if twice := next((files for files in paths.values() if len(files) > 1), None):
        names = " and ".join(path.name for path in twice)
        raise DatasetError(f"{folder}: {names} share a name; keep one of them")
    return {stem: files[0] for stem, files in paths.items()}


def check_pictures(
    pictures: PictureSet,
    sizes_wh: Mapping[str, tuple[int, int]],
    on_file: Callable[[int, int], None] | None = None,
) -> None:
    """Make sure that every picture is there, in the size of its labels; only headers are read.

    Training on fewer pictures than another method would make the comparison unfair, so none may be missing.

    Args:
        pictures: those to use.
        sizes_wh: stem -> width and height that the labels are for.
        on_file: is called with the number of pictures looked at and their total.

    Raises:
        DatasetError: some are missing, cannot be read, or have another size; the first few are named.
    """
    missing = [stem for stem in sizes_wh if stem not in pictures.paths]
    if missing:
        raise DatasetError(
            f"{pictures.folder}: {len(missing)} of {len(sizes_wh)} pictures are missing "
            f"({_listed(missing)}); fuse them too, with the names of their infrared pictures"
        )
    wrong: list[str] = []
    for done, (stem, wanted) in enumerate(sizes_wh.items(), 1):
        has = _shown_size(pictures.paths[stem])
        if has != f"{wanted[0]}x{wanted[1]}":
            wrong.append(f"{pictures.paths[stem].name} is {has}, not {wanted[0]}x{wanted[1]}")
        if on_file is not None:
            on_file(done, len(sizes_wh))
    if wrong:
        raise DatasetError(
            f"{pictures.folder}: {len(wrong)} of {len(sizes_wh)} pictures do not fit their labels "
            f"({_listed(wrong)}); fuse at full size, without resizing or cropping"
        )


def list_pictures(sources: Sequence[Path]) -> dict[str, Path]:
    """Return stem -> file of pictures and folders of pictures, in order; those of a folder by name.

    Raises:
        DatasetError: there is none, one does not exist, or two share a name.
    """
    found: dict[str, Path] = {}
    for source in sources:
        if not source.exists():
            raise DatasetError(f"{source}: does not exist; give pictures, or folders of pictures")
        for path in _pictures_in(source) if source.is_dir() else [source]:
            if path.stem in found:
                raise DatasetError(
                    f"{path}: has the name of {found[path.stem]}; rename one of them, or give those of one "
                    "folder at a time"
                )
            found[path.stem] = path
    if not found:
        raise DatasetError(f"{', '.join(map(str, sources))}: holds no picture")
    return found


def _pictures_in(folder: Path) -> list[Path]:
    inside = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(path for path in inside if path.is_file())


def read_rgb(path: Path, *, infrared: bool = False) -> Rgb:
    """Return a picture file, (H, W, 3) RGB, 0..255; 16 bits are brought to 8, infrared ones stretched.

    Raises:
        PictureError: it cannot be decoded.
    """
    picture = decode(path, infrared=infrared)
    if picture.dtype == np.uint16:
        grey = luminance(picture, stretch=infrared)
        picture = np.rint(grey * 255).astype(np.uint8) if picture.ndim == 2 else (picture >> 8).astype("u1")
    if picture.ndim == 3 and picture.shape[2] >= 3:
        return np.ascontiguousarray(picture[..., 2::-1])
    return np.ascontiguousarray(cv2.cvtColor(picture.reshape(picture.shape[:2]), cv2.COLOR_GRAY2RGB))


def write_rgb(path: Path, picture: Rgb) -> None:
    """Write a picture, (H, W, 3) RGB, as PNG, whole or not at all.

    Raises:
        DatasetError: the file cannot be written.
    """
    write_atomically(path, encode_png(np.ascontiguousarray(picture[..., ::-1])))


def _shown_size(path: Path) -> str:
    try:
        width, height = read_size_wh(path)
    except PictureError:
        return "unreadable"
    return f"{width}x{height}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
