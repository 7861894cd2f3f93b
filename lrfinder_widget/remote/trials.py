"""Trial runs and varied tests on workers: what they show, as their chunks come in."""

from __future__ import annotations

from math import isclose, isfinite
from typing import Any, TypeAlias

from lrfinder_widget.curve.points import Item
from lrfinder_widget.runs.trial_runs import TrialJob, TrialRuns
from lrfinder_widget.runs.varied_runs import VariedJob, VariedRuns

from .wire import Built, Plain, budgets_from_plain

_SAME_START = 1e-3  # relative: another make of device computes a little differently


class FirstLosses:
    """Checks that runs which begin alike begin with the same loss, wherever they are."""

    measured = False  # before any update

    def __init__(self) -> None:
        self._first: dict[Any, float] = {}

    def check(self, batches: Any, item: Item) -> None:
        """Take the first item of a run on these batches.

        Raises
        ------
        RuntimeError
            If an earlier one had another loss.
        """
        loss = item[1] if isinstance(item, tuple) else item
        if not self.measured or not isinstance(loss, float):
            return
        first = self._first.setdefault(batches, loss)
        if not (isfinite(first) and isfinite(loss)):
            return
        if not isclose(first, loss, rel_tol=_SAME_START):
            raise RuntimeError(
                "setup() gives another start on each worker: before the first update, one run "
                f"has a loss of {first:.6g} and another of {loss:.6g}. Let it make the same model "
                "and the same batches wherever it is called."
            )


class RemoteTrials(TrialRuns):
    """Trial runs that may be side by side on several workers; the results are in the usual order.

    The rungs of a ladder after its first few depend on each other, so they are one after another.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._first_losses = FirstLosses()

    def learn_of(self, built: Built, _told: Plain) -> None:
        """Take what is known only once a worker has set up the model.

        Raises
        ------
        RuntimeError
            If there is to be a ladder, and none is known.
        """
        self._has_baseline = self._first_losses.measured = built.batch_losses
        self._family = built.about.budget.family
        if self._climbs:
            if built.ladder is None:
                raise RuntimeError("there is no ladder for this model: pass lrs=[…] to compare.")
            self.climb(built.ladder)

    def take(self, job: TrialJob, item: Item) -> Item | None:
        """Record an item of a job, and return what it shows."""
        if job.kind == "trial" and not self._running[job][0]:
            self._first_losses.check(None, item)
        return super().take(job, item)


class RemoteVariedRuns(VariedRuns):
    """Varied tests that may be side by side on several workers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._first_losses = FirstLosses()

    def learn_of(self, built: Built, told: Plain) -> None:
        """Take what is known only once a worker has set up the model and what is varied."""
        self._first_losses.measured = built.batch_losses
        self.learn(budgets_from_plain(told))

    def take(self, job: VariedJob, item: Item) -> Item | None:
        """Record an item of a test, and return it if it is a point."""
        if not len(self._running[job.values]):
            self._first_losses.check(job.chosen.get("batch_size"), item)
        return super().take(job, item)


RemoteJobs: TypeAlias = RemoteTrials | RemoteVariedRuns
