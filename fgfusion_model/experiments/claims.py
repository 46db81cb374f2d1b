"""What a table may claim, in words: a lead that is within the spread over seeds is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fgfusion_model.experiments.scores import MethodScores
from fgfusion_model.experiments.statistics import LEVEL, Comparison, compare


def claim(methods: Sequence[MethodScores], main: str, by_picture: str, resamples: int) -> str:
    """Return a sentence on the best method of a task and its lead over the second; "" below two methods.

    Args:
        methods: with their results.
        main: the score to rank by.
        by_picture: values by picture, for the test.
        resamples: of the test.
    """
    ranked = sorted((method for method in methods if method.values(main)), key=lambda m: -m.mean(main))
    if len(ranked) < 2:
        return ""
    best, second = ranked[:2]
    lead = 100 * (best.mean(main) - second.mean(main))
    start = f"{best.name} has the highest {main}, {lead:.2f} points above {second.name}"
    if lead == 0:
        return f"{best.name} and {second.name} share the highest {main}: no claim."
    if len(best.values(main).keys() & second.values(main).keys()) < 2:
        few = "one seed" if max(len(m.values(main)) for m in (best, second)) == 1 else "so few common seeds"
        return f"{start}; with {few} nothing is known of the spread: no claim."
    found = compare(best, ranked[1:], by_picture, main, resamples)
    of_second = next((comparison for comparison in found if comparison.second == second.name), None)
    return f"{start}; {_verdict(of_second) if of_second else 'no picture values to test: no claim'}."


def verdict(comparison: Comparison) -> str:
    """Return one or two words for a comparison."""
    if not comparison.holds:
        return "not told apart"
    return "better" if comparison.lead > 0 else "worse"


def shown_p(p: float) -> str:
    """Return a p as tables show it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(comparison: Comparison) -> str:
    spread = f"{100 * comparison.spread:.2f} points"
    if comparison.lead <= 0:
        return "over the seeds that both have it does not lead: no claim"
    if math.isnan(comparison.spread) or not comparison.beyond_spread:
        return f"that is within the spread over seeds ({spread}): no claim"
    p = shown_p(comparison.p_holm)
    p = f"p (Holm) {p}" if p.startswith("<") else f"p (Holm) = {p}"
    if comparison.holds:
        return f"that is beyond the spread over seeds ({spread}), and holds over the test clips ({p})"
    if comparison.lowest_p >= LEVEL:
        return (
            f"that is beyond the spread over seeds ({spread}), but {comparison.clips} test clips are too few "
            f"for any claim (p (Holm) cannot fall below {comparison.lowest_p:.3f})"
        )
    why = f"{p}, level {LEVEL}" if comparison.p_holm >= LEVEL else "the picture values say the contrary"
    return (
        f"that is beyond the spread over seeds ({spread}), but the test over clips does not tell the two "
        f"apart ({why}): no claim"
    )
