"""The result of trial runs: the losses of each, their ranking, and how clear it is. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from . import reasons
from .arrays import Array, finite
from .budget import Family, Schedule
from .control_variate import spread
from .extrapolate import NOT_JUDGED, suggest_longer
from .plan import check_count
from .plots import draw_trials
from .suggest import Suggestion
from .trial import Rate, Trial, change, clearly_above, format_rate, held_out_margin, margin, untried

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CLEAR = 2.0
"""In standard errors: a larger lead would be seen again in another comparison."""
LEAST_GAIN = 0.18
"""The least gain that counts, as a share of the `spread` of the baseline. A low learning rate gains
less than that for a trained model, too. Chosen by `tests/benchmarks/regret.py`."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The trial runs of `compare`.

    If there were held-out batches, the result of a trial is its mean loss on them at the end.
    Otherwise it is its mean training loss over the last fifth of its steps. All trials see the same
    batches, so they are compared by the differences of their losses batch by batch, which vary much
    less than the losses do.

    Parameters
    ----------
    trials : list of Trial
        One for each learning rate.
    baseline : ndarray of float64, shape (steps,), optional
        The losses of the starting weights on the training batches, step by step.
    held_out : ndarray of float64, shape (n_batches,), optional
        The losses of the starting weights on the held-out batches.
    scheduled : bool, default False
        Whether the trials had a schedule, rather than a constant learning rate.
    family : {"sgd", "momentum", "adam", "adaptive", "muon"}, optional
        The kind of optimizer; None if it is not known.
    """

    trials: list[Trial]
    baseline: Array | None = None
    held_out: Array | None = None
    scheduled: bool = False
    family: Family | None = None

    def __repr__(self) -> str:
        n = len(self.trials)
        return f"<Comparison of {n} learning rate{'s' if n != 1 else ''}: {self.reason}>"

    @property
    def lrs(self) -> list[Rate]:
        """The learning rates, in the order they were tried: numbers, or a tuple of the groups'."""
        return [trial.lr for trial in self.trials]

    @property
    def losses(self) -> dict[Rate, Array]:
        """The training losses of each learning rate, step by step."""
        return {trial.lr: trial.losses for trial in self.trials}

    @property
    def results(self) -> dict[Rate, float]:
        """The mean training loss at the end of each trial; nan for one that did not complete."""
        return {trial.lr: trial.result for trial in self.trials}

    @property
    def held_out_losses(self) -> dict[Rate, dict[int, float]]:
        """The mean held-out loss of each learning rate, by the number of steps taken.

        The loss of the starting weights is at 0. Without held-out batches, all are empty.
        """
        start = {} if self.held_out is None else {0: float(self.held_out.mean())}
        return {
            trial.lr: start | {n: float(losses.mean()) for n, losses in trial.held_out.items()}
            for trial in self.trials
        }

    @property
    def ranking(self) -> list[Rate]:
        """The learning rates, the lowest loss first.

        By the held-out loss at the end, or without it by the training loss. Longer trials rank
        before shorter ones, which were not continued. Trials that did not complete come last, those
        that lasted longest first.
        """
        return [trial.lr for trial in self._ranked]

    @cached_property
    def _ranked(self) -> list[Trial]:
        def place(trial: Trial) -> tuple[bool, int, float, float]:
            loss = self._loss(trial)
            loss = loss if np.isfinite(loss) else float("inf")
            return (not trial.completed, -len(trial.losses), loss, trial.largest)

        return sorted(self.trials, key=place)

    def _loss(self, trial: Trial) -> float:
        """Return what the trial is judged by."""
        if not self._is_judged:
            return trial.result
        return float("nan") if trial.judged is None else float(trial.judged.mean())

    @cached_property
    def _is_judged(self) -> bool:
        return any(trial.judged is not None for trial in self.trials)

    @property
    def winner(self) -> Rate | None:
        """The first of the ranking; None if no trial completed."""
        return None if self._winner is None else self._winner.lr

    @cached_property
    def _winner(self) -> Trial | None:
        first = self._ranked[0] if self.trials else None
        return first if first is not None and np.isfinite(self._loss(first)) else None

    @property
    def margins(self) -> dict[Rate, float]:
        """How far each is behind the winner, in standard errors of the difference.

        With held-out batches, those of the mean difference over the batches; nan if the evaluation
        gave a single number. Without, those of the means of five blocks of steps, since
        neighbouring steps are not independent. Infinite for a trial that is shorter than the
        winner's, or did not complete.
        """
        winner = self._winner
        if winner is None:
            return {}
        return {
            trial.lr: 0.0 if trial is winner else self._margin(winner, trial)
            for trial in self.trials
        }

    def _margin(self, winner: Trial, other: Trial) -> float:
        if winner.judged is None:
            return margin(winner.losses, other.losses)
        if other.judged is None or len(other.losses) != len(winner.losses):
            return float("inf")
        return held_out_margin(winner.judged, other.judged)

    def _is_close(self, winner: Trial, other: Trial) -> bool:
        """Return whether a trial can hardly be distinguished from the winner."""
        if winner.judged is None:
            return self._margin(winner, other) < CLEAR
        if other.judged is None or len(other.losses) != len(winner.losses):
            return False
        return not clearly_above(winner.judged, other.judged)

    @property
    def improves(self) -> bool | None:
        """Whether the winner's loss ends below that of the starting weights, by more than noise.

        With held-out batches: whether a paired t-test over these batches finds the winner's losses
        below those of the starting weights, where noise alone passes once in forty times (with two
        batches, the mean difference must be 12.7 standard errors, with eight 2.4). If there is one
        batch, or the evaluation gave a single number, it must be lower by a hundredth. Without
        held-out batches: by at least 0.18 of the 10th-to-90th percentile range of the baseline.
        None without a winner, or if the starting weights were not measured.
        """
        return None if self._change is None else self._change < 0

    @cached_property
    def _change(self) -> int | None:
        """Whether the winner ends clearly below (-1) or above (1) the starting weights; or 0."""
        winner = self._winner
        if winner is None:
            return None
        if winner.judged is not None:
            return None if self.held_out is None else change(self.held_out, winner.judged)
        if self.baseline is None:
            return None
        least = LEAST_GAIN * spread(self.baseline)
        gain = winner.start(self.baseline) - winner.result
        return (-gain > least) - (gain > least)

    @property
    def _untried(self) -> str | None:
        winner = self._winner
        if winner is None or self.improves is not False:
            return None
        return untried(self.trials, winner, harms=self._change == 1)

    @property
    def reason(self) -> str:
        """What the trials show, in a sentence or two."""
        winner = self._winner
        if winner is None:
            done = any(trial.completed for trial in self.trials)
            return reasons.NOT_FINITE if done else reasons.NONE_COMPLETED
        steps, loss, lr = len(winner.losses), self._loss(winner), format_rate(winner.lr)
        words = {"steps": steps, "claim": reasons.NO_USE[self._untried]}
        if winner.judged is None:
            text = f"after {steps} steps, {lr} has the lowest loss, {loss:.4g}"
        elif self.improves is False and self.held_out is not None:
            start = self.held_out.mean()
            return reasons.NONE_BELOW.format(lr=lr, loss=loss, start=start, **words)
        else:
            text = f"after {steps} steps, {lr} has the lowest loss on the held-out batches, "
            text += f"{loss:.4g}"
            if self.held_out is not None:
                text += f" ({self.held_out.mean():.4g} at the starting weights)"
        others = self._ranked[1:]
        close = [format_rate(t.lr) for t in others if self._is_close(winner, t)]
        if not others:
            text += "; no other learning rate was tried."
        elif not close:
            text += ", clearly below the others."
        else:
            text += f"; {', '.join(close)} can hardly be distinguished from it."
        if winner.judged is None and self.baseline is not None and not self.improves:
            text += reasons.NO_GAIN.format(start=winner.start(self.baseline), **words)
        return text

    def suggest(
        self, train_steps: int | None = None, schedule: Schedule | None = None
    ) -> Suggestion:
        """Suggest the learning rate of a longer training from the held-out losses of the trials.

        At each number of steps at which the trials were evaluated, the best learning rate is
        interpolated between those tried. A line through these, of log10 of the learning rate over
        log10 of the steps, leads to `train_steps`. Short trials show its slope with a large error,
        so it is combined with the slopes that other trainings have had with this kind of optimizer,
        each weighted by its precision.

        Parameters
        ----------
        train_steps : int, optional
            The length of the planned training, in optimizer steps; by default that of the trials.
        schedule : {"constant", "decay"}, optional
            The schedule of the planned training; by default that of the trials.

        Returns
        -------
        Suggestion
            With the interval that the learning rate should lie in four times out of five, for
            groups with different learning rates that of the largest; or a refusal, if no trial
            improves on the starting weights, none completed, or there are no held-out losses.

        Raises
        ------
        ValueError
            If an argument is invalid.
        """
        if schedule not in (None, "constant", "decay"):
            raise ValueError(f'schedule must be "constant" or "decay"; got {schedule!r}.')
        tried: Schedule = "decay" if self.scheduled else "constant"
        if train_steps is not None:
            train_steps = check_count("train_steps", train_steps, at_least=1)
        winner = self._winner
        if winner is None or winner.judged is None or self.improves is False:
            judged = winner is None or winner.judged is not None
            told = self.reason if judged else NOT_JUDGED
            return Suggestion(None, None, None, "trials", f"{told[0].upper()}{told[1:]}")
        return suggest_longer(
            self.trials,
            winner,
            steps=train_steps or len(winner.losses),
            planned=schedule or tried,
            tried=tried,
            family=self.family,
        )

    def summary(self, train_steps: int | None, schedule: Schedule) -> dict[str, Any]:
        """Return what the trials show as plain values, for a report.

        Parameters
        ----------
        train_steps, schedule
            As for `suggest`.
        """
        suggested = self.suggest(train_steps, schedule).lr if self._is_judged else None
        return {
            "tried": [
                {
                    "lr": _plain(trial.lr),
                    "steps": len(trial.losses),
                    "completed": trial.completed,
                    "loss": finite(trial.result),
                    "held_out": None if trial.judged is None else finite(trial.judged.mean()),
                }
                for trial in self.trials
            ],
            "winner": None if self.winner is None else _plain(self.winner),
            "improves": self.improves,
            "untried": self._untried,
            "lr": suggested,
            "reason": self.reason,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas frame with the columns ``lr``, ``step`` (from 0) and ``loss``.

        With held-out batches, also ``held_out``: their mean loss after the update of that step, nan
        where it was not measured.
        """
        import pandas as pd

        judged = any(trial.held_out for trial in self.trials)
        parts = [
            {"lr": trial.lr, "step": step, "loss": loss, "held_out": held_out.get(step + 1)}
            for trial, held_out in zip(self.trials, self.held_out_losses.values(), strict=True)
            for step, loss in enumerate(trial.losses.tolist())
        ]
        columns = ["lr", "step", "loss", *(["held_out"] if judged else [])]
        return pd.DataFrame(parts, columns=columns).astype({"held_out": float} if judged else {})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses of each trial with Matplotlib, averaged over a twentieth of its steps.

        Also draws the losses of the starting weights, if they were taken, and as dots the mean
        held-out losses, if there are any.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default, in a new figure.
        """
        held_out = self.held_out_losses if any(trial.held_out for trial in self.trials) else {}
        lines = [(format_rate(t.lr), t.losses, held_out.get(t.lr, {})) for t in self._ranked]
        return draw_trials(ax, lines, self.baseline)


def _plain(lr: Rate) -> float | list[float]:
    return list(lr) if isinstance(lr, tuple) else lr
