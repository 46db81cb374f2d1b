"""The folders that labelling writes to and clears: all of them the dataset's own."""

from __future__ import annotations

import os
from pathlib import Path

from vircraft.errors import DatasetError
from vircraft.files import refuse_link_out

FOLDER = "annotate"
PICTURES, CONFLICTS, REMOVED = "pictures", "conflicts", "removed"


def check_folders(root: Path) -> None:
    """Make sure that what is written and removed lies in the dataset.

    Raises:
        DatasetError: a file or a link stands where a folder is needed, or `labels/` leads out of the dataset.
    """
    own = [root / FOLDER, *(root / FOLDER / name for name in (PICTURES, CONFLICTS, REMOVED))]
    for path in (*own, root / "labels"):
        if path in own and path.is_symlink():
            raise DatasetError(
                f"{path}: is a link; 'vircraft annotate' clears this folder, so it needs one of its own: "
                "remove the link"
            )
        if os.path.lexists(path) and not path.is_dir():
            raise DatasetError(f"{path}: is no folder, and 'vircraft annotate' needs one there; move it away")
        refuse_link_out(path, root)


def free_name(folder: Path, name: str) -> Path:
    """Return a path in a folder that is not taken: `NAME-1.json`, `NAME-2.json`, ..."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while os.path.lexists(target := folder / f"{stem}-{number}{suffix}"):
        number += 1
    return target
