"""Several runs that begin alike: which to run next, and what they have shown so far. No torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.points import Item, Items

Job = TypeVar("Job")
Found: TypeAlias = dict[int, NDArray[np.float64]]
"""The losses of the held-out batches, by the number of steps before."""


class Jobs(Generic[Job]):
    """A plan of runs and its results; how they are run is up to whoever asks for `stages`.

    Each begins with the same weights, random numbers and place in the data, so it can be anywhere.

    Attributes
    ----------
    unrestored : list of str
        One sentence for each thing that could not be put back after a run.
    """

    def __init__(self) -> None:
        self.unrestored: list[str] = []
        self._done = 0  # steps of those that have ended
        self._began: float | None = None
        self._seconds = 0.0  # until the last of these

    @property
    def steps_in_all(self) -> int:
        """The steps of all runs together, at most."""
        raise NotImplementedError

    @property
    def seconds_per_step(self) -> float | None:
        """How long a step takes, with its share of evaluations; None before a run has ended.

        Runs that are side by side share their time.
        """
        return self._seconds / self._done if self._done else None

    def stages(self) -> Iterator[list[Job]]:
        """Yield what to run, those together that do not need each other's results."""
        raise NotImplementedError

    def begin(self, job: Job) -> None:
        """Note that a run begins."""
        if self._began is None:
            self._began = time.monotonic()
        self._begun(job)

    def found(self, job: Job) -> Found:  # noqa: ARG002
        """Return where the losses of the held-out batches go during a run."""
        return {}

    def take(self, job: Job, item: Item) -> Item | None:
        """Record an item of a run, and return what it shows: ``(lr, loss)``, a loss, or nothing."""
        raise NotImplementedError

    def note(self, job: Job, error: BaseException) -> None:
        """Note on an exception in which run it was raised, where that is not plain."""

    def end(self, job: Job, reason: Reason, unrestored: Iterable[str]) -> None:
        """Note why a run has ended, and what could not be put back, each sentence once."""
        self.unrestored += [said for said in unrestored if said not in self.unrestored]
        if steps := self._ended(job, reason):
            self._done += steps
            self._seconds = time.monotonic() - (self._began or 0.0)

    def _begun(self, job: Job) -> None:
        """Make room for what a run will show."""
        raise NotImplementedError

    def _ended(self, job: Job, reason: Reason) -> int:
        """Keep what a run has shown; return its steps, if their time is that of any step."""
        raise NotImplementedError


class Run(Protocol):
    """A run in this process."""

    unrestored: list[str]

    def items(self) -> Items:
        """Run, and yield what it measures; put everything back at the end."""


def one_by_one(jobs: Jobs[Job], run_of: Callable[[Job], Run]) -> Generator[Any, None, None]:
    """Run all jobs in this process, each put back before the next one, and yield what they show.

    Parameters
    ----------
    jobs : Jobs
        What to run, and where the results go.
    run_of : callable
        Returns the run of a job, which has begun.
    """
    for stage in jobs.stages():
        for job in stage:
            yield from _run(jobs, job, run_of)


def _run(jobs: Jobs[Job], job: Job, run_of: Callable[[Job], Run]) -> Generator[Any, None, None]:
    reason: Reason = "stopped"
    unrestored: Iterable[str] = ()
    jobs.begin(job)
    try:
        run = run_of(job)
        items, unrestored = run.items(), run.unrestored
        try:  # not `closing`: an interrupt inside its own code could leave the run open
            while True:
                try:
                    item = next(items)
                except StopIteration as end:
                    reason = end.value
                    return
                if (shown := jobs.take(job, item)) is not None:
                    yield shown
        finally:
            items.close()
    except BaseException as error:
        jobs.note(job, error)
        raise
    finally:
        jobs.end(job, reason, unrestored)
