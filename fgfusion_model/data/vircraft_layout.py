"""A dataset of vircraft: registered pairs from its journal, foreground from its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fgfusion_model.data.folders import match_folders
from fgfusion_model.data.pairs import SALIENCY, FoundPairs, LeftOut, MaskSource, TrainingPair
from vircraft.annotation import masks
from vircraft.annotation.annotation_masks import has_mask, mask_rle
from vircraft.annotation.documents import LabelFileError
from vircraft.annotation.label_files import find_label_files, read_each
from vircraft.annotation.picture import Annotation, PictureAnnotations, to_edges
from vircraft.dataset import Dataset
from vircraft.errors import DatasetError

_USED = ("accepted", "human")  # verdicts; `coarse_only` is off by more than a fusion can stand


def find_dataset_pairs(root: Path, title: str, source: int) -> FoundPairs:
    """Find the pairs of a dataset that are registered well enough to be fused.

    Pairs that are `coarse_only` and pictures flagged `skip` are passed over. Proposed labels that nobody has
    confirmed count as none. A pair whose label file breaks a rule is left out, and so is a clip whose journal
    is damaged.

    Raises:
        DatasetError: the dataset cannot be opened.
    """
    damaged: list[LeftOut] = []
    verdicts = _verdicts(root, title, damaged)
    labels = _Labels(root)
    pairs, left_out = match_folders(root / "infrared", root / "visible", title, source, labels.mask_of)
    left_out += damaged
    kept: list[TrainingPair] = []
    counts: Counter[str] = Counter()
    for pair in pairs:
        stem = pair.infrared.stem
        verdict = verdicts.get(stem, "" if verdicts or damaged else "accepted")
        if not verdict:
            counts["without a record in a journal"] += 1
        elif verdict not in _USED:
            counts[f"registered {verdict.replace('_', ' ')}, which is too coarse to fuse"] += 1
        elif stem in labels.skipped:
            counts["flagged skip"] += 1
        elif stem in labels.errors:
            error = labels.errors[stem]
            left_out.append(LeftOut(pair.name, error.reason, str(error)))
        else:
            counts["with proposed labels that nobody has confirmed: they count as none"] += (
                stem in labels.proposed
            )
            kept.append(pair)
    remarks = tuple(f"{title}: {number} pairs {what}" for what, number in counts.items() if number)
    return FoundPairs("vircraft", tuple(kept), tuple(left_out), remarks)


def _verdicts(root: Path, title: str, damaged: list[LeftOut]) -> dict[str, str]:
    """Return what was decided of each pair; journals that cannot be read are added to `damaged`."""

    def note(error: DatasetError) -> None:
        damaged.append(LeftOut(title, "damaged-journal", str(error)))

    journals = Dataset.open(root).journals(on_damage=note)
    return {record.id: record.verdict for journal in journals for record in journal.pairs}


class _Labels:
    """The label files of a dataset, by pair."""

    def __init__(self, root: Path) -> None:
        self.found: dict[str, PictureAnnotations] = {}
        self.errors: dict[str, LabelFileError] = {}
        self.skipped: set[str] = set()
        self.proposed: set[str] = set()
        if not (root / "labels").is_dir():  # nobody has labelled anything yet
            return
        for path, result in read_each(find_label_files(root)):
            if isinstance(result, LabelFileError):
                self.errors[path.stem] = result
            elif result.skipped:
                self.skipped.add(path.stem)
            elif result.proposed:
                self.proposed.add(path.stem)
            else:
                self.found[path.stem] = result

    def mask_of(self, pair_id: str) -> MaskSource:
        """Return the union of what the aircraft of a picture cover; a box where there is no outline."""
        if pair_id not in self.found:
            return SALIENCY
        picture = self.found[pair_id]
        if not picture.annotations:
            return MaskSource("outlines", rle=masks.from_toggles(masks.NO_TOGGLES, picture.size_wh))
        outlined = all(map(has_mask, picture.annotations))
        rle = masks.union([_rle(a, picture.size_wh) for a in picture.annotations])
        return MaskSource("outlines" if outlined else "boxes", rle=rle)


def _rle(annotation: Annotation, size_wh: tuple[int, int]) -> Mapping[str, Any]:
    rle = mask_rle(annotation, size_wh)
    if rle is not None:
        return rle
    x0, y0, x1, y1 = (to_edges(value) for value in annotation.box_xyxy)
    return masks.paint([[x0, y0, x1, y0, x1, y1, x0, y1]], size_wh)
