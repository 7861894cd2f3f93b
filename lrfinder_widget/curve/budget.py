"""What a candidate is for: the optimizer, and how long and how it will train. NumPy only.

An LR range test trains for a few steps at each learning rate. The longer the training, the lower
the learning rate that ends lowest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from .plan import check_count

Schedule: TypeAlias = Literal["constant", "decay"]
Family: TypeAlias = Literal["sgd", "momentum", "adam", "adaptive", "muon"]
"""Adam and AdamW are adaptive, too; the others' learning rates may be on a scale of their own."""


@dataclass(frozen=True)
class Budget:
    """What a candidate is for.

    Parameters
    ----------
    family : {"sgd", "momentum", "adam", "adaptive", "muon"}, optional
        The kind of optimizer; None if it is not known.
    train_steps : int, optional
        The number of optimizer steps of the training; None if it is not known.
    schedule : {"constant", "decay"}, default "constant"
        Whether its learning rate is constant, or decays to nearly zero. A short warm-up counts as
        neither.
    cautions : sequence of str
        Whole sentences on what makes a reading too high or too low for this training.
    trained : bool, optional
        Whether the model was trained before the test; None if its weights do not show it.

    Raises
    ------
    ValueError
        For values that cannot work.
    """

    family: Family | None = None
    train_steps: int | None = None
    schedule: Schedule = "constant"
    cautions: tuple[str, ...] = ()
    trained: bool | None = None

    def __post_init__(self) -> None:
        if self.family is not None and self.family not in get_args(Family):
            raise ValueError(f"family must be one of {get_args(Family)}; got {self.family!r}.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f'schedule must be "constant" or "decay"; got {self.schedule!r}.')
        if self.trained not in (None, True, False):
            raise ValueError(f"trained must be True, False or None; got {self.trained!r}.")
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

SHORTEST, LONGEST = 100, 100_000
"""In steps; beyond, the shift stays what it is there."""
USUAL_STEPS = 1_000
"""The length that is assumed if none is given."""

# By kind of optimizer and schedule: the shift for 2,000 steps, and its change per tenfold length,
# in decades. Fitted on the development tasks of tests/benchmarks/excess.py. The steps of Adam and
# Muon do not shrink with the gradients. So a loss that is low already is kept up by the learning
# rate, which a short test, whose loss is high, cannot show: there, the best learning rate is lower
# and falls faster; most of all for Muon, whose steps have the same size in each direction of a
# matrix. Its line goes through the means of three tasks: within 0.4 decades of two, and half a
# decade above the third. Plain SGD, with four tasks, has the slopes of momentum but lies higher, as
# its steps have less noise. The numbers of unknown optimizers lie between.
_Line: TypeAlias = dict[Schedule, tuple[float, float]]
_ADAPTIVE: _Line = {"constant": (-0.7, -0.6), "decay": (-0.25, -0.7)}
LAW: dict[Family | None, _Line] = {
    "adam": _ADAPTIVE,
    "adaptive": _ADAPTIVE,
    "muon": {"constant": (-1.35, -0.9), "decay": (-0.95, -0.85)},
    "momentum": {"constant": (-0.25, -0.35), "decay": (0.1, -0.2)},
    "sgd": {"constant": (-0.1, -0.35), "decay": (0.4, -0.2)},
    None: {"constant": (-0.45, -0.45), "decay": (-0.1, -0.4)},
}
_AT = 2_000
USUAL_LR: dict[Family | None, float] = {"adam": 9e-3, "momentum": 2.2e-2, "sgd": 2.5e-2}
"""What the rule reads on most fresh models. On the development tasks' curves without a clear fall,
a third as much is lost with it as with what can be read. Other kinds have no such number, as their
learning rates are not all on one scale."""
USUAL_DENSITY = 99 / 8
"""The steps per decade of the tests that the law was fitted on: 100 rates over eight decades."""
# A test of more steps is itself a longer training, so the rule reads a lower place. Fitted on the
# development tasks with 50 to 1,000 steps; one number serves all kinds of optimizers.
_BY_DENSITY = 0.3
_DENSITIES = (USUAL_DENSITY / 2, 10 * USUAL_DENSITY)
_MEASURED = (250, 20_000)  # steps
# Two thirds of the best rates of 44 tasks, on grids half a decade apart, lie within the first. The
# second is added for each of family and length.
_ERROR, _ERROR_UNKNOWN = 0.5, 0.1
_GROWTH = 0.2
"""By how much the error grows with each decade beyond the measured lengths. About the slope
itself: there, the learning rate may fall twice as fast, or not at all."""


def shift(budget: Budget, density: float = USUAL_DENSITY) -> tuple[float, float]:
    """Return how far from the place that the rule reads the best learning rate is.

    A power law of the number of steps, as in Bjorck et al., arXiv:2409.19913. The error grows
    outside the measured lengths, and for an unknown length or kind of optimizer.

    Parameters
    ----------
    budget : Budget
        What the learning rate is for.
    density : float
        The number of steps of the test per decade of learning rate, about that place.

    Returns
    -------
    (float, float)
        By how many decades the best learning rate lies above (positive) or below (negative) that
        place, and the standard error of that, in decades.
    """
    steps = USUAL_STEPS if budget.train_steps is None else budget.train_steps
    at, slope = LAW[budget.family][budget.schedule]
    length, shortest, longest = math.log10(steps), *map(math.log10, _MEASURED)
    within = min(max(length, math.log10(SHORTEST)), math.log10(LONGEST))
    error = _ERROR + _GROWTH * max(shortest - length, length - longest, 0.0)
    error += _ERROR_UNKNOWN * ((budget.family is None) + (budget.train_steps is None))
    density = min(max(density, _DENSITIES[0]), _DENSITIES[1])
    by_test = _BY_DENSITY * math.log10(density / USUAL_DENSITY)
    return at + slope * (within - math.log10(_AT)) + by_test, error
