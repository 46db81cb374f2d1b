"""Write settings as TOML that `tomllib` reads back to the same values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def to_toml(table: Mapping[str, Any]) -> str:
    """Return nested plain values as TOML; what is None is left out, as TOML has no word for it.

    Args:
        table: texts, numbers, truth values, lists of those, tables, and lists of tables.
    """
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], where: str) -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if _is_plain(value)]
    for key, value in table.items():
        name = f"{where}.{key}" if where else key
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_lines(value, name)]
        elif _is_tables(value):
            for entry in value:
                lines += ["", f"[[{name}]]", *_lines(entry, name)]
    return lines


def _is_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and isinstance(value[0], Mapping)


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, Mapping) and not _is_tables(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # a JSON string is a TOML one, but for the one character that JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return str(value)
