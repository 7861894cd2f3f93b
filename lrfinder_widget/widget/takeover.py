"""Which earlier finder has to make room for a new one.

ipywidgets keeps every widget alive, so a cell that runs again leaves its earlier finder behind,
with its thread and its model, unless somebody closes it.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from .variable import notebook_shell


class Cell(NamedTuple):
    """One execution of one notebook cell."""

    cell: str
    execution: str


class Finder(Protocol):
    """What this module needs of a finder."""

    cell: Cell | None

    def parameters(self) -> list[Tensor]:
        """Return what its run changes and puts back."""

    def stop(self) -> None:
        """End its run and wait for the restore."""

    def close(self) -> None:
        """End its run, wait for the restore, let go of its widgets."""


starting = threading.Lock()
"""Held while a run begins: of two finders that start at once, one sees the other's run."""

_open: weakref.WeakSet[Any] = weakref.WeakSet()


def current_cell() -> Cell | None:
    """Return the cell being executed, where the front end names it, as JupyterLab does."""
    try:
        parent = notebook_shell().get_parent()
        return Cell(parent["metadata"]["cellId"], parent["header"]["msg_id"])
    except (AttributeError, KeyError, TypeError):  # no notebook, or one that does not tell
        return None


def take_over(finder: Finder) -> None:
    """Close the finders that an earlier execution of the same cell made; remember this one."""
    mine = finder.cell
    for other in list(_open):
        theirs = other.cell
        if mine and theirs and mine.cell == theirs.cell and mine.execution != theirs.execution:
            other.close()
    _open.add(finder)


def stop_others(finder: Finder) -> None:
    """Stop the runs of other finders on the same model, and wait until they have restored it."""
    mine = set(map(id, finder.parameters()))
    for other in list(_open):
        if other is not finder and not mine.isdisjoint(map(id, other.parameters())):
            other.stop()


def forget(finder: Finder) -> None:
    """Forget a finder that has been closed."""
    _open.discard(finder)
