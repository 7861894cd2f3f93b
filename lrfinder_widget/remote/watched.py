"""What a finder shows of a run that somebody else started: the points, as they come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.curve.points import Item, RunPoints
from lrfinder_widget.runs.source import About, NoThreadState

from .checked import about, check_points, checked
from .follow import Followed

Watched = Iterable[tuple[float, float]] | Callable[[], Iterable[tuple[float, float]]]

_NO_TRIALS = "The points come from elsewhere, so nothing can be tried from here."
_CANNOT = {
    "settings": "The points come from elsewhere: the run there has its own settings.",
    "try": _NO_TRIALS,
    "trial_settings": _NO_TRIALS,
    "vary": _NO_TRIALS,
    "vary_settings": _NO_TRIALS,
    "apply": "The optimizer is elsewhere; apply(optimizer) sets the pick on one that is here.",
}
_UNKNOWN = About(open_ended=True)
_ONCE = "The points have been taken, and there are no others; a function would be called again."
_NO_ORDERS = "The run cannot be told to pause: its folder cannot be written to from here."


class WatchedSource:
    """Points of an iterable, or of one that a function returns; a `RunSource`.

    Parameters
    ----------
    points : iterable, or callable
        See `LRFinder.watch`.

    Raises
    ------
    TypeError
        If it is neither.
    """

    optimizer = None

    def __init__(self, points: Watched) -> None:
        if isinstance(points, (str, os.PathLike)):
            raise TypeError(f"to watch the run in a folder, pass follow({points!r}).")
        self._make: Any = points if callable(points) and not hasattr(points, "__iter__") else None
        if self._make is None:
            check_points(points)
        self._points: Any = None if self._make else points
        self._once = isinstance(points, Iterator)
        self._begun = False
        self._ordered = "run"

    @property
    def about(self) -> About:
        """What the points tell of themselves."""
        return _UNKNOWN if self._points is None else about(self._points)

    @property
    def waiting(self) -> str:
        """What a start does, or what is waited for."""
        if not self._begun:
            return "Start shows the points as they come."
        waiting: str = getattr(self._points, "waiting", "")
        return waiting

    @property
    def cannot(self) -> Mapping[str, str]:
        """Why controls cannot be used."""
        why = dict(_CANNOT)
        if self._begun and self._once:
            why["start"] = _ONCE
        if isinstance(self._points, Followed) and not self._points.steerable:
            why["pause"] = _NO_ORDERS
        return why

    def parameters(self) -> list[Any]:
        """Return none: they are elsewhere."""
        return []

    def thread_state(self) -> NoThreadState:
        """Return nothing to apply: no step is taken here."""
        return NoThreadState()

    def ladder(self) -> None:
        """Return none: nothing can be tried."""

    def begin(self, plan: SweepPlan, opened: threading.Event) -> RunPoints:  # noqa: ARG002
        """Create a run; a function is called once its first point is requested.

        Raises
        ------
        RuntimeError
            If the points have been taken.
        """
        if self._begun and self._once:
            raise RuntimeError(_ONCE)
        self._begun, self._ordered = True, "run"
        if self._make is not None:
            self._points = None
        opened.set()
        unrestored: list[str] = []
        return RunPoints(self._items(unrestored), unrestored, self._steer)

    def _items(self, unrestored: list[str]) -> Generator[Item | None, None, Reason]:
        if self._make is not None:
            self._points = self._make()
            check_points(self._points)
        points = self._points
        items = points.items() if isinstance(points, Followed) else checked(points)
        try:
            return (yield from items)
        finally:
            unrestored += getattr(points, "unrestored", ())

    def _steer(self, order: str) -> None:
        # Each once: another finder that follows the run may have given one since. A stop
        # is the last.
        if isinstance(self._points, Followed) and self._ordered not in (order, "stop"):
            self._ordered = order
            with suppress(RuntimeError):  # then the page says why
                self._points.order(order)

    def begin_trials(self, lrs: Any, steps: int, **judged: Any) -> NoReturn:  # noqa: ARG002
        """Raise a RuntimeError: nothing can be tried."""
        raise RuntimeError(_NO_TRIALS)

    def begin_variation(self, settings: Any, *plan: Any, **makes: Any) -> NoReturn:  # noqa: ARG002
        """Raise a RuntimeError: nothing can be tried."""
        raise RuntimeError(_NO_TRIALS)

    def release(self) -> None:
        """Do nothing: what goes on elsewhere goes on."""
