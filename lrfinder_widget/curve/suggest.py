"""From a smoothed curve to a candidate learning rate, or to a refusal with its reason. NumPy only.

What was lost by following each rule on small tasks stands in `tests/benchmarks/README.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .fall import Part
from .rules import DIVIDED, RULES, Rule

FEWEST_POINTS = 10


@dataclass(frozen=True)
class Suggestion:
    """A candidate learning rate with its band and its evidence, or a refusal with the reason.

    Attributes
    ----------
    lr : float or None
        The candidate; None where the curve shows none.
    low, high : float or None
        The band around it in which the loss falls clearly, ending well before it turns
        (base and maximum learning rate of Smith, arXiv 1506.01186, section 3.3).
    rule : str
        The rule that was asked.
    reason : str
        One sentence: what the curve shows, or what to do about it.
    spread : float or None
        Decades between the lowest and the highest candidate of the repeats; None without repeats.
    weak : bool
        Whether the fall that the candidate rests on is hardly larger than the noise, or no larger
        than a trained model's may be: to be checked by trial runs.
    """

    lr: float | None
    low: float | None
    high: float | None
    rule: str
    reason: str
    spread: float | None = None
    weak: bool = False


def suggest(
    part: Part,
    *,
    rule: Rule | None = None,
    divisor: float | None = None,
    completed: bool = True,
    repeats: Sequence[float | None] = (),
    alike: bool = False,
) -> Suggestion:
    """Read a candidate off a curve, or refuse and say why.

    Parameters
    ----------
    part : Part
        The part of the curve before it blows up.
    rule : {"minimum", "steepest", "valley", "slide", "divergence"}, optional
        Default ``"minimum"``.
    divisor : float, optional
        What the learning rate that ``"minimum"`` or ``"divergence"`` finds is divided by; without
        one, their own.
    completed : bool
        Whether the test went through its whole range.
    repeats : sequence of (float or None)
        What the rule finds on single curves, if the part is that of their median: the candidate is
        the geometric mean of all.
    alike : bool
        Whether these are the same curve.

    Raises
    ------
    ValueError
        If there is no such rule, it takes no divisor, or the divisor is not positive.
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
        told = _WEAK if part.baseline is None else _HIDDEN
        reason, high = reason[:-1] + told, float(lrs[fall.last]) / 2
    spread = float(np.ptp(off)) if len(off) > 1 and not alike else None
    if repeats:
        told = _ALL_ALIKE if alike else _SPREAD if len(off) == len(repeats) else _FEW
        reason += " " + told.format(found=len(off), repeats=len(repeats), spread=spread)
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
    """Why the curve has no candidate; empty where it has one."""
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
    """Return at most five learning rates worth trial runs, ascending.

    Around the candidate `lr`, a quarter of a decade apart, about as far as the candidate itself is
    off by chance; below the learning rate where the loss is lowest, as short trials flatter what is
    too high. Where noise leaves a weak candidate or none, it hides small differences between trials
    too: three learning rates, half a decade apart. Without a candidate, the middle one is a tenth
    of where the loss turned; if it did not, the highest is the end of the part.
    """
    if len(part.lrs) < FEWEST_POINTS:
        return []
    halves, fall, last = np.array([-0.5, 0.0, 0.5]), part.fall, float(part.lrs[-1])
    if lr is None or fall is None:
        ladder, highest = last * 10 ** (halves - (1 if part.turned else 0.5)), last
    elif fall.weak:
        ladder, highest = lr * 10**halves, last
    else:
        ladder = lr * 10 ** (np.arange(-4, 3) / 4)
        highest = max(lr, 0.8 * fall.centre(part.log10_lr))
    kept = ladder[(ladder >= part.lrs[0]) & (ladder <= 1.001 * highest)]
    return [float(each) for each in kept[-5:]]


_REASONS = {
    "minimum": "The loss falls clearly from {onset:.1e} on and is lowest near {lowest:.1e}; the "
    "candidate is that divided by {below_lowest:.2g}, well before the loss turns.",
    "steepest": "The loss falls fastest, per decade of learning rate, near {lr:.1e}.",
    "valley": "{lr:.1e} is two thirds of the way through the longest run of falling losses.",
    "slide": "A decade of learning rates, slid down from the bottom, is first as steep above as "
    "below with {lr:.1e} as its lower end.",
    "divergence": "The loss diverges after {last:.1e}; the candidate is that divided by "
    "{below_last:.2g}.",
}
_WEAK_REASONS = {
    **_REASONS,
    "minimum": "The loss falls, and is lowest near {lowest:.1e}; the candidate is {lr:.1e}.",
}
_WEAK = (
    ", but it is a weak one, as the fall is hardly larger than the noise: compare it in trial "
    "runs, or ask again with repeats=3, larger batches or more points."
)
_HIDDEN = (
    ", but it is a weak one, as the fall is smaller than what batches differ by, and shows only "
    "beside the losses of the same batches at the starting weights, and a trained model's may look "
    "like that: compare it in trial runs, or ask again with larger batches or more points."
)
_SPREAD = "The candidates of {repeats} repeats lie within {spread:.2f} decades."
_FEW = "Of {repeats} repeats, only {found} show a candidate by themselves."
_ALL_ALIKE = "All repeats saw the same data in the same order, so they tell nothing of the spread."
_NOTHING = (
    "The curve has no finite loss: run the LR range test, and look at the data and the model."
)
_TOO_FEW = (
    "The curve has too few points to read ({n}, and it needs {fewest}): run the LR range test with "
    "more points."
)
_RISES_AT_ONCE = (
    "The loss rises too early to read the curve (points before that: {n}): begin with a smaller "
    "start_lr."
)
_RISES_ONLY = (
    "The loss rises without a clear fall before it, as often with a trained model, so the curve "
    "shows no candidate: lower start_lr, or calm the noise with larger batches or more points."
)
_FLAT = (
    "The loss does not fall clearly in this range, as often with a trained model, so the curve "
    "shows no candidate: raise end_lr, or calm the noise with larger batches or more points."
)
_NOT_YET = "The loss had not fallen clearly when the LR range test ended: let it run on."
_STILL_FALLING = "The loss is still falling at the end of the range: raise end_lr."
_CUT_SHORT = "The loss was still falling when the LR range test ended: let it run on."
_NOT_BY_THIS_RULE = "The loss falls, but the rule {rule} finds no candidate: ask for another rule."
_BELOW_THE_RANGE = (
    "The loss turns so early that the candidate lies below the range: lower start_lr."
)
