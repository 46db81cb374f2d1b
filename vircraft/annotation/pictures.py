"""Find the picture that a label file names, without leaving the root, and read its size from the header."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vircraft.annotation.documents import RuleError

MOST_PIXELS = 1 << 28
# What cameras and video tools write; the long tail of formats that Pillow knows stays closed.
_PLUGINS = (
    *(PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile, TiffImagePlugin.TiffImageFile),
    *(BmpImagePlugin.BmpImageFile, WebPImagePlugin.WebPImageFile, GifImagePlugin.GifImageFile),
    *(Jpeg2KImagePlugin.Jpeg2KImageFile, PpmImagePlugin.PpmImageFile),
)
_FORMATS = tuple(str(plugin.format) for plugin in _PLUGINS)
_DRIVE = re.compile(r"[A-Za-z]:")
_ORIENTATION = 0x0112  # EXIF tag
_TURNED = (5, 6, 7, 8)  # orientations that swap width and height


@dataclass(frozen=True)
class Picture:
    """A picture as its header describes it.

    Attributes:
        file_name: relative to the root, with forward slashes.
        size_wh: width and height in pixels, EXIF orientation applied.
        turned: the EXIF orientation is not the normal one.
    """

    file_name: str
    size_wh: tuple[int, int]
    turned: bool = False


@dataclass
class PictureFinder:
    """Finds pictures below one root; remembers folders that it has resolved.

    Attributes:
        root: the folder that no picture may lie outside of.
    """

    root: Path
    _root: str = field(init=False)
    _folders: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._root = os.path.realpath(self.root)

    def find(self, folder: Path, image_path: str) -> Picture:
        """Return the picture that `image_path`, relative to `folder`, names.

        Raises:
            RuleError: `unsafe-path`, `missing-image`, `bad-image` or `image-too-large`.
        """
        path, file_name = self._locate(folder, image_path)
        try:
            size_wh, turned = read_size(path)
        except FileNotFoundError as error:
            raise _missing(image_path) from error
        return Picture(file_name, size_wh, turned)

    def guard(self, path: Path) -> None:
        """Refuse a label file that a link leads out of the root.

        Raises:
            RuleError: `unsafe-path`.
        """
        folder = self._resolve(str(path.parent))
        if self._inside(folder) and (not path.is_symlink() or self._inside(os.path.realpath(path))):
            return
        raise RuleError("unsafe-path", f"it is a link that leads out of {self.root}; copy the file instead")

    def _locate(self, folder: Path, image_path: str) -> tuple[str, str]:
        """Return the picture's path and its name relative to the root."""
        name = image_path.replace("\\", "/")
        if "\0" in name or name.startswith("/") or _DRIVE.match(name):
            raise RuleError(
                "unsafe-path", f"imagePath {image_path!r:.80} is not relative to the label file's folder"
            )
        parent, _, base = name.rpartition("/")
        if base in ("", ".", ".."):
            parent, base = name, "."
        try:
            directory = self._resolve(f"{folder}/{parent}" if parent else str(folder))
            path = f"{directory}/{base}"
            status = os.lstat(path)
            target = os.path.realpath(path) if stat.S_ISLNK(status.st_mode) else path
            if not self._inside(directory) or not self._inside(target):
                raise _outside(image_path)
            if not stat.S_ISREG(os.lstat(target).st_mode):
                raise RuleError("missing-image", f"imagePath {image_path!r:.80} is no regular file")
        except (OSError, ValueError) as error:  # ValueError: characters that no file name can have
            if isinstance(error, OSError) and not self._inside(os.path.realpath(f"{folder}/{name}")):
                raise _outside(image_path) from error
            raise _missing(image_path) from error
        return target, os.path.relpath(path, self._root).replace(os.sep, "/")

    def _resolve(self, folder: str) -> str:
        found = self._folders.get(folder)
        if found is None:
            found = self._folders[folder] = os.path.realpath(folder)
        return found

    def _inside(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root.rstrip(os.sep) + os.sep)


def read_size(path: str | Path) -> tuple[tuple[int, int], bool]:
    """Return a picture's size from its header, and whether EXIF turns it; no pixel is decoded.

    Raises:
        RuleError: `bad-image` (no picture that is known) or `image-too-large`.
        FileNotFoundError: it went away.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (as fast as it can be)
            picture = _open_header(file)
            (width, height), orientation = picture.size, _orientation(picture)
    except FileNotFoundError:
        raise
    except RuleError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the parsers of many formats fail in many ways on hostile headers
        raise RuleError("bad-image", f"{Path(path).name} is no picture that can be read ({error})") from error
    if min(width, height) < 1:
        raise RuleError("bad-image", f"{Path(path).name} has no pixels by its header ({width}x{height})")
    if width * height > MOST_PIXELS:
        raise RuleError(
            "image-too-large",
            f"{Path(path).name} is {width}x{height} pixels by its header; at most {MOST_PIXELS} are allowed",
        )
    return ((height, width) if orientation in _TURNED else (width, height)), orientation != 1


def _open_header(file: BinaryIO) -> ImageFile.ImageFile:
    """Let the parser that knows the first bytes read the header.

    `PIL.Image.open` does the same with a limit on pixels that is below ours, kept in a global.
    """
    start = file.read(16)
    for name in _FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts is not None and accepts(start) is True:
            file.seek(0)
            return factory(file, "")
    raise RuleError("bad-image", f"{Path(file.name).name} is no picture that can be read; is the name right?")


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it makes no sense.

    The base class's method is asked on purpose: that of PNG pictures decodes them.
    """
    info = picture.info
    if not ("exif" in info or "xmp" in info or "XML:com.adobe.xmp" in info or picture.format == "TIFF"):
        return 1
    try:
        value = Image.Image.getexif(picture).get(_ORIENTATION, 1)
    except Exception:  # what is broken in EXIF does not make the picture useless
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _missing(image_path: str) -> RuleError:
    return RuleError(
        "missing-image",
        f"imagePath {image_path!r:.80} is not there; put the picture back or correct the path",
    )


def _outside(image_path: str) -> RuleError:
    return RuleError("unsafe-path", f"imagePath {image_path!r:.80} leads out of the root")
