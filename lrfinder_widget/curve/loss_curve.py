"""The curve of an LR range test: what was measured, and what can be read off it. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array, check_baseline, check_metric, check_points, equal
from .budget import NO_BUDGET, Budget, Schedule
from .diagnosis import Diagnosis
from .exports import Exports, from_json
from .reading import Reading
from .reasons import NO_EFFECT
from .rules import RULES, Rule
from .smoothing import SMOOTHING
from .suggest import FEWEST_POINTS, Suggestion, suggest, trial_candidates

_CutShort = Literal["exhausted", "stopped", "failed", "no-effect"]
Reason = Literal["completed", "diverged", "non-finite", "stop-rule", _CutShort]
_CUT_SHORT = get_args(_CutShort)


@dataclass(frozen=True)
class LossCurve(Exports):
    """The learning rates and losses of an LR range test, as measured.

    Smoothing, candidates and plots are computed from them.

    Parameters
    ----------
    lrs : array_like of float, shape (n,)
        The learning rates: positive, finite, each larger than the one before.
    losses : array_like of float, shape (n,)
        The raw loss at each of them, before the update with it. May contain nan and infinities.
    reason : str
        Why the test ended, as a keyword: ``"completed"``, ``"diverged"``, ``"non-finite"`` (the
        last loss is nan or infinite), ``"exhausted"`` (the data ran out), ``"stop-rule"`` (your own
        rule said so), ``"stopped"`` (by hand), ``"failed"`` (an exception) or ``"no-effect"`` (the
        learning rate does not change what a step does to the weights).
    repeats : iterable of LossCurve, optional
        The single curves, if this is the median of several.
    baseline : array_like of float, shape (n,), optional
        The losses of the same batches at the starting weights. The noise that the losses share with
        them is then subtracted before anything is read off the curve.
    budget : Budget, optional
        What a candidate is for: the kind of optimizer, and how long and how it will train, as far
        as that is known. `range_test` and `LRFinder` fill it in.
    diagnosis : Diagnosis, optional
        What the steps did besides their losses, from a test with ``diagnose=True``.
    metric : array_like of float, shape (n,), optional
        The metric at each point, from a test with ``metric=…``; nan where it is unknown. Nothing
        is read off it.
    metric_name : str, optional
        What it is called: ``"accuracy"``, or the name of the function.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, the learning rates do not increase, the baseline is not finite, the
        reason is unknown, or the budget, the diagnosis or the metric is none.

    Notes
    -----
    The arrays are read-only float64 copies. Curves compare by value; nan equals nan.

    Examples
    --------
    >>> import numpy as np
    >>> lrs = np.geomspace(1e-5, 1.0, 50)
    >>> curve = LossCurve(lrs, 2.0 - np.tanh(np.log10(lrs) + 3.0) + 9.0 * lrs**2)
    >>> f"{curve.suggest('minimum').lr:.1e}"
    '1.3e-02'
    """

    lrs: Array
    losses: Array
    reason: Reason
    repeats: tuple[LossCurve, ...] = ()
    baseline: Array | None = None
    budget: Budget = NO_BUDGET
    diagnosis: Diagnosis | None = None
    metric: Array | None = None
    metric_name: str | None = None

    def __init__(
        self,
        lrs: ArrayLike,
        losses: ArrayLike,
        reason: Reason = "completed",
        repeats: Iterable[LossCurve] = (),
        baseline: ArrayLike | None = None,
        budget: Budget | None = None,
        diagnosis: Diagnosis | None = None,
        metric: ArrayLike | None = None,
        metric_name: str | None = None,
    ) -> None:
        x, y = check_points(lrs, losses)
        if reason not in get_args(Reason):
            raise ValueError(f"reason must be one of {get_args(Reason)}; got {reason!r}.")
        start = check_baseline(baseline, len(y))
        if not isinstance(budget, (Budget, type(None))):
            raise TypeError(f"budget must be a Budget, as of another curve; got {budget!r}.")
        if not isinstance(diagnosis, (Diagnosis, type(None))):
            raise TypeError(f"diagnosis must be that of another curve; got {diagnosis!r}.")
        if diagnosis is not None and len(diagnosis) != len(y):
            raise ValueError(f"diagnosis must be of {len(y)} points; got {len(diagnosis)}.")
        values: dict[str, Any] = {
            "lrs": x,
            "losses": y,
            "reason": reason,
            "repeats": tuple(repeats),
        }
        values |= {"baseline": start, "budget": budget or NO_BUDGET, "diagnosis": diagnosis}
        values["metric"], values["metric_name"] = check_metric(metric, metric_name, len(y))
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def median(cls, curves: Sequence[LossCurve]) -> LossCurve:
        """Return the pointwise median of repeats of one test, as long as the shortest of them.

        Parameters
        ----------
        curves : sequence of LossCurve
            At least one; all with the same learning rates, as far as they go. Those that were
            stopped, failed or ran out of data are left out if there are others. The rest become the
            ``repeats`` of the median; a single one is returned as it is.
        """
        whole = [c for c in curves if c.reason not in _CUT_SHORT] or curves[:1]
        if len(whole) == 1:
            return whole[0]
        shortest = min(whole, key=len)
        n = len(shortest)
        losses = np.median([curve.losses[:n] for curve in whole], axis=0)
        starts = [curve.baseline[:n] for curve in whole if curve.baseline is not None]
        start = np.median(starts, axis=0) if 2 * len(starts) > len(whole) else None
        known = [curve.diagnosis for curve in whole if curve.diagnosis is not None]
        seen = Diagnosis.median(known) if len(known) == len(whole) else None
        name, values = shortest.metric_name, None
        if name is not None and all(curve.metric_name == name for curve in whole):
            values = np.median([curve.metric[:n] for curve in whole], axis=0)  # type: ignore[index]
        more = seen, values, None if values is None else name
        return cls(shortest.lrs, losses, shortest.reason, whole, start, shortest.budget, *more)

    def __len__(self) -> int:
        return len(self.lrs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LossCurve):
            return NotImplemented
        return (
            self.reason == other.reason
            and np.array_equal(self.lrs, other.lrs)
            and np.array_equal(self.losses, other.losses, equal_nan=True)
            and self.repeats == other.repeats
            and equal(self.baseline, other.baseline)
            and self.budget == other.budget
            and self.diagnosis == other.diagnosis
            and self.metric_name == other.metric_name
            and equal(self.metric, other.metric)
        )

    def __hash__(self) -> int:
        return hash((self.reason, self.lrs.tobytes()))

    def __reduce__(self) -> tuple[Any, ...]:  # so that a copy is read-only too
        single = (self.lrs, self.losses, self.reason)
        more = self.diagnosis, self.metric, self.metric_name
        return LossCurve, (*single, self.repeats, self.baseline, self.budget, *more)

    def with_budget(self, budget: Budget) -> LossCurve:
        """Return the curve for another training; the same one if nothing differs."""
        if budget == self.budget:
            return self
        repeats = tuple(curve.with_budget(budget) for curve in self.repeats)
        twin = object.__new__(LossCurve)  # of the same arrays, with whatever was read off them
        twin.__dict__.update({**vars(self), "repeats": repeats, "budget": budget})
        twin.__dict__.pop("suggestion", None)
        return twin

    def __repr__(self) -> str:
        if not len(self):
            return f"<LossCurve empty, {self.reason}>"
        ends = f"lr {self.lrs[0]:.2e} to {self.lrs[-1]:.2e}"
        losses = f"loss {self.losses[0]:.4g} to {self.losses[-1]:.4g}"
        return f"<LossCurve {len(self)} points, {ends}, {losses}, {self.reason}>"

    # -- reading ----------------------------------------------------------------------------------

    def smooth(self, share: float = SMOOTHING) -> Array:
        """Smooth the losses without lag: centred, over about a tenth of the points.

        A running median of three removes single outliers. Then a straight line is fitted around
        each point (Cleveland, J. Am. Stat. Assoc. 74, 1979), so slopes and ends are not biased. A
        blow-up does not affect what precedes it. If the curve has a baseline, the noise that the
        losses share with it is subtracted first.

        Parameters
        ----------
        share : float, default 0.1
            The share of the points to smooth over; 0 returns the raw losses. It has no effect on
            the suggestion.

        Returns
        -------
        ndarray of float64, shape (n,), read-only
            The smoothed losses; nan where the loss is not finite.

        Raises
        ------
        ValueError
            If the share is not between 0 and 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must be between 0 and 1; got {share!r}.")
        reading = self._reading
        return (reading.usual if share == SMOOTHING else reading.smoothed(share))[0]

    def suggest(
        self,
        rule: Rule | None = None,
        *,
        divisor: float | None = None,
        train_steps: int | None = None,
        schedule: Schedule | None = None,
    ) -> Suggestion:
        """Suggest a candidate learning rate, or refuse and say why.

        With repeats, it is the geometric mean of the candidates of their median and of each of
        them, which varies less than either. Where an untrained model's curve shows little or no
        drop, ``"budget"`` makes a guess instead, by what is usual with Adam and SGD.

        Parameters
        ----------
        rule : {"budget", "minimum", "steepest", "valley", "slide", "divergence"}, optional
            ``"budget"``, the default: what `"minimum"` reads, moved to where the best learning rate
            is for a training of that length and schedule, with that kind of optimizer.
            ``"minimum"``: the learning rate where the loss is lowest, divided by 2 or more; the
            fewer points there are per decade, the more. ``"steepest"``: where the loss falls
            fastest per decade. ``"valley"``: two thirds along the longest uninterrupted fall.
            ``"slide"``: the lower end of a one-decade window, slid down from the minimum until the
            slopes at its ends agree. ``"divergence"``: a twentieth of where the loss diverges.
        divisor : float, optional
            For ``"minimum"`` (then the default) and ``"divergence"``, divides the learning rate
            they find. ``curve.suggest(divisor=10)`` is Gugger's rule of thumb.
        train_steps : int, optional
            For ``"budget"``: for how many optimizer steps you will train.
        schedule : {"constant", "decay"}, optional
            For ``"budget"``: constant, or decaying to nearly zero; by default as for the test.

        Raises
        ------
        ValueError
            If the rule is unknown or does not take the other arguments, or one of these is invalid.
        """
        rule = rule or ("budget" if divisor is None else "minimum")
        if rule != "budget" and not (train_steps is None and schedule is None):
            raise ValueError(
                f'only the rule "budget" takes train_steps and schedule; got {rule!r}'
                f"{'' if divisor is None else ' with a divisor'}."
            )
        return self._suggest(rule, divisor, self.budget.planned(train_steps, schedule))

    def _suggest(self, rule: Rule, divisor: float | None, budget: Budget) -> Suggestion:
        if self.reason == "no-effect":
            return Suggestion(None, None, None, rule, NO_EFFECT)
        own = replace(budget, trained=None)  # a repeat is asked what it shows, not for a guess
        return suggest(
            self._reading.before_turn,
            rule=rule,
            divisor=divisor,
            budget=budget,
            completed=self.reason == "completed",
            repeats=[curve._suggest(rule, divisor, own).lr for curve in self.repeats],
            alike=all(curve == self.repeats[0] for curve in self.repeats),
        )

    @cached_property
    def suggestion(self) -> Suggestion:
        """What the default rule suggests, or why it refuses."""
        return self.suggest()

    @property
    def needs_baseline(self) -> bool:
        """Whether the test ran to its end, but its losses alone show no clear drop."""
        if self.baseline is not None or self.reason not in ("completed", "diverged"):
            return False
        part = self._reading.before_turn
        return len(part.lrs) >= FEWEST_POINTS and (part.fall is None or part.fall.weak)

    def candidates(self) -> dict[Rule, float | None]:
        """Return the candidate of each rule; None where the rule refuses."""
        return {rule: self.suggest(rule).lr for rule in RULES}

    def trial_candidates(self) -> list[float]:
        """Return a few learning rates worth comparing by trial runs, ascending.

        Returns
        -------
        list of float
            At most five, within the range, a quarter of a decade apart: around the candidate, and
            below the learning rate where the loss is lowest, since short trials favour learning
            rates that are too high. If the candidate is weak or missing, three, half a decade
            apart; without one, they lie before the loss turns up, or reach to the end of the range
            if it does not. If there is one without any drop to be seen, up to five of these. Empty
            if fewer than ten points can be read, because the loss is not finite or rises at once.
        """
        return trial_candidates(self._reading.before_turn, self.suggestion)

    @cached_property
    def _reading(self) -> Reading:
        singles = tuple(curve._reading for curve in self.repeats)
        diverged = self.reason == "diverged"
        return Reading(self.lrs, self.losses, self.baseline, singles, diverged)

    @classmethod
    def from_json(cls, text: str) -> LossCurve:
        """Return the curve from the output of `to_json`; `ValueError` if it is something else."""
        return from_json(text, cls)
