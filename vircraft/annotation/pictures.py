"""Find the picture that a label file names, without leaving the root, and read its size from the header."""

from __future__ import annotations

import os
import re
import stat
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

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
)

from vircraft.annotation.documents import RuleError

MOST_PIXELS = 1 << 28
# What cameras and video tools write; the long tail of formats that Pillow knows stays closed.
_PLUGINS = (
    *(PngImagePlugin.PngImageFile, JpegImagePlugin.JpegImageFile, TiffImagePlugin.TiffImageFile),
    *(BmpImagePlugin.BmpImageFile, GifImagePlugin.GifImageFile),
    *(Jpeg2KImagePlugin.Jpeg2KImageFile, PpmImagePlugin.PpmImageFile),
)
_FORMATS = tuple(str(plugin.format) for plugin in _PLUGINS)
_LONGEST_PATH = 4096  # what no file system opens; to resolve it would take minutes
_MOST_HEADER_BYTES = 16 << 20
_BYTES_PER_READ = 64  # that a read counts at least, so that headers made of single bytes end, too
_MOST_EXIF_BYTES = 1 << 20
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
        if len(name) > _LONGEST_PATH:
            raise _missing(image_path)
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
        with open(path, "rb") as file, warnings.catch_warnings():  # noqa: PTH123 (as fast as it can be)
            warnings.simplefilter("ignore")  # Pillow's, of broken EXIF
            (width, height), orientation = _read_header(_Header(file))
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


class _Header:
    """A file that gives a limited number of bytes, so that no header takes all memory or time."""

    def __init__(self, file: IO[bytes]) -> None:
        self.name, self.seek, self.tell = file.name, file.seek, file.tell
        self._read, self._left = file.read, _MOST_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        content = self._read(size if 0 <= size <= self._left else self._left + 1)
        self._left -= max(len(content), _BYTES_PER_READ)
        if self._left < 0:
            raise RuleError("bad-image", f"{Path(self.name).name} has a header of more than 16 MiB")
        return content


def _read_header(file: _Header) -> tuple[tuple[int, int], int]:
    """Return size, before it is turned, and EXIF orientation of a picture.

    `PIL.Image.open` picks the parser in the same way, but with a limit on pixels that is below ours and kept
    in a global.
    """
    start = file.read(30)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _webp_size(start), _webp_orientation(file, start)
    for name in _FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts is not None and accepts(start[:16]) is True:
            file.seek(0)
            picture = factory(cast(IO[bytes], file), "")
            return _unturned_size(picture), _orientation(picture)
    raise RuleError("bad-image", f"{Path(file.name).name} is no picture that can be read; is the name right?")


def _unturned_size(picture: ImageFile.ImageFile) -> tuple[int, int]:
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return picture.size
    tags = picture.tag_v2  # some versions of Pillow turn the size of a TIFF, some don't
    return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])


def _webp_size(start: bytes) -> tuple[int, int]:
    """Return the size in the first 30 bytes of a WebP (RFC 9649, Sec. 2.5 to 2.7).

    Pillow's parser reads the whole file and takes memory for all pixels.
    """
    kind = start[12:16]
    if kind == b"VP8X" and len(start) == 30:
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if kind == b"VP8L" and len(start) >= 25 and start[20] == 0x2F:
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(start) == 30 and start[23:26] == b"\x9d\x01\x2a":
        bits = int.from_bytes(start[26:30], "little")
        return bits & 0x3FFF, bits >> 16 & 0x3FFF
    raise ValueError("its WebP header is cut off or unknown")


def _webp_orientation(file: _Header, start: bytes) -> int:
    if start[12:16] != b"VP8X" or not start[20] & 0x08:  # the flag that there is EXIF
        return 1
    file.seek(12)
    while len(head := file.read(8)) == 8:
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF":
            return _exif_orientation(file.read(min(length, _MOST_EXIF_BYTES)))
        file.seek(length + length % 2, os.SEEK_CUR)
    return 1


def _exif_orientation(content: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(content)
        return _sensible(exif.get(_ORIENTATION, 1))
    except Exception:  # what is broken in EXIF does not make the picture useless
        return 1


def _orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none or it makes no sense.

    The base class's method is asked on purpose: that of PNG pictures decodes them.
    """
    info = picture.info
    if not ("exif" in info or "xmp" in info or "XML:com.adobe.xmp" in info or picture.format == "TIFF"):
        return 1
    try:
        return _sensible(Image.Image.getexif(picture).get(_ORIENTATION, 1))
    except Exception:  # as above
        return 1


def _sensible(orientation: Any) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _missing(image_path: str) -> RuleError:
    return RuleError(
        "missing-image",
        f"imagePath {image_path!r:.80} is not there; put the picture back or correct the path "
        "(a picture embedded in the file is not used)",
    )


def _outside(image_path: str) -> RuleError:
    return RuleError(
        "unsafe-path",
        f"imagePath {image_path!r:.80} leads out of the root; name a folder above both as the root",
    )
