"""Ids of pictures and aircraft that stay the same from one export to the next."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from vircraft.annotation.picture import PictureAnnotations

K = TypeVar("K", bound=Hashable)
Aircraft = tuple[str, int | None]  # the label file's name and the group id


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


@dataclass
class CocoIds:
    """The ids of an export.

    Those that an imported label file carries come first, then those of earlier exports, then new ones.

    Attributes:
        pictures: by the label file's name.
        aircraft: by the label file's name and the group id.
    """

    pictures: IdBook[str] = field(default_factory=IdBook)
    aircraft: IdBook[Aircraft] = field(default_factory=IdBook)

    def claim_imported(self, name: str, found: PictureAnnotations) -> None:
        """Keep the ids that an import has noted in a label file."""
        self.pictures.claim(name, found.coco.get("image_id"))
        noted = found.coco.get("annotation_ids")
        if isinstance(noted, dict):
            for annotation in found.annotations:
                self.aircraft.claim((name, annotation.group_id), noted.get(str(annotation.group_id)))

    def claim_exported(self, folder: Path) -> None:
        """Keep the ids that earlier exports in a folder gave; damaged and foreign files have no say."""
        for path in sorted(folder.glob("person_keypoints_*.json")):
            try:
                for name, picture_id, groups in _exported(path):
                    self.pictures.claim(name, picture_id)
                    for group_id, number in groups:
                        self.aircraft.claim((name, group_id), number)
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                continue


def _exported(path: Path) -> Iterator[tuple[str, int, list[tuple[int | None, int]]]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    groups: dict[int, list[tuple[int | None, int]]] = {}
    for annotation in document["annotations"]:
        groups.setdefault(annotation["image_id"], []).append((annotation["group_id"], annotation["id"]))
    for image in document["images"]:
        yield str(image["label_file"]), image["id"], groups.get(image["id"], [])
