"""Two folders of pictures, matched by name: how MSRS, M3FD and most others are laid out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from fgfusion_model.data.pairs import LeftOut, MaskSource, TrainingPair

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"))
INFRARED = ("infrared", "ir", "inf", "thermal")
VISIBLE = ("visible", "vi", "vis", "rgb")
_FRAME = re.compile(r"(.+)_\d{6,}")  # CLIP_000120, as vircraft names its pairs


def find_folder(root: Path, names: Iterable[str]) -> Path | None:
    """Return the folder of that name, whatever the case of its letters; None when there is none."""
    if not root.is_dir():
        return None
    folders = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    return next((folders[name.lower()] for name in names if name.lower() in folders), None)


def group_of(stem: str) -> str:
    """Return what a split must not divide: the clip of CLIP_000120, else the name itself."""
    match = _FRAME.fullmatch(stem)
    return match[1] if match else stem


def match_folders(
    infrared: Path, visible: Path, title: str, source: int, mask_of: Callable[[str], MaskSource]
) -> tuple[list[TrainingPair], list[LeftOut]]:
    """Match the pictures of two folders by stem.

    Args:
        infrared, visible: the folders; hidden files and what is no picture by its name are passed over.
        title: of the source, for the names of the pairs.
        source: its number.
        mask_of: stem -> where the foreground comes from.
    """
    left, right = all_by_stem(infrared), all_by_stem(visible)
    pairs: list[TrainingPair] = []
    left_out: list[LeftOut] = []
    for stem in sorted(left.keys() | right.keys()):
        name = f"{title}/{stem}"
        files = left.get(stem, []), right.get(stem, [])
        if not all(files):
            have, lack = (infrared, visible) if files[0] else (visible, infrared)
            message = f"{name}: is in {have.name}/ and not in {lack.name}/; add its partner"
            left_out.append(LeftOut(name, "unpaired", message))
        elif max(map(len, files)) > 1:
            twice = ", ".join(path.name for path in max(files, key=len))
            left_out.append(LeftOut(name, "ambiguous", f"{name}: {twice} share a name; keep one of them"))
        else:
            pairs.append(
                TrainingPair(
                    name, f"{title}/{group_of(stem)}", source, files[0][0], files[1][0], mask_of(stem)
                )
            )
    return pairs, left_out


def by_stem(folder: Path, suffixes: Iterable[str] = SUFFIXES) -> dict[str, Path]:
    """Return the files of a folder by their stem, one each."""
    return {stem: paths[0] for stem, paths in all_by_stem(folder, suffixes).items()}


def all_by_stem(folder: Path, suffixes: Iterable[str] = SUFFIXES) -> dict[str, list[Path]]:
    """Return the files of a folder by their stem; several where only their suffixes differ."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            found[path.stem].append(path)
    return found
