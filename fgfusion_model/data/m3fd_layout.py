"""M3FD-style folders: `Ir/`, `Vis/`, and `Annotation/*.xml` with boxes as Pascal VOC writes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fgfusion_model.data.folders import INFRARED, VISIBLE, by_stem, find_folder, match_folders
from fgfusion_model.data.pairs import SALIENCY, FoundPairs, LeftOut, MaskSource
from vircraft.errors import InputFileError

ANNOTATIONS = ("annotation", "annotations")
Box = tuple[float, float, float, float]
_MOST_BYTES = 1 << 22  # of one XML file; a thousand boxes take about 300 kB


@dataclass(frozen=True)
class VocPicture:
    """What a Pascal VOC file says.

    Attributes:
        size_wh: width and height of the picture; None where the file does not say.
        names: class of each object.
        boxes_xyxy: of each, left, top, right, bottom, counted from pixel edges.
    """

    size_wh: tuple[int, int] | None
    names: tuple[str, ...]
    boxes_xyxy: tuple[Box, ...]


def find_m3fd_pairs(root: Path, title: str, source: int) -> FoundPairs:
    """Find the pairs of an M3FD folder; boxes stand for masks.

    A pair whose XML cannot be read is left out; one without XML has no labels.
    """
    infrared, visible = find_folder(root, INFRARED), find_folder(root, VISIBLE)
    folder = find_folder(root, ANNOTATIONS)
    assert infrared is not None
    assert visible is not None
    files = by_stem(folder, {".xml"}) if folder else {}
    wrong: dict[str, InputFileError] = {}

    def mask_of(stem: str) -> MaskSource:
        if stem not in files:
            return SALIENCY
        try:
            return MaskSource("boxes", boxes_xyxy=read_voc_boxes(files[stem]))
        except InputFileError as error:
            wrong[stem] = error
            return SALIENCY

    pairs, left_out = match_folders(infrared, visible, title, source, mask_of)
    left_out += [LeftOut(f"{title}/{stem}", error.reason, str(error)) for stem, error in wrong.items()]
    good = tuple(pair for pair in pairs if pair.infrared.stem not in wrong)
    return FoundPairs("m3fd", good, tuple(left_out))


def read_voc_boxes(path: Path) -> tuple[Box, ...]:
    """Read the boxes of a Pascal VOC file: left, top, right, bottom, counted from pixel edges.

    VOC counts pixels from 1 and includes both ends, so that xmin = 1 is the edge 0 and xmax = W the edge W.

    Raises:
        InputFileError: unreadable, no XML, a document type or entity (refused unread), a box without size.
    """
    return tuple(_box(entry, path) for entry in _parse(path).iter("bndbox"))


def read_voc_objects(path: Path) -> VocPicture:
    """Read the size, the objects' names and their boxes of a Pascal VOC file.

    Raises:
        InputFileError: as `read_voc_boxes`; an object without a name or a box, or a size that is no size.
    """
    root = _parse(path)
    names: list[str] = []
    boxes: list[Box] = []
    for number, entry in enumerate(root.iter("object"), 1):
        name, box = entry.findtext("name", "").strip(), entry.find("bndbox")
        if not name or box is None:
            lack = "box" if name else "name"
            raise InputFileError(f"object {number} has no {lack}; add it or delete the object", path=path)
        names.append(name)
        boxes.append(_box(box, path))
    return VocPicture(_size(root, path), tuple(names), tuple(boxes))


def _size(root: Element, path: Path) -> tuple[int, int] | None:
    entry = root.find("size")
    if entry is None:
        return None
    try:
        width, height = (int(entry.findtext(key, "")) for key in ("width", "height"))
    except ValueError as error:
        raise InputFileError(f"has a size that is not two whole numbers ({error})", path=path) from error
    if width < 1 or height < 1:
        raise InputFileError(f"has the size {width}x{height}; correct it, or delete <size>", path=path)
    return width, height


def _box(entry: Element, path: Path) -> Box:
    try:
        x0, y0, x1, y1 = (float(entry.findtext(key, "")) for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError as error:
        raise InputFileError(f"has a box that is not four numbers ({error})", path=path) from error
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x1 < x0 or y1 < y0:
        raise InputFileError(f"has a box of no size: {x0:g}, {y0:g}, {x1:g}, {y1:g}", path=path)
    return x0 - 1, y0 - 1, x1, y1


def _parse(path: Path) -> Element:
    """Parse XML that may come from a stranger: no document type, hence no entity, is let through."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror})", path=path) from error
    if len(content) > _MOST_BYTES:
        raise InputFileError(f"has {len(content)} bytes; at most {_MOST_BYTES} are read", path=path)
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise InputFileError("declares a document type; delete its <!DOCTYPE> part", path=path)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputFileError(f"is not XML ({error})", path=path) from error
    return builder.close()
