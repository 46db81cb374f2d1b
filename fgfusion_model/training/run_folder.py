"""The folder of a training: its layout, its curves as CSV, and who may write to it.

RUN/settings.toml            all settings
    data.csv                 every pair: its split, its mask, a hash of its pixels
    log.csv                  the terms of the loss at every step
    validation.csv           scores of the pairs kept aside
    checkpoints/last.safetensors, best.safetensors
    weights.safetensors      what `FGFusion.from_pretrained` loads
    samples/step_00001200.png
    tensorboard/
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vircraft.errors import DatasetError
from vircraft.files import disk_error, write_atomically
from vircraft.locks import FileLock


@dataclass(frozen=True)
class RunFolder:
    """Where everything of a training lies.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def settings(self) -> Path:
        """All settings, as TOML."""
        return self.root / "settings.toml"

    @property
    def data(self) -> Path:
        """What was trained on."""
        return self.root / "data.csv"

    @property
    def last(self) -> Path:
        """The state of the training."""
        return self.root / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights with the lowest loss on the pairs kept aside."""
        return self.root / "checkpoints" / "best.safetensors"

    @property
    def weights(self) -> Path:
        """The weights of the last checkpoint, mean over their past."""
        return self.root / "weights.safetensors"

    @property
    def tensorboard(self) -> Path:
        """Curves for TensorBoard."""
        return self.root / "tensorboard"

    def sample(self, step: int) -> Path:
        """Return where the sheet of a validation goes."""
        return self.root / "samples" / f"step_{step:08d}.png"

    def lock(self) -> FileLock:
        """Return the lock on the folder: one training at a time writes to it."""
        return FileLock(self.root / "run.lock", f"run {self.root}", wait_s=0.5)

    def prepare(self, *, resume: bool) -> bool:
        """Make the folder, or accept an empty one, or one with a run to go on with.

        Returns:
            whether there is a checkpoint to go on from.

        Raises:
            DatasetError: it holds a run and `resume` is not set, holds something else, or cannot be made.
        """
        try:
            if self.root.exists() and not self.root.is_dir():
                raise DatasetError(f"{self.root}: is a file; give the run a folder of its own")
            self.root.mkdir(parents=True, exist_ok=True)
            strange = sorted(p.name for p in self.root.iterdir() if not p.name.endswith((".lock", ".tmp")))
        except OSError as error:
            raise disk_error(self.root, error) from error
        if strange and not self.settings.is_file():
            raise DatasetError(
                f"{self.root}: is not empty ({strange[0]}, ...) and holds no run; choose a new "
                "or empty folder"
            )
        if self.last.is_file() and not resume:
            raise DatasetError(
                f"{self.root}: holds a run already; go on with it with --resume, or choose another folder"
            )
        return self.last.is_file()


class CurveFile:
    """A CSV that grows by a line a step, and can be cut back to where a checkpoint was written.

    Args:
        path: the file.
        columns: the first of them is the step.
        step: what stands behind it is of steps that are done again, and goes.
    """

    def __init__(self, path: Path, columns: Sequence[str], step: int) -> None:
        self.path, self.columns = path, tuple(columns)
        kept = [row for row in self._rows() if int(row[0]) <= step] if step else []
        write_atomically(path, self._text([list(self.columns), *kept]).encode())

    def add(self, rows: Sequence[Mapping[str, float | int]]) -> None:
        """Append lines; a value that is missing stays empty.

        Raises:
            DatasetError: the disk is full.
        """
        lines = self._text([[_cell(row.get(name)) for name in self.columns] for row in rows])
        try:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(lines)
        except OSError as error:
            raise disk_error(self.path, error) from error

    def _rows(self) -> list[list[str]]:
        """Return the whole lines of an earlier file; one that a kill cut off is left out."""
        if not self.path.is_file():
            return []
        whole = self.path.read_text(encoding="utf-8").rpartition("\n")[0]
        rows = list(csv.reader(io.StringIO(whole)))[1:]
        return [row for row in rows if len(row) == len(self.columns) and row[0].isdigit()]

    @staticmethod
    def _text(rows: Sequence[Sequence[str]]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)
