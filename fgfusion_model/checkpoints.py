"""Weights on disk: safetensors with the network's settings in its metadata. No file can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fgfusion_model.network import FGFusion
from fgfusion_model.settings import NetworkSettings
from vircraft.errors import InputFileError, SettingsError
from vircraft.files import write_atomically
from vircraft.settings import build, plain, setting_changes

FORMAT = "vircraft-fgfusion-1"
FORMAT_KEY, NETWORK_KEY = "format", "network"
SUFFIX = ".safetensors"
PICKLE_STARTS = (b"\x80", b"PK\x03\x04")  # a pickle, and the zip of pickles that torch.save writes


def save_weights(path: Path, model: FGFusion, notes: Mapping[str, str], *, half: bool = False) -> None:
    """Write a network's weights with its settings, whole or not at all.

    Args:
        path: the file, `.safetensors` by custom.
        model: the network.
        notes: free texts: recipe, data, scores. The keys `format` and `network` are taken.
        half: store floating-point weights in 16 bits; they are loaded as 32.

    Raises:
        SettingsError: a note with a taken key.
        DatasetError: the disk is full or read-only; the old file is whole.
    """
    if taken := {FORMAT_KEY, NETWORK_KEY} & set(notes):
        raise SettingsError(f"notes have the key {taken.pop()!r}, which the settings of the network use")
    metadata = {**notes, FORMAT_KEY: FORMAT, NETWORK_KEY: json.dumps(plain(model.settings), sort_keys=True)}
    tensors = {
        name: _stored(tensor, half) for name, tensor in model.state_dict().items() if not _twin(name, model)
    }
    write_atomically(path, save(tensors, metadata))


def load_weights(path: Path, expected: NetworkSettings | None = None) -> FGFusion:
    """Return the network of a file that `save_weights` wrote, in `eval` mode, on the CPU, in float32.

    Args:
        path: the file.
        expected: the settings that the network must have, where only those will do.

    Raises:
        InputFileError: no such file, a pickle (never loaded), another program's file, a damaged one, other
            settings than expected, or weights that are not finite.
    """
    metadata, tensors = _read(path)
    settings = _settings(metadata, path)
    if expected is not None and settings != expected:
        raise InputFileError(_difference(settings, expected), path=path, reason="other-settings")
    model = FGFusion(settings)
    _check_tensors(tensors, model, path)
    model.load_state_dict({name: _loaded(tensor) for name, tensor in tensors.items()}, strict=False)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 0.6 of the time
    return model.eval()


def read_notes(path: Path) -> dict[str, str]:
    """Return the notes that were saved with the weights.

    Raises:
        InputFileError: as `load_weights`.
    """
    metadata, _ = _read(path, with_tensors=False)
    _settings(metadata, path)
    return {key: text for key, text in metadata.items() if key not in (FORMAT_KEY, NETWORK_KEY)}


def bundled_weights(name_or_path: str | Path) -> Path:
    """Return the file of weights that come with the package, by name; a path stays as it is.

    Raises:
        InputFileError: it is neither a bundled name nor a file that is there.
    """
    folder = Path(str(files("fgfusion_model"))) / "weights"
    bundled = folder / f"{name_or_path}{SUFFIX}"
    if isinstance(name_or_path, str) and Path(name_or_path).name == name_or_path and bundled.is_file():
        return bundled
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in folder.glob(f"*{SUFFIX}"))) or "none"
        raise InputFileError(
            f"no such weights; give a {SUFFIX} file or the name of bundled ones ({names})",
            path=path,
            reason="missing",
        )
    return path


def _twin(name: str, model: FGFusion) -> bool:
    """Whether the tensor is stored already under the name of the shared body."""
    return model.settings.shared_body and name.startswith("deep_visible.")


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()


def _loaded(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _read(path: Path, *, with_tensors: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputFileError(
            f"cannot be read: {error.strerror or error}", path=path, reason="missing"
        ) from error
    if start.startswith(PICKLE_STARTS) and start[8:9] != b"{":
        raise InputFileError(
            "is a pickle, which can run code when it is loaded, and is refused; convert it to safetensors "
            "where it came from",
            path=path,
            reason="pickle",
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as source:
            names = source.keys() if with_tensors else ()
            return dict(source.metadata() or {}), {name: source.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise InputFileError(
            f"is not a whole safetensors file: {error}; copy or download it again",
            path=path,
            reason="not-safetensors",
        ) from error


def _settings(metadata: Mapping[str, str], path: Path) -> NetworkSettings:
    if metadata.get(FORMAT_KEY) != FORMAT or NETWORK_KEY not in metadata:
        raise InputFileError(
            f"holds weights of another program or version (format {metadata.get(FORMAT_KEY)!r}, wanted "
            f"{FORMAT!r}); give a file that `vircraft fuse train` wrote",
            path=path,
            reason="foreign",
        )
    try:
        table: Any = json.loads(metadata[NETWORK_KEY])
        if not isinstance(table, dict):
            raise SettingsError("the settings are no table")
        return build(NetworkSettings, table)
    except (json.JSONDecodeError, SettingsError) as error:
        raise InputFileError(
            f"its network settings cannot be used: {error}", path=path, reason="bad-settings"
        ) from error


def _difference(settings: NetworkSettings, expected: NetworkSettings) -> str:
    changes = setting_changes(plain(expected), plain(settings))
    parts = "; ".join(f"{name} is {has}, wanted {wanted}" for name, wanted, has in changes)
    return f"holds another network than the one asked for: {parts}"


def _check_tensors(tensors: Mapping[str, Tensor], model: FGFusion, path: Path) -> None:
    wanted = {name: t for name, t in model.state_dict().items() if not _twin(name, model)}
    for name in (*wanted, *tensors):
        if name not in tensors or name not in wanted or tensors[name].shape != wanted[name].shape:
            has = tuple(tensors[name].shape) if name in tensors else "missing"
            wants = tuple(wanted[name].shape) if name in wanted else "nothing of that name"
            raise InputFileError(
                f"its tensor {name} is {has}, its settings want {wants}", path=path, reason="other-settings"
            )
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            count = int((~torch.isfinite(tensor)).sum())
            raise InputFileError(
                f"tensor {name} holds {count} values that are NaN or infinite; the training that wrote it "
                "had failed: take an earlier checkpoint",
                path=path,
                reason="not-finite",
            )
