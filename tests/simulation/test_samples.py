"""The bundled samples: small, whole, and made by the command that their README gives."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from click.testing import CliRunner

from vircraft.clips import find_clips, probe_clip
from vircraft.simulation.truth import read_truth
from vircraft_cli.simulate import command

SAMPLES = Path(__file__).parents[2] / "samples"
NAMES = ["approach_01_day", "approach_02_dusk", "approach_03_night"]


def test_they_are_found_probed_and_small() -> None:
    sources, errors = find_clips(SAMPLES)
    assert [s.name for s in sources] == NAMES
    assert errors == []
    for source in sources:
        clip = probe_clip(source)
        truth = read_truth(SAMPLES / f"{source.name}.truth.json")
        assert clip.infrared.frame_count == len(truth.infrared_frames)
        assert clip.visible.frame_count == len(truth.visible_frames)
        assert clip.infrared.size_wh == truth.infrared_wh
    assert sum(p.stat().st_size for p in SAMPLES.iterdir()) < 10_000_000


def test_every_tenth_frame_gives_more_than_twenty_pairs_that_show_the_aircraft() -> None:
    count = 0
    for name in NAMES:
        truth = read_truth(SAMPLES / f"{name}.truth.json")
        last = len(truth.visible_frames) - 1
        count += sum(
            f.tick % 10 == 0 and 0 <= f.visible_index <= last and f.box is not None
            for f in truth.infrared_frames
        )
    assert count >= 20


def test_the_command_in_the_readme_makes_them() -> None:
    text = (SAMPLES / "README.md").read_text().replace("\\\n", " ")
    line = next(line.strip() for line in text.splitlines() if line.strip().startswith("vircraft simulate"))
    result = CliRunner().invoke(command, [*shlex.split(line)[2:], "--dry-run", "--json", "--force"])
    assert result.exit_code == 0
    rows = [json.loads(row) for row in result.output.splitlines()]
    assert [row["clip"] for row in rows] == NAMES
    for row in rows:
        assert dict(read_truth(SAMPLES / f"{row['clip']}.truth.json").settings) == row["settings"]
