"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from vircraft.errors import DatasetError
from vircraft.files import encode_png, hash_bytes, hash_file, remove_temporaries, write_atomically


def test_a_file_is_replaced_and_no_temporary_stays(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_when_the_disk_is_full_the_old_file_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(DatasetError, match="No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_link_in_the_place_of_the_temporary_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / ".a.bin.tmp").symlink_to(victim)
    with pytest.raises(DatasetError):
        write_atomically(tmp_path / "a.bin", b"new")
    assert victim.read_bytes() == b"mine"


def test_a_durable_file_is_written_like_any_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.bin", b"one", durable=True)
    assert (tmp_path / "a.bin").read_bytes() == b"one"


def test_only_the_temporaries_of_matching_names_are_removed(tmp_path: Path) -> None:
    ours = (".a_000010.png.tmp", ".a_000010.png.4711.tmp")
    for name in (*ours, ".ab_000010.png.tmp", "a_000010.png", "a_000010.png.tmp"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, re.compile(r"a_\d{6}\.png"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".ab_000010.png.tmp",
        "a_000010.png",
        "a_000010.png.tmp",
    ]


def test_the_hash_is_blake2b(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "x").write_bytes(content)
    expected = hashlib.blake2b(content, digest_size=16).hexdigest()
    assert hash_file(tmp_path / "x") == hash_bytes(content) == expected
    assert hash_file(tmp_path / "none") == ""


@pytest.mark.parametrize(("shape", "kind"), [((9, 13), "u1"), ((9, 13, 3), "u1"), ((9, 13), "u2")])
def test_a_png_holds_the_picture_to_the_bit(shape: tuple[int, ...], kind: str) -> None:
    picture = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, endpoint=True).astype(kind)
    content = encode_png(picture)
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read, picture)
    assert encode_png(picture) == content
