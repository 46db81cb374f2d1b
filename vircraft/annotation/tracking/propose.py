"""Pre-fill labels: carry those of labelled pairs to the pairs after them, for a person to check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vircraft.annotation.labelme import LabelFile, LabelFileError, read_labels
from vircraft.annotation.picture import PROPOSED
from vircraft.annotation.tracking.carry import Carried, can_be_carried, carry_on
from vircraft.annotation.tracking.motion import FramePictures
from vircraft.dataset import journal_path, label_path, picture_path
from vircraft.errors import InputFileError, PictureError
from vircraft.journal import PairRecord, read_journal

SKIP = "skip"
LEAST_CONFIDENCE = 0.5


@dataclass(frozen=True)
class Proposal:
    """Labels proposed for a pair that has none.

    Attributes:
        pair_id: the pair.
        labels: with the file flag `proposed`.
        confidence: 0 to 1; falls from frame to frame.
        source_id: the labelled pair that they come from.
    """

    pair_id: str
    labels: LabelFile
    confidence: float
    source_id: str


def propose_clip(
    dataset_root: Path,
    clip: str,
    *,
    limit: int | None = None,
    least_confidence: float = LEAST_CONFIDENCE,
    on_unreadable: Callable[[InputFileError], None] | None = None,
) -> list[Proposal]:
    """Carry the labels of each labelled pair of a clip to the unlabelled ones that follow it.

    Nothing is written. A pair that has a label file gets no proposal, whatever the file says. Files flagged
    `skip` or `proposed` are no source and are passed over; one without shapes says that nothing is there,
    which ends what came before; so does a file with a drawn mask, which is not carried.

    Args:
        dataset_root: of the dataset.
        clip: its name.
        limit: carry at most so many pairs on; None for as far as the confidence allows.
        least_confidence: stop where the confidence falls below it.
        on_unreadable: takes the error of a label file that cannot be read or carried on, or of a picture that
            cannot be read, which is then passed over: labels are carried across a pair without pictures.

    Raises:
        DatasetError: the clip's journal is damaged.
        LabelFileError, PictureError: a file cannot be used, and `on_unreadable` is not given.
    """
    records = [r for r in read_journal(journal_path(dataset_root, clip)).pairs if r.verdict != "rejected"]
    proposals: list[Proposal] = []
    for source, labels, followers in _chains(dataset_root, records, on_unreadable):
        chain = followers if limit is None else followers[:limit]
        try:
            for proposal in _carry_along(
                dataset_root, source, labels, chain, least_confidence, on_unreadable
            ):
                proposals.append(proposal)  # one by one: those before an error stay
        except InputFileError as error:
            if on_unreadable is None:
                raise
            on_unreadable(error)
    return proposals


def _chains(
    root: Path, records: Sequence[PairRecord], on_unreadable: Callable[[InputFileError], None] | None
) -> Iterator[tuple[str, LabelFile, list[tuple[str, bool]]]]:
    """Return each source with its labels and the pairs after it: their ids, and whether they want labels."""
    source: tuple[str, LabelFile] | None = None
    followers: list[tuple[str, bool]] = []
    for record in records:
        path = label_path(root, record.id)
        labels = _read(path, record, on_unreadable) if path.exists() else None
        if labels is None or labels.flags.get(SKIP) or labels.flags.get(PROPOSED):
            followers.append((record.id, not path.exists()))
            continue
        if source is not None:
            yield (*source, followers)
        source = (record.id, labels) if can_be_carried(labels) else None
        followers = []
    if source is not None:
        yield (*source, followers)


def _read(
    path: Path, record: PairRecord, on_unreadable: Callable[[InputFileError], None] | None
) -> LabelFile | None:
    try:
        labels = read_labels(path)
        if labels.size_wh != record.infrared_wh:
            raise LabelFileError(
                f"is for a picture of {labels.size_wh[0]}x{labels.size_wh[1]}, the pair's is "
                f"{record.infrared_wh[0]}x{record.infrared_wh[1]}; draw it on the dataset's own pictures",
                path=path,
                reason="size-mismatch",
            )
        return labels
    except LabelFileError as error:
        if on_unreadable is None:
            raise
        on_unreadable(error)
        return None


def _carry_along(
    root: Path,
    source: str,
    labels: LabelFile,
    chain: Sequence[tuple[str, bool]],
    least_confidence: float,
    on_unreadable: Callable[[InputFileError], None] | None,
) -> Iterator[Proposal]:
    """Carry labels along a chain of pairs until the confidence is too low or nothing is in view."""
    last = max((n for n, (_, wanted) in enumerate(chain, 1) if wanted), default=0)
    read: list[tuple[str, bool]] = []

    def frames() -> Iterator[FramePictures]:
        for pair_id, wanted in ((source, False), *chain[:last]):
            try:
                pictures = read_pictures(root, pair_id, labels.size_wh)
            except PictureError as error:
                if on_unreadable is None or pair_id == source:
                    raise
                on_unreadable(error)
            else:
                read.append((pair_id, wanted))
                yield pictures

    for carried in _steps(root, source, labels, frames() if last else ()):
        if carried.confidence < least_confidence:
            return
        pair_id, wanted = read[-1]
        if wanted:
            place = f"../infrared/{pair_id}.png"
            shapes = carried.labels.shapes
            proposed = LabelFile(place, labels.size_wh, shapes, {PROPOSED: True})  # ids stay with the source
            yield Proposal(pair_id, proposed, carried.confidence, source)


def _steps(root: Path, source: str, labels: LabelFile, frames: Iterable[FramePictures]) -> Iterator[Carried]:
    try:
        yield from carry_on(labels, frames)
    except (ValueError, cv2.error) as error:  # such as an outline that the picture's edge cuts too often
        raise LabelFileError(
            f"cannot be carried on: {error}; is its outline right? Draw a simpler one",
            path=label_path(root, source),
            reason="out-of-range",
        ) from error


def read_pictures(root: Path, pair_id: str, size_wh: tuple[int, int] | None = None) -> FramePictures:
    """Read both pictures of a pair.

    Args:
        root: of the dataset.
        pair_id: the pair.
        size_wh: that the pictures must have; None takes any.

    Raises:
        PictureError: one is missing, unreadable, or of another size than the other or `size_wh`.
    """
    infrared = _picture(picture_path(root, "infrared", pair_id), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE)
    visible = _picture(picture_path(root, "visible", pair_id), cv2.IMREAD_COLOR)
    if size_wh not in (None, infrared.shape[::-1]):
        raise PictureError(
            f"is {infrared.shape[1]}x{infrared.shape[0]}, its labels are for {size_wh[0]}x{size_wh[1]}; "
            "run 'vircraft register' again to restore it",
            path=picture_path(root, "infrared", pair_id),
            reason="size-mismatch",
        )
    if visible.shape[:2] != infrared.shape:
        raise PictureError(
            "differs in size from the infrared picture; run 'vircraft register' again",
            path=picture_path(root, "visible", pair_id),
            reason="size-mismatch",
        )
    return FramePictures(infrared, visible)


def _picture(path: Path, flags: int) -> Any:
    try:
        if path.exists() and not path.is_file():
            raise OSError("no regular file")  # a pipe would be waited for
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise PictureError(
            f"cannot be read ({error.strerror or error}); run 'vircraft register' again to restore it",
            path=path,
        ) from error
    try:
        picture = cv2.imdecode(content, flags) if content.size else None
    except cv2.error:  # a header that claims more pixels than OpenCV decodes
        picture = None
    if picture is None:
        raise PictureError("is no picture; run 'vircraft register' again to restore it", path=path)
    return picture
