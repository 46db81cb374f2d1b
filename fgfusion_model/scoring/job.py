"""The scoring job: read ahead, score all methods of a picture together, leave out what cannot be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgfusion_model.baselines import BASELINES, fuse_8_bit
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.inference.picture_files import Appearance, survey
from fgfusion_model.inference.picture_pairs import PairFailure
from fgfusion_model.metrics import METRICS, score
from fgfusion_model.scoring.pictures import ReadScoredPair, ScoredPair, Sources, match_fused, read_scored_pair
from fgfusion_model.scoring.table import ScoreSettings, ScoreTable
from vircraft.errors import InputFileError, PictureError, SettingsError

READERS = 2  # threads that decode beside the metrics
MOST_PIXELS_AT_ONCE = 1 << 22  # of the fused pictures of a batch; a pixel takes about 250 bytes

Values = NDArray[np.float64]


def score_folders(
    methods: Mapping[str, Path],
    sources: Sources,
    settings: ScoreSettings | None = None,
    on_picture: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """Score the fused pictures of any number of methods, and the baselines.

    Args:
        methods: name to folder of fused pictures; may be empty.
        sources: what was fused.
        settings: how to score.
        on_picture: told how many pictures are done, of how many.

    Raises:
        SettingsError: a method has the name of a baseline, or the device is not there.
        InputFileError: a folder is missing or holds nothing of the pairs, or no picture could be scored.
    """
    settings = settings or ScoreSettings()
    _check_names(methods)
    device = choose_device(settings.device)
    pairs, failures = match_fused(sources, methods)
    appearance = survey([pair.sources for pair in pairs])
    rows: dict[str, Values] = {}
    failed: list[PairFailure] = []
    for done, (pair, result) in enumerate(_read_ahead(pairs, appearance), start=1):
        if isinstance(result, PairFailure):
            failed.append(result)
        else:
            rows[pair.name] = _score_pair(result, settings, device)
        if on_picture is not None:
            on_picture(done, len(pairs))
    if not rows:
        raise _nothing_scored([*failed, *failures])
    return _table(rows, tuple(methods), settings, (*failed, *failures))


def all_methods(pair: ReadScoredPair, device: torch.device | None = None) -> dict[str, Tensor]:
    """Return the pictures of baselines and methods, (1, 1, H, W) on 0..255 each, baselines first."""
    infrared, visible = (_tensor(p, device) for p in (pair.infrared, pair.visible))
    fused = {name: fuse_8_bit(name, infrared, visible) for name in BASELINES}
    return fused | {name: _tensor(picture, device) for name, picture in pair.fused.items()}


def _score_pair(pair: ReadScoredPair, settings: ScoreSettings, device: torch.device) -> Values:
    """Return the scores of all methods, (M, K)."""
    fused = torch.cat([picture.double() for picture in all_methods(pair, device).values()])
    infrared, visible = (_tensor(p, device) for p in (pair.infrared, pair.visible))
    mask = None if pair.mask is None else _tensor(pair.mask, device)
    batch = max(1, MOST_PIXELS_AT_ONCE // infrared.numel())
    parts = [score(part, infrared, visible, mask, settings.convention) for part in torch.split(fused, batch)]
    values = np.full((len(fused), len(METRICS)), np.nan)
    for k, metric in enumerate(METRICS):
        if metric.name in parts[0]:
            values[:, k] = torch.cat([part[metric.name] for part in parts]).cpu().numpy()
    return values


def _table(
    rows: Mapping[str, Values],
    methods: Sequence[str],
    settings: ScoreSettings,
    failures: tuple[PairFailure, ...],
) -> ScoreTable:
    values = np.stack(list(rows.values()))
    shown = [k for k in range(len(METRICS)) if not np.isnan(values[..., k]).all()]
    return ScoreTable(
        tuple(rows),
        (*BASELINES, *methods),
        tuple(METRICS[k] for k in shown),
        values[..., shown],
        settings,
        failures,
    )


def _read_ahead(
    pairs: Sequence[ScoredPair], appearance: Appearance
) -> Iterator[tuple[ScoredPair, ReadScoredPair | PairFailure]]:
    """Yield pairs in order while a few more are being read."""
    waiting: deque[tuple[ScoredPair, Future[ReadScoredPair]]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for pair in pairs:
                waiting.append((pair, pool.submit(read_scored_pair, pair, appearance)))
                if len(waiting) > 2 * READERS:
                    yield _read(*waiting.popleft())
            while waiting:
                yield _read(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _read(
    pair: ScoredPair, future: Future[ReadScoredPair]
) -> tuple[ScoredPair, ReadScoredPair | PairFailure]:
    try:
        return pair, future.result()
    except PictureError as error:
        return pair, PairFailure(pair.name, error.reason, str(error))


def _tensor(picture: NDArray[np.uint8] | NDArray[np.bool_], device: torch.device | None) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture))[None, None].to(device)


def _check_names(methods: Mapping[str, Path]) -> None:
    taken = [name for name in methods if name.lower() in {baseline.lower() for baseline in BASELINES}]
    if taken:
        raise SettingsError(
            f"{taken[0]} is the name of a built-in baseline, which every table shows; give that method "
            "another name with --names"
        )


def _nothing_scored(failures: Sequence[PairFailure]) -> InputFileError:
    why = f"; the first: {failures[0].message}" if failures else ""
    return InputFileError(
        f"no picture could be scored, {len(failures)} left out{why}", reason="nothing-scored"
    )
