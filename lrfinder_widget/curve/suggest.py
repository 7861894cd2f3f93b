"""Suggest a candidate learning rate from a curve, or refuse with a reason. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fall import Part
from .rules import DIVIDED, RULES, Rule

FEWEST_POINTS = 10
"""A curve with fewer points before its turn is not read."""


@dataclass(frozen=True)
class Suggestion:
    """A candidate learning rate with its band and its evidence, or a refusal with the reason.

    Attributes
    ----------
    lr : float or None
        The candidate; None if the curve shows none.
    low, high : float or None
        The band around it in which the loss falls clearly, which ends well before the loss turns up
        (the base and maximum learning rate of Smith, arXiv 1506.01186, section 3.3).
    rule : str
        The rule that was used.
    reason : str
        One sentence (not a keyword, as on a `LossCurve`): what the curve shows, or what to do about
        it. With repeats, a second one says how far they agree.
    spread : float or None
        Decades between the lowest and the highest candidate of the repeats; None without repeats.
    weak : bool
        Whether the candidate rests on a drop of the loss that is hardly larger than the noise, or
        no larger than that of a trained model may be. Check such a candidate with trial runs.
    """

    lr: float | None
    low: float | None
    high: float | None
    rule: str
    reason: str
    spread: float | None = None
    weak: bool = False

    @property
    def label(self) -> str:
        """What to call the candidate in a chart: ``"candidate"`` or ``"weak candidate"``."""
        return "weak candidate" if self.weak else "candidate"


def suggest(
    part: Part,
    *,
    rule: Rule | None = None,
    divisor: float | None = None,
    completed: bool = True,
    repeats: Sequence[float | None] = (),
    alike: bool = False,
) -> Suggestion:
    """Suggest a candidate, or refuse and say why.

    Parameters
    ----------
    part : Part
        The part of the curve before it turns up.
    rule : {"minimum", "steepest", "valley", "slide", "divergence"}, optional
        Default ``"minimum"``.
    divisor : float, optional
        For ``"minimum"`` and ``"divergence"``, divides the learning rate they find. By default,
        each has a divisor of its own.
    completed : bool
        Whether the test covered its whole range.
    repeats : sequence of (float or None)
        The candidates of the single curves, if `part` belongs to their median. The suggestion is
        then the geometric mean of all candidates.
    alike : bool
        Whether the repeats are all the same curve.

    Raises
    ------
    ValueError
        If the rule is unknown or takes no divisor, or the divisor is not a positive number.
    """
    rule = rule or "minimum"
    lr = _apply(rule, part, divisor)
    refusal = _refusal(part, lr, completed)
    if refusal or lr is None or part.fall is None:
        reason = refusal.format(n=len(part.lrs), fewest=FEWEST_POINTS, rule=rule)
        return Suggestion(None, None, None, rule, reason)
    off = np.array([np.log10(single / lr) for single in repeats if single is not None])
    lr *= 10 ** (float(off.sum()) / (1 + len(off)))
    lrs, fall = part.lrs, part.fall
    onset, lowest, last = float(lrs[fall.onset]), fall.centre(part.log10_lr), float(lrs[-1])
    reason = (_WEAK_REASONS if fall.weak else _REASONS)[rule].format(
        lr=lr, onset=onset, lowest=lowest, below_lowest=lowest / lr, last=last, below_last=last / lr
    )
    high = min(float(lrs[fall.first]), lowest / 2)
    if fall.weak:
        caution = _WEAK if part.baseline is None else _HIDDEN
        reason, high = reason[:-1] + caution, float(lrs[fall.last]) / 2
    spread = float(np.ptp(off)) if len(off) > 1 and not alike else None
    if repeats:
        agreement = _ALL_ALIKE if alike else _SPREAD if len(off) == len(repeats) else _FEW
        reason += " " + agreement.format(found=len(off), repeats=len(repeats), spread=spread)
    return Suggestion(lr, min(onset, lr), max(high, lr), rule, reason, spread, fall.weak)


def _apply(rule: Rule, part: Part, divisor: float | None) -> float | None:
    if rule not in RULES:
        raise ValueError(f"rule must be one of {sorted(RULES)}; got {rule!r}.")
    if divisor is None:
        return RULES[rule](part)
    if rule not in DIVIDED:
        raise ValueError(f"only the rules {sorted(DIVIDED)} take a divisor; got {rule!r}.")
    if not 0 < divisor < np.inf:
        raise ValueError(f"divisor must be a positive number; got {divisor!r}.")
    return DIVIDED[rule](part, divisor)


def _refusal(part: Part, lr: float | None, completed: bool) -> str:
    """Return why the curve has no candidate; an empty string if it has one."""
    n, fall, refusal = len(part.lrs), part.fall, ""
    if not n:
        refusal = _NOTHING
    elif n < FEWEST_POINTS:
        refusal = _RISES_AT_ONCE if part.turned else _TOO_FEW
    elif fall is None:
        refusal = _RISES_ONLY if part.turned else _FLAT if completed else _NOT_YET
    elif not part.turned and fall.first > 0.9 * n and fall.last == n - 1:
        refusal = _STILL_FALLING if completed else _CUT_SHORT
    elif lr is None:
        refusal = _NOT_BY_THIS_RULE
    elif lr < part.lrs[0]:
        refusal = _BELOW_THE_RANGE
    return refusal


def trial_candidates(part: Part, lr: float | None) -> list[float]:
    """Return at most five learning rates worth comparing by trial runs, ascending.

    They lie around the candidate `lr`, a quarter of a decade apart, which is about the error of the
    candidate itself. All lie below the learning rate where the loss is lowest, since short trials
    favour learning rates that are too high. If the candidate is weak or missing, noise hides small
    differences between trials as well, so there are three, half a decade apart. Without a
    candidate, the middle one is a tenth of where the loss turned up; if it did not, the highest is
    the end of the range.
    """
    if len(part.lrs) < FEWEST_POINTS:
        return []
    halves, fall, last = np.array([-0.5, 0.0, 0.5]), part.fall, float(part.lrs[-1])
    if lr is None or fall is None:
        lrs, highest = last * 10 ** (halves - (1 if part.turned else 0.5)), last
    elif fall.weak:
        lrs, highest = lr * 10**halves, last
    else:
        lrs = lr * 10 ** (np.arange(-4, 3) / 4)
        highest = max(lr, 0.8 * fall.centre(part.log10_lr))
    within = (lrs >= part.lrs[0]) & (lrs <= 1.001 * highest)
    return [float(each) for each in lrs[within][-5:]]


_REASONS = {
    "minimum": "The loss falls clearly from {onset:.1e} on and is lowest near {lowest:.1e}; the "
    "candidate is that divided by {below_lowest:.2g}, to stay well below where the loss turns up.",
    "steepest": "Per decade of learning rate, the loss falls fastest near {lr:.1e}.",
    "valley": "{lr:.1e} is two thirds of the way along the longest uninterrupted fall.",
    "slide": "A one-decade window, slid down from the minimum, first has about the same slope at "
    "both ends when its lower end is {lr:.1e}.",
    "divergence": "The loss diverges after {last:.1e}; the candidate is that divided by "
    "{below_last:.2g}.",
}
_WEAK_REASONS = {
    **_REASONS,
    "minimum": "The loss falls and is lowest near {lowest:.1e}, which suggests {lr:.1e}.",
}
_WEAK = (
    "; this is a weak candidate: the drop is hardly larger than the noise, so check it with trial "
    "runs, or rerun with repeats=3, larger batches or more points."
)
_HIDDEN = (
    "; this is a weak candidate: the drop is smaller than the batch-to-batch noise and appears "
    "only once that noise is subtracted, as it can for an already trained model, so check it with "
    "trial runs, or rerun with larger batches or more points."
)
_SPREAD = "The candidates of {repeats} repeats lie within {spread:.2f} decades."
_FEW = "Only {found} of {repeats} repeats show a candidate on their own."
_ALL_ALIKE = (
    "All repeats saw the same data in the same order, so they say nothing about the spread."
)
_NOTHING = (
    "The curve has no finite loss: run the LR range test or, if you have, check the data and the "
    "model."
)
_TOO_FEW = (
    "The curve has too few points to be read ({n}, but {fewest} are needed): run the LR range test "
    "with more points."
)
_RISES_AT_ONCE = (
    "The loss rises too early for the curve to be read (points before the rise: {n}): use a "
    "smaller start_lr."
)
_RISES_ONLY = (
    "The loss rises without a clear drop before it, as is common for a trained model, so the curve "
    "shows no candidate: lower start_lr, or reduce the noise with larger batches or more points."
)
_FLAT = (
    "The loss does not fall clearly in this range, as is common for a trained model, so the curve "
    "shows no candidate: raise end_lr, or reduce the noise with larger batches or more points."
)
_NOT_YET = "The loss had not fallen clearly when the LR range test ended: let it run longer."
_STILL_FALLING = "The loss is still falling at the end of the range: raise end_lr."
_CUT_SHORT = "The loss was still falling when the LR range test ended: let it run longer."
_NOT_BY_THIS_RULE = "The loss falls, but the rule {rule} finds no candidate: try another rule."
_BELOW_THE_RANGE = (
    "The loss turns up so early that the candidate lies below the range: lower start_lr."
)
NO_EFFECT = (
    "The learning rate has no effect: a step that was tried once more, from the same state and at "
    "100,000 times the learning rate, moved the weights to the same values, bit for bit. So no "
    "learning rate can be read off the losses. Either the optimizer sets its own step size, as "
    "Rprop does after its first step and Adafactor with relative steps: turn that off, or use it "
    "without this test. Or the step does not use the learning rate of the optimizer that was "
    "passed: pass the one that it uses, and make lr a tensor if the step was captured or compiled."
)
"""Why a run with the reason ``"no-effect"`` has no candidate."""
