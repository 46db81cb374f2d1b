from __future__ import annotations

import pytest

from simulated import Filmed, small
from vircraft.simulation.film import ClipFiles, build_scene, film_clip


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    """A small clip with everything that can go wrong between two recorders."""
    settings = small(
        difficulty="rich",
        zoom=True,
        roll_deg=2.0,
        infrared_fps=25,
        visible_fps=30,
        offset_frames=3.4,
        drift_ppm=400.0,
        lost_infrared=(4, 5, 17),
        lost_visible=(9,),
        true_start_times=True,
    )
    folder = tmp_path_factory.mktemp("filmed")
    truth = film_clip(settings, folder)
    return Filmed(settings, folder, ClipFiles.of(folder, settings.name), truth, build_scene(settings))
