"""The result of trial runs: the losses of each, their ranking, and how clear it is. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Array
from .control_variate import spread
from .plots import draw_trials

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CLEAR = 2.0
"""In standard errors: a larger lead would be seen again in another comparison."""
LEAST_GAIN = 0.18
"""The least gain that counts, as a share of the `spread` of the baseline. A low learning rate gains
less than that for a trained model, too. Chosen by `tests/benchmarks/regret.py`."""
_BLOCKS = 5


@dataclass(frozen=True)
class Trial:
    """One trial run.

    Attributes
    ----------
    lr : float
        Its learning rate; with a schedule, what its factors multiply.
    losses : ndarray of float64, shape (steps,)
        The loss of each step, before the update.
    completed : bool
        Whether it took all its steps: its loss did not explode, and it was not stopped.
    """

    lr: float
    losses: Array
    completed: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """The trial runs of `compare`.

    The result of a trial is its mean loss over the last fifth of its steps. All trials see the same
    batches, so they are compared by the differences of their losses batch by batch, which vary much
    less than the losses do.

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
        """The learning rates, in the order they were tried."""
        return [trial.lr for trial in self.trials]

    @property
    def losses(self) -> dict[float, Array]:
        """The losses of each learning rate, step by step."""
        return {trial.lr: trial.losses for trial in self.trials}

    @property
    def results(self) -> dict[float, float]:
        """The mean loss at the end of each trial; nan for a trial that did not complete."""
        return {trial.lr: _result(trial) for trial in self.trials}

    @property
    def ranking(self) -> list[float]:
        """The learning rates, the lowest loss first.

        Longer trials rank before shorter ones, which were not continued. Trials that did not
        complete come last, those that lasted longest first.
        """
        return [trial.lr for trial in self._ranked]

    @cached_property
    def _ranked(self) -> list[Trial]:
        def place(trial: Trial) -> tuple[bool, int, float, float]:
            return (not trial.completed, -len(trial.losses), _result(trial), trial.lr)

        return sorted(self.trials, key=place)

    @property
    def winner(self) -> float | None:
        """The first of the ranking; None if no trial completed."""
        return None if self._winner is None else self._winner.lr

    @cached_property
    def _winner(self) -> Trial | None:
        first = self._ranked[0] if self.trials else None
        return first if first is not None and np.isfinite(_result(first)) else None

    @property
    def margins(self) -> dict[float, float]:
        """How far each is behind the winner, in standard errors of the difference.

        The standard error is that of the means of five blocks of steps, since neighbouring steps
        are not independent. Infinite for a trial that is shorter than the winner's, or did not
        complete.
        """
        winner = self._winner
        if winner is None:
            return {}
        return {
            trial.lr: 0.0 if trial is winner else _margin(winner.losses, trial.losses)
            for trial in self.trials
        }

    @property
    def improves(self) -> bool | None:
        """Whether the winner's loss ends clearly below that of the starting weights.

        That is by at least 0.18 of the 10th-to-90th percentile range of the baseline. None without
        a winner or a baseline.
        """
        if self._winner is None or self.baseline is None:
            return None
        gain = _start(self._winner, self.baseline) - _result(self._winner)
        return gain > LEAST_GAIN * spread(self.baseline)

    @property
    def reason(self) -> str:
        """What the trials show, in a sentence or two."""
        winner, margins = self._winner, self.margins
        if winner is None:
            return "no trial completed: try smaller learning rates."
        text = (
            f"after {len(winner.losses)} steps, {winner.lr:.2e} has the lowest loss, "
            f"{_result(winner):.4g}"
        )
        close = [f"{lr:.2e}" for lr in self.ranking[1:] if margins[lr] < CLEAR]
        if len(self.trials) == 1:
            text += "; no other learning rate was tried."
        elif not close:
            text += ", clearly below the others."
        else:
            text += f"; {', '.join(close)} can hardly be distinguished from it."
        if self.baseline is not None and not self.improves:
            text += _NO_GAIN.format(_start(winner, self.baseline))
        return text

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame with the columns ``lr``, ``step`` (from 0) and ``loss``."""
        import pandas as pd

        parts = [
            {"lr": trial.lr, "step": step, "loss": loss}
            for trial in self.trials
            for step, loss in enumerate(trial.losses.tolist())
        ]
        return pd.DataFrame(parts, columns=["lr", "step", "loss"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses of each trial with Matplotlib, averaged over a twentieth of its steps.

        Also draws the losses of the starting weights, if they were taken.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default, in a new figure.
        """
        return draw_trials(ax, [(trial.lr, trial.losses) for trial in self._ranked], self.baseline)


_NO_GAIN = (
    " But the starting weights have a loss of {:.4g} on the same batches: in this many steps, none "
    "of these learning rates lowers the loss clearly, as is common for a trained model."
)


def _tail(losses: Array) -> Array:
    return losses[-max(_BLOCKS, len(losses) // 5) :]


def _result(trial: Trial) -> float:
    return float(_tail(trial.losses).mean()) if trial.completed else float("nan")


def _start(winner: Trial, baseline: Array) -> float:
    """Return the mean loss of the starting weights on the batches of the winner's result."""
    return float(_tail(baseline[: len(winner.losses)]).mean())


def _margin(best: Array, other: Array) -> float:
    if len(best) != len(other):
        return float("inf")
    differences = _tail(other) - _tail(best)
    blocks = np.array([block.mean() for block in np.array_split(differences, _BLOCKS)])
    error = float(blocks.std(ddof=1)) / _BLOCKS**0.5
    mean = float(blocks.mean())
    return mean / error if error > 0 else float("inf" if mean > 0 else 0)
