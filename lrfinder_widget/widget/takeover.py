"""Closing or stopping earlier finders that are in the way of a new one.

ipywidgets keeps every widget alive, so a cell that runs again would leave its earlier finder
behind, with its thread and its model.
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
    """The part of a finder that this module uses."""

    cell: Cell | None

    def parameters(self) -> list[Tensor]:
        """Return the tensors that its run changes and restores."""

    def stop(self) -> None:
        """Stop its run and wait for the restore."""

    def close(self) -> None:
        """Stop its run, wait for the restore, and close its widgets."""


starting = threading.Lock()
"""Held while a run starts, so that of two concurrent starts, the later sees the earlier's run."""

_open: weakref.WeakSet[Any] = weakref.WeakSet()


def current_cell() -> Cell | None:
    """Return the cell being executed, if the front end sends its id, as JupyterLab does."""
    try:
        parent = notebook_shell().get_parent()
        return Cell(parent["metadata"]["cellId"], parent["header"]["msg_id"])
    except (AttributeError, KeyError, TypeError):  # not a notebook, or no cell id
        return None


def take_over(finder: Finder) -> None:
    """Close the finders of earlier executions of the same cell, and register this one."""
    mine = finder.cell
    for other in list(_open):
        theirs = other.cell
        if mine and theirs and mine.cell == theirs.cell and mine.execution != theirs.execution:
            other.close()
    _open.add(finder)


def stop_others(finder: Finder) -> None:
    """Stop runs of other finders on the same parameters, and wait until those are restored."""
    mine = set(map(id, finder.parameters()))
    for other in list(_open):
        if other is not finder and not mine.isdisjoint(map(id, other.parameters())):
            other.stop()


def forget(finder: Finder) -> None:
    """Unregister a finder that has been closed."""
    _open.discard(finder)
