"""A progress bar for work that tells how much is done and how much there is."""

from __future__ import annotations

import sys


class Bar:
    """Shows itself on a terminal only.

    Args:
        unit: what is counted.
        hidden: never show it.
    """

    def __init__(self, unit: str, hidden: bool) -> None:
        from tqdm import tqdm

        self.bar = tqdm(unit=unit, disable=hidden or not sys.stderr.isatty(), dynamic_ncols=True)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def update(self, done: int, total: int) -> None:
        """Show that so many are done."""
        self.bar.total = total
        self.bar.update(done - self.bar.n)
