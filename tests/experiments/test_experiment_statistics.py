"""Tests, corrections and claims against other programs and hand computation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fgfusion_model.downstream.results import TaskResult
from fgfusion_model.experiments.charts import axis, draw_chart
from fgfusion_model.experiments.claims import claim, verdict
from fgfusion_model.experiments.scores import MethodScores
from fgfusion_model.experiments.statistics import (
    clip_differences,
    compare,
    holm,
    sign_flip_p,
    spread,
)
from fgfusion_model.experiments.table_files import latex, table_csv
from fgfusion_model.experiments.tables import Entry, Row, Table, TableComparison, make_rows


def method(name: str, by_seed: dict[int, dict[str, float]], score: dict[int, float]) -> MethodScores:
    results = {
        seed: TaskResult("fake", "test", name, {"score": score[seed]}, {"value": values})
        for seed, values in by_seed.items()
    }
    return MethodScores(name, name, results, {}, {})


def constant(name: str, level: float, seeds: tuple[float, ...], clips: int = 8) -> MethodScores:
    """Return a method whose pictures all have a level, and whose score is the level plus a seed's own."""
    values = {f"clip{clip}_000000": level for clip in range(clips)}
    return method(name, dict.fromkeys(range(len(seeds)), values), {i: level + s for i, s in enumerate(seeds)})


def test_a_clip_counts_once_however_many_pictures_it_has() -> None:
    first = {"a_000000": 0.9, "a_000010": 0.7, "b_000000": 0.5, "only": 1.0}
    second = {"a_000000": 0.5, "a_000010": 0.7, "b_000000": 0.6}
    assert clip_differences(first, second) == pytest.approx({"a": 0.2, "b": -0.1})


def test_the_test_counts_all_sign_patterns() -> None:
    values = [0.3, -0.1, 0.2, 0.05, 0.4]
    means = [np.mean(np.multiply(values, signs)) for signs in itertools.product((1, -1), repeat=5)]
    as_far = np.mean([abs(m) >= abs(np.mean(values)) - 1e-12 for m in means])
    assert sign_flip_p(values, 9999) == pytest.approx(as_far)


def test_with_many_clips_the_test_agrees_with_the_t_test() -> None:
    values = np.random.default_rng(3).normal(0.3, 1, 60)
    assert sign_flip_p(values.tolist(), 9999) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


def test_no_difference_and_one_clip_are_no_evidence() -> None:
    assert sign_flip_p([0.0, 0.0, 0.0], 999) == 1
    assert sign_flip_p([0.4], 999) == 1


def test_holm_is_the_step_down_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_comparison_averages_seeds_then_clips() -> None:
    pictures = {"a_000000": 0.2, "a_000010": 0.4, "b_000000": 0.6}
    first = method("A", {0: pictures, 1: {k: v + 0.2 for k, v in pictures.items()}}, {0: 0.5, 1: 0.7})
    low = dict.fromkeys(pictures, 0.1)
    second = method("B", {0: low, 1: low}, {0: 0.4, 1: 0.4})
    [found] = compare(first, [second], "value", "score", 999)
    assert found.difference == pytest.approx(((0.3 - 0.0) + (0.7 - 0.1)) / 2)
    assert (found.clips, found.pictures) == (2, 3)
    assert found.lead == pytest.approx(0.6 - 0.4)
    assert found.spread == pytest.approx(np.std([0.5, 0.7], ddof=1))


def test_methods_are_compared_on_the_seeds_that_both_have() -> None:
    first = constant("A", 0.6, (0.0, 0.001, 0.2))
    two, other = constant("B", 0.5, (0.0, 0.001)), method("C", {7: {"clip0_000000": 0.1}}, {7: 0.1})
    [found] = compare(first, [two, other], "value", "score", 999)
    assert (found.second, found.lead) == ("B", pytest.approx(0.1))
    assert found.spread == pytest.approx(spread([0.0, 0.001]))
    assert "so few common seeds nothing is known of the spread" in claim(
        [first, other], "score", "value", 999
    )


def test_a_lead_within_the_spread_over_seeds_is_no_claim() -> None:
    noisy = constant("A", 0.52, (-0.05, 0.0, 0.05))
    steady = constant("B", 0.50, (-0.05, 0.0, 0.05))
    [found] = compare(noisy, [steady], "value", "score", 999)
    assert found.p < 0.05
    assert verdict(found) == "not told apart"
    assert "within the spread over seeds (5.00 points): no claim" in claim(
        [noisy, steady], "score", "value", 999
    )


