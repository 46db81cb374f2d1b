"""A trained network whose answers are named classes: what its file says, written and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from fgfusion_model.downstream.weights import fill, load_task_weights, record_errors
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.training.runtime import Runtime
from vircraft.settings import build, plain

S = TypeVar("S")


@dataclass(frozen=True)
class Trained(Generic[S]):
    """A network to use.

    Attributes:
        network: in `eval` mode, on its device.
        settings: it was trained with.
        classes: names by number.
        infrared: it was trained on infrared pictures.
        pictures: what it was trained on, as given; empty: its file does not say.
        device: where it computes.
    """

    network: nn.Module
    settings: S
    classes: tuple[str, ...]
    infrared: bool
    pictures: str
    device: torch.device


def record_of(settings: Any, classes: Sequence[str], pictures: str) -> Mapping[str, Any]:
    """Return what `load_trained` needs, as plain values."""
    return {"settings": plain(settings), "classes": list(classes), **record_of_pictures(pictures)}


def record_of_pictures(pictures: str) -> Mapping[str, Any]:
    """Return what a file of weights says about the pictures, given as to `find_pictures`."""
    return {"pictures": pictures, "infrared": pictures == "infrared"}


def other_pictures(trained_on: str, pictures: str) -> tuple[str, ...]:
    """Return a remark where a network is judged on other pictures than it was trained on, as far as known."""
    if not trained_on or Path(trained_on) == Path(pictures):
        return ()
    return (f"the network was trained on {trained_on!r} pictures",)


def load_trained(
    weights: Path,
    task: str,
    kind: type[S],
    make_network: Callable[[S, int], nn.Module],
    runtime: Runtime | None = None,
) -> Trained[S]:
    """Return a trained network.

    Args:
        weights: of `train`.
        task: its name.
        kind: of its settings.
        make_network: takes the settings, whose `init` is "random", and the number of classes.
        runtime: where it computes.

    Raises:
        InputFileError: the file cannot be read or is no weights of this task.
        SettingsError: there is no such device.
    """
    record, tensors = load_task_weights(weights, task)
    with record_errors(weights):
        settings = build(kind, record["settings"])
        classes, infrared = tuple(map(str, record["classes"])), bool(record["infrared"])
        pictures = str(record.get("pictures", ""))
        bare = build(kind, {**record["settings"], "init": "random"})  # its first weights may be gone
        network = make_network(bare, len(classes))
    device = choose_device((runtime or Runtime()).device)
    placed = ready(network, tensors, weights, device)
    return Trained(placed, settings, classes, infrared, pictures, device)


def ready(
    network: nn.Module, tensors: Mapping[str, Tensor], weights: Path, device: torch.device
) -> nn.Module:
    """Return a network with its weights, in `eval` mode, on a device.

    Raises:
        InputFileError: the weights are another network's.
    """
    fill(network, tensors, weights)
    # channels last is quicker on GPUs with tensor cores, and on CPUs
    placed: nn.Module = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed.eval()
