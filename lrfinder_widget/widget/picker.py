"""The picked learning rate: from the hand, the number box, a cell or code, into the variable."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .number import format_lr, positive, round_lr
from .variable import Variable, notebook_shell
from .view import View


class Picker:
    """Takes picks from wherever they come, writes them to the variable and shows them.

    Parameters
    ----------
    view : View
        What is dragged, typed into and written to.
    variable : Variable
        Where picks go; numbers that a cell assigns to it are followed.
    changed : callable
        Called after each pick, on the thread that it came on.
    """

    def __init__(self, view: View, variable: Variable, changed: Callable[[], object]) -> None:
        self.lr: float | None = None
        self.problem: str | None = None
        """Why the last pick was not written, in a sentence."""
        self._view: View | None = view  # until it is closed
        self._lock = view.lock
        self._variable = variable
        self._changed = changed
        self._moved = False
        view.marker.on_commit(self.pick)
        shell = notebook_shell()
        self._events = shell.events if shell is not None and variable.writable else None
        if self._events is not None:
            self._events.register("post_run_cell", self.follow)
        self._show_variable()

    def pick(self, lr: Any) -> float:
        """Round `lr` to three significant digits, write it to the variable and show it.

        Raises
        ------
        ValueError
            If it is no positive, finite number.
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

    def read_number(self) -> None:
        """Pick what was typed into the number box.

        Raises
        ------
        ValueError
            If it is no positive, finite number.
        """
        if (view := self._view) is None:
            return
        typed = view.controls.number.value
        if typed == format_lr(view.marker.lr):
            return
        try:
            self.pick(float(typed))
        except ValueError:
            message = f"{typed!r} is no positive number; the marker stays where it is."
            raise ValueError(message) from None
        finally:
            view.show_number()

    def follow(self, *_: Any) -> None:
        """After each cell: if it assigned a number to the variable, the marker goes there."""
        with self._lock:
            if self._view is None:  # closed on another thread, meanwhile
                return
            value, marker = self._variable.changed(), self._view.marker
            if value is not None:
                self._settle(value)
            elif marker.kind == "pick" and self._variable.read() != marker.lr:
                marker.kind = "start"  # somebody else has the variable now
            self._show_variable()

    def begin(self) -> None:
        """Note where the marker stands as a run begins."""
        self.problem = None
        self._moved = False
        if self._view is not None:
            if self._view.marker.kind == "candidate":
                self._view.marker.kind = "start"  # what an earlier curve showed
            self._view.note_place()

    def offer(self, lr: float) -> None:
        """Put the marker on a candidate, unless somebody has moved it since the run began."""
        if not self._moved and self._view is not None:
            self._view.offer(lr)

    def close(self) -> None:
        """Follow the variable no longer, and forget the view; under its lock."""
        self._view = None
        if self._events is not None:
            with suppress(ValueError):  # somebody has cleared all callbacks
                self._events.unregister("post_run_cell", self.follow)
            self._events = None

    def _settle(self, lr: float) -> None:
        self.lr = lr
        self._moved = True
        if self._view is not None:
            self._view.place(lr, "pick")
        self._show_variable()

    def _show_variable(self) -> None:
        value = self._variable.read() if self._variable.writable else self.lr
        if self._view is not None:
            self._view.show_variable(value, picked=self.lr is not None)
