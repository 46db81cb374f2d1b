"""Runs the command as a user does, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("register_with_stand_in.py")
INSTALLED = Path(sys.executable).with_name("vircraft")


def stand_in_vircraft(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `vircraft ARGUMENTS` with the stand-in registration."""
    return _run(sys.executable, SCRIPT, *arguments, **options)


def vircraft(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed `vircraft ARGUMENTS`."""
    return _run(INSTALLED, *arguments, **options)


def _run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    texts = [str(part) for part in command]
    return subprocess.run(texts, capture_output=True, text=True, check=False, timeout=300, **options)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the objects of a command's --json output."""
    return [json.loads(line) for line in text.splitlines()]
