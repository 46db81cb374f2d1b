"""Which clip a picture or label file belongs to, by its name."""

from __future__ import annotations

import re

_PAIR_ID = re.compile(r"(.+)_\d{6,}")


def clip_of(name: str) -> str:
    """Return the clip of a picture named like a dataset's pair (CLIP_000120); "" for any other name."""
    match = _PAIR_ID.fullmatch(name.rpartition("/")[2])
    return match[1] if match else ""
