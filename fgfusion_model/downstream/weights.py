"""A task's weights on disk: safetensors with the task's settings in its metadata. No file can run code.

All metadata is under one key: safetensors writes several in no order, and equal runs would differ in bytes.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vircraft.errors import InputFileError, SettingsError
from vircraft.files import write_atomically

FORMAT = "vircraft-task-2"
KEY = "vircraft"  # of the metadata: JSON with format, task and record


def save_task_weights(path: Path, network: nn.Module, task: str, record: Mapping[str, Any]) -> None:
    """Write a network's weights with what is needed to build it again, whole or not at all.

    Equal weights and records give equal files.

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
    described = {"format": FORMAT, "task": task, "record": record}
    write_atomically(path, save(tensors, {KEY: json.dumps(described)}))


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
    record = _record(metadata, task, path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputFileError(
                f"tensor {name} is not finite; the training that wrote it had failed",
                path=path,
                reason="not-finite",
            )
    return record, tensors


def _record(metadata: Mapping[str, str], task: str, path: Path) -> dict[str, Any]:
    with record_errors(path):
        described: Any = json.loads(metadata.get(KEY, "{}"))
        version, found = described.get("format"), described.get("task")
        if (version, found) == (FORMAT, task):
            return dict(described["record"])
    what = found if version == FORMAT else version or metadata.get("format") or "another program"
    raise InputFileError(
        f"holds weights of {what!r}, wanted those of a run of `vircraft task {task} train`",
        path=path,
        reason="foreign",
    )


@contextlib.contextmanager
def record_errors(path: Path) -> Iterator[None]:
    """Name the file whose record cannot be used.

    Raises:
        InputFileError: the record lacks something, or holds what this version does not know.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, SettingsError) as error:
        raise InputFileError(
            f"its record cannot be used ({error}); train again", path=path, reason="foreign"
        ) from error


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
