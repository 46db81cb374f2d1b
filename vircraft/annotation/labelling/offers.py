"""Which pictures of a dataset are offered to an annotator, and which cannot be, each with the reason."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vircraft.annotation.documents import RuleError, list_field
from vircraft.annotation.labelling.merging import load_labels
from vircraft.annotation.pictures import PictureFinder
from vircraft.dataset import Dataset, label_path, picture_path
from vircraft.errors import PictureError, SettingsError

Only = Literal["unlabelled", "labelled", "proposed", "all"]
OFFERED_VERDICTS = ("accepted", "coarse_only", "human")

_PNG_HEADER = struct.Struct(">8s4x4sIIB")  # signature, length, IHDR, width, height, bit depth
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class OfferSettings:
    """What an annotator wants to see.

    Attributes:
        on: `infrared`, `visible`, or a folder of pictures named after the infrared ones.
        clips: names of the clips; empty takes all.
        only: pairs with labels, without, with a proposal that nobody has touched, or all.
        propose: make proposals for unlabelled pairs that follow a labelled one.
    """

    on: str = "infrared"
    clips: tuple[str, ...] = ()
    only: Only = "all"
    propose: bool = False

    def __post_init__(self) -> None:
        if self.only not in get_args(Only):
            raise SettingsError(f"only is {self.only!r}; it is one of {', '.join(get_args(Only))}")

    def picture(self, root: Path, pair_id: str) -> Path:
        """Return where the picture of a pair is that is drawn on."""
        if self.on in ("infrared", "visible"):
            return picture_path(root, self.on, pair_id)
        return Path(self.on) / f"{pair_id}.png"


@dataclass(frozen=True)
class Offer:
    """A pair that can be labelled.

    Attributes:
        pair_id: CLIP_000120.
        clip: its clip.
        picture: what is drawn on.
        size_wh: of the infrared picture, and of `picture`.
        bit_depth: of `picture`.
        document: the labels as they are, or a proposal; None when there are none.
        labelled: `labels/ID.json` is there.
        proposed: the labels are a proposal that nobody has touched.
    """

    pair_id: str
    clip: str
    picture: Path
    size_wh: tuple[int, int]
    bit_depth: int
    document: Mapping[str, Any] | None = None
    labelled: bool = False
    proposed: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A pair, or a clip, that could not be offered as asked; `reason` is a stable code in kebab case."""

    name: str
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What is offered.

    Attributes:
        offers: by clip and time.
        left_out: pairs whose picture or labels do not fit, clips without proposals because of an error.
        pictureless: pairs without a picture in the folder that was asked for.
    """

    offers: tuple[Offer, ...]
    left_out: tuple[LeftOut, ...] = ()
    pictureless: int = 0


def plan_offers(
    dataset: Dataset, settings: OfferSettings, proposals: Mapping[str, Mapping[str, Any]] | None = None
) -> Plan:
    """Find the pairs to offer.

    Args:
        dataset: the dataset.
        settings: what is wanted.
        proposals: Labelme documents by pair, used where a pair has no labels.

    Raises:
        SettingsError: `on` is neither a modality nor a folder, or a clip is unknown.
        DatasetError: a journal is damaged.
    """
    _check_folder(settings.on)
    finder = PictureFinder(dataset.root)
    offers: list[Offer] = []
    left_out: list[LeftOut] = []
    pictureless = 0
    for pair_id, clip in _pairs(dataset, settings.clips):
        picture = settings.picture(dataset.root, pair_id)
        if settings.on not in ("infrared", "visible") and not picture.exists():
            pictureless += 1
            continue
        try:
            _guard(finder, pair_id, settings.on)
            offer = _offer(dataset.root, pair_id, clip, picture, (proposals or {}).get(pair_id))
        except _CannotOfferError as error:
            left_out.append(LeftOut(pair_id, error.reason, str(error)))
        else:
            if _wanted(offer, settings.only):
                offers.append(offer)
    return Plan(tuple(offers), tuple(left_out), pictureless)


def read_png_header(path: Path) -> tuple[tuple[int, int], int]:
    """Return a PNG's width and height, and its bits a sample; no pixel is decoded.

    Raises:
        PictureError: `missing-image` when it is absent or no regular file, `bad-image` when it is no PNG.
    """
    if not path.is_file():
        raise PictureError("is missing", path=path, reason="missing-image")
    try:
        with path.open("rb") as file:
            signature, kind, width, height, bits = _PNG_HEADER.unpack(file.read(_PNG_HEADER.size))
    except (OSError, struct.error) as error:
        raise PictureError(f"cannot be read ({error})", path=path, reason="bad-image") from error
    if signature != _PNG_SIGNATURE or kind != b"IHDR":
        raise PictureError("is no PNG", path=path, reason="bad-image")
    return (width, height), bits


class _CannotOfferError(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _check_folder(on: str) -> None:
    if on not in ("infrared", "visible") and not Path(on).is_dir():
        raise SettingsError(
            f"--on {on}: is neither infrared nor visible nor a folder; give a folder with a picture ID.png "
            "for each pair"
        )


def _pairs(dataset: Dataset, clips: Collection[str]) -> Iterator[tuple[str, str]]:
    """Return id and clip of the pairs that registration accepted."""
    known = set()
    for journal in dataset.journals():
        for record in journal.pairs:
            known.add(record.clip)
            if record.verdict in OFFERED_VERDICTS and (not clips or record.clip in clips):
                yield record.id, record.clip
    strange = sorted(set(clips) - known)
    if strange:
        raise SettingsError(
            f"{dataset.root}: has no clip {strange[0]!r}; it has {', '.join(sorted(known)) or 'none'}"
        )


def _guard(finder: PictureFinder, pair_id: str, on: str) -> None:
    """Leave out a pair whose files a link leads out of the dataset; a folder of fused ones may have any."""
    root = finder.root
    modalities = {"infrared", on} & {"infrared", "visible"}
    pictures = (picture_path(root, modality, pair_id) for modality in sorted(modalities))
    for path in (*pictures, label_path(root, pair_id)):
        try:
            finder.guard(path)
        except RuleError as error:
            raise _CannotOfferError(error.reason, f"{path}: {error.message}") from error


def _offer(root: Path, pair_id: str, clip: str, picture: Path, proposal: Mapping[str, Any] | None) -> Offer:
    try:
        size_wh, _ = read_png_header(picture_path(root, "infrared", pair_id))
        drawn_wh, bit_depth = read_png_header(picture)
    except PictureError as error:
        raise _CannotOfferError(error.reason, str(error)) from error
    if drawn_wh != size_wh:
        raise _CannotOfferError(
            "size-mismatch",
            f"{picture}: is {_size(drawn_wh)}, the infrared picture {_size(size_wh)}; "
            "a picture to draw on has the infrared one's size",
        )
    drawn = _labels(label_path(root, pair_id), size_wh)
    labelled = drawn is not None
    document = proposal if drawn is None else drawn
    flags = document.get("flags") if document else None
    proposed = isinstance(flags, dict) and flags.get("proposed") is True
    return Offer(pair_id, clip, picture, size_wh, bit_depth, document, labelled, proposed)


def _labels(path: Path, size_wh: tuple[int, int]) -> dict[str, Any] | None:
    """Return the labels of a pair as Labelme can open them; None when there are none."""
    if not path.exists():
        return None
    try:
        document = load_labels(path)
        list_field(document, "shapes")
    except RuleError as error:
        raise _CannotOfferError(error.reason, f"{path}: {error.message}") from error
    stated = (document.get("imageWidth"), document.get("imageHeight"))
    if any(value not in (None, true) for value, true in zip(stated, size_wh, strict=True)):
        raise _CannotOfferError(
            "size-mismatch",
            f"{path}: is for a picture of {stated[0]} x {stated[1]}, the infrared one is {_size(size_wh)}; "
            "move the file away or correct it",
        )
    return document


def _wanted(offer: Offer, only: Only) -> bool:
    return {
        "all": True,
        "labelled": offer.labelled,
        "unlabelled": not offer.labelled,
        "proposed": offer.proposed,
    }[only]


def _size(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]} x {size_wh[1]}"
