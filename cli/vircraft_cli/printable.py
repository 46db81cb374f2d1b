"""Names of files as a terminal can show them."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text that any terminal takes: names of files may hold bytes that are no UTF-8."""
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in clean)
