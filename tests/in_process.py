"""Runs a command in this process: where torch would load anew in one of its own."""

from __future__ import annotations

import click
from click.testing import CliRunner, Result


def in_this_process(command: click.Command, *arguments: object) -> Result:
    """Run a command; what it raises comes through."""
    texts = [str(part) for part in arguments]
    return CliRunner().invoke(command, texts, standalone_mode=False, catch_exceptions=False)
