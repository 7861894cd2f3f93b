"""Closing or stopping earlier finders that are in the way of a new one.

ipywidgets keeps every widget alive, so a cell that runs again would leave its earlier finder
behind, with its thread and its model.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from .hosts import in_marimo
from .variable import notebook_shell


class Cell(NamedTuple):
    """One execution of one notebook cell."""

    cell: str
    execution: str

    def has_run_again(self, latest: Any) -> bool:
        """Return whether `latest` is a later execution of the same cell."""
        same = isinstance(latest, Cell) and latest.cell == self.cell
        return same and latest.execution != self.execution


class MarimoCell:
    """One execution of one cell of a marimo notebook, by whatever it was run again."""

    def __init__(self) -> None:
        import marimo

        # Never started. marimo tells the threads of a cell when that has run again or is gone.
        self._thread = marimo.Thread(target=lambda: None)

    def has_run_again(self, _latest: Any) -> bool:
        """Return whether the cell has run again since, or is gone."""
        return bool(self._thread.should_exit)


class Finder(Protocol):
    """The part of a finder that this module uses."""

    cell: Cell | MarimoCell | None

    def parameters(self) -> list[Tensor]:
        """Return the tensors that its run changes and restores."""

    def stop(self) -> None:
        """Stop its run and wait for the restore."""

    def close(self) -> None:
        """Stop its run, wait for the restore, and close its widgets."""


starting = threading.Lock()
"""Held while a run starts, so that of two concurrent starts, the later sees the earlier's run."""

_open: weakref.WeakSet[Any] = weakref.WeakSet()


def current_cell() -> Cell | MarimoCell | None:
    """Return the cell being executed, if the front end sends its id, as JupyterLab does."""
    if in_marimo():
        return MarimoCell()
    try:
        parent = notebook_shell().get_parent()
        return Cell(parent["metadata"]["cellId"], parent["header"]["msg_id"])
    except (AttributeError, KeyError, TypeError):  # not a notebook, or no cell id
        return None


def take_over(finder: Finder) -> None:
    """Close the finders of earlier executions of the same cell, and register this one."""
    for other in list(_open):
        if other.cell is not None and other.cell.has_run_again(finder.cell):
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
