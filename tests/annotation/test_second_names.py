"""A picture under a second name: the same file where that can be, a copy elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from vircraft.annotation.second_names import link_or_copy
from vircraft.errors import DatasetError, PictureError


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "infrared" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"picture a")
    return path


def no_links(*_: Any) -> None:
    raise OSError(18, "Invalid cross-device link")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_the_same_file_and_the_folder_is_made(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "b.png"
    link_or_copy(picture, target)
    assert target.samefile(picture)
    link_or_copy(picture, target)
    assert names(target.parent) == ["b.png"]


def test_without_hard_links_it_is_a_copy(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    target = tmp_path / "b.png"
    link_or_copy(picture, target)
    assert target.read_bytes() == b"picture a"
    assert not target.samefile(picture)


def test_a_relative_link_is_followed(picture: Path, tmp_path: Path) -> None:
    link = tmp_path / "visible" / "a.png"
    link.parent.mkdir()
    link.symlink_to("../infrared/a.png")
    target = tmp_path / "deep" / "down" / "b.png"
    link_or_copy(link, target)
    assert not target.is_symlink()
    assert target.read_bytes() == b"picture a"


@pytest.mark.parametrize("linking", [True, False])
def test_what_has_the_name_is_replaced_and_not_written_into(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linking: bool
) -> None:
    other, target = tmp_path / "other.png", tmp_path / "b.png"
    other.write_bytes(b"another picture")
    os.link(other, target)
    if not linking:
        monkeypatch.setattr(os, "link", no_links)
    link_or_copy(picture, target)
    assert target.read_bytes() == b"picture a"
    assert other.read_bytes() == b"another picture"


def test_a_full_disk_leaves_no_half_of_a_picture(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(source: Path, target: Path) -> None:
        target.write_bytes(b"pict")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(DatasetError, match=r"b\.png: cannot be written: No space left"):
        link_or_copy(picture, tmp_path / "out" / "b.png")
    assert names(tmp_path / "out") == []


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.png: is missing") as caught:
        link_or_copy(tmp_path / "gone.png", tmp_path / "b.png")
    assert caught.value.reason == "missing-image"
