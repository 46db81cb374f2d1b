"""What using a task's network gives: scores, with values by picture for paired tests, or only answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vircraft.errors import InputFileError, SettingsError
from vircraft.files import write_json
from vircraft.settings import build, plain

RESULT_NAME = "result.json"


@dataclass(frozen=True)
class TaskResult:
    """Scores of one network on one split.

    Attributes:
        task: `keypoints`, `segmentation` or `detection`.
        split: that was judged.
        pictures: label of the pictures that the network saw.
        scores: name -> value over all pictures, shares in 0..1; None where it is not defined.
        per_picture: name -> picture's stem -> value; what paired tests compare. A picture without a value
            (nothing to find on it) is left out.
        remarks: what a reader should know.
    """

    task: str
    split: str
    pictures: str
    scores: Mapping[str, float | None]
    per_picture: Mapping[str, Mapping[str, float]]
    remarks: tuple[str, ...] = ()


def write_result(result: TaskResult, folder: Path) -> Path:
    """Write `result.json` into a folder, whole or not at all; return its path.

    Raises:
        DatasetError: the folder cannot be written.
    """
    path = folder / RESULT_NAME
    write_json(path, plain(result))
    return path


def read_result(path: Path) -> TaskResult:
    """Read what `write_result` wrote.

    Raises:
        InputFileError: it cannot be read, or is something else.
    """
    try:
        table: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict):
            raise SettingsError("is no table")
        mappings = {name: table.pop(name) for name in ("scores", "per_picture")}
        found = build(_Words, table)
        return TaskResult(**vars(found), **mappings)
    except (OSError, ValueError, KeyError, SettingsError) as error:
        raise InputFileError(
            f"is no result of a task ({error}); judge the network again", path=path
        ) from error


@dataclass(frozen=True)
class Predicted:
    """What came of pictures without labels.

    Attributes:
        answers: the file or folder that holds what was found.
        pictures: how many were looked at.
        failures: what was wrong with those that were left out.
    """

    answers: Path
    pictures: int
    failures: tuple[str, ...]


@dataclass(frozen=True)
class _Words:
    task: str
    split: str
    pictures: str
    remarks: tuple[str, ...] = ()
