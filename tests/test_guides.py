"""What the guides say about settings is what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from vircraft.settings import BuildSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_guide_lists_every_setting_with_its_default() -> None:
    text = (DOCS / "guide-register.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    listed: dict[str, Any] = tomllib.loads(block)
    defaults = BuildSettings().record()
    assert defaults.pop("offset_frames") is None  # TOML has no word for it; the guide shows it as a comment
    assert "# offset_frames" in block
    assert listed == defaults


def test_the_formats_page_names_every_column_of_pairs_csv() -> None:
    from vircraft.dataset import PAIR_COLUMNS

    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    section = text[text.index("### `pairs.csv`") : text.index("### `journal/")]
    named = re.findall(r"`(\w+)`", section)
    assert [c for c in PAIR_COLUMNS if c not in named and not re.fullmatch(r"h\d\d", c)] == []
