"""Trial runs as a plan and its results: which to run next, and what they have shown. NumPy only."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from lrfinder_widget.curve.budget import Family
from lrfinder_widget.curve.comparison import Comparison
from lrfinder_widget.curve.loss_curve import Reason
from lrfinder_widget.curve.plan import check_count
from lrfinder_widget.curve.points import Item
from lrfinder_widget.curve.trial import Rate, Trial, change

from .jobs import Found, Jobs
from .ladder import MOST_RUNGS, Ladder, next_rung, warm_up_and_decay


@dataclass(frozen=True)
class TrialJob:
    """One run of several; it depends on no other, so it can be anywhere with the same start.

    Attributes
    ----------
    kind : {"start", "trial", "baseline"}
        Evaluates the starting weights on the held-out batches; trains; or measures the losses of
        the training batches at the starting weights.
    lr : float or tuple of float
        What a trial tries.
    lrs : tuple of float
        The learning rate of each step, of the group with the largest.
    after : frozenset of int
        After how many steps the held-out batches are evaluated.
    """

    kind: Literal["start", "trial", "baseline"]
    lr: Rate
    lrs: tuple[float, ...]
    after: frozenset[int] = frozenset()


class TrialRuns(Jobs[TrialJob]):
    """Which trials to run, and the results so far.

    Parameters
    ----------
    lrs : list of (float or tuple of float)
        The learning rates to try.
    steps : int
        The steps of each trial.
    schedule : callable, optional
        ``schedule(i)`` returns the factor on the learning rate at step ``i``.
    halving : bool
        Whether only the better half goes on to trials of twice as many steps.
    climbs : bool
        Whether `lrs` are those of a ladder, to which others are added on the way.
    judged : bool
        Whether there are held-out batches.

    Attributes
    ----------
    lrs, steps
        As given; a ladder's trials are as long as all of them can be.
    about : str
        What the learning rates are, if they are a ladder.
    """

    def __init__(
        self,
        lrs: Sequence[Rate],
        steps: int,
        *,
        schedule: Callable[[int], float] | None = None,
        halving: bool = False,
        climbs: bool = False,
        judged: bool = False,
    ) -> None:
        super().__init__()
        self.steps = check_count("steps", steps, at_least=10)
        if climbs:
            self.steps = Ladder.steps(self.steps)
            schedule = schedule or warm_up_and_decay(self.steps)
        self.lrs, self.about = list(lrs), ""
        self._first = len(self.lrs)
        self._climbs = climbs
        self._scheduled = schedule is not None
        if not isinstance(halving, bool):
            raise TypeError(f"halving must be True or False; got {halving!r}.")
        self._factors = [_factor(schedule, i) for i in range(self.steps)]
        self._halving = halving
        self._judged = judged
        self._has_baseline = True  # unless a subclass knows better
        self._family: Family | None = None  # likewise
        self._trials: dict[Rate, Trial] = {}
        self._running: dict[TrialJob, tuple[list[float], Found]] = {}
        self._baseline: NDArray[np.float64] | None = None
        self._start: NDArray[np.float64] | None = None  # on the held-out batches

    @property
    def comparison(self) -> Comparison:
        """The results of the trials so far; may be read from any thread."""
        running = dict(self._running)  # before those that have ended: one may end just now
        trials = {
            job.lr: _trial(job.lr, losses.copy(), found, completed=False)
            for job, (losses, found) in running.items()
            if job.kind == "trial" and losses
        }
        trials |= dict(self._trials)
        in_order = [trials[lr] for lr in list(self.lrs) if lr in trials]
        return Comparison(in_order, self._baseline, self._start, self._scheduled, self._family)

    @property
    def steps_in_all(self) -> int:
        """The steps of all trials together at most: some may explode, or a ladder end early."""
        added = MOST_RUNGS - self._first if self._climbs else 0
        left, steps = self._first, added * self.steps
        for each in self._rounds():
            steps += left * each
            left = max(2, (left + 1) // 2)
        return steps

    def climb(self, ladder: Ladder) -> None:
        """Begin with the rungs of a ladder."""
        self.lrs[:], self.about, self._first = ladder.lrs, ladder.reason, len(ladder.lrs)

    # -- what to run next -------------------------------------------------------------------------

    def stages(self) -> Iterator[list[TrialJob]]:
        """Yield what to run, those together that do not need each other's results."""
        if self._judged:
            yield [TrialJob("start", 1.0, (1.0,), frozenset({1}))]
        left = list(self.lrs)
        for steps in self._rounds():
            yield [self._job(lr, steps) for lr in left]
            better = [lr for lr in self.comparison.ranking if self._trials[lr].completed]
            left = [lr for lr in better if lr in left][: max(2, (len(left) + 1) // 2)]
        while (rung := self._next_rung()) is not None:
            self.lrs.append(rung)
            yield [self._job(rung, self.steps)]
        measured = self._has_baseline and not self._judged
        if measured and self.comparison.winner is not None:
            # Nothing is trained, so any learning rate will do.
            yield [TrialJob("baseline", 1.0, (1.0,) * self.steps)]

    def _job(self, lr: Rate, steps: int) -> TrialJob:
        # In the middle of a decay, the loss says little about its end.
        after = {steps} if self._scheduled else {steps // 4, steps // 2, steps}
        largest = max(lr) if isinstance(lr, tuple) else lr
        lrs = tuple(largest * factor for factor in self._factors[:steps])
        return TrialJob("trial", lr, lrs, frozenset(after if self._judged else ()))

    def _next_rung(self) -> float | None:
        if not self._climbs:
            return None
        lrs, best = [trial.largest for trial in self._trials.values()], self.comparison.winner
        # Where the lowest changes nothing, lower ones would not, either.
        lower = best != min(lrs) or not self._is_as_at_the_start(self._trials[best])
        return next_rung(lrs, cast(float | None, best), lower=lower)

    def _is_as_at_the_start(self, trial: Trial) -> bool:
        start, end = self._start, trial.judged
        return start is not None and end is not None and change(start, end) == 0

    def _rounds(self) -> list[int]:
        """Return the number of steps of a trial in each round; it doubles from round to round."""
        halvings = 0
        while self._halving and self._first > 2 ** (halvings + 1):
            halvings += 1
        return [max(10, self.steps >> left) for left in reversed(range(halvings + 1))]

    # -- what came of it --------------------------------------------------------------------------

    def _begun(self, job: TrialJob) -> None:
        if job.kind == "trial":
            self._trials.pop(job.lr, None)  # it begins anew, and goes on for longer
        self._running[job] = [], {}

    def found(self, job: TrialJob) -> Found:
        """Return where the losses of the held-out batches go during a job."""
        return self._running[job][1]

    def take(self, job: TrialJob, item: Item) -> Item | None:
        """Record an item of a job, and return what it shows."""
        assert not isinstance(item, str)  # between repeats, of which there are none
        loss = item[1] if isinstance(item, tuple) else item
        self._running[job][0].append(loss)
        if job.kind == "start":
            return None
        return item if job.kind == "trial" else loss

    def _ended(self, job: TrialJob, reason: Reason) -> int:
        losses, found = self._running[job]
        if job.kind == "start":
            self._start = found.get(1)
        elif job.kind == "trial":
            completed = reason == "completed"
            self._trials[job.lr] = _trial(job.lr, losses, found, completed=completed)
        elif len(losses) == self.steps and np.isfinite(losses).all():
            self._baseline = np.array(losses)
        del self._running[job]
        return len(losses) if job.kind == "trial" else 0


def _factor(schedule: Callable[[int], float] | None, i: int) -> float:
    given = 1.0 if schedule is None else schedule(i)
    try:
        factor = float(given)
    except (TypeError, ValueError, OverflowError):
        factor = math.nan
    if not 0 <= factor < math.inf:  # a negative one would climb the loss
        raise ValueError(
            "schedule must return a factor that is finite and not negative, for each of the steps; "
            f"schedule({i}) returned {reprlib.repr(given)}."
        )
    return factor


def _trial(lr: Rate, losses: list[float], found: Found, *, completed: bool) -> Trial:
    # On an accelerator, steps run ahead of their losses; what came after the end does not count.
    held_out = {steps: each for steps, each in dict(found).items() if steps <= len(losses)}
    return Trial(lr, np.array(losses), completed, held_out)
