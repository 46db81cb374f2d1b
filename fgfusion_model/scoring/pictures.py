"""Find the fused pictures of every method beside their sources, and read them as 8-bit luminance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgfusion_model.inference.picture_files import Appearance, infrared_unit, read_picture, visible_full
from fgfusion_model.inference.picture_pairs import (
    PICTURE_SUFFIXES,
    FoundPictures,
    PairFailure,
    PicturePair,
    find_dataset_pairs,
    match_folders,
)
from vircraft.clips import modality_of
from vircraft.errors import InputFileError, PictureError

Luminance = NDArray[np.uint8]


@dataclass(frozen=True)
class Sources:
    """What the fused pictures were made of.

    Attributes:
        found: the pairs of infrared and visible pictures, and files without a partner.
        masks: foreground masks by the pairs' names; pairs without one have no foreground contrast.
    """

    found: FoundPictures
    masks: Mapping[str, Path]


@dataclass(frozen=True)
class ScoredPair:
    """A pair and every method's picture of it.

    Attributes:
        name: of the pair.
        sources: infrared and visible.
        fused: by method, in the order of the methods.
        mask: foreground, when there is one.
    """

    name: str
    sources: PicturePair
    fused: Mapping[str, Path]
    mask: Path | None = None


@dataclass(frozen=True, eq=False)
class ReadScoredPair:
    """The same in memory; all of one size (H, W), uint8, mask bool."""

    name: str
    infrared: Luminance
    visible: Luminance
    fused: Mapping[str, Luminance]
    mask: NDArray[np.bool_] | None = None


def folder_sources(infrared: Path, visible: Path, masks: Path | None = None) -> Sources:
    """Return the sources of two folders, matched by name, and a folder of masks.

    Raises:
        InputFileError: a folder is missing or holds no picture.
    """
    found = match_folders(infrared, visible)
    return Sources(found, {} if masks is None else _match(found.pairs, masks).files)


def dataset_sources(root: Path, masks: Path | None = None) -> Sources:
    """Return the sources of a dataset; masks are those of its own when `masks` is not given.

    Raises:
        DatasetError: there is no dataset, or it holds no registered pair.
        InputFileError: the folder of masks is missing.
    """
    found = find_dataset_pairs(root)
    folder = masks or root / "masks"
    if masks is None and not (folder.is_dir() and any(folder.iterdir())):
        return Sources(found, {})
    return Sources(found, _match(found.pairs, folder).files)


def match_fused(
    sources: Sources, methods: Mapping[str, Path]
) -> tuple[tuple[ScoredPair, ...], tuple[PairFailure, ...]]:
    """Match the fused pictures of every method with the pairs.

    A fused picture has the name of the infrared or the visible file, or that name without the word for the
    modality.

    Args:
        sources: what was fused.
        methods: name to folder.

    Returns:
        The pairs that every method has, and what is missing, has no source or stands twice. A pair that one
        method lacks is left out for all, so that all are judged on the same pictures.

    Raises:
        InputFileError: a folder is missing, or holds none of the pairs.
    """
    failures = list(sources.found.failures)
    pairs = sources.found.pairs
    matched = {method: _match(pairs, folder) for method, folder in methods.items()}
    for method, found in matched.items():
        if not found.files:
            raise _none_matches(methods[method], pairs)
        failures += [_no_source(path) for path in found.strange]
        failures += [_ambiguous(name, *paths) for name, paths in found.twice.items()]
    whole = []
    for pair in pairs:
        lacking = [method for method in methods if pair.name not in matched[method].files]
        failures += [_missing(pair.name, methods[m]) for m in lacking if pair.name not in matched[m].twice]
        if not lacking:
            files = {method: matched[method].files[pair.name] for method in methods}
            whole.append(ScoredPair(pair.name, pair, files, sources.masks.get(pair.name)))
    return tuple(whole), tuple(failures)


def read_scored_pair(pair: ScoredPair, appearance: Appearance) -> ReadScoredPair:
    """Read the pictures of a pair.

    Infrared and visible are read as the fusing job reads them: 16-bit counts by the grey levels of the whole
    set, a known false-colour palette undone. Fused pictures are at full scale. Luminance is rounded.

    Raises:
        PictureError: one cannot be read, or the sizes differ.
    """
    infrared = _infrared(read_picture(pair.sources.infrared), appearance)
    visible = luminance_8_bit(visible_full(read_picture(pair.sources.visible), appearance))
    _check_size(pair.sources.visible, visible, pair.sources.infrared, infrared)
    fused = {}
    for method, path in pair.fused.items():
        fused[method] = luminance_8_bit(read_picture(path))
        _check_size(path, fused[method], pair.sources.infrared, infrared)
    mask = None
    if pair.mask is not None:
        picture = read_picture(pair.mask)
        mask = np.asarray(picture.reshape(*picture.shape[:2], -1).any(axis=2))
        _check_size(pair.mask, mask, pair.sources.infrared, infrared)
    return ReadScoredPair(pair.name, infrared, visible, fused, mask)


def luminance_8_bit(picture: NDArray[Any]) -> Luminance:
    """Return 0.299 R + 0.587 G + 0.114 B of (H, W) grey or (H, W, 3) BGR, 8 or 16 bit, rounded to 8 bit."""
    if picture.ndim == 3:
        blue, green, red = np.moveaxis(picture.astype(np.int64), 2, 0)
        levels = (299 * red + 587 * green + 114 * blue) / 1000
    elif picture.dtype == np.uint8:
        return picture
    else:
        levels = picture.astype(np.float64)
    scale = 257 if picture.dtype == np.uint16 else 1
    return np.asarray(np.rint(levels / scale).astype(np.uint8))


def _infrared(picture: NDArray[Any], appearance: Appearance) -> Luminance:
    if picture.dtype == np.uint8 and appearance.palette is None:
        return luminance_8_bit(picture)
    return np.rint(infrared_unit(picture, appearance) * 255).astype(np.uint8)


def _check_size(path: Path, picture: NDArray[Any], infrared_path: Path, infrared: Luminance) -> None:
    if picture.shape != infrared.shape:
        (height, width), (other_height, other_width) = picture.shape, infrared.shape
        raise PictureError(
            f"is {width}x{height}, {infrared_path.name} is {other_width}x{other_height}; sizes must agree",
            path=path,
            reason="size-mismatch",
        )


@dataclass
class _Matched:
    """A folder's pictures by the names of the pairs; those that belong to none; names with more than one."""

    files: dict[str, Path] = field(default_factory=dict)
    strange: list[Path] = field(default_factory=list)
    twice: dict[str, tuple[Path, Path]] = field(default_factory=dict)


