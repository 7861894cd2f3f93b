"""What surrounds a run in a notebook: the cell that it belongs to."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lrfinder_widget.runs.source import ThreadState

from .takeover import current_cell
from .variable import notebook_shell

Item = TypeVar("Item")
End = TypeVar("End")


class Surroundings:
    """The cell that made a finder; runs that a click starts are treated as started there.

    Parameters
    ----------
    thread_state : ThreadState
        What a click there is to have in its thread: torch's state in that cell.

    Attributes
    ----------
    cell : Cell, MarimoCell or None
        The cell, where it can be told from its next execution.
    """

    def __init__(self, thread_state: ThreadState) -> None:
        self.cell = current_cell()
        self._request = _running_cell()
        self._thread_state = thread_state

    @property
    def gone(self) -> bool:
        """Whether the cell is known to be gone, or to have run again: marimo tells at once."""
        return self.cell is not None and self.cell.has_run_again(None)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Give the calling thread the state of that cell, for a click; it may be any thread."""
        with self._thread_state.applied():
            yield

    def around(self, items: Generator[Item, None, End]) -> Generator[Item, None, End]:
        """Return the items of a run that is about to start, surrounded in the run's own thread.

        What its steps print goes under the cell that is running now or, after a click, under the
        cell that made the finder. Otherwise it would go under whichever cell ran last.
        """
        return _surrounded(items, _running_cell() or self._request)


def _surrounded(
    items: Generator[Item, None, End], cell: dict[str, Any] | None
) -> Generator[Item, None, End]:
    if cell is not None:
        _print_under(cell)
    return (yield from items)


def _running_cell() -> dict[str, Any] | None:
    """Return the request to run the cell that is running; `None` in a click, or if it is no use.

    A front end has the kernel ask for input, and shows what a cell prints when it is over. Programs
    that execute notebooks do neither; what comes late must go under the cell that runs by then.
    """
    try:
        parent = notebook_shell().get_parent()
        running = parent["header"]["msg_type"] == "execute_request"
        return parent if running and parent["content"]["allow_stdin"] else None
    except (AttributeError, KeyError, TypeError):  # not a notebook
        return None


def _print_under(cell: dict[str, Any]) -> None:
    """Send what this thread prints and displays to a cell; messages of widgets go as before."""
    shell = notebook_shell()
    if hasattr(shell, "set_thread_parent"):  # ipykernel 6 does it by itself, 7.0 to 7.3 cannot
        shell.set_thread_parent(cell)  # for good: the thread ends with the run
