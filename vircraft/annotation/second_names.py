"""Pictures under a second name, for programs that want them in a folder of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from vircraft.errors import PictureError
from vircraft.files import TEMPORARY_SUFFIX, disk_error


def link_or_copy(source: Path, target: Path) -> None:
    """Give a picture a second name, or copy it where the file system has no hard links.

    A link is followed first: a second name of a relative one would lead nowhere. What has the name already is
    replaced and never written into, because it may be a second name of another picture.

    Args:
        source: the picture, or a link to it.
        target: its second name; the folder is made when missing.

    Raises:
        PictureError: `missing-image`, there is no such file.
        DatasetError: the disk is full or read-only; no half of a picture is left.
    """
    source = Path(os.path.realpath(source))
    if not source.is_file():
        raise PictureError("is missing", path=source, reason="missing-image")
    temporary = target.with_name(f".{target.name}{TEMPORARY_SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            _link(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)  # also where both names are of one file: then nothing moves
    except OSError as error:
        raise disk_error(target, error) from error


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, no hard links there, too many of them, somebody else's file
        shutil.copyfile(source, target)
