from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from binocular import infrared_of, pair, pose, scene
from vircraft.registration import Registration, RegistrationSettings, corner_error_px, register_clip
from vircraft.registration.clip import LAG
from vircraft.registration.warp import Matrix
from vircraft.sampling import FramePair

VISIBLE_WH, INFRARED_WH = (480, 360), (240, 180)
WORLD = scene(21, (1200, 700))


def _pose(number: float = 0.0, zoom: float = 0.0) -> Matrix:
    share = 0.6 / (1 + zoom * number)
    return pose(share, rotation_deg=0.8, shift_px=(3, -5), visible_wh=VISIBLE_WH, infrared_wh=INFRARED_WH)


def _frame(number: int, visible: np.ndarray, infrared: np.ndarray) -> FramePair:
    return FramePair(
        f"a_{number:06d}", "a", number, number, number, 0.04 * number, 0.04 * number, infrared, visible
    )


def _film(
    count: int, *, zoom: float = 0.0, smoke: Iterable[int] = (), empty: Iterable[int] = ()
) -> Iterator[FramePair]:
    """Pan over a world; in some frames the infrared camera sees smoke, or nothing."""
    for n in range(count):
        left, top = 300 + int(250 * np.sin(n / 5)), 150 + int(120 * np.cos(n / 4))
        visible = np.ascontiguousarray(WORLD[top : top + VISIBLE_WH[1], left : left + VISIBLE_WH[0]])
        infrared = infrared_of(visible, _pose(n, zoom), INFRARED_WH, seed=n)
        if n in smoke:
            infrared = np.random.default_rng(n).integers(100, 130, infrared.shape).astype(np.uint8)
        if n in empty:
            infrared = np.full_like(infrared, 60)
        yield _frame(n, visible, infrared)


def _error_px(answer: Registration, truth: Matrix) -> float:
    assert answer.h_ir_from_vis is not None, answer.reason
    return corner_error_px(truth, answer.h_ir_from_vis, INFRARED_WH)


def test_every_pair_comes_back_in_order_with_the_rig_s_pose() -> None:
    answers = list(register_clip(_film(12)))
    assert [p.tick for p, _ in answers] == list(range(12))
    for _, answer in answers:
        assert (answer.status, answer.reason) == ("fine", "")
        assert _error_px(answer, _pose()) < 0.5
        assert answer.predicted_error_px is not None
        assert answer.predicted_region_error_px is not None
        assert answer.predicted_region_error_px <= answer.predicted_error_px + 1e-9


def test_smoky_and_empty_frames_are_carried_and_say_so() -> None:
    smoke, empty = {0, 5, 6, 13}, {7, 9}
    answers = [a for _, a in register_clip(_film(14, smoke=smoke, empty=empty))]
    carried = {n for n, a in enumerate(answers) if a.reason == "carried"}
    assert empty <= carried <= smoke | empty
    assert len(carried & smoke) >= 3  # near a pose that is known, noise may seem to support it once
    for answer in answers:
        assert answer.status == "fine"
        assert _error_px(answer, _pose()) < 0.7


def test_a_lens_that_zooms_is_followed() -> None:
    zoom = 0.004
    answers = [a for _, a in register_clip(_film(30, zoom=zoom))]
    errors = [_error_px(a, _pose(n, zoom)) for n, a in enumerate(answers)]
    assert np.median(errors) < 0.6
    assert max(errors) < 1.5


def test_a_clip_whose_infrared_camera_films_another_scene_is_refused() -> None:
    others = [scene(300 + n, VISIBLE_WH) for n in range(9)]
    pairs = (_frame(n, other, p.infrared) for n, (other, p) in enumerate(zip(others, _film(9), strict=True)))
    answers = [a for _, a in register_clip(pairs)]
    assert {a.status for a in answers} == {"refused"}
    assert {a.reason for a in answers} <= {"no-evidence", "low-score"}


def test_a_clip_of_empty_frames_is_refused_with_the_frames_own_reason() -> None:
    answers = [a for _, a in register_clip(_film(5, empty=range(5)))]
    assert {(a.status, a.reason) for a in answers} == {("refused", "infrared-constant")}


def test_no_pairs_give_no_answers_and_one_pair_gives_one() -> None:
    assert list(register_clip(iter(()))) == []
    [(_, only)] = register_clip(_film(1))
    assert _error_px(only, _pose()) < 0.7


def test_two_runs_give_the_same_bits() -> None:
    one, other = (list(register_clip(_film(9, smoke={4}))) for _ in range(2))
    for (_, a), (_, b) in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.h_ir_from_vis, b.h_ir_from_vis)  # type: ignore[arg-type]
        assert (a.predicted_error_px, a.probability, a.reason) == (
            b.predicted_error_px,
            b.probability,
            b.reason,
        )


@pytest.mark.parametrize("limit", [None, 8])
def test_no_more_pairs_are_held_than_the_limits_allow(
    limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next(_film(1))
    if limit is not None:
        room = limit * (first.visible.nbytes + first.infrared.nbytes)
        monkeypatch.setattr("vircraft.registration.clip.LAG_BYTES", room)
    # frames without evidence: what is held does not depend on what is measured
    taken = 0

    def counted() -> Iterator[FramePair]:
        nonlocal taken
        for n in range(LAG + 20):
            taken += 1
            yield _frame(n, first.visible, np.zeros_like(first.infrared))

    most = 0
    for given, _ in enumerate(register_clip(counted())):
        most = max(most, taken - given)
    assert most == (limit or LAG) + 1


def test_the_paper_s_recipe_answers_pair_by_pair() -> None:
    answers = [a for _, a in register_clip(_film(3), RegistrationSettings(recipe="paper"))]
    assert len(answers) == 3
    assert all(a.reason != "carried" for a in answers)


def test_sixteen_bit_infrared_is_followed() -> None:
    def deep() -> Iterator[FramePair]:
        for p in _film(5):
            yield _frame(p.tick, p.visible, p.infrared.astype(np.uint16) * 9 + 20000)

    for _, answer in register_clip(deep()):
        assert _error_px(answer, _pose()) < 0.7


def test_frames_before_the_first_good_one_are_carried_back_to() -> None:
    elsewhere = [pair(400 + n, pose(0.5))[1][:180, :240] for n in range(4)]
    film = list(_film(10))
    pairs = [_frame(n, p.visible, elsewhere[n] if n < 4 else p.infrared) for n, p in enumerate(film)]
    answers = [a for _, a in register_clip(pairs)]
    for answer in answers:
        assert answer.status == "fine"
        assert _error_px(answer, _pose()) < 0.7
    assert [a.reason for a in answers[:4]].count("carried") >= 3
