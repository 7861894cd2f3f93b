"""Which earlier finder has to make room for a new one.

ipywidgets keeps every widget alive, so a cell that runs again leaves its earlier finder behind,
with its thread and its model, unless somebody closes it.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple, Protocol

from .namespace import notebook_shell


class Cell(NamedTuple):
    """One execution of one notebook cell."""

    cell: str
    execution: str


class Closable(Protocol):
    """What this module needs of a finder."""

    cell: Cell | None

    def close(self) -> None:
        """End its run, wait for the restore, let go of its widgets."""


_open: weakref.WeakSet[Any] = weakref.WeakSet()


def current_cell() -> Cell | None:
    """Return the cell being executed, where the front end names it, as JupyterLab does."""
    try:
        parent = notebook_shell().get_parent()
        return Cell(parent["metadata"]["cellId"], parent["header"]["msg_id"])
    except (AttributeError, KeyError, TypeError):  # no notebook, or one that does not tell
        return None


def take_over(finder: Closable) -> None:
    """Close the finders that an earlier execution of the same cell made; remember this one."""
    mine = finder.cell
    for other in list(_open):
        theirs = other.cell
        if mine and theirs and mine.cell == theirs.cell and mine.execution != theirs.execution:
            other.close()
    _open.add(finder)


def open_finders() -> list[Any]:
    """Return the finders that are open."""
    return list(_open)


def forget(finder: Closable) -> None:
    """Forget a finder that has been closed."""
    _open.discard(finder)
