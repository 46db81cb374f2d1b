"""The settings of a register job, read from TOML into frozen dataclasses; unknown keys are errors."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import tomllib
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vircraft.errors import SettingsError
from vircraft.registration.settings import RegistrationSettings
from vircraft.sampling import SamplingSettings
from vircraft.sync import SyncSettings

T = TypeVar("T")
MAX_OFFSET_FRAMES = 10_000_000  # more than a day at 100 frames a second; nan and inf are outside, too


@dataclass(frozen=True)
class BuildSettings:
    """Everything that decides what a dataset holds; stored in `dataset.json` and in each clip's journal."""

    offset_frames: float | None = None  # the user's word on the offset, visible frames; None: find it
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    registration: RegistrationSettings = field(default_factory=RegistrationSettings)

    def __post_init__(self) -> None:
        if self.offset_frames is not None and not abs(self.offset_frames) <= MAX_OFFSET_FRAMES:
            raise SettingsError(
                f"offset_frames is {self.offset_frames}; it is a number of frames within "
                f"+-{MAX_OFFSET_FRAMES:,}"
            )

    def record(self) -> dict[str, Any]:
        """Return the settings as nested plain values, ready for JSON."""
        record: dict[str, Any] = plain(self)
        return record

    def digest(self) -> str:
        """Return a hash that changes when any setting changes."""
        return fingerprint(self.record())

    def sync_digest(self) -> str:
        """Return a hash of the settings that the synchronisation depends on."""
        record = self.record()
        return fingerprint([record["offset_frames"], record["sync"]])


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file as plain values.

    Raises:
        SettingsError: the file cannot be read, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from error


def load_settings(path: Path) -> BuildSettings:
    """Read settings from a TOML file; what it leaves out keeps its default.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has an unknown key or a wrong value.
    """
    table = read_toml(path)
    try:
        return build(BuildSettings, table)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def build(cls: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """Build a dataclass from nested plain values, checking every key and type.

    Args:
        cls: a dataclass; fields may be bool, int, float, str, Path, Literal, tuples, unions and dataclasses.
        table: its fields by name; fields left out keep their defaults.
        where: dotted name of the table, for messages.

    Raises:
        SettingsError: an unknown key (the closest known one is named), a missing one or a wrong type.
    """
    hints = get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise SettingsError(f"unknown key {_dotted(where, key)!r}{_suggestion(key, known)}")
    try:
        return cls(**{key: convert(hints[key], value, _dotted(where, key)) for key, value in table.items()})
    except TypeError as error:
        raise SettingsError(f"{where or cls.__name__}: {error}") from error


def convert(hint: Any, value: Any, where: str) -> Any:
    """Check one plain value against a type hint and bring it into that type.

    Raises:
        SettingsError: the value is not of that type.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            close = _suggestion(str(value), [str(a) for a in arguments])
            raise SettingsError(f"{where} is {value!r}; it is one of {', '.join(map(str, arguments))}{close}")
        return value
    if origin in (tuple, list, Sequence):
        return _convert_sequence(origin, arguments, value, where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{where} is {value!r}; it is a table")
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    wanted = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise SettingsError(f"{where} is {value!r}; it is {wanted.get(hint, str(hint))}")


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    message = ""
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return convert(argument, value, where)
        except SettingsError as error:
            message = message or str(error)
    raise SettingsError(message or f"{where} is {value!r}")


def _convert_sequence(origin: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise SettingsError(f"{where} is {value!r}; it is a list")
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise SettingsError(f"{where} has {len(value)} entries; it has {len(arguments)}")
        return tuple(
            convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True))
        )
    items = [convert(arguments[0] if arguments else Any, v, f"{where}[{i}]") for i, v in enumerate(value)]
    return items if origin is list else tuple(items)


def plain(value: Any) -> Any:
    """Return dataclasses, tuples, paths and NumPy values as what JSON knows; nan and inf become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def setting_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    """Return (dotted name, old value, new value) of each setting that differs; None where one is missing."""
    before, after = dict(_flat(old)), dict(_flat(new))
    names = dict.fromkeys([*after, *before])
    return tuple((n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))


def _flat(table: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, _dotted(where, key))
        else:
            yield _dotted(where, key), value


def fingerprint(value: Any) -> str:
    """Return 16 hex digits that change when a plain value changes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _suggestion(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
