from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binocular import infrared_of, pair, pose, scene
from vircraft.registration.edges import VisiblePyramid, grey_8bit
from vircraft.registration.gate import (
    LOG_ERROR,
    LOGIT,
    Evidence,
    Search,
    measure,
    predicted_error_px,
    predicted_spread,
    probability,
    region_share,
)
from vircraft.registration.refine import Refinement, Template, prior_information, refine

TRUTH = pose(0.5)
RANGES = {
    "score": (-1, 1),
    "peak_z": (-5, 60),
    "halves_log_px": (0, 4.7),
    "agreeing_share": (0, 1),
    "margin": (-40, 60),
    "spread_log_px": (-7, 12),
}
ANY = st.builds(Evidence, **{f.name: st.floats(*RANGES.get(f.name, (0, 6))) for f in fields(Evidence)})


def _measured(seed: int, scene_seed: int | None = None) -> Evidence:
    visible, infrared = pair(seed, TRUTH)
    if scene_seed is not None:
        visible = scene(scene_seed)
    template, pyramid = Template(grey_8bit(infrared), 160), VisiblePyramid(grey_8bit(visible))
    answer = refine(template, pyramid, TRUTH)
    return measure(template, pyramid, answer, anchor=TRUTH, search=Search(rival_z=3.0))


def test_there_is_a_coefficient_for_every_field() -> None:
    assert len(LOGIT) == len(LOG_ERROR) == 1 + len(fields(Evidence))


@given(ANY)
def test_a_probability_lies_between_nought_and_one(evidence: Evidence) -> None:
    assert 0 <= probability(evidence) <= 1


@given(ANY, st.floats(0.1, 20))
def test_an_answer_that_stands_out_more_is_believed_more(evidence: Evidence, more: float) -> None:
    clearer = replace(evidence, peak_z=evidence.peak_z + more, margin=evidence.margin + more)
    assert probability(clearer) >= probability(evidence)


@given(ANY, st.integers(16, 4000))
def test_the_predicted_error_is_finite_and_scales_with_the_infrared_width(
    evidence: Evidence, width: int
) -> None:
    error = predicted_error_px(evidence, width)
    assert 0 < error < np.inf
    assert predicted_error_px(evidence, 2 * width) == pytest.approx(2 * error)


def test_halves_that_disagree_predict_a_larger_error_and_less_belief() -> None:
    good = replace(_measured(1), score=0.4, peak_z=12.0, spread_log_px=1.0)
    doubtful = replace(good, halves_log_px=good.halves_log_px + 1)
    assert predicted_error_px(doubtful, 320) > predicted_error_px(good, 320)
    assert probability(doubtful) <= probability(good)


@pytest.mark.parametrize("seed", range(3))
def test_a_true_answer_is_believed_and_one_on_another_scene_is_not(seed: int) -> None:
    true, false = _measured(seed), _measured(seed, scene_seed=seed + 70)
    assert probability(true) > 0.9
    assert predicted_error_px(true, 320) < 4
    assert probability(false) < 0.3
    assert true.margin == pytest.approx(true.peak_z - 3.0)
    assert true.halves_log_px < false.halves_log_px
    assert 0 <= false.agreeing_share < true.agreeing_share <= 1


def test_evidence_on_pictures_without_edges_is_finite_and_not_believed() -> None:
    flat = np.full((120, 160), 60, np.float32)
    template, pyramid = Template(flat, 160), VisiblePyramid(flat)
    answer = Refinement(np.eye(3), 0.0, np.zeros((8, 8)))
    evidence = measure(template, pyramid, answer, anchor=np.eye(3), search=Search())
    assert np.isfinite(evidence.vector()).all()
    assert probability(evidence) < 0.5


def test_the_spread_of_a_known_translation_is_its_standard_deviation() -> None:
    # all but the translations are certain; each of these has a standard deviation of 0.02 half widths
    information = np.diag([1 / 0.02**2] * 2 + [1e12] * 6) - np.diag(np.diag(prior_information()))
    assert predicted_spread(information, (160, 120)) == pytest.approx(np.sqrt(2) * 0.02 * 80, rel=1e-3)


def test_more_information_means_less_spread() -> None:
    information = np.diag(np.linspace(10, 100, 8))
    assert predicted_spread(4 * information, (160, 128)) < predicted_spread(information, (160, 128))


def test_the_error_over_one_small_structure_is_a_fraction_of_that_at_the_corners() -> None:
    visible = np.full((480, 640, 3), 100, np.uint8)
    visible[205:260, 290:350] = scene(1, (60, 55))
    for picture, low, high in ((visible, 0.05, 0.5), (scene(1), 0.4, 1.0)):
        infrared = infrared_of(picture, TRUTH, noise=2)
        template, pyramid = Template(grey_8bit(infrared), 160), VisiblePyramid(grey_8bit(picture))
        share = region_share(template, pyramid, refine(template, pyramid, TRUTH))
        assert low <= share <= high
