"""Where to train: Lightning Fabric set up for a CPU, a GPU or several, with errors that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from lightning.fabric import Fabric

from fgfusion_model.data import CacheMode
from fgfusion_model.data.order import mixed_seed
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.training.events import DeviceError
from fgfusion_model.training.settings import check_range

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Runtime:
    """How a training runs; nothing here decides its result beyond the last bits."""

    device: DeviceName = "auto"  # auto: a GPU when there is one
    devices: int = 1  # how many GPUs, or processes on the CPU
    cache: CacheMode = "auto"  # where decoded pictures wait
    compile: bool = False  # let torch.compile rewrite the network: quicker steps after a slow first one
    threads: int = 0  # readers of pictures; 0: one a core
    checkpoint_s: float = 120.0  # seconds between two checkpoints; 0: after every step
    tensorboard: bool = True  # also write curves and samples for TensorBoard

    def __post_init__(self) -> None:
        check_range("devices", self.devices, 1, 1024)
        check_range("threads", self.threads, 0, 1024)
        check_range("checkpoint_s", self.checkpoint_s, 0, 1e6)


def make_fabric(runtime: Runtime, precision: str) -> Fabric:
    """Return Fabric for the device that was asked for; it is not launched yet.

    Args:
        runtime: which device, and how many.
        precision: `32` or `bf16`.

    Raises:
        SettingsError: there is no GPU.
        DeviceError: there are not as many.
    """
    kind = choose_device(runtime.device).type
    count = torch.cuda.device_count() if kind == "cuda" else runtime.devices
    if runtime.devices > count:
        raise DeviceError(f"{runtime.devices} GPUs were asked for, {count} are there; lower --devices")
    return Fabric(
        accelerator=kind,
        devices=runtime.devices,
        strategy="ddp" if runtime.devices > 1 else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
    )


def describe(fabric: Fabric) -> str:
    """Return the device's name for people."""
    device = fabric.device
    cpu = f"CPU, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    return f"{fabric.world_size} x {name}" if fabric.world_size > 1 else name


@contextlib.contextmanager
def quick_convolutions(device: torch.device) -> Iterator[None]:
    """Let cuDNN choose the quickest way for crops of one size."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Say what filled a GPU's memory and what to do, instead of how many bytes were wanted.

    Args:
        what: what it was filled with, and what to try.

    Raises:
        DeviceError: the memory is full.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise DeviceError(f"the GPU's memory is full with {what}") from error


@contextlib.contextmanager
def own_random_state(device: torch.device, seed: int, rank: int) -> Iterator[None]:
    """Seed torch for this training (crops and augmentation have seeds of their own), and give it back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(mixed_seed(seed, "torch", rank))
        yield
