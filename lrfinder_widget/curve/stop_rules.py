"""When to stop a test: when training has diverged, or by a rule of the user's own. NumPy only."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .arrays import Array


class Divergence:
    """The default rule: called with each new loss, it returns whether training has diverged.

    It has if the level of the loss (the median of the last five) is above its lowest level so far
    by more than each of these:

    - nine tenths of how far the loss had fallen: nearly all of the gain is lost again;
    - five times the upper quartile of the steps between losses: it is not noise;
    - twice the largest such rise in the first three quarters of the run: it is not drift.

    All three are differences of losses, so adding a constant to the loss or scaling it changes
    nothing, and losses may be negative. The record of steps is thinned, so that the time of a call
    does not grow with the length of the run.

    Examples
    --------
    >>> diverged = Divergence()
    >>> [diverged(loss) for loss in (2.0, 1.9, 1.7, 1.4, 1.2, 1.1, 1.0, 1.1, 1.2, 5.0, 9.0, 80.0)]
    [False, False, False, False, False, False, False, False, False, False, False, True]
    """

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._steps: list[float] = []  # sorted; not yet those among the last five losses; no zeros
        self._sorted = 0  # how many losses have their step among these; done only when needed
        self._rises: list[float] = []  # the largest rise so far, after each level
        self._start = self._low = self._high_rise = 0.0

    def __call__(self, loss: float) -> bool:
        """Add a finite loss, and return whether training has diverged."""
        losses, rises = self._losses, self._rises
        losses.append(loss)
        if len(losses) < 5:
            return False
        level = sorted(losses[-5:])[2]
        if not rises:
            self._start = self._low = level
        elif level < self._low:
            self._low = level
        rise = level - self._low
        if rise > self._high_rise:
            self._high_rise = rise
        rises.append(self._high_rise)
        return (
            rise > 0.9 * (self._start - self._low)
            and rise > 2.0 * rises[3 * len(rises) // 4]
            and self._exceeds_noise(rise)  # last: the most expensive, and hardly ever reached
        )

    def _exceeds_noise(self, rise: float) -> bool:
        steps = self._steps
        for before, after in pairwise(self._losses[self._sorted : -4]):
            self._sorted += 1
            if before != after:
                insort(steps, abs(after - before))
                if len(steps) > 512:
                    del steps[::2]
        return len(steps) > 4 and rise > 5.0 * steps[3 * len(steps) // 4]


class OwnRule:
    """A rule of the user's own, which is called with the raw losses so far."""

    def __init__(self, stop: Callable[[Array], bool], num_iter: int) -> None:
        self._stop = stop
        self._losses = np.empty(num_iter)
        self._count = 0

    def __call__(self, loss: float) -> bool:
        """Add a loss, and return whether the rule says to stop."""
        self._losses[self._count] = loss
        self._count += 1
        so_far = self._losses[: self._count]
        so_far.flags.writeable = False
        return bool(self._stop(so_far))
