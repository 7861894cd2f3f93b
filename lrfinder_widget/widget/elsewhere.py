"""Finders of runs that are not in this process."""

from __future__ import annotations

from typing import Any, Self

from lrfinder_widget.curve.budget import Budget, Schedule
from lrfinder_widget.curve.plan import SweepPlan
from lrfinder_widget.remote.watched import Watched, WatchedSource
from lrfinder_widget.runs.source import RunSource

from .variable import Namespace, Variable


class Elsewhere:
    """The class methods of `LRFinder` that make one without a model."""

    @classmethod
    def _of(cls, source: RunSource, plan: SweepPlan, planned: Budget, target: Variable) -> Any:
        raise NotImplementedError

    @classmethod
    def watch(
        cls,
        points: Watched,
        *,
        train_steps: int | None = None,
        schedule: Schedule = "constant",
        variable: str | None = "lr",
        namespace: Namespace | None = None,
    ) -> Self:
        """Return a finder that shows points from elsewhere, as they come; `start()` begins.

        Nothing is trained here. The candidate, the marker, Save and all that is done with a curve
        are as ever; there is nothing to set up and nothing to try.

        Parameters
        ----------
        points : iterable of (float, float), or callable
            Learning rates, each larger than the one before, and losses: what `follow` returns, or
            anything else that yields pairs. If it takes long to yield one, it may yield None now
            and then, so that Stop does not wait. A function is called at each start, and returns
            such an iterable.
        train_steps, schedule, variable, namespace
            As for `LRFinder`.

        Raises
        ------
        TypeError, ValueError
            For invalid arguments.

        Examples
        --------
        >>> LRFinder.watch(follow("/scratch/run7")).start()  # doctest: +SKIP
        """
        source = WatchedSource(points)
        planned = Budget(train_steps=train_steps, schedule=schedule)
        finder: Self = cls._of(source, SweepPlan(), planned, Variable(variable, namespace))
        return finder
