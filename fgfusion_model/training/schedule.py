"""The learning rate as a function of the step, so that a resumed run needs no state for it."""

from __future__ import annotations

import math

from fgfusion_model.training.settings import ScheduleSettings


def rate_share(step: int, steps: int, settings: ScheduleSettings) -> float:
    """Return the share of the highest learning rate at a step.

    It rises over `warmup` of all steps in a straight line, stays for `hold`, then falls to `final`.

    Args:
        step: from 0.
        steps: how many there are.
        settings: how it goes.
    """
    warm = round(settings.warmup * steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    fall = warm + round(settings.hold * steps)
    done = min(1.0, max(0, step - fall) / max(1, steps - fall))
    if settings.decay == "constant":
        return 1.0
    left = float((1 - done) ** settings.power)
    if settings.decay == "cosine":
        left = (1 + math.cos(math.pi * done)) / 2
    return settings.final + (1 - settings.final) * left
