from __future__ import annotations

import numpy as np
import pytest

from binocular import INFRARED_WH, infrared_of, pair, pose, scene
from vircraft.registration import corner_error_px, register_pair, register_rig

TRUTH = pose(0.5, rotation_deg=-1.0, shift_px=(4, 7), perspective=(-0.004, 0.002))


def test_pairs_of_one_rig_get_one_homography_nearer_than_single_ones() -> None:
    pairs = []
    for seed in range(5):
        visible = scene(seed)
        pairs.append((visible, infrared_of(visible, TRUTH, seed=seed, noise=15)))
    answers = register_rig(pairs)
    assert [a.status for a in answers] == ["fine"] * 5
    h = answers[0].h_ir_from_vis
    assert h is not None
    alone = [register_pair(*p) for p in pairs]
    singles = [
        corner_error_px(TRUTH, a.h_ir_from_vis, INFRARED_WH) for a in alone if a.h_ir_from_vis is not None
    ]
    assert corner_error_px(TRUTH, h, INFRARED_WH) < max(0.2, float(np.median(singles)))
    for answer in answers:
        np.testing.assert_array_equal(answer.h_ir_from_vis, h)  # type: ignore[arg-type]
        assert answer.predicted_error_px == answers[0].predicted_error_px
    assert answers[0].predicted_error_px is not None
    median = np.median([a.predicted_error_px for a in alone if a.predicted_error_px is not None])
    assert answers[0].predicted_error_px < median


@pytest.mark.parametrize("sure", [1, 3])
def test_bad_frames_are_carried_and_say_so(sure: int) -> None:
    pairs = [pair(seed, TRUTH) for seed in range(sure)]
    empty = np.full(INFRARED_WH[::-1], 90, np.uint8)
    smoke = np.random.default_rng(0).integers(100, 140, INFRARED_WH[::-1]).astype(np.uint8)
    answers = register_rig([*pairs, (scene(8), empty), (scene(9), smoke)])
    assert [a.status for a in answers] == ["fine"] * (sure + 2)
    assert [a.reason for a in answers] == [""] * sure + ["carried"] * 2
    for answer in answers:
        assert answer.h_ir_from_vis is not None
        assert corner_error_px(TRUTH, answer.h_ir_from_vis, INFRARED_WH) < 1.0


def test_a_rig_without_one_good_pair_is_refused_pair_by_pair() -> None:
    _, infrared = pair(1, TRUTH)
    empty = np.zeros(INFRARED_WH[::-1], np.uint8)
    answers = register_rig([(scene(50), infrared), (scene(51), empty)])
    assert [(a.status, a.reason) for a in answers] == [
        ("refused", "low-score"),
        ("refused", "infrared-constant"),
    ]


def test_different_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match="one size"):
        register_rig([pair(1, TRUTH), (scene(1, (320, 240)), pair(1, TRUTH)[1])])


def test_no_pairs_give_no_answers_and_one_pair_is_registered_alone() -> None:
    assert register_rig([]) == []
    one = pair(1, TRUTH)
    [answer] = register_rig([one])
    np.testing.assert_array_equal(answer.h_ir_from_vis, register_pair(*one).h_ir_from_vis)  # type: ignore[arg-type]
