"""From the best learning rate of short trials to that of a longer training. NumPy only.

The best learning rate falls with the length of the training, roughly by a power law (Bjorck et al.,
arXiv:2409.19913). Trials that were evaluated after a quarter, half and all of their steps show the
exponent, but with a large error. So it is combined with what other trainings have shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Array
from .budget import Family, Schedule
from .suggest import Suggestion
from .trial import Trial, clearly_above

SLOPES: dict[Schedule, tuple[float, float]] = {"constant": (-0.5, 0.3), "decay": (-0.2, 0.5)}
"""Mean and standard deviation, over the development tasks of tests/benchmarks/excess.py, of the
slope of log10 of the best learning rate over log10 of the number of steps."""
MUON_SLOPES: dict[Schedule, tuple[float, float]] = {"constant": (-1.0, 0.3), "decay": (-1.0, 0.3)}
"""The same for Muon: only its slopes differ from the others' by more than these scatter."""

_FOUR_IN_FIVE = 1.28  # the half width, in standard errors, of an interval that holds so many
# Errors of the best learning rate at one horizon: of a parabola and of an edge, as a share of the
# distance to the neighbours; of a single trial, and of trials with another schedule, in decades.
_PARABOLA, _EDGE, _ALONE, _OTHER_SCHEDULE = 0.2, 1.0, 0.5, 0.2
NOT_JUDGED = (
    "the trials were not evaluated on held-out batches, so they say nothing about a longer "
    "training: pass held_out=[…] to compare."
)


@dataclass(frozen=True)
class Horizon:
    """The held-out losses of several learning rates after the same number of steps.

    Attributes
    ----------
    steps : int
        How many.
    log10_lrs : ndarray of float64, shape (n,)
        Ascending.
    losses : ndarray of float64, shape (n,)
        Finite.
    close : ndarray of bool, shape (n,)
        Whether the loss can hardly be distinguished from the lowest.
    """

    steps: int
    log10_lrs: Array
    losses: Array
    close: NDArray[np.bool_]


def best_at(horizon: Horizon) -> tuple[float, float]:
    """Return log10 of the best learning rate after so many steps, and its standard error.

    It is where a parabola through the lowest loss and its neighbours is lowest; of the logarithms
    of the losses if they are positive. If the lowest has only one neighbour, it is the lowest
    itself.
    """
    x, y = horizon.log10_lrs, horizon.losses
    i = int(y.argmin())
    if len(x) == 1:
        return float(x[i]), _ALONE
    if 0 < i < len(x) - 1:
        three = slice(i - 1, i + 2)
        best, error = _vertex(x[three], y[three]), _PARABOLA * float(x[i + 1] - x[i - 1]) / 2
    else:
        best, error = float(x[i]), _EDGE * float(abs(x[i] - x[1 if i == 0 else i - 1]))
    return best, max(error, float(np.ptp(x[horizon.close])) / 4)


def _vertex(x: Array, y: Array) -> float:
    if (y > 0).all():
        y = np.log(y)
    left, right = (y[0] - y[1]) * (x[2] - x[1]), (y[2] - y[1]) * (x[1] - x[0])
    if not left + right > 0:  # all alike
        return float(x[1])
    return float(x[1] + (left * (x[2] - x[1]) - right * (x[1] - x[0])) / (2 * (left + right)))