def _match(pairs: Sequence[PicturePair], folder: Path) -> _Matched:
    if not folder.is_dir():
        raise InputFileError("there is no such folder", path=folder, reason="missing")
    names = {name: pair.name for pair in pairs for name in (pair.visible.stem, _key(pair.infrared.stem))}
    names |= {pair.infrared.stem: pair.name for pair in pairs}  # the surest one counts
    matched = _Matched()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        name = names.get(path.stem)
        if name is None:
            matched.strange.append(path)
        elif name in matched.files:
            matched.twice[name] = (matched.files[name], path)
        else:
            matched.files[name] = path
    for name in matched.twice:
        del matched.files[name]
    return matched


def _key(stem: str) -> str:
    found = modality_of(stem)
    return found[1] if found and found[1] else stem


def _missing(name: str, folder: Path) -> PairFailure:
    message = f"{folder}: has no picture {name}; left out for all methods, fuse it or take its sources away"
    return PairFailure(name, "missing-fused", message)


def _ambiguous(name: str, first: Path, second: Path) -> PairFailure:
    message = f"{first} and {second.name} are of one pair; keep one of them"
    return PairFailure(name, "ambiguous", message)


def _no_source(path: Path) -> PairFailure:
    message = f"{path}: has no infrared and visible picture of that name; add them, or take this one away"
    return PairFailure(path.stem, "unpaired", message)


def _none_matches(folder: Path, pairs: Sequence[PicturePair]) -> InputFileError:
    example = f"{pairs[0].name}.png" if pairs else "one pair of sources"
    return InputFileError(
        f"holds no picture named after an infrared one, such as {example}; is it the right folder?",
        path=folder,
        reason="no-pictures",
    )
