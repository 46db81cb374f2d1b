"""A trained detector, whichever it is: one call for pictures, one answer for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.detection.network import detect, make_network
from fgfusion_model.downstream.detection.settings import TASK, Settings
from fgfusion_model.downstream.detection.yolo_files import numbered, read_yolo_answers, write_picture
from fgfusion_model.downstream.detection.yolo_program import find_program, predict_arguments, run_program
from fgfusion_model.downstream.detection.yolo_training import YoloRecord, read_yolo_record
from fgfusion_model.downstream.pictures import Rgb
from fgfusion_model.downstream.weights import fill, load_task_weights
from fgfusion_model.inference.devices import choose_device
from fgfusion_model.training.runtime import Runtime
from vircraft.errors import InputFileError, SettingsError
from vircraft.settings import build

Read = Callable[[str], Rgb]


class Detector(Protocol):
    """Finds boxes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return names by number."""

    @property
    def infrared(self) -> bool:
        """Say whether it was trained on infrared pictures."""

    def detect(self, stems: Sequence[str], read: Read) -> Iterator[tuple[str, Detections]]:
        """Yield the answer for each picture, in order.

        Args:
            stems: names of the pictures.
            read: name -> (H, W, 3) RGB.
        """


@dataclass(frozen=True)
class BuiltIn:
    """FCOS, in `eval` mode, on its device."""

    network: nn.Module
    settings: Settings
    classes: tuple[str, ...]
    infrared: bool
    device: torch.device

    def detect(self, stems: Sequence[str], read: Read) -> Iterator[tuple[str, Detections]]:
        """Yield the answer for each picture."""
        for stem in stems:
            yield stem, detect(self.network, read(stem), self.settings.longest, self.device)


@dataclass(frozen=True)
class Program:
    """A YOLO program with its weights."""

    record: YoloRecord
    model: Path
    device: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Return names by number."""
        return self.record.classes

    @property
    def infrared(self) -> bool:
        """Say whether it was trained on infrared pictures."""
        return self.record.infrared

    def detect(self, stems: Sequence[str], read: Read) -> Iterator[tuple[str, Detections]]:
        """Write the pictures to a temporary folder, run the program once, and yield what it wrote.

        Raises:
            ProgramError: it failed.
            InputFileError: it wrote what is no answer.
        """
        with tempfile.TemporaryDirectory(prefix="vircraft-yolo-") as name:
            folder = Path(name)
            sizes = []
            for k, stem in enumerate(stems, 1):
                picture = read(stem)
                sizes.append((picture.shape[1], picture.shape[0]))
                write_picture(folder / "pictures" / f"{numbered(k)}.png", picture)
            program = self.record.program
            arguments = predict_arguments(
                program, self.model, folder / "pictures", self.record.size, folder, "answers", self.device
            )
            run_program(program, arguments, folder / "program.log")
            for k, (stem, size) in enumerate(zip(stems, sizes, strict=True), 1):
                path = folder / "answers" / "labels" / f"{numbered(k)}.txt"
                yield stem, read_yolo_answers(path, size, len(self.classes))


def load_detector(weights: Path, runtime: Runtime | None = None) -> Detector:
    """Return a trained detector.

    Args:
        weights: `weights.safetensors`, or `yolo.json` of a program's run.
        runtime: where it computes.

    Raises:
        InputFileError: the file cannot be used.
        SettingsError: there is no such device, or the program is not on the PATH.
    """
    runtime = runtime or Runtime()
    if weights.suffix == ".json":
        record, model = read_yolo_record(weights)
        find_program(record.program)
        return Program(record, model, "cpu" if runtime.device == "cpu" else "")
    saved, tensors = load_task_weights(weights, TASK)
    try:
        settings = build(Settings, saved["settings"])
        classes, infrared = tuple(map(str, saved["classes"])), bool(saved["infrared"])
        network = make_network(replace(settings, init="random"), len(classes))
    except (KeyError, TypeError, SettingsError) as error:
        raise InputFileError(f"its record cannot be used ({error})", path=weights) from error
    fill(network, tensors, weights)
    device = choose_device(runtime.device)
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return BuiltIn(network.eval(), settings, classes, infrared, device)
