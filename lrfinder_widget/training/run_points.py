"""The points of runs as generators, and how blocking functions say what could not be put back."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from lrfinder_widget.curve.budget import Budget
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.measured import MeasuredPoint
from lrfinder_widget.curve.points import Item, RunPoints, unrestored_text
from lrfinder_widget.curve.stop_rules import Divergence, OwnRule
from lrfinder_widget.runs.source import About

Attempt: TypeAlias = Generator[Item, None, Reason | None]
"""The items of a run, which returns `None` if it ran out of memory and is to begin again."""


def note_on(error: Exception, unrestored: Sequence[str]) -> None:
    """Note on an error what could not be put back, if there is anything."""
    if unrestored:
        error.add_note(unrestored_text(unrestored))


def warn_of(unrestored: Sequence[str], *, stacklevel: int) -> None:
    """Warn of what could not be put back, if there is anything."""
    if unrestored:
        warnings.warn(unrestored_text(unrestored), RuntimeWarning, stacklevel=stacklevel + 1)


def without_first(count: int, items: Attempt) -> Attempt:
    """Yield all but the first `count` items, which have been yielded before."""
    try:
        for _ in range(count):
            next(items)
        return (yield from items)
    except StopIteration as end:
        reason: Reason | None = end.value
        return reason
    finally:
        items.close()


def end_rule(stop: Any, n: int) -> tuple[Callable[[float], bool], Reason]:
    """Return the test of each of `n` losses, and the reason of the run's end if it is true."""
    if stop is None:
        return lambda loss: False, "completed"
    if callable(stop):
        return OwnRule(stop, n), "stop-rule"
    return Divergence(), "diverged"


def with_more(point: tuple[float, float], diagnoser: Any, meter: Any) -> tuple[float, float]:
    """Return a point with what a `Diagnoser` and a `Meter`, if there is one, saw of its step."""
    step = None if diagnoser is None else diagnoser.take()
    metric = (None, None) if meter is None else (meter.take(), meter.name)
    return MeasuredPoint(*point, step, *metric)


class SweepPoints(RunPoints):
    """The points of a sweep; a baseline requested before the first point follows the last.

    `budget` is what the candidates of its curve are for, `about` what else is known.
    """

    def __init__(self, run: Any, budget: Budget) -> None:
        super().__init__(run.items(), run.unrestored)
        self.budget = budget
        device = None if run.task.device is None else str(run.task.device)
        self.about = About(summary=run.task.summary, device=device, budget=budget)
        self._run = weakref.ref(run)  # its items hold it until they end, and the model with it

    def ask_for_baseline(self) -> None:
        """Request a baseline: the caller knows what the single numbers after the points are.

        It also tells its user what could not be put back, so there is no warning.
        """
        if (run := self._run()) is not None:
            run.baseline.asked_for = True
            run.warns = 0
