"""File locks that a killed process cannot leave behind: the system gives them back when their holder dies."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType

from vircraft.errors import DatasetBusyError, DatasetError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """Holds a lock on a file from `with` to its end; the file tells who holds it, and goes away afterwards.

    The lock is the system's (`flock`), not the file's existence, so the file that a SIGKILL leaves behind
    locks nobody out.

    Args:
        path: the lock file; its folder exists.
        what: what is locked, for messages.
        wait_s: how long to wait for another holder to let go.
    """

    def __init__(self, path: Path, what: str, wait_s: float = 0.0) -> None:
        self.path = path
        self.what = what
        self.wait_s = wait_s
        self._fd: int | None = None

    def __enter__(self) -> FileLock:
        """Take the lock.

        Raises:
            DatasetBusyError: another process holds it; the message says which, where and since when.
            DatasetError: the lock file cannot be written, or is a link.
        """
        deadline = time.monotonic() + self.wait_s
        while not self._try():
            # The holder writes its name a moment after it has the lock, so an empty file is worth a wait.
            if time.monotonic() > deadline and (self.holder() or time.monotonic() > deadline + 0.2):
                raise DatasetBusyError(
                    f"{self.what} is in use by {describe(self.holder())}; wait for it to end"
                )
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._fd is not None
        with suppress(OSError):  # the folder became read-only: an unlocked file is harmless
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None

    def fileno(self) -> int:
        """Return the descriptor that holds the lock, so that a child process can hold it, too."""
        assert self._fd is not None
        return self._fd

    def holder(self) -> dict[str, str]:
        """Return what the holder wrote about itself; empty when nothing can be read."""
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in values.items()} if isinstance(values, Mapping) else {}

    def _try(self) -> bool:
        try:
            # a link is not followed: what it leads to would be overwritten
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise DatasetError(
                f"{self.path}: cannot be written: {error.strerror or error}; choose an output folder "
                "that can be written"
            ) from error
        try:
            if not _lock(fd):
                os.close(fd)
                return False
            # The file that was opened may have been removed by a holder that just let go.
            if not self.path.exists() or self.path.stat().st_ino != os.fstat(fd).st_ino:
                os.close(fd)
                return False
            os.ftruncate(fd, 0)
            os.write(fd, json.dumps(_me()).encode())
        except OSError as error:
            os.close(fd)
            raise DatasetError(f"{self.path}: cannot be locked: {error.strerror or error}") from error
        self._fd = fd
        return True


def describe(holder: Mapping[str, str]) -> str:
    """Return who holds a lock, in words."""
    if not holder:
        return "another process"
    here = " (this machine)" if holder.get("host") == socket.gethostname() else ""
    return f"process {holder.get('pid')} on {holder.get('host')}{here} since {holder.get('since')}"


def _me() -> dict[str, str]:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": str(os.getpid()), "host": socket.gethostname(), "since": since}


def _lock(fd: int) -> bool:
    if fcntl is None:
        import msvcrt

        try:
            # One byte far behind the text, because Windows locks are mandatory and others must read the text.
            os.lseek(fd, 1 << 20, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            os.lseek(fd, 0, os.SEEK_SET)
        except OSError:
            return False
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
