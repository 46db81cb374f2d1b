"""A trained detector, whichever it is: one call for pictures, one answer for each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fgfusion_model.downstream.detection.boxes import Detections
from fgfusion_model.downstream.detection.network import detect, make_network
from fgfusion_model.downstream.detection.settings import TASK, Settings
from fgfusion_model.downstream.detection.yolo_files import numbered, read_yolo_answers
from fgfusion_model.downstream.detection.yolo_program import find_program, predict_arguments, run_program
from fgfusion_model.downstream.detection.yolo_training import YoloRecord, read_yolo_record
from fgfusion_model.downstream.pictures import Rgb, read_rgb, write_rgb
from fgfusion_model.downstream.trained import Trained, load_trained
from fgfusion_model.training.runtime import Runtime


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

    def detect(self, pictures: Iterable[tuple[str, Rgb]]) -> Iterator[tuple[str, Rgb, Detections]]:
        """Yield each picture with its answer, in order.

        Args:
            pictures: names and (H, W, 3) RGB; each is asked for once.
        """


class BuiltIn(Trained[Settings]):
    """FCOS."""

    def detect(self, pictures: Iterable[tuple[str, Rgb]]) -> Iterator[tuple[str, Rgb, Detections]]:
        """Yield each picture with its answer."""
        for stem, picture in pictures:
            yield stem, picture, detect(self.network, picture, self.settings.longest, self.device)


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

    def detect(self, pictures: Iterable[tuple[str, Rgb]]) -> Iterator[tuple[str, Rgb, Detections]]:
        """Write the pictures to a temporary folder, run the program once, and yield what it wrote.

        Raises:
            ProgramError: it failed.
            InputFileError: it wrote what is no answer.
        """
        with tempfile.TemporaryDirectory(prefix="vircraft-yolo-") as name:
            folder = Path(name)
            written: list[tuple[str, Path]] = []
            for k, (stem, picture) in enumerate(pictures, 1):
                written.append((stem, folder / "pictures" / f"{numbered(k)}.png"))
                write_rgb(written[-1][1], picture)
            if not written:
                return
            program = self.record.program
            arguments = predict_arguments(
                program, self.model, folder / "pictures", self.record.size, folder, "answers", self.device
            )
            run_program(program, arguments, folder / "program.log")
            for stem, path in written:
                picture = read_rgb(path)
                size = picture.shape[1], picture.shape[0]
                answers = folder / "answers" / "labels" / f"{path.stem}.txt"
                yield stem, picture, read_yolo_answers(answers, size, len(self.classes))


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
