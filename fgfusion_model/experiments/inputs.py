"""What the cells read: checked before anything is trained, and hashed so that a change is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fgfusion_model.downstream.pictures import PictureSet, check_pictures, find_pictures
from fgfusion_model.experiments.kinds import TaskKind
from fgfusion_model.experiments.labels import Sizes, find_labels, has_labels
from fgfusion_model.experiments.plan import TaskPlan, named_files
from vircraft.errors import DatasetError
from vircraft.files import hash_file, write_atomically
from vircraft.settings import fingerprint, plain

DEFAULT_VAL = "val"
OnFile = Callable[[int, int], None]


@dataclass(frozen=True)
class TaskInputs:
    """A task's labels.

    Attributes:
        sizes_wh: split -> stem -> width and height of the pictures that are needed; the splits that there
            are, of training, validation and test.
        labels: hash of the label files of those pictures.
    """

    sizes_wh: Mapping[str, Sizes]
    labels: str

    @property
    def pictures(self) -> int:
        """Number of pictures in all splits."""
        return sum(map(len, self.sizes_wh.values()))


@dataclass
class HashFile:
    """Hashes of files, kept in a file so that large folders are read once.

    Attributes:
        path: where they are kept.
        known: file -> size, time of the last change (ns), hash.
    """

    path: Path
    known: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> HashFile:
        """Read what is kept; what cannot be read is taken anew."""
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        return cls(path, known if isinstance(known, dict) else {})

    def of(self, path: Path) -> str:
        """Return the hash of a file."""
        state = path.stat()
        key, stamp = str(path), [state.st_size, state.st_mtime_ns]
        entry = self.known.get(key)
        if not isinstance(entry, list) or entry[:2] != stamp:
            entry = self.known[key] = [*stamp, hash_file(path)]
        return str(entry[2])

    def save(self) -> None:
        """Keep them."""
        write_atomically(self.path, json.dumps(self.known, indent=0).encode())


def read_task_inputs(task: TaskPlan, kind: TaskKind, hashes: HashFile) -> TaskInputs:
    """Find a task's labels and the pictures that they are for.

    Raises:
        DatasetError, InputFileError: there are none, or they cannot be read.
    """
    if not task.data.is_dir():
        raise DatasetError(f"{task.data}: is no folder; 'data' of task {task.name!r} is the labelled dataset")
    sizes: dict[str, Sizes] = {}
    said: list[object] = []
    for split in dict.fromkeys((task.split, task.val, task.test)):
        if not split or (split == DEFAULT_VAL == task.val and not has_labels(kind.labels, task.data, split)):
            continue  # many datasets have no validation split
        found = find_labels(kind.labels, task.data, split, task.category)
        sizes[split] = found.sizes_wh
        said.append([split, found.said, *((path.name, hashes.of(path)) for path in found.files)])
    return TaskInputs(sizes, fingerprint(plain(said)))


def hash_named_files(task: TaskPlan, hashes: HashFile) -> dict[str, str]:
    """Return setting -> hash of each file that a task's settings name.

    Raises:
        DatasetError: first weights are not there.
    """
    found: dict[str, str] = {}
    for name, path in named_files(task).items():
        if not path.is_file():
            raise DatasetError(f"{path}: no such weights; {name!r} of task {task.name!r} names them")
        found[name] = hashes.of(path)
    return found


def check_method(data: Path, pictures: str, inputs: TaskInputs, hashes: HashFile, on_file: OnFile) -> str:
    """Make sure that a method has every picture of a task, in its size; return a hash over all of them.

    Args:
        data: the dataset.
        pictures: `visible`, `infrared` or a folder.
        inputs: of the task.
        hashes: of files, known and new.
        on_file: is called with the number of pictures looked at and their total.

    Raises:
        DatasetError: some are missing or have another size; those of every split are named.
    """
    found = _checked_pictures(data, pictures, inputs.sizes_wh)
    listed: list[tuple[str, str, str]] = []
    for split, sizes in inputs.sizes_wh.items():
        for stem in sorted(sizes):
            listed.append((split, stem, hashes.of(found[split].paths[stem])))
            on_file(len(listed), inputs.pictures)
    return fingerprint(listed)


def _checked_pictures(data: Path, pictures: str, sizes_wh: Mapping[str, Sizes]) -> dict[str, PictureSet]:
    found: dict[str, PictureSet] = {}
    wrong: dict[str, list[str]] = {}  # message -> splits
    for split, sizes in sizes_wh.items():
        try:
            found[split] = find_pictures(data, pictures, split)
            check_pictures(found[split], sizes)
        except DatasetError as error:
            wrong.setdefault(str(error), []).append(split)
    if wrong:
        raise DatasetError("; ".join(f"{text} (split {', '.join(names)})" for text, names in wrong.items()))
    return found
