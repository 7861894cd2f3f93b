"""The picked learning rate: from the marker, the number box, a cell or code, to the variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .number import format_lr, positive, round_lr
from .variable import Variable
from .view import View


class Picker:
    """Takes picks from every source, writes them to the variable and shows them.

    Parameters
    ----------
    view : View
        The view with the marker.
    variable : Variable
        Picks are written to it; the marker follows numbers that a cell assigns to it.
    changed : callable
        Called after each pick, on the same thread.
    show : callable
        Shows the pick and the variable; called under the view's lock.
    """

    def __init__(
        self,
        view: View,
        variable: Variable,
        changed: Callable[[], object],
        show: Callable[[], object],
    ) -> None:
        self.lr: float | None = None
        self.problem: str | None = None
        """A sentence on why the last pick was not written, or what a click ran into."""
        self._view: View | None = view  # until it is closed
        self._lock = view.lock
        self._variable = variable
        self._changed = changed
        self._show = show
        self._moved = False

    @property
    def value(self) -> float | None:
        """The value of the variable; without one, the pick."""
        return self._variable.read() if self._variable.writable else self.lr

    def pick(self, lr: Any) -> float:
        """Round `lr` to three significant digits, write it to the variable and show it.

        Raises
        ------
        ValueError
            If it is not a positive, finite number.
        """
        number = positive(lr)
        picked = None if number is None else positive(round_lr(number))
        if picked is None:
            raise ValueError(f"lr must be a positive, finite number; got {lr!r}.")
        with self._lock:
            self.problem = self._variable.write(picked)
            self._settle(picked)
        self._changed()
        return picked

    def read_number(self, typed: str) -> None:
        """Pick a number that was typed.

        Raises
        ------
        ValueError
            If it is not a positive, finite number.
        """
        if (view := self._view) is None or typed == format_lr(view.page.position):
            return
        try:
            self.pick(float(typed))
        except ValueError:
            message = f"{typed!r} is not a positive number; the marker has not moved."
            raise ValueError(message) from None

    def follow(self) -> None:
        """Move the marker if the cell that has just run assigned a number to the variable."""
        with self._lock:
            if self._view is None:  # closed in the meantime, on another thread
                return
            value, page = self._variable.changed(), self._view.page
            if value is not None:
                self._settle(value)
            elif page.kind == "pick" and self._variable.read() != page.position:
                page.kind = "start"  # the variable holds something else now
            self._show()

    def begin(self) -> None:
        """Prepare for a new run: remember where the marker is, and clear the last problem."""
        self.problem = None
        self._moved = False
        self._withdraw()  # a candidate of the previous curve
        if self._view is not None:
            self._view.note_place()

    def offer(self, lr: float | None) -> None:
        """Move the marker to a candidate, unless the user has moved it since the run began.

        With None, there is none: a marker that stands on one stays, but is no candidate any more.
        """
        if self._view is None:
            return
        if lr is None:
            self._withdraw()
        elif not self._moved:
            self._view.offer(lr)

    def _withdraw(self) -> None:
        if self._view is not None and self._view.page.kind == "candidate":
            self._view.page.kind = "start"

    def close(self) -> None:
        """Release the view; under its lock."""
        self._view = None

    def _settle(self, lr: float) -> None:
        self.lr = lr
        self._moved = True
        if self._view is not None:
            self._view.place(lr, "pick")
            self._show()
