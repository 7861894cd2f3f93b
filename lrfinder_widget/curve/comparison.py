"""What trial runs have shown: the losses of each, their ranking, and how clear it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Array
from .control_variate import scatter
from .plots import draw_trials

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CLEAR = 2.0
"""A lead of so many standard errors is one that is seen again."""
LEAST_GAIN = 0.18
"""Of what lies between the lowest and the highest tenth of the baseline: less than that is what a
low learning rate gives a trained model, too. Chosen by `tests/benchmarks/regret.py`."""
_BLOCKS = 5


@dataclass(frozen=True)
class Trial:
    """One trial run.

    Attributes
    ----------
    lr : float
        Its learning rate; with a schedule, what that is a factor on.
    losses : ndarray of float64, shape (steps,)
        The loss of each step, before the update.
    completed : bool
        Whether it took all its steps: its loss did not explode, and nobody stopped it.
    """

    lr: float
    losses: Array
    completed: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """The trial runs of `compare`.

    A trial's result is its mean loss over the last fifth of its steps. All trials see the same
    batches, so two of them are compared by the differences of their losses batch by batch, which
    vary much less than the losses do.

    Parameters
    ----------
    trials : list of Trial
        One for each learning rate.
    baseline : ndarray of float64, shape (steps,), optional
        The losses of the starting weights on the same batches, step by step.
    """

    trials: list[Trial]
    baseline: Array | None = None

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.trials)} learning rates: {self.reason}>"

    @property
    def lrs(self) -> list[float]:
        """The learning rates, as they were tried."""
        return [trial.lr for trial in self.trials]

    @property
    def losses(self) -> dict[float, Array]:
        """The losses of each learning rate, step by step."""
        return {trial.lr: trial.losses for trial in self.trials}

    @property
    def results(self) -> dict[float, float]:
        """The mean loss at the end of each trial; nan for one that was given up."""
        return {trial.lr: _result(trial) for trial in self.trials}

    @cached_property
    def ranking(self) -> list[float]:
        """The learning rates, the lowest loss first.

        Longer trials come before shorter ones, which were not gone on with; those that were given
        up are last, and of those the one that lasted longest is first.
        """

        def place(trial: Trial) -> tuple[bool, int, float, float]:
            result = _result(trial)
            return (not trial.completed, -len(trial.losses), result, trial.lr)

        return [trial.lr for trial in sorted(self.trials, key=place)]

    @property
    def winner(self) -> float | None:
        """The first of the ranking; None if no trial came to its end."""
        first = self.ranking[0] if self.trials else None
        return first if first is not None and np.isfinite(self.results[first]) else None

    @property
    def margins(self) -> dict[float, float]:
        """How far each stands behind the winner, in standard errors of the difference.

        The standard error is that of the means of five blocks of steps, as neighbouring steps are
        not independent. Infinite for a trial that is shorter than the winner's, or was given up.
        """
        winner = self.winner
        if winner is None:
            return {}
        best = self.losses[winner]
        return {
            lr: 0.0 if lr == winner else _margin(best, losses) for lr, losses in self.losses.items()
        }

    @property
    def improves(self) -> bool | None:
        """Whether the winner's loss ends clearly below that of the starting weights.

        By 0.18, at least, of what lies between the lowest and the highest tenth of the baseline.
        None without a winner or a baseline.
        """
        winner = self.winner
        if winner is None or self.baseline is None:
            return None
        return self._start - self.results[winner] > LEAST_GAIN * scatter(self.baseline)

    @property
    def _start(self) -> float:
        """The mean loss of the starting weights on the batches of the winner's result."""
        if self.winner is None or self.baseline is None:
            return float("nan")
        return float(_tail(self.baseline[: len(self.losses[self.winner])]).mean())

    @property
    def reason(self) -> str:
        """What the trials show, in a sentence or two."""
        winner = self.winner
        if winner is None:
            return "no trial came to its end: try smaller learning rates."
        steps, result = len(self.losses[winner]), self.results[winner]
        told = f"after {steps} steps, {winner:.2e} has the lowest loss, {result:.4g}"
        close = [lr for lr in self.ranking[1:] if self.margins[lr] < CLEAR]
        if len(self.trials) == 1:
            told += "; there is no other."
        elif not close:
            told += ", clearly below the others."
        else:
            told += f"; {', '.join(f'{lr:.2e}' for lr in close)} can hardly be told from it."
        return told if self.improves in (None, True) else told + _NO_GAIN.format(self._start)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame with the columns ``lr``, ``step``, from 0, and ``loss``."""
        import pandas as pd

        parts = [
            {"lr": trial.lr, "step": step, "loss": loss}
            for trial in self.trials
            for step, loss in enumerate(trial.losses.tolist())
        ]
        return pd.DataFrame(parts, columns=["lr", "step", "loss"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses of each trial, smoothed over a twentieth of its steps, by Matplotlib.

        Those of the starting weights, too, as far as they were taken.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; without one, in a new figure.
        """
        trials = ((lr, self.losses[lr]) for lr in self.ranking)
        return draw_trials(ax, trials, self.baseline)


_NO_GAIN = (
    " But the starting weights have {:.4g} on the same batches: in so many steps none of these "
    "learning rates lowers the loss clearly, as often with a trained model."
)


def _tail(losses: Array) -> Array:
    return losses[-max(_BLOCKS, len(losses) // 5) :]


def _result(trial: Trial) -> float:
    return float(_tail(trial.losses).mean()) if trial.completed else float("nan")


def _margin(best: Array, other: Array) -> float:
    if len(best) != len(other):
        return float("inf")
    differences = _tail(other) - _tail(best)
    blocks = np.array([block.mean() for block in np.array_split(differences, _BLOCKS)])
    error = float(blocks.std(ddof=1)) / _BLOCKS**0.5
    mean = float(blocks.mean())
    return mean / error if error > 0 else float("inf" if mean > 0 else 0)
