"""The state of a training in one file: safetensors with a JSON record, no pickle, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fgfusion_model.training.learner import Learner
from vircraft.errors import InputFileError
from vircraft.files import write_atomically

FORMAT = "vircraft-training-1"
_NETWORK, _MEAN, _OPTIMISER, _RANDOM = "network.", "mean.", "optimiser.", "random."


@dataclass(frozen=True)
class Progress:
    """How far a training is, and what it belongs to.

    Attributes:
        step: steps done.
        best_loss: lowest loss on the pairs kept aside; None before the first.
        settings: the record of `TrainingSettings.deciding`.
        data: digest of the data.
    """

    step: int
    best_loss: float | None
    settings: Mapping[str, Any]
    data: str


def save_state(path: Path, learner: Learner, progress: Progress) -> None:
    """Write a checkpoint beside its place and move it there.

    Raises:
        DatasetError: the disk is full or read-only; the checkpoint before is whole.
    """
    tensors = _prefixed(_NETWORK, learner.network.state_dict())
    if learner.mean is not learner.network:
        tensors |= _prefixed(_MEAN, learner.mean.state_dict())
    tensors |= _prefixed(_OPTIMISER, _moments(learner))
    tensors |= _prefixed(_RANDOM, _random_states())
    record = {
        "step": progress.step,
        "best_loss": progress.best_loss,
        "settings": progress.settings,
        "data": progress.data,
    }
    write_atomically(path, save(tensors, {"format": FORMAT, "record": json.dumps(record)}))


def read_progress(path: Path) -> Progress:
    """Return what a checkpoint says of itself.

    Raises:
        InputFileError: it cannot be read, is damaged or another program's.
    """
    return _read(path, with_tensors=False)[0]


def load_state(path: Path, learner: Learner) -> Progress:
    """Bring a training back to where a checkpoint was written.

    Args:
        path: the checkpoint.
        learner: of the same settings; its weights, mean and moments are replaced, and so is torch's own
            random state.

    Raises:
        InputFileError: it cannot be read, is damaged, another program's, or of another network.
    """
    progress, tensors = _read(path)
    try:
        learner.network.load_state_dict(_without(_NETWORK, tensors))
        if learner.mean is not learner.network:
            learner.mean.load_state_dict(_without(_MEAN, tensors))
        _set_moments(learner, _without(_OPTIMISER, tensors))
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputFileError(f"does not fit the network of this run ({error})", path=path) from error
    states = _without(_RANDOM, tensors)
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    return progress


def _read(path: Path, *, with_tensors: bool = True) -> tuple[Progress, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as source:
            names = source.keys() if with_tensors else ()
            metadata, tensors = source.metadata() or {}, {name: source.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputFileError(
            f"is no checkpoint that can be read ({error}); start again in another folder",
            path=path,
            reason="not-safetensors",
        ) from error
    try:
        if metadata["format"] != FORMAT:
            raise KeyError(metadata["format"])
        return Progress(**json.loads(metadata["record"])), tensors
    except (KeyError, TypeError, ValueError) as error:
        raise InputFileError(
            f"is a checkpoint of another program or version ({error}); start again in another folder",
            path=path,
            reason="foreign",
        ) from error


def _moments(learner: Learner) -> dict[str, Tensor]:
    """Return the optimiser's state as tensors, by parameter and key."""
    states = learner.optimiser.state
    return {
        f"{name}/{key}": value
        for name, parameter in learner.network.named_parameters()
        for key, value in states.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def _set_moments(learner: Learner, tensors: Mapping[str, Tensor]) -> None:
    names = {parameter: name for name, parameter in learner.network.named_parameters()}
    ordered = [p for group in learner.optimiser.param_groups for p in group["params"]]
    numbers = {names[parameter]: k for k, parameter in enumerate(ordered)}
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        name, _, key = full.rpartition("/")
        state.setdefault(numbers[name], {})[key] = tensor
    learner.optimiser.load_state_dict({**learner.optimiser.state_dict(), "state": state})


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # clones: a body that two modalities share stands twice in the state, which safetensors refuses
    return {
        prefix + name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
