"""One trial run, and what tells two of them apart. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from .arrays import Array

Rate: TypeAlias = float | tuple[float, ...]
"""The learning rate of a trial: one number, or one for each parameter group."""
Untried: TypeAlias = Literal["lower", "higher", "between"]

DECADE = 11.0
"""Two learning rates that are further apart, as a ratio, may have a better one between them."""

BLOCKS = 5
_LEAST_SHARE = 0.01
_T = (12.71, 4.30, 3.18, 2.78, 2.57)  # for 2 to 6 batches


@dataclass(frozen=True)
class Trial:
    """One trial run.

    Attributes
    ----------
    lr : float or tuple of float
        Its learning rate, or those of the parameter groups; with a schedule, what its factors
        multiply.
    losses : ndarray of float64, shape (steps,)
        The loss of each step, before the update.
    completed : bool
        Whether it took all its steps: its loss did not explode, and it was not stopped.
    held_out : mapping of int to ndarray of float64, shape (n_batches,)
        After how many steps the weights were evaluated, and the loss of each held-out batch then; a
        single number if the evaluation was the caller's own. Empty without held-out batches.
    """

    lr: Rate
    losses: Array
    completed: bool
    held_out: Mapping[int, Array] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        """The learning rate, or the largest of the groups."""
        return max(self.lr) if isinstance(self.lr, tuple) else self.lr

    @property
    def result(self) -> float:
        """The mean loss over the last fifth of the steps; nan for a trial that did not complete."""
        with np.errstate(over="ignore"):  # losses so large rank last
            return float(tail(self.losses).mean()) if self.completed else float("nan")

    def start(self, baseline: Array) -> float:
        """Return the mean loss of the starting weights on the batches of its result."""
        return float(tail(baseline[: len(self.losses)]).mean())

    @property
    def judged(self) -> Array | None:
        """The held-out losses at the end; None if there are none, or it did not complete."""
        return self.held_out.get(len(self.losses)) if self.completed else None


def format_rate(lr: Rate) -> str:
    """Format a learning rate as in ``3.16e-03``, those of groups as in ``(1.00e-05, 1.00e-03)``."""
    if isinstance(lr, tuple):
        return f"({', '.join(map(format_rate, lr))})"
    return f"{lr:.2e}"


def tail(losses: Array) -> Array:
    """Return the last fifth of the losses of a trial, and at least five of them."""
    return losses[-max(BLOCKS, len(losses) // 5) :]


def margin(best: Array, other: Array) -> float:
    """Return how far the training losses of another trial end above the best, in standard errors.

    The standard error is that of the means of five blocks of steps, as neighbours are dependent.
    """
    if len(best) != len(other):
        return float("inf")
    differences = tail(other) - tail(best)
    blocks = np.array([block.mean() for block in np.array_split(differences, BLOCKS)])
    return _in_standard_errors(blocks)


def held_out_margin(best: Array, other: Array) -> float:
    """Return how far the held-out losses `other` lie above `best`, in standard errors.

    Of the differences batch by batch, which vary much less than the losses do. nan for a single
    number, as its error is unknown.
    """
    return _in_standard_errors(other - best) if len(other) > 1 else float("nan")


def clearly_above(best: Array, other: Array) -> bool:
    """Return whether the held-out losses `other` lie above `best` by more than noise.

    A one-sided paired t-test over the held-out batches, which takes noise for a difference once in
    forty times. A single number has no known error: then a hundredth of it counts.
    """
    if not np.isfinite(best).all():
        return False
    if not np.isfinite(other).all():
        return True
    if len(other) == 1:
        return float(other[0] - best[0]) > _LEAST_SHARE * abs(float(other[0]))
    return held_out_margin(best, other) > _t_quantile(len(other) - 1)


def change(start: Array, end: Array) -> int:
    """Return whether `end` lies below `start` (-1) or above it (1), by more than noise; or 0."""
    return clearly_above(start, end) - clearly_above(end, start)


def untried(trials: Sequence[Trial], best: Trial, *, harms: bool) -> Untried | None:
    """Return which learning rates may help where none of these does; None if training on does not.

    Lower ones, if the best is the lowest and still does harm; higher ones, if it is the highest;
    those between it and the next higher one, if that is more than a decade away.

    Parameters
    ----------
    trials : sequence of Trial
        All that were run.
    best : Trial
        One of them.
    harms : bool
        Whether it ends above the starting weights, by more than noise.
    """
    rising = sorted(trials, key=lambda trial: trial.largest)
    at = next(i for i, trial in enumerate(rising) if trial is best)
    if at == 0 and harms:
        return "lower"
    if at == len(rising) - 1:
        return "higher"
    return "between" if rising[at + 1].largest > DECADE * best.largest else None


def _t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t distribution, by its expansion for many degrees."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    return 1.960 + 2.372 / freedom + 2.822 / freedom**2 + 2.556 / freedom**3


def _in_standard_errors(differences: Array) -> float:
    mean = float(differences.mean())
    with np.errstate(invalid="ignore"):  # one of them may be infinite
        error = float(differences.std(ddof=1)) / len(differences) ** 0.5
    return mean / error if error > 0 else float("inf" if mean > 0 else 0)
