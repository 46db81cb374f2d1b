"""Fuse picture files: read ahead, fuse in batches, write behind; one bad pair stops no other."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fgfusion_model.colour import luminance
from fgfusion_model.inference.fused_files import file_state, write_fused
from fgfusion_model.inference.fuser import FusedPicture, Fuser, finish
from fgfusion_model.inference.picture_files import Appearance, ReadPair, read_pair
from fgfusion_model.inference.picture_pairs import FoundPictures, PairFailure, PicturePair
from fgfusion_model.network import FGFusion
from vircraft.dataset import MANIFEST
from vircraft.errors import DatasetError, PictureError
from vircraft.files import disk_error, remove_temporaries
from vircraft.settings import fingerprint, plain

FOREGROUND = "foreground"  # folder of the foreground maps inside the output folder
_WORKERS = {"cpu": 2, "cuda": 8}  # threads that read and write beside the network


@dataclass(frozen=True)
class Outcome:
    """What became of one pair.

    Attributes:
        name: of the pair.
        state: `made`; `kept` (it was there, of the same weights and settings); `other` (it was there, made by
            something else or from older inputs, and was kept all the same); `failed`.
        path: of the fused picture.
        failure: why, when it failed.
    """

    name: str
    state: Literal["made", "kept", "other", "failed"]
    path: Path
    failure: PairFailure | None = None


@dataclass
class FuseSummary:
    """What a job did.

    Attributes:
        made, kept, other: numbers of pairs, see `Outcome`.
        failures: pairs that failed and files without a partner.
    """

    made: int = 0
    kept: int = 0
    other: int = 0
    failures: list[PairFailure] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """Take an outcome into account."""
        if outcome.failure is not None:
            self.failures.append(outcome.failure)
        else:
            setattr(self, outcome.state, getattr(self, outcome.state) + 1)


@dataclass(frozen=True)
class FusingJob:
    """What to make of a job's pairs.

    Attributes:
        out: the folder for NAME.png; made when missing.
        appearance: how the pictures are read.
        foreground: also write foreground/NAME.png.
        force: make again what is there.
    """

    out: Path
    appearance: Appearance = field(default_factory=Appearance)
    foreground: bool = False
    force: bool = False

    def paths(self, name: str) -> list[Path]:
        """Return the files that a pair gives."""
        files = [self.out / f"{name}.png"]
        return [*files, self.out / FOREGROUND / f"{name}.png"] if self.foreground else files


def fuse_files(
    found: FoundPictures, job: FusingJob, fuser: Fuser, on_outcome: Callable[[Outcome], None] | None = None
) -> FuseSummary:
    """Fuse pairs of files.

    Args:
        found: the pairs, and what is wrong with others.
        job: what to make and where.
        fuser: the network.
        on_outcome: told of each pair, in this thread.

    Raises:
        DatasetError: the folder cannot be written (disk full, read-only), or holds the inputs.
        OutOfMemoryError: the GPU's memory is too small.
    """
    check_output(job.out, found.pairs)
    remove_leftovers(job)
    made_by = describe_maker(fuser, job.appearance)
    summary = FuseSummary(failures=list(found.failures))
    todo: list[PicturePair] = []

    def tell(outcome: Outcome) -> None:
        summary.count(outcome)
        if on_outcome is not None:
            on_outcome(outcome)

    for pair in found.pairs:
        states = {file_state(path, made_by, (pair.infrared, pair.visible)) for path in job.paths(pair.name)}
        if job.force or "absent" in states:
            todo.append(pair)
        else:
            tell(Outcome(pair.name, "kept" if states == {"done"} else "other", job.paths(pair.name)[0]))
    with ThreadPoolExecutor(_WORKERS[fuser.device.type]) as pool:
        try:
            for outcome in _fuse_all(todo, job, fuser, made_by, pool):
                tell(outcome)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return summary


def describe_maker(fuser: Fuser, appearance: Appearance) -> str:
    """Return a fingerprint of the weights and of every setting that changes a picture."""
    settings = fuser.settings
    chosen = {
        "weights": hash_weights(fuser.model),
        "network": plain(fuser.model.settings),
        "appearance": plain(appearance),
        "tiles": [settings.tile, settings.overlap],
        "precision": settings.precision,
    }
    return fingerprint(chosen)


def hash_weights(model: FGFusion) -> str:
    """Return a hash over all weights of a network."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_output(out: Path, pairs: Sequence[PicturePair]) -> None:
    """Refuse an output folder in which fused pictures would replace or be taken for inputs.

    Raises:
        DatasetError: it is a file, a dataset, or holds the inputs.
    """
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: is a file; give the fused pictures a folder")
    if (out / MANIFEST).exists():
        raise DatasetError(
            f"{out}: is a dataset; give the fused pictures a folder of their own: {out / 'fused'}"
        )
    place, names = out.resolve(), {pair.name for pair in pairs}
    inputs = (path for pair in pairs for path in (pair.infrared, pair.visible))
    if any(path.stem in names and path.parent.resolve() == place for path in inputs):
        raise DatasetError(f"{out}: holds the pictures to fuse; give the fused ones a folder of their own")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(out, error) from error


