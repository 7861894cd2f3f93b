"""When to stop a test: the rule that says that training has diverged, or one of the user's."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


class Divergence:
    """The rule that ends a test: called with each new loss, it says whether training has diverged.

    It has when the loss's level (the median of the last five) stands above the lowest level so far
    by more than each of

    - nine tenths of what the loss had fallen: nearly all that was gained is given back;
    - five times the upper quartile of the steps between losses: it is no noise;
    - twice the largest such rise in the first three quarters of the run: it is no wandering.

    All three are differences of losses, so an offset, a positive factor and the sign of the loss
    make no difference. The memory of steps is thinned, so a call costs the same at any length.

    Examples
    --------
    >>> diverged = Divergence()
    >>> [diverged(loss) for loss in (2.0, 1.9, 1.7, 1.4, 1.2, 1.1, 1.0, 1.1, 1.2, 5.0, 9.0, 80.0)]
    [False, False, False, False, False, False, False, False, False, False, False, True]
    """

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._steps: list[float] = []  # sorted, without those among the last five, without zeros
        self._sorted = 0  # so many of the losses have their step among them: only when it is asked
        self._rises: list[float] = []  # the largest rise, as it stood after each level
        self._start = self._low = self._high_rise = 0.0

    def __call__(self, loss: float) -> bool:
        """Take in a finite loss and return whether training has diverged."""
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
            and self._is_no_noise(rise)  # last: the dearest question, and hardly ever asked
        )

    def _is_no_noise(self, rise: float) -> bool:
        steps = self._steps
        for before, after in pairwise(self._losses[self._sorted : -4]):
            self._sorted += 1
            if before != after:
                insort(steps, abs(after - before))
                if len(steps) > 512:
                    del steps[::2]
        return len(steps) > 4 and rise > 5.0 * steps[3 * len(steps) // 4]


class OwnRule:
    """The user's own rule, shown the raw losses so far."""

    def __init__(self, stop: Callable[[NDArray[np.float64]], bool], num_iter: int) -> None:
        self._stop = stop
        self._losses = np.empty(num_iter)
        self._count = 0

    def __call__(self, loss: float) -> bool:
        """Ask it about one more loss."""
        self._losses[self._count] = loss
        self._count += 1
        so_far = self._losses[: self._count]
        so_far.flags.writeable = False
        return bool(self._stop(so_far))
