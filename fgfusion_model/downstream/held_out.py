"""The labels to train on and those to look at now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from fgfusion_model.training.events import OnEvent, Remark

DEFAULT_VAL = "val"  # that is looked at where nobody named another one


class Labels(Protocol):
    """Labels of a split."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what a user should know."""


L = TypeVar("L", bound=Labels)


def find_train_and_val(
    find: Callable[[str], L], has: Callable[[str], bool], split: str, val: str | None, on_event: OnEvent
) -> tuple[L, L | None]:
    """Return the labels of two splits; a missing one is an error, except `val` where nobody named it (MSRS).

    Args:
        find: takes the name of a split.
        has: says whether there is such a split; nothing is read.
        split: to train on.
        val: to look at; '' for none; None: `val`, where there is one.
        on_event: is told the labels' remarks, each once.

    Raises:
        DatasetError: as `find`.
    """
    labels = find(split)
    held_out = _find_val(find, has, val, on_event)
    for remark in dict.fromkeys((*labels.remarks, *(held_out.remarks if held_out else ()))):
        on_event(Remark(remark))
    return labels, held_out


def _find_val(
    find: Callable[[str], L], has: Callable[[str], bool], val: str | None, on_event: OnEvent
) -> L | None:
    if val is None and not has(DEFAULT_VAL):
        on_event(Remark("the dataset has no split 'val': the network is not looked at while it trains"))
        return None
    name = DEFAULT_VAL if val is None else val
    return find(name) if name else None
