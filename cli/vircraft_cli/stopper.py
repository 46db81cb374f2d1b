"""Ctrl-C and SIGTERM as a wish to stop, for work that writes a checkpoint first."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class Stopper:
    """Turns Ctrl-C and SIGTERM into a wish to stop after the step; a second one ends at once.

    Before training has begun there is nothing to save, and the first one ends at once, too.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.armed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopper:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Say whether to stop."""
        return self.signal != 0

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if not self.armed or self.signal:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        self.signal = number
