"""What stays the same from one export to the next: ids of pictures and aircraft, splits of clips."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from vircraft.annotation.picture import PictureAnnotations
from vircraft.errors import DatasetError
from vircraft.files import write_atomically

K = TypeVar("K", bound=Hashable)
Aircraft = tuple[str, int | None]  # the label file's name and the group id

BOOK = "ids.json"  # in the folder of the export


@dataclass
class IdBook(Generic[K]):
    """Gives each key a number from 1 up: the one that it claimed first, else the next that nobody has."""

    _numbers: dict[K, int] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _last: int = 0

    def claim(self, key: K, number: Any) -> None:
        """Keep a number for a key, unless the number is none from 1 up, taken, or the key has one already."""
        if type(number) is int and number > 0 and number not in self._taken and key not in self._numbers:
            self._numbers[key] = number
            self._taken.add(number)
            self._last = max(self._last, number)

    def number(self, key: K) -> int:
        """Return the number of a key."""
        if key not in self._numbers:
            self.claim(key, self._last + 1)
        return self._numbers[key]

    def items(self) -> Iterator[tuple[K, int]]:
        """Return all keys with their numbers, by number."""
        return iter(sorted(self._numbers.items(), key=lambda item: item[1]))


@dataclass
class CocoIds:
    """The ids of an export.

    Those that an imported label file carries come first, then those that were given before, then new ones.
    A number that was given once is not given to anything else, also when its file is gone or broken.

    Attributes:
        pictures: by the label file's name.
        aircraft: by the label file's name and the group id.
        clips: clip -> split of the last export.
        files: names of the JSON files that the last export wrote.
    """

    pictures: IdBook[str] = field(default_factory=IdBook)
    aircraft: IdBook[Aircraft] = field(default_factory=IdBook)
    clips: dict[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def claim_imported(self, name: str, found: PictureAnnotations) -> None:
        """Keep the ids that an import has noted in a label file."""
        self.pictures.claim(name, found.coco.get("image_id"))
        noted = found.coco.get("annotation_ids")
        if isinstance(noted, dict):
            for annotation in found.annotations:
                self.aircraft.claim((name, annotation.group_id), noted.get(str(annotation.group_id)))

    @classmethod
    def of_earlier_exports(cls, folder: Path) -> CocoIds:
        """Return what the exports before wrote into their book; empty when there is none.

        Raises:
            DatasetError: the book is damaged.
        """
        path, book = folder / BOOK, cls()
        if not path.is_file():
            return book
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            for name, number in values["pictures"]:
                book.pictures.claim(name, number)
            for name, group_id, number in values["aircraft"]:
                book.aircraft.claim((name, group_id), number)
            book.clips = {str(clip): str(split) for clip, split in values["clips"]}
            book.files = tuple(str(name) for (name,) in values["files"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DatasetError(
                f"{path}: cannot be read ({error}); restore it, or delete it to have all ids given anew"
            ) from error
        return book

    def merge(self, other: CocoIds) -> None:
        """Take over the ids of another book that are free."""
        for name, number in other.pictures.items():
            self.pictures.claim(name, number)
        for key, number in other.aircraft.items():
            self.aircraft.claim(key, number)

    def write(self, folder: Path) -> None:
        """Note all of it for the next export."""
        book: dict[str, list[list[Any]]] = {
            "pictures": [[name, number] for name, number in self.pictures.items()],
            "aircraft": [[name, group_id, number] for (name, group_id), number in self.aircraft.items()],
            "clips": [[clip, split] for clip, split in sorted(self.clips.items())],
            "files": [[name] for name in self.files],
        }
        lines = [f'"{key}": [\n{_rows(rows)}\n]' for key, rows in book.items()]
        write_atomically(folder / BOOK, ("{" + ",\n".join(lines) + "}\n").encode())


def _rows(rows: list[list[Any]]) -> str:
    return ",\n".join(json.dumps(row) for row in rows)
