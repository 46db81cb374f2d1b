"""The errors that vircraft raises: each says what was wrong, where, and what to try next."""

from __future__ import annotations

from pathlib import Path


class VircraftError(Exception):
    """Base of every error raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class SettingsError(VircraftError):
    """A setting, option or configuration file is wrong."""

    exit_code = 2


class InputFileError(VircraftError):
    """A file that was given cannot be used.

    Args:
        message: what was wrong and what to try next.
        path: the file.
        reason: a short stable code in kebab case (`truncated`, `not-a-video`, ...), for records and tests.
    """

    def __init__(self, message: str, *, path: Path | None = None, reason: str = "unreadable") -> None:
        super().__init__(message if path is None else f"{path}: {message}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle across worker processes without losing path and reason."""
        return (_rebuild_input_file_error, (type(self), self.args[0], self.path, self.reason))


class ClipError(InputFileError):
    """A clip cannot be read, paired or put on one clock."""


class PictureError(InputFileError):
    """A still picture cannot be read."""


class DatasetError(VircraftError):
    """A dataset folder is missing, damaged, of another version or cannot be written."""


class DatasetBusyError(DatasetError):
    """Another run holds the dataset."""


def _rebuild_input_file_error(
    kind: type[InputFileError], text: str, path: Path | None, reason: str
) -> InputFileError:
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    error.path = path
    error.reason = reason
    return error
