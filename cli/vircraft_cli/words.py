"""Words that several commands print."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as `1 pair` or `2 pairs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