def extrapolate(
    horizons: Sequence[Horizon],
    steps: int,
    schedule: Schedule,
    *,
    as_tried: bool = True,
    family: Family | None = None,
) -> tuple[float, float]:
    """Return log10 of the best learning rate for so many steps, and its standard error.

    It lies on a line through the best of the longest horizon. Its slope is the mean of that of the
    horizons and of `SLOPES` or `MUON_SLOPES`, weighted by their precisions.

    Parameters
    ----------
    horizons : sequence of Horizon
        At least one, the longest last.
    steps : int
        The length of the planned training.
    schedule : {"constant", "decay"}
        That of the planned training.
    as_tried : bool, default True
        Whether the trials had the same kind of schedule. Otherwise their own slope is not used, and
        the error is larger.
    family : {"sgd", "momentum", "adam", "adaptive", "muon"}, optional
        The kind of optimizer; None if it is not known.
    """
    x = np.log10([horizon.steps for horizon in horizons])
    y, error = np.array([best_at(horizon) for horizon in horizons]).T
    mean, deviation = (MUON_SLOPES if family == "muon" else SLOPES)[schedule]
    variance, precision, slope = float(error[-1]) ** 2, deviation**-2, mean
    if as_tried:
        weight = error**-2
        away = x - weight @ x / weight.sum()
        own = float(weight @ away**2)  # the precision of the slope of the trials
        slope = (float(weight @ (away * y)) + mean * precision) / (own + precision)
        precision += own
    else:
        variance += _OTHER_SCHEDULE**2
    ahead = math.log10(steps) - float(x[-1])  # of any length
    return float(y[-1]) + slope * ahead, (variance + ahead**2 / precision) ** 0.5


def suggest_longer(
    trials: Sequence[Trial],
    winner: Trial,
    *,
    steps: int,
    planned: Schedule,
    tried: Schedule,
    family: Family | None = None,
) -> Suggestion:
    """Suggest the learning rate of a longer training, with an interval and a sentence.

    Parameters
    ----------
    trials : sequence of Trial
        Those whose groups have other ratios than the winner's are left out.
    winner : Trial
        The best of them, with held-out losses at its end.
    steps : int
        The length of the planned training.
    planned, tried : {"constant", "decay"}
        The schedule of the planned training, and that of the trials.
    family : {"sgd", "momentum", "adam", "adaptive", "muon"}, optional
        The kind of optimizer; None if it is not known.
    """
    horizons = _horizons([trial for trial in trials if _ratios(trial) == _ratios(winner)], winner)
    as_tried = planned == tried
    best, error = extrapolate(horizons, steps, planned, as_tried=as_tried, family=family)
    half = _FOUR_IN_FIVE * error
    lr, low, high = (10**each for each in (best, best - half, best + half))
    tried_steps, s = len(winner.losses), "s" if steps > 1 else ""
    reason = (
        f"For {steps:,} step{s} {_AT[planned]}: {lr:.1e} ({low:.1e} to {high:.1e}), by trial runs "
        f"of {tried_steps:,} steps {_AT[tried]}"
    )
    if steps != tried_steps:
        reason += f", for which it would be {10 ** best_at(horizons[-1])[0]:.1e}"
    return Suggestion(lr, low, high, "trials", f"{reason}.{_edge(horizons[-1])}")


_AT = {"constant": "at a constant rate", "decay": "with a decay"}


def _ratios(trial: Trial) -> tuple[float, ...]:
    lrs = trial.lr if isinstance(trial.lr, tuple) else ()
    return tuple(round(lr / trial.largest, 9) for lr in lrs)


def _horizons(trials: Sequence[Trial], winner: Trial) -> list[Horizon]:
    """Return the finite held-out losses at each number of steps, up to that of the winner."""
    found = []
    for steps in sorted({n for n in winner.held_out if n <= len(winner.losses)}):
        there = [
            (trial.largest, trial.held_out[steps])
            for trial in sorted(trials, key=lambda trial: trial.largest)
            if steps in trial.held_out and np.isfinite(trial.held_out[steps]).all()
        ]
        if there:
            log10_lrs = np.log10([lr for lr, _ in there])
            losses = np.array([losses.mean() for _, losses in there])
            best = there[int(losses.argmin())][1]
            close = np.array([not clearly_above(best, other) for _, other in there])
            found.append(Horizon(steps, log10_lrs, losses, close))
    return found


def _edge(horizon: Horizon) -> str:
    """Return what to do if the best of several learning rates is the lowest or the highest."""
    i, last = int(horizon.losses.argmin()), len(horizon.losses) - 1
    if last == 0 or 0 < i < last:
        return ""
    name, what = ("lowest", "lower") if i == 0 else ("highest", "higher")
    return f" The {name} learning rate that came this far did best: try {what} ones too."
