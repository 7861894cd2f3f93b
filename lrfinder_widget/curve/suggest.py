"""From a smoothed curve to a candidate learning rate, or to a refusal with its reason. NumPy only.

Every rule takes the part of a curve that precedes its blow-up: the learning rates, the smoothed
losses, and the standard error of those. Only differences of losses, ratios of learning rates and
their ratio to the error count, so that neither an offset nor a positive factor of the loss changes
a candidate, and a factor on the learning rates is a factor on the candidate. What was lost by
following each rule on small tasks stands in `tests/benchmarks/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .control_variate import Array
from .smoothing import CLEAR_FALL, Part

Rule = Literal["minimum", "steepest", "valley", "slide", "divergence"]

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


def minimum(part: Part, divisor: float | None = None) -> float | None:
    """A fraction of the learning rate where the loss is lowest.

    The lowest place is the middle, on the logarithmic axis, of all that can hardly be told from the
    lowest point. Gugger's rule of thumb is ``divisor=10`` ("How do you find a good learning rate",
    2018). Without one it is 9 / sqrt(n), and 2 at least, with n points in the decade below the
    lowest place: the fewer steps a test spends on a decade, the later it sees what is too high. A
    weak fall is seen only where the loss is lowest, and hardly to its end, so nothing divides its
    place. And if the loss diverges, the candidate is at most a tenth of the learning rate where it
    does; a third, if it took a baseline to see the fall.

    Measured by `tests/benchmarks/regret.py` on the tasks of its development half: at 30, 100, 300
    and 1,000 points no constant divisor does as well, and no divisor as well as with that bound.
    """
    if part.fall is None:
        return None
    lowest = part.fall.centre(part.log10_lr)
    if divisor is not None:
        return lowest / divisor
    ends = np.interp(np.log10([lowest / 10, lowest]), part.log10_lr, np.arange(len(part.lrs)))
    below = max(2.0, 9 / float(np.sqrt(max(ends[1] - ends[0], 1.0))))
    lr = lowest if part.fall.weak else lowest / below
    below_last = 10 if part.baseline is None else 3
    return min(lr, float(part.lrs[-1]) / below_last) if part.turned else lr


def steepest(part: Part) -> float | None:
    """Where the loss falls fastest per decade of learning rate, between onset and bottom.

    By log10(lr), as the derivative by lr favours the left end, and over half the width of the fall,
    as the difference of two neighbours is mostly noise.
    """
    fall = part.fall
    if fall is None:
        return None
    before = fall.onset - 1
    half = (part.log10_lr[fall.first] - part.log10_lr[before]) / 4
    slope = _slope(part, fall.lowest, half)[before : fall.first + 1]
    return float(part.lrs[before + np.argmin(slope)])


def valley(part: Part) -> float | None:
    """Two thirds through the longest run of falling losses, on the logarithmic axis.

    After the idea of fastai's rule of that name (``fastai.callback.schedule.valley``). Here a run
    is a stretch of the smoothed curve without a rise, and counts if its fall is clear.
    """
    if part.fall is None:
        return None
    smoothed, error = part.smoothed, part.error
    turns = np.flatnonzero(np.diff(smoothed) >= 0)
    starts, ends = np.append(0, turns + 1), np.append(turns, len(smoothed) - 1)
    drop = smoothed[starts] - smoothed[ends]
    clear = drop > CLEAR_FALL * np.hypot(error[starts], error[ends])
    if not clear.any():
        return None
    length = np.where(clear, part.log10_lr[ends] - part.log10_lr[starts], -1.0)
    longest = int(length.argmax())
    return float(10 ** (part.log10_lr[starts[longest]] + 2 / 3 * length[longest]))


def slide(part: Part) -> float | None:
    """Where a decade of learning rates, slid down from the bottom, has the same slope at both ends.

    After the idea of fastai's rule of that name (``fastai.callback.schedule.slide``): begin at the
    right, and go left while the slopes at the two ends of an interval differ; the left end is the
    candidate. Here slopes are per decade, the interval begins at the bottom of the fall, and what
    counts as equal is a tenth of the fall per decade, so that scale and blow-up do not matter.
    """
    fall = part.fall
    if fall is None:
        return None
    slope = _slope(part, fall.lowest, 0.25)
    right = part.log10_lr[: fall.first + 1]
    steeper_left = slope[: len(right)] - np.interp(right - 1, right, slope[: len(right)])
    alike = np.flatnonzero((right - 1 >= right[0]) & (steeper_left <= 0.1 * fall.height))
    return float(10 ** (right[alike[-1]] - 1)) if len(alike) else None


def divergence(part: Part, divisor: float = 20.0) -> float | None:
    """A fraction of the last learning rate before the loss diverges; None if it did not.

    A twentieth lost least among the tasks of the same half.
    """
    return float(part.lrs[-1]) / divisor if part.turned and part.fall is not None else None


RULES: dict[Rule, Callable[[Part], float | None]] = {
    "minimum": minimum,
    "steepest": steepest,
    "valley": valley,
    "slide": slide,
    "divergence": divergence,
}
DIVIDED: dict[Rule, Callable[[Part, float], float | None]] = {
    "minimum": minimum,
    "divergence": divergence,
}


def _slope(part: Part, last: int, half: float) -> Array:
    """The change of the smoothed loss per decade at the points up to `last`, over 2 `half`."""
    log10_lr, losses = part.log10_lr[: last + 1], part.smoothed[: last + 1]
    rise = np.interp(log10_lr + half, log10_lr, losses)
    rise -= np.interp(log10_lr - half, log10_lr, losses)
    slope: Array = rise / (2 * half)
    return slope


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
