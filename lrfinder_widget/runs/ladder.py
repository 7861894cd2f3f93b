"""A ladder of learning rates to try, its next rung, and the schedule of its trials. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.trial import DECADE

MOST_STEPS = 2000
"""The steps of all trials of a ladder together."""
MOST_RUNGS = 8
"""Those that it begins with, and those that are added."""


_WIDE = 0.69  # in decades
_WARM_UP = 0.05


@dataclass(frozen=True)
class Ladder:
    """Learning rates to begin with, ascending, and the words that say where they come from.

    Attributes
    ----------
    lrs : tuple of float
        Two or three, at least a third of a decade apart; of the parameter group with the largest.
    reason : str
        What they are.
    """

    lrs: tuple[float, ...]
    reason: str

    @staticmethod
    def steps(at_most: int) -> int:
        """Return the steps of each trial: at most so many, and at most 2,000 in all."""
        return min(at_most, MOST_STEPS // MOST_RUNGS)


def around(curve: LossCurve) -> list[float]:
    """Return what to try around a curve's candidate; empty where a ladder tells more.

    That is without a candidate, and for a model that was trained before, whose best learning rate
    may be decades below what a short test shows.
    """
    if curve.budget.trained or curve.suggestion.lr is None:
        return []
    return curve.trial_candidates()


def next_rung(lrs: Sequence[float], best: float | None, *, lower: bool = True) -> float | None:
    """Return what to try next; None if the best is known to half a decade, or eight were tried.

    A decade beyond an end that is best, else halfway to a neighbour of the best that is more than
    about half a decade away; a whole one, if the best is the lowest, and lower ones are no use.

    Parameters
    ----------
    lrs : sequence of float
        Those that were tried.
    best : float or None
        The best of them; None if all were too high.
    lower : bool
        Whether lower ones than all of these may be better.
    """
    if len(lrs) >= MOST_RUNGS:
        return None
    tried = sorted(lrs)
    at = 0 if best is None else tried.index(best)
    if at == 0 and lower:
        lr = tried[0] / 10
    elif at == len(tried) - 1:
        lr = tried[-1] * 10
    else:
        beside = tried[at + 1], tried[max(at - 1, 0)]
        neighbour = max(beside, key=lambda lr: abs(math.log(lr / tried[at])))
        if abs(math.log10(neighbour / tried[at])) < (_WIDE if at else math.log10(DECADE)):
            return None
        lr = math.sqrt(neighbour * tried[at])
    return float(f"{lr:.3g}")


def warm_up_and_decay(steps: int) -> Callable[[int], float]:
    """Return a schedule for so many steps: up over a twentieth of them, then linearly down."""
    up = max(1, round(_WARM_UP * steps))

    def factor(i: int) -> float:
        return min((i + 1) / up, (steps - i) / (steps - up + 1))

    return factor
