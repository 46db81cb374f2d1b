"""Compare datasets byte for byte, leaving out what is outside that promise."""

from __future__ import annotations

from pathlib import Path

OUTSIDE = (".log", ".lock")


def content(root: Path) -> dict[str, bytes]:
    """Return every file of a dataset that must be the same after a kill and a second run."""
    files = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or name.startswith("report/") or path.suffix in OUTSIDE:
            continue
        if path.name.startswith("run") and path.suffix == ".json":
            continue
        files[name] = path.read_bytes()
    return files


def assert_same(left: Path, right: Path) -> None:
    """Fail naming the files that differ."""
    a, b = content(left), content(right)
    assert a.keys() == b.keys(), f"only in one: {sorted(a.keys() ^ b.keys())}"
    different = [name for name in a if a[name] != b[name]]
    assert not different, f"differ: {different}"