def remove_leftovers(job: FusingJob) -> None:
    """Remove what a killed job left half written."""
    for folder in (job.out, job.out / FOREGROUND):
        remove_temporaries(folder, re.compile(r".*\.png"))


def _fuse_all(
    todo: Sequence[PicturePair], job: FusingJob, fuser: Fuser, made_by: str, pool: ThreadPoolExecutor
) -> Iterator[Outcome]:
    """Read ahead, fuse and write behind; what is on its way never exceeds a few batches."""
    writing: deque[tuple[str, Future[None]]] = deque()
    for batch in _batches(_read_ahead(todo, job.appearance, pool, 2 * fuser.batch), fuser.batch):
        if isinstance(batch, PairFailure):
            yield Outcome(batch.name, "failed", job.paths(batch.name)[0], batch)
            continue
        infrared, visible = [p.infrared for p in batch], [luminance(p.visible) for p in batch]
        for pair, planes in zip(batch, fuser.fuse_planes(infrared, visible), strict=True):
            future = pool.submit(_write, job.paths(pair.name), finish(planes, pair.visible), made_by)
            writing.append((pair.name, future))
        while len(writing) > 2 * fuser.batch:
            yield _written(*writing.popleft(), job)
    while writing:
        yield _written(*writing.popleft(), job)


def _read_ahead(
    pairs: Iterable[PicturePair], appearance: Appearance, pool: ThreadPoolExecutor, depth: int
) -> Iterator[ReadPair | PairFailure]:
    """Yield pairs in order while up to `depth` more are being read."""
    reading: deque[tuple[PicturePair, Future[ReadPair]]] = deque()
    for pair in pairs:
        reading.append((pair, pool.submit(read_pair, pair, appearance)))
        if len(reading) > depth:
            yield _read(*reading.popleft())
    while reading:
        yield _read(*reading.popleft())


def _read(pair: PicturePair, future: Future[ReadPair]) -> ReadPair | PairFailure:
    try:
        return future.result()
    except PictureError as error:
        return PairFailure(pair.name, error.reason, str(error))


def _batches(pairs: Iterable[ReadPair | PairFailure], size: int) -> Iterator[list[ReadPair] | PairFailure]:
    """Put neighbours of one size together; failures pass at once."""
    batch: list[ReadPair] = []
    for pair in pairs:
        if isinstance(pair, PairFailure):
            yield pair
            continue
        if batch and pair.infrared.shape != batch[0].infrared.shape:
            yield batch
            batch = []
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(paths: Sequence[Path], fused: FusedPicture, made_by: str) -> None:
    write_fused(paths[0], fused.picture, made_by)
    if len(paths) > 1 and fused.foreground is not None:
        write_fused(paths[1], fused.foreground, made_by)


def _written(name: str, future: Future[None], job: FusingJob) -> Outcome:
    future.result()
    return Outcome(name, "made", job.paths(name)[0])
