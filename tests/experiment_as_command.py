"""Runs `vircraft ARGUMENTS` with the fake task instead of the real ones."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]  # tests/ has a folder of the package's name

if __name__ == "__main__":
    import experiment_inputs
    from fgfusion_model.experiments import kinds
    from vircraft_cli.main import main

    kinds.KINDS = experiment_inputs.KINDS
    main()
