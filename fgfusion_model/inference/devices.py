"""Choose what computes: the CPU, or a GPU that PyTorch can use."""

from __future__ import annotations

import torch

from vircraft.errors import SettingsError


def choose_device(name: str) -> torch.device:
    """Return the device of a name.

    Args:
        name: `auto` (a GPU when there is one), `cpu`, `cuda` or `cuda:N`.

    Raises:
        SettingsError: an unknown name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise SettingsError(f"device is {name!r}; it is auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        without = torch.version.cuda is None
        why = "this PyTorch is built without CUDA" if without else "PyTorch finds no working GPU or driver"
        raise SettingsError(
            f"device is {name}, but {why} (torch {torch.__version__}); use --device cpu, or look at what "
            "'nvidia-smi' says and install a PyTorch built for CUDA"
        )
    if number and int(number) >= torch.cuda.device_count():
        raise SettingsError(
            f"device is {name}, but there are {torch.cuda.device_count()} GPUs, counted from 0"
        )
    return torch.device(name)
