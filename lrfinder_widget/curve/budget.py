"""What a candidate is for: the optimizer, and how long and how it will train. NumPy only.

An LR range test trains for a few steps at each learning rate. The longer the training, the lower
the learning rate that ends lowest, and not by the same factor for each kind of optimizer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from .plan import check_count

Schedule: TypeAlias = Literal["constant", "decay"]
Family: TypeAlias = Literal["sgd", "momentum", "adaptive", "muon"]


@dataclass(frozen=True)
class Budget:
    """What a candidate is for.

    Parameters
    ----------
    family : {"sgd", "momentum", "adaptive", "muon"}, optional
        The kind of optimizer; None if it is not known.
    train_steps : int, optional
        The number of optimizer steps of the training; None if it is not known.
    schedule : {"constant", "decay"}, default "constant"
        Whether its learning rate is constant, or decays to nearly zero. A short warm-up counts as
        neither.
    cautions : sequence of str
        Whole sentences on what makes a reading too high or too low for this training.

    Raises
    ------
    ValueError
        For values that cannot work.
    """

    family: Family | None = None
    train_steps: int | None = None
    schedule: Schedule = "constant"
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.family is not None and self.family not in get_args(Family):
            raise ValueError(f"family must be one of {get_args(Family)}; got {self.family!r}.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f'schedule must be "constant" or "decay"; got {self.schedule!r}.')
        if self.train_steps is not None:
            steps = check_count("train_steps", self.train_steps, at_least=1)
            object.__setattr__(self, "train_steps", steps)
        object.__setattr__(self, "cautions", tuple(map(str, self.cautions)))

    def planned(self, train_steps: int | None, schedule: Schedule | None) -> Budget:
        """Return it for another length or schedule; None keeps what there is."""
        return replace(
            self,
            train_steps=self.train_steps if train_steps is None else train_steps,
            schedule=self.schedule if schedule is None else schedule,
        )


NO_BUDGET = Budget()
"""Nothing is known."""

_LENGTHS = (500, 2_000, 8_000)  # measured, in steps
SHORTEST, LONGEST = 100, 100_000
"""In steps; beyond, the shift stays what it is there."""
_ROUND = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
_GROWTH = 0.2
"""By how much the error grows with each decade beyond the measured lengths. About the slope
itself: there, the learning rate may fall twice as fast, or not at all."""

_Pair: TypeAlias = tuple[float, float]
# Shift and standard error, both in decades. Placeholders until tests/benchmarks/ has measured them.
_MEASURED: dict[tuple[Family, Schedule], tuple[_Pair, _Pair, _Pair, _Pair]] = {
    #                        unknown      500          2,000        8,000 steps
    ("sgd", "constant"): ((-0.2, 0.4), (0.0, 0.3), (-0.2, 0.3), (-0.4, 0.3)),
    ("sgd", "decay"): ((0.0, 0.4), (0.2, 0.3), (0.0, 0.3), (-0.2, 0.3)),
    ("momentum", "constant"): ((-0.2, 0.4), (0.0, 0.3), (-0.2, 0.3), (-0.4, 0.3)),
    ("momentum", "decay"): ((0.0, 0.4), (0.2, 0.3), (0.0, 0.3), (-0.2, 0.3)),
    ("adaptive", "constant"): ((-0.7, 0.4), (-0.5, 0.3), (-0.7, 0.3), (-0.9, 0.3)),
    ("adaptive", "decay"): ((-0.5, 0.4), (-0.3, 0.3), (-0.5, 0.3), (-0.7, 0.3)),
    ("muon", "constant"): ((-0.2, 0.4), (0.0, 0.3), (-0.2, 0.3), (-0.4, 0.3)),
    ("muon", "decay"): ((0.0, 0.4), (0.2, 0.3), (0.0, 0.3), (-0.2, 0.3)),
}


def shift(budget: Budget) -> tuple[float, float]:
    """Return how far from the place that the rule reads the best learning rate is.

    Between the measured lengths, it is on a line over the logarithm of the number of steps. Outside
    them, the line goes on, and the error grows. For an unknown kind of optimizer, it is the mean of
    all kinds, and the error contains how far they differ.

    Returns
    -------
    (float, float)
        By how many decades the best learning rate lies above (positive) or below (negative) that
        place, and the standard error of that, in decades.
    """
    if budget.family is not None:
        return _shift(budget.family, budget)
    shifts, errors = np.array([_shift(family, budget) for family in get_args(Family)]).T
    return float(shifts.mean()), float(np.hypot(errors.max(), shifts.std()))


def _shift(family: Family, budget: Budget) -> _Pair:
    unknown, *measured = _MEASURED[family, budget.schedule]
    if budget.train_steps is None:
        return unknown
    lengths, (shifts, errors) = np.log10(_LENGTHS), np.array(measured).T
    length = math.log10(budget.train_steps)
    at = min(max(length, math.log10(SHORTEST)), math.log10(LONGEST))
    left = int(np.searchsorted(lengths[1:-1], at))  # of the piece whose line it is on
    slope = (shifts[left + 1] - shifts[left]) / (lengths[left + 1] - lengths[left])
    beyond = max(lengths[0] - length, length - lengths[-1], 0.0)
    error = np.interp(length, lengths, errors) + _GROWTH * beyond
    return float(shifts[left] + slope * (at - lengths[left])), float(error)


def usual_steps(budget: Budget) -> int:
    """Return for about how many steps a shift without a length holds, as a round number."""
    unknown = shift(replace(budget, train_steps=None))[0]

    def off(steps: int) -> tuple[float, float]:
        there = shift(replace(budget, train_steps=steps))[0]
        return round(abs(there - unknown), 9), abs(math.log10(steps / _LENGTHS[1]))

    return min(_ROUND, key=off)
