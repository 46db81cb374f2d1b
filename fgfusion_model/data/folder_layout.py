"""MSRS-style folders (`ir/`, `vi/`, `Segmentation_labels/`) and plain ones without masks."""

from __future__ import annotations

from pathlib import Path

from fgfusion_model.data.folders import INFRARED, VISIBLE, by_stem, find_folder, match_folders
from fgfusion_model.data.pairs import SALIENCY, FoundPairs, LeftOut, MaskSource

MASKS = ("segmentation_labels", "segmentation_label", "labels", "label", "masks", "mask")


def find_folder_pairs(root: Path, title: str, source: int) -> FoundPairs:
    """Find the pairs of two folders, with the class map of the same name where there is a folder of them.

    A class map is a grey picture; any class (any value above 0) is foreground. Colour maps count as
    foreground where any channel is above 0.
    """
    infrared, visible = find_folder(root, INFRARED), find_folder(root, VISIBLE)
    assert infrared is not None
    assert visible is not None
    folder = find_folder(root, MASKS)
    maps = by_stem(folder) if folder else {}

    def mask_of(stem: str) -> MaskSource:
        return MaskSource("classes", path=maps[stem]) if stem in maps else SALIENCY

    pairs, left_out = match_folders(infrared, visible, title, source, mask_of)
    stems = {pair.infrared.stem for pair in pairs}
    for stem in sorted(maps.keys() - stems - {entry.name.rpartition("/")[2] for entry in left_out}):
        message = f"{title}/{stem}: has a mask and no pictures; add them or take the mask away"
        left_out.append(LeftOut(f"{title}/{stem}", "unpaired", message))
    return FoundPairs("msrs" if maps else "folders", tuple(pairs), tuple(left_out))
