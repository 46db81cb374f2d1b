"""A trained detector, whichever it is: one call for pictures, one answer for each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.detection.network import detect, make_network
from fgfusion_model.downstream.detection.settings import TASK, Settings
from fgfusion_model.downstream.detection.yolo_files import numbered, read_yolo_answers
from fgfusion_model.downstream.detection.yolo_program import find_program, predict_arguments, run_program
from fgfusion_model.downstream.detection.yolo_training import YoloRecord, read_yolo_record
from fgfusion_model.downstream.pictures import Rgb, write_rgb
from fgfusion_model.downstream.trained import Trained, load_trained
from fgfusion_model.training.runtime import Runtime

Read = Callable[[str], Rgb]


class Detector(Protocol):
    """Finds boxes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return names by number."""

    @property
    def infrared(self) -> bool:
        """Say whether it was trained on infrared pictures."""

    @property
    def pictures(self) -> str:
        """Return what it was trained on, as given; empty: not known."""

    def detect(self, stems: Sequence[str], read: Read) -> Iterator[tuple[str, Detections]]:
        """Yield the answer for each picture, in order.

        Args:
            stems: names of the pictures.
            read: name -> (H, W, 3) RGB.
        """


class BuiltIn(Trained[Settings]):
    """FCOS."""

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

    @property
    def pictures(self) -> str:
        """Return what it was trained on, as given; empty: not known."""
        return self.record.pictures

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
                write_rgb(folder / "pictures" / f"{numbered(k)}.png", picture)
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
    if weights.suffix == ".json":
        record, model = read_yolo_record(weights)
        find_program(record.program)
        return Program(record, model, "cpu" if (runtime or Runtime()).device == "cpu" else "")
    return BuiltIn(**vars(load_trained(weights, TASK, Settings, make_network, runtime)))
