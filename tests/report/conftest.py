"""Fixtures of the report's tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from report_dataset import build


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a dataset; see `report_dataset.build`."""
    return partial(build, tmp_path / "dataset")
