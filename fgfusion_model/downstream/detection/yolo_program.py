"""Start a YOLO program that the user installed, and find out what it says when it fails."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fgfusion_model.downstream.detection.settings import YoloProgram
from vircraft.errors import SettingsError, VircraftError
from vircraft.files import disk_error

POLL_S = 0.2  # between two looks whether to stop it
GRACE_S = 20.0  # it may take to end when asked to
LEAST_SCORE = 0.001  # of boxes that it tells, for the tail of the precision curve
OVERLAP = 0.6  # IoU above which of two boxes the better stays
_INSTALL = {
    "yolo": "pip install ultralytics",
    "yolov5": "pip install yolov5",
}


class ProgramError(VircraftError):
    """A program that was started failed."""


@dataclass(frozen=True)
class TrainOrder:
    """What a program is asked to train.

    Attributes:
        data: the data.yaml.
        model: what it starts from.
        epochs, batch, size, seed: as the program understands them; size is the longer side, pixels.
        folder: its results go below `folder/NAME`.
        name: of the results.
        device: `cpu`, or nothing to let it choose.
    """

    data: Path
    model: str
    epochs: int
    batch: int
    size: int
    seed: int
    folder: Path
    name: str
    device: str = ""


def find_program(program: YoloProgram) -> str:
    """Return the path of a program.

    Raises:
        SettingsError: it is not on the PATH.
    """
    found = shutil.which(program)
    if found is None:
        raise SettingsError(
            f"the program {program!r} is not on the PATH; vircraft does not bring it (its licence is AGPL): "
            f"install it in an environment of its own ({_INSTALL[program]}) and put its folder on the PATH, "
            "or use the detector built in (--detector fcos)"
        )
    return found


def train_arguments(program: YoloProgram, order: TrainOrder) -> list[str]:
    """Return the arguments that make a program train."""
    values = {
        "data": order.data.resolve(),
        "epochs": order.epochs,
        "batch": order.batch,
        "seed": order.seed,
        "project": order.folder.resolve(),
        "name": order.name,
    }
    if program == "yolo":
        table = {**values, "model": order.model, "imgsz": order.size, "exist_ok": True}
        table |= {"device": order.device} if order.device else {}
        return ["detect", "train", *_pairs(table)]
    table = {**values, "weights": order.model, "img": order.size}
    table |= {"device": order.device} if order.device else {}
    return ["train", *_options(table), "--exist-ok"]


def resume_arguments(program: YoloProgram, last: Path) -> list[str]:
    """Return the arguments that make a program go on from its last checkpoint."""
    if program == "yolo":
        return ["detect", "train", *_pairs({"resume": True, "model": last.resolve()})]
    return ["train", "--resume", str(last.resolve())]


def predict_arguments(
    program: YoloProgram, model: Path, source: Path, size: int, folder: Path, name: str, device: str = ""
) -> list[str]:
    """Return the arguments that make a program write `folder/name/labels/PICTURE.txt`, with scores."""
    values: dict[str, object] = {"source": source.resolve(), "project": folder.resolve(), "name": name}
    values |= {"device": device} if device else {}
    if program == "yolo":
        table = {**values, "model": model.resolve(), "imgsz": size, "conf": LEAST_SCORE, "iou": OVERLAP}
        table |= {"save_txt": True, "save_conf": True, "save": False, "exist_ok": True}
        return ["detect", "predict", *_pairs(table)]
    table = {**values, "weights": model.resolve(), "img": size, "conf-thres": LEAST_SCORE}
    table |= {"iou-thres": OVERLAP}
    return ["detect", *_options(table), "--save-txt", "--save-conf", "--nosave", "--exist-ok"]


def run_program(
    program: YoloProgram, arguments: Sequence[str], log: Path, stop: Callable[[], bool] = lambda: False
) -> bool:
    """Run a program to its end; return whether it was stopped.

    Args:
        program: its name.
        arguments: as a list; no shell sees them.
        log: file for what it says.
        stop: is asked all the time; then the program is told to end.

    Raises:
        SettingsError: it is not on the PATH.
        ProgramError: it failed; its last words are told.
        DatasetError: the log cannot be written.
    """
    command = [find_program(program), *arguments]
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("wb")
    except OSError as error:
        raise disk_error(log, error) from error
    with file:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        except OSError as error:
            raise ProgramError(f"{command[0]}: cannot be started ({error})") from error
        stopped = _wait(process, stop)
    if process.returncode and not stopped:
        raise ProgramError(
            f"{program} ended with code {process.returncode}; it said last: {_last_words(log)} ({log} has "
            "all)"
        )
    return stopped


def _wait(process: subprocess.Popen[bytes], stop: Callable[[], bool]) -> bool:
    stopped = False
    try:
        while process.poll() is None and not stopped:
            stopped = stop()
            time.sleep(POLL_S if not stopped else 0)
        return stopped
    finally:  # also when an exception comes through
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pairs(table: dict[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in table.items()]


def _options(table: dict[str, object]) -> list[str]:
    return [word for key, value in table.items() for word in (f"--{key}", str(value))]


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][-3:])[-600:] or "nothing"
