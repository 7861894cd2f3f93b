"""A stream of points from any source, and the curves made from it. NumPy only."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias, cast

from .budget import Budget
from .diagnosis import Diagnosis, StepDiagnosis
from .loss_curve import LossCurve, Reason
from .measured import MeasuredPoint

Item: TypeAlias = tuple[float, float] | Reason | float
"""What a run yields: a point ``(lr, loss)``, maybe a `MeasuredPoint`; between two repeats, the
reason why the earlier one ended; and, after the points of a repeat, the losses of its baseline, one
by one."""

Points: TypeAlias = Generator[tuple[float, float], None, Reason]
Items: TypeAlias = Generator[Item, None, Reason]


NOT_RESTORED = "Not everything has been restored."


def unrestored_text(unrestored: Sequence[str]) -> str:
    """Say what could not be put back after a run, or that all is as it was."""
    if not unrestored:
        return "Everything has been restored."
    return " ".join([NOT_RESTORED, *unrestored])


class RunPoints(Generator[Any, None, Any]):
    """A generator of points that tells, once it has ended, what could not be put back.

    Where the run goes on by itself, `steer` is called with "run", "pause" or "stop".
    """

    def __init__(
        self,
        items: Generator[Any, None, Any],
        unrestored: list[str],
        steer: Callable[[str], object] | None = None,
    ) -> None:
        self._items = items
        self.unrestored = unrestored
        self.steer = steer

    def __iter__(self) -> Generator[Any, None, Any]:
        """Return the inner generator, so that a loop over it has no overhead."""
        return self._items

    def send(self, value: None) -> Any:
        """Continue, as with any generator."""
        return self._items.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it, as with any generator."""
        return self._items.throw(*error)

    def close(self) -> None:
        """End it, which puts everything back."""
        self._items.close()


class Recorder:
    """Turns a stream of items into curves.

    It returns the same `LossCurve` objects until another item arrives, so everything computed from
    a curve is computed once, and ``is`` shows whether there is anything new. Not thread-safe.

    Parameters
    ----------
    budget : Budget, optional
        What candidates of the curves are for.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget
        self._ended: tuple[LossCurve, ...] = ()  # earlier repeats
        self._lrs, self._losses, self._baseline = array("d"), array("d"), array("d")
        self._steps: list[StepDiagnosis] = []
        self._metric, self._metric_name = array("d"), ""
        self._reason: Reason | None = None
        self._count = 0
        self._curves: tuple[LossCurve, ...] | None = None

    def __len__(self) -> int:
        """Return the number of points of all repeats."""
        return self._count

    @property
    def size(self) -> int:
        """The number of points of the latest repeat."""
        return len(self._losses)

    def take(self, item: Item) -> None:
        """Record one more item."""
        if isinstance(item, str):
            self._ended = (*self._ended, self._latest(item))
            del self._lrs[:], self._losses[:], self._baseline[:], self._steps[:], self._metric[:]
        elif isinstance(item, float) and self._lrs:
            self._baseline.append(item)
        else:
            if isinstance(item, MeasuredPoint):  # first: a point may be cut off by an interrupt
                self._take_more(item)
            lr, loss = cast("tuple[float, float]", item)
            self._lrs.append(lr)
            self._losses.append(loss)
            self._count += 1
        self._curves = None

    def _take_more(self, point: MeasuredPoint) -> None:
        if point.diagnosis is not None:
            self._steps.append(point.diagnosis)
        if point.metric is not None:
            self._metric.append(point.metric)
            self._metric_name = point.metric_name or ""

    def end(self, reason: Reason) -> None:
        """Record why the last repeat ended."""
        self._reason = reason
        self._curves = None

    @property
    def curves(self) -> tuple[LossCurve, ...]:
        """The curves of all repeats, the latest last; until it ends, its reason is "stopped"."""
        if self._curves is None:
            self._curves = (*self._ended, self._latest(self._reason or "stopped"))
        return self._curves

    def _latest(self, reason: Reason) -> LossCurve:
        # A baseline counts only if it is complete.
        whole = 0 < len(self._losses) == len(self._baseline)
        baseline = self._baseline if whole else None
        n = min(len(self._lrs), len(self._losses))  # an interrupt may have come between the two
        seen = Diagnosis.of(self._steps[:n]) if 0 < n <= len(self._steps) else None
        metric = self._metric[:n] if 0 < n <= len(self._metric) else None
        name = None if metric is None else self._metric_name
        values = self._lrs[:n], self._losses[:n]
        return LossCurve(*values, reason, (), baseline, self._budget, seen, metric, name)
