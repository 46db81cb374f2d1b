"""Pictures that the experiment fuses itself: the baselines', and those of our weights."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgfusion_model.baselines import fuse_8_bit
from fgfusion_model.checkpoints import bundled_weights, load_weights
from fgfusion_model.colour import luminance
from fgfusion_model.data.folders import find_folder
from fgfusion_model.experiments.plan import MethodPlan
from fgfusion_model.inference.fused_files import file_state, write_fused
from fgfusion_model.inference.fuser import FusedPlanes, Fuser, InferenceSettings, finish
from fgfusion_model.inference.job import FusingJob, Outcome, describe_maker, fuse_files
from fgfusion_model.inference.picture_files import Appearance, read_pair, survey
from fgfusion_model.inference.picture_pairs import FoundPictures, PicturePair, find_dataset_pairs
from vircraft.errors import PictureError
from vircraft.settings import fingerprint, plain

BASELINE_VERSION = 1  # of how a baseline's picture is made; another one makes them anew
OnPicture = Callable[[int, int], None]


@dataclass(frozen=True)
class FusingPlan:
    """A folder of pictures to fuse.

    Attributes:
        method: how.
        data: the dataset.
        splits: of it that are needed.
        folder: where the fused pictures go, in folders of their splits where the dataset has those.
    """

    method: MethodPlan
    data: Path
    splits: Sequence[str]
    folder: Path


def fuse(plan: FusingPlan, device: str, on_picture: OnPicture) -> list[str]:
    """Fuse a dataset's pairs; what is there from the same inputs and weights is kept.

    Pairs that cannot be fused are left out: it matters only when a task needs them.

    Args:
        plan: what and where.
        device: auto, cpu, cuda.
        on_picture: is called with the number of pictures done and their total; what it raises ends the job.

    Returns:
        What is wrong with pairs that could not be fused.

    Raises:
        DatasetError: no pairs, or the folder cannot be written.
        InputFileError: weights that cannot be used.
        SettingsError: no such device.
    """
    fuser = _fuser(plan, device)
    jobs = [(find_dataset_pairs(root), out) for root, out in _places(plan)]
    total, before = sum(len(found.pairs) for found, _ in jobs), 0
    failures: list[str] = []
    for found, out in jobs:

        def tell(done: int, before: int = before) -> None:
            on_picture(before + done, total)

        if fuser is None:
            failures += _baseline(plan.method.baseline, found, out, tell)
        else:
            failures += _network(fuser, found, out, tell)
        before += len(found.pairs)
    return failures


def is_stale(plan: FusingPlan, device: str) -> bool:
    """Say whether `fuse` would make a picture anew: other weights made it, or its inputs are newer.

    Raises:
        as `fuse`.
    """
    fuser = _fuser(plan, device)
    for root, out in _places(plan):
        found = find_dataset_pairs(root)
        appearance = survey(found.pairs)
        made_by = _baseline_maker(plan.method.baseline, appearance)
        if fuser is not None:
            made_by = describe_maker(fuser, appearance)
        if any(
            file_state(out / f"{pair.name}.png", made_by, (pair.infrared, pair.visible)) == "other"
            for pair in found.pairs
        ):
            return True
    return False


def release_gpu() -> None:
    """Give back the memory of a GPU that fusing has used; the context of this process stays on it."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing where no GPU was used


def _fuser(plan: FusingPlan, device: str) -> Fuser | None:
    if not plan.method.weights:
        return None
    return Fuser(load_weights(bundled_weights(plan.method.weights)), InferenceSettings(device=device))


def _places(plan: FusingPlan) -> Iterator[tuple[Path, Path]]:
    """Yield where pairs lie and where their fused pictures go: MSRS has a folder for each split."""
    splits = [
        (folder, split) for split in plan.splits if (folder := find_folder(plan.data, (split.lower(),)))
    ]
    if splits:
        yield from ((folder, plan.folder / split) for folder, split in splits)
    else:
        yield plan.data, plan.folder


def _network(fuser: Fuser, found: FoundPictures, out: Path, tell: Callable[[int], None]) -> list[str]:
    """Fuse with a network; then make those again that other weights or older inputs had made."""
    job = FusingJob(out, survey(found.pairs))
    stale: set[str] = set()
    seen: list[str] = []

    def note(outcome: Outcome) -> None:
        seen.append(outcome.name)
        if outcome.state == "other":
            stale.add(outcome.name)
        tell(len(seen))

    summary = fuse_files(found, job, fuser, note)
    if stale:
        again = FoundPictures(tuple(pair for pair in found.pairs if pair.name in stale))
        fuse_files(again, replace(job, force=True), fuser, lambda _: tell(len(seen)))
    return [failure.message for failure in summary.failures]


def _baseline(name: str, found: FoundPictures, out: Path, tell: Callable[[int], None]) -> list[str]:
    appearance = survey(found.pairs)
    failures = [failure.message for failure in found.failures]
    made_by = _baseline_maker(name, appearance)
    for number, pair in enumerate(found.pairs, 1):
        path = out / f"{pair.name}.png"
        if file_state(path, made_by, (pair.infrared, pair.visible)) != "done":
            try:
                _write_baseline(name, pair, appearance, path, made_by)
            except PictureError as error:
                failures.append(str(error))
        tell(number)
    return failures


def _baseline_maker(name: str, appearance: Appearance) -> str:
    return fingerprint(["baseline", BASELINE_VERSION, name, plain(appearance)])


def _write_baseline(name: str, pair: PicturePair, appearance: Appearance, path: Path, made_by: str) -> None:
    """Fuse luminance, as 8 bits, and give it the visible picture's colour, as the network's pictures have."""
    read = read_pair(pair, appearance)
    planes = [_eight_bit(plane) for plane in (read.infrared, luminance(read.visible))]
    fused = fuse_8_bit(name, *planes)[0, 0].numpy() / 255
    picture = finish(FusedPlanes(np.asarray(fused, np.float32), None), read.visible).picture
    write_fused(path, picture, made_by)


def _eight_bit(plane: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    return torch.from_numpy(np.rint(plane * 255))[None, None]