def test_a_lead_that_few_clips_carry_is_no_claim() -> None:
    few = [constant(name, level, (0.0, 0.001), clips=3) for name, level in (("A", 0.6), ("B", 0.5))]
    assert "3 test clips are too few for any claim (p (Holm) cannot fall below 0.250)" in claim(
        few, "score", "value", 999
    )


def test_the_lowest_p_that_clips_allow_counts_all_comparisons() -> None:
    levels = zip("ABCDE", (0.9, 0.5, 0.4, 0.3, 0.2), strict=True)
    methods = [constant(name, level, (0.0, 0.001), clips=7) for name, level in levels]
    text = claim(methods, "score", "value", 9999)
    assert f"7 test clips are too few for any claim (p (Holm) cannot fall below {4 * 2 / 2**7:.3f}" in text


def test_a_lead_beyond_the_spread_that_holds_over_clips_is_one() -> None:
    methods = [constant(name, level, (0.0, 0.001)) for name, level in (("A", 0.6), ("B", 0.5))]
    text = claim(methods, "score", "value", 999)
    assert "A has the highest score, 10.00 points above B; that is beyond the spread" in text
    assert "no claim" not in text
    assert [verdict(c) for c in compare(methods[1], methods[:1], "value", "score", 999)] == ["worse"]


def test_one_seed_is_no_claim() -> None:
    methods = [constant(name, level, (0.0,)) for name, level in (("A", 0.6), ("B", 0.5))]
    assert "with one seed nothing is known of the spread: no claim" in claim(methods, "score", "value", 999)
    assert math.isnan(spread([0.5]))


def test_the_axis_of_a_chart_holds_every_value_between_round_numbers() -> None:
    assert axis([Entry((0.0,)), Entry((1e6,))])[1] >= 1e8, "however far they are apart"
    entries = [Entry((0.612, 0.634), 1), Entry((0.587,), 2, published=0.6618), Entry(())]
    low, high, step = axis(entries)
    assert low <= 58.7
    assert high >= 66.18
    assert step in (1, 2, 5)
    assert (low / step, high / step) == (round(low / step), round(high / step))


def test_a_comparison_stands_beside_its_own_column_whatever_the_scores_are_called() -> None:
    first, second = constant("A", 0.6, (0.0, 0.001)), constant("B", 0.5, (0.0, 0.001))
    [found] = compare(first, [second], "value", "score", 999)
    rows = (Row("B", (Entry((0.5,)), Entry((0.4,)))),)
    table = Table(
        "t", 5, "T", ("points mean OKS", "maps IoU car"), rows, -1, (TableComparison("maps IoU", 1, found),)
    )
    lines = [line.split(",") for line in table_csv(table).splitlines()[1:]]
    assert [(line[2], line[9]) for line in lines] == [("points mean OKS", ""), ("maps IoU car", "A")]


def test_a_chart_has_a_line_for_every_method() -> None:
    rows = tuple(Row(f"method {k}", (Entry((0.5 + k / 10, 0.52 + k / 10), 3 - k),)) for k in range(3))
    charts = [draw_chart(Table("t", 2, "Title", ("score",), some, 0)) for some in (rows[:2], rows)]
    assert charts[1].shape[0] - charts[0].shape[0] == 34
    assert charts[0].dtype == np.uint8


def test_where_all_are_equal_none_is_marked_as_the_best() -> None:
    column = [Entry((0.5, 0.5)), Entry(()), Entry((0.5,))]
    assert [row.entries[0].place for row in make_rows("abc", [column], ["", "", ""])] == [0, 0, 0]


def test_a_message_of_several_lines_stays_in_its_latex_comment() -> None:
    rows = (Row("A", (Entry((0.5,)),), ("seed 1: failed: first\nsecond",)),)
    text = latex(Table("t", 2, "T", ("score",), rows, 0, notes=("a\nb",)))
    before = text[: text.index(r"\begin{table}")].splitlines()
    assert before == ["% a b", "% Missing: A, seed 1: failed: first second."]


def test_a_bar_of_a_chart_does_not_go_below_none_or_beyond_all() -> None:
    low, high, _ = axis([Entry((0.0, 0.02)), Entry((0.98, 1.0))])
    assert (low, high) == (0, 100)
