"""The labels to train on and those to look at now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from fgfusion_model.training.events import OnEvent, Remark
from vircraft.errors import DatasetError

DEFAULT_VAL = "val"


class Labels(Protocol):
    """Labels of a split."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return what a user should know."""


L = TypeVar("L", bound=Labels)


def find_train_and_val(
    find: Callable[[str], L], split: str, val: str, on_event: OnEvent
) -> tuple[L, L | None]:
    """Return the labels of two splits; a missing `val` is none, as in MSRS, any other one an error.

    Args:
        find: takes the name of a split.
        split: to train on.
        val: to look at; '' for none.
        on_event: is told the labels' remarks, each once.

    Raises:
        DatasetError: as `find`.
    """
    labels = find(split)
    held_out = _find_val(find, val, on_event)
    for remark in dict.fromkeys((*labels.remarks, *(held_out.remarks if held_out else ()))):
        on_event(Remark(remark))
    return labels, held_out


def _find_val(find: Callable[[str], L], val: str, on_event: OnEvent) -> L | None:
    try:
        return find(val) if val else None
    except DatasetError:
        if val != DEFAULT_VAL:
            raise
    on_event(Remark("the dataset has no split 'val': the network is not looked at while it trains"))
    return None
