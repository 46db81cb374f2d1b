"""A task's weights on disk: safetensors with the task's settings in its metadata. No file can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vircraft.errors import InputFileError
from vircraft.files import write_atomically

FORMAT = "vircraft-task-1"


def save_task_weights(path: Path, network: nn.Module, task: str, record: Mapping[str, Any]) -> None:
    """Write a network's weights with what is needed to build it again, whole or not at all.

    Args:
        path: the file.
        network: whose state is saved.
        task: `keypoints`, `segmentation` or `detection`.
        record: plain values: the settings, classes, keypoints, ...

    Raises:
        DatasetError: the disk is full or read-only; the old file is whole.
    """
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
    write_atomically(path, save(tensors, {"format": FORMAT, "task": task, "record": json.dumps(record)}))


def load_task_weights(path: Path, task: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the record and the tensors of a file that `save_task_weights` wrote for that task.

    Raises:
        InputFileError: no such file, a damaged one, another program's, another task's, or weights that are
            not finite.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as source:
            metadata = source.metadata() or {}
            tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise InputFileError(
            f"is no safetensors file that can be read ({error}); give the weights.safetensors of a run of "
            f"`vircraft task {task} train`",
            path=path,
            reason="not-safetensors",
        ) from error
    if metadata.get("format") != FORMAT or metadata.get("task") != task:
        what = metadata.get("task") or metadata.get("format") or "another program"
        raise InputFileError(
            f"holds weights of {what!r}, wanted those of a run of `vircraft task {task} train`",
            path=path,
            reason="foreign",
        )
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputFileError(
                f"tensor {name} is not finite; the training that wrote it had failed",
                path=path,
                reason="not-finite",
            )
    try:
        record: dict[str, Any] = dict(json.loads(metadata["record"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputFileError(f"its record cannot be read ({error})", path=path, reason="foreign") from error
    return record, tensors


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network.

    Raises:
        InputFileError: they are another network's.
    """
    try:
        network.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise InputFileError(
            f"does not fit the network of its own settings ({str(error).splitlines()[0]})",
            path=path,
            reason="other-settings",
        ) from error
