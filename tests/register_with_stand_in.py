"""The `vircraft` command with the stand-in registration, also inside its worker processes."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import stand_in
import vircraft.registration

vircraft.registration.register_clip = stand_in.register_clip

if __name__ == "__main__":
    from vircraft_cli.main import main

    main()
