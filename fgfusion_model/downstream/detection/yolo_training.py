"""Training with a YOLO program (Sec. 3.3.4): its data written, the program started, its weights noted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgfusion_model.downstream.detection.boxes import BoxLabels
from fgfusion_model.downstream.detection.settings import TASK, Settings, YoloProgram
from fgfusion_model.downstream.detection.yolo_files import write_yolo_config, write_yolo_split
from fgfusion_model.downstream.detection.yolo_program import (
    TrainOrder,
    find_program,
    resume_arguments,
    run_program,
    train_arguments,
)
from fgfusion_model.downstream.fit import FitSummary
from fgfusion_model.downstream.pictures import find_pictures
from fgfusion_model.training.events import Began, Loading, OnEvent, Remark
from fgfusion_model.training.run_folder import RunFolder
from fgfusion_model.training.runtime import Runtime
from fgfusion_model.training.toml_text import to_toml
from vircraft.errors import DatasetError, InputFileError, SettingsError
from vircraft.files import write_atomically, write_json
from vircraft.settings import build, plain

RECORD = "yolo.json"
DATA, RESULTS = "yolo-data", "program"
FORMAT = "vircraft-yolo-1"


@dataclass(frozen=True)
class YoloRecord:
    """What the weights of a program need to be used; `yolo.json`, which stands for them.

    Attributes:
        format: of this file.
        program: that trained them.
        model: its weights, relative to this file.
        classes: names by number.
        size: longer side that it saw, pixels.
        infrared: it was trained on infrared pictures.
        pictures: what it was trained on, as given; empty: not known.
    """

    format: str
    program: YoloProgram
    model: str
    classes: tuple[str, ...]
    size: int
    infrared: bool
    pictures: str = ""


def train_yolo(
    root: Path,
    pictures: str,
    settings: Settings,
    classes: Sequence[str],
    labels: BoxLabels,
    held_out: BoxLabels | None,
    output: Path,
    runtime: Runtime,
    resume: bool,
    on_event: OnEvent,
    stop: Callable[[], bool],
) -> FitSummary:
    """Write `yolo-data/`, run the program, and write `yolo.json`, which `evaluate` takes as weights.

    The program has its own optimiser, augmentation and random numbers; of the fit's settings it is told
    epochs, batch and seed. It always looks at a validation split: without one, at the training split.

    Raises:
        SettingsError: the program is not on the PATH.
        ProgramError: it failed, or left no weights.
        DatasetError, InputFileError: labels or pictures cannot be used; the folder cannot.
    """
    find_program(settings.yolo.program)
    folder = RunFolder(output)
    folder.prepare(resume=resume)
    record, last = output / RECORD, output / RESULTS / "weights" / "last.pt"
    epochs = _epochs(settings, len(labels.coco.pictures))
    if (record.is_file() or last.is_file()) and not resume:
        raise DatasetError(f"{output}: holds a run already; go on with --resume, or choose another folder")
    if record.is_file():
        return FitSummary(epochs, epochs, False, record, math.nan, {}, 0.0)
    with folder.lock():
        table = {"task": TASK, "settings": plain(settings), "classes": list(classes)}
        write_atomically(folder.settings, to_toml(table).encode())
        started = time.monotonic()
        if last.is_file():
            arguments = resume_arguments(settings.yolo.program, last)
        else:
            data = _write_data(root, pictures, classes, labels, held_out, output / DATA, on_event)
            device = "cpu" if runtime.device == "cpu" else ""
            order = TrainOrder(
                data, settings.yolo.model, epochs, settings.fit.batch, settings.longest, settings.fit.seed,
                output, RESULTS, device,
            )  # fmt: skip
            arguments = train_arguments(settings.yolo.program, order)
        on_event(_began(epochs, labels, held_out, settings))
        stopped = run_program(settings.yolo.program, arguments, output / "program.log", stop)
        if not stopped:
            _note(output, settings, classes, pictures)
    speed = epochs * len(labels.coco.pictures) / max(time.monotonic() - started, 1e-9)
    return FitSummary(0 if stopped else epochs, epochs, stopped, record, math.nan, {}, speed)


def read_yolo_record(path: Path) -> tuple[YoloRecord, Path]:
    """Read `yolo.json`; return it and the path of the program's weights.

    Raises:
        InputFileError: it is no such file, or its weights are not beside it.
    """
    try:
        table: Any = json.loads(path.read_text(encoding="utf-8"))
        record = build(YoloRecord, table)
        if record.format != FORMAT:
            raise SettingsError(f"its format is {record.format!r}")
    except (OSError, ValueError, TypeError, AttributeError, SettingsError) as error:
        raise InputFileError(f"is no {RECORD} of a run ({error})", path=path) from error
    model = (path.parent / record.model).resolve()
    if not model.is_relative_to(path.parent.resolve()) or not model.is_file():
        raise InputFileError(
            f"its weights {record.model} are not in its folder; copy the whole run", path=path
        )
    return record, model


def _epochs(settings: Settings, pictures: int) -> int:
    if settings.fit.steps is None:
        return settings.fit.epochs
    return max(1, round(settings.fit.steps * settings.fit.batch / pictures))


def _write_data(
    root: Path,
    pictures: str,
    classes: Sequence[str],
    labels: BoxLabels,
    held_out: BoxLabels | None,
    folder: Path,
    tell: OnEvent,
) -> Path:
    for part, boxes in (("train", labels), ("val", held_out)):
        if boxes is not None:
            found = find_pictures(root, pictures, boxes.coco.split)
            write_yolo_split(folder, part, boxes, found, classes, lambda *n: tell(Loading(*n)))
    if held_out is None:
        tell(Remark("the program is given the training split to validate on: there is no other"))
    parts = {"train": "train", "val": "val" if held_out is not None else "train"}
    return write_yolo_config(folder, parts, classes)


def _began(epochs: int, labels: BoxLabels, held_out: BoxLabels | None, settings: Settings) -> Began:
    count = len(labels.coco.pictures)
    kept = len(held_out.coco.pictures) if held_out else 0
    name = f"the program {settings.yolo.program}"
    return Began(0, epochs, 1.0, count, kept, {}, name, "files", 0)


def _note(output: Path, settings: Settings, classes: Sequence[str], pictures: str) -> None:
    weights = [f"{RESULTS}/weights/{name}.pt" for name in ("best", "last")]
    model = next((name for name in weights if (output / name).is_file()), None)
    if model is None:
        raise InputFileError(
            f"the program ended well and left no weights ({weights[0]}); see program.log", path=output
        )
    record = YoloRecord(
        FORMAT,
        settings.yolo.program,
        model,
        tuple(classes),
        settings.longest,
        pictures == "infrared",
        pictures,
    )
    write_json(output / RECORD, plain(record))
