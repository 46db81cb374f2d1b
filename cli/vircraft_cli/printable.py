"""Names of files as a terminal can show them."""

from __future__ import annotations

from pathlib import Path


def printable(text: str) -> str:
    """Return a text that any terminal takes: names of files may hold bytes that are no UTF-8."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)


def shown_path(path: Path) -> Path:
    """Return a path below the working folder without it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
