"""From a smoothed curve to a candidate learning rate, or to a refusal with its reason. NumPy only.

Every rule takes the part of a curve that precedes its blow-up, as three arrays: the learning rates,
the smoothed losses, and the standard error of those. Only differences of losses, ratios of
learning rates and their ratio to the error count, so that neither an offset nor a positive factor
of the loss changes a candidate, and a factor on the learning rates is a factor on the candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .smoothing import Array

Rule = Literal["minimum", "steepest", "valley"]

FEWEST_POINTS = 10
CLEAR_FALL = 4.0  # in standard errors; noise alone stays below it


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
    """

    lr: float | None
    low: float | None
    high: float | None
    rule: str
    reason: str
    spread: float | None = None


def suggest(
    lrs: Array,
    smoothed: Array,
    error: Array,
    *,
    rule: Rule | None = None,
    turned: bool = False,
    completed: bool = True,
) -> Suggestion:
    """Read a candidate off a curve, or refuse and say why.

    Parameters
    ----------
    lrs, smoothed, error : ndarray of float64, shape (n,)
        The part of the curve before it blows up: learning rates, smoothed losses and the standard
        error of those; all finite.
    rule : {"minimum", "steepest", "valley"}, optional
        Default ``"minimum"``.
    turned : bool
        Whether the loss blew up or was back above its start after this part.
    completed : bool
        Whether the test went through its whole range.

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    rule = rule or "minimum"
    if rule not in RULES:
        raise ValueError(f"rule must be one of {sorted(RULES)}; got {rule!r}.")
    fall = _fall(smoothed, error)
    lr = RULES[rule](lrs, smoothed, error)
    if not len(lrs):
        refusal = _NOTHING
    elif len(lrs) < FEWEST_POINTS:
        refusal = _RISES_AT_ONCE if turned else _TOO_FEW
    elif fall is None:
        refusal = _RISES_ONLY if turned else _FLAT
    elif not turned and fall.first > 0.9 * len(lrs) and fall.last == len(lrs) - 1:
        refusal = _STILL_FALLING if completed else _CUT_SHORT
    elif lr is None:
        refusal = _NOT_BY_THIS_RULE
    elif lr < lrs[0]:
        refusal = _BELOW_THE_RANGE
    else:
        onset, lowest = float(lrs[fall.onset]), fall.centre(lrs)
        reason = _REASONS[rule].format(lr=lr, onset=onset, lowest=lowest, divisor=lowest / lr)
        high = min(float(lrs[fall.first]), lowest / 2)
        return Suggestion(lr, min(onset, lr), max(high, lr), rule, reason)
    reason = refusal.format(n=len(lrs), fewest=FEWEST_POINTS, rule=rule)
    return Suggestion(None, None, None, rule, reason)


def minimum(
    lrs: Array, smoothed: Array, error: Array, divisor: float | None = None
) -> float | None:
    """A fraction of the learning rate where the loss is lowest.

    The lowest place is the middle, on the logarithmic axis, of all that can hardly be told from the
    lowest point. Gugger's rule of thumb is ``divisor=10`` ("How do you find a good learning rate",
    2018). Without one it is 30 / sqrt(n), between 2 and 16, with n points in the decade below the
    lowest place: the fewer steps a test spends on a decade, the later it sees what is too high.
    (Measured: no constant did as well on thirteen small tasks, at 30 to 1,000 points.)
    """
    fall = _fall(smoothed, error)
    if fall is None:
        return None
    lowest = fall.centre(lrs)
    if divisor is None:
        ends = np.interp(np.log10([lowest / 10, lowest]), np.log10(lrs), np.arange(len(lrs)))
        divisor = float(np.clip(30 / np.sqrt(max(ends[1] - ends[0], 1.0)), 2, 16))
    return lowest / divisor


def steepest(lrs: Array, smoothed: Array, error: Array) -> float | None:
    """Where the loss falls fastest per decade of learning rate, before its lowest place.

    By log10(lr), as the derivative by lr favours the left end, and over half the width of the fall,
    as the difference of two neighbours is mostly noise.
    """
    fall = _fall(smoothed, error)
    if fall is None:
        return None
    log10_lr, losses = np.log10(lrs[: fall.lowest + 1]), smoothed[: fall.lowest + 1]
    half = (log10_lr[fall.first] - log10_lr[fall.onset - 1]) / 4
    before = np.interp(log10_lr - half, log10_lr, losses)
    after = np.interp(log10_lr + half, log10_lr, losses)
    return float(lrs[np.argmax(before - after)])


def valley(lrs: Array, smoothed: Array, error: Array) -> float | None:
    """Two thirds through the longest run of falling losses, on the logarithmic axis.

    After the idea of fastai's rule of that name (``fastai.callback.schedule.valley``). Here a run
    is a stretch of the smoothed curve without a rise, and counts if its fall is clear.
    """
    if _fall(smoothed, error) is None:
        return None
    turns = np.flatnonzero(np.diff(smoothed) >= 0)
    starts, ends = np.append(0, turns + 1), np.append(turns, len(lrs) - 1)
    drop = smoothed[starts] - smoothed[ends]
    clear = drop > CLEAR_FALL * np.hypot(error[starts], error[ends])
    if not clear.any():
        return None
    log10_lr = np.log10(lrs)
    length = np.where(clear, log10_lr[ends] - log10_lr[starts], -1.0)
    longest = int(length.argmax())
    return float(10 ** (log10_lr[starts[longest]] + 2 / 3 * length[longest]))


RULES: dict[Rule, Callable[[Array, Array, Array], float | None]] = {
    "minimum": minimum,
    "steepest": steepest,
    "valley": valley,
}


@dataclass(frozen=True)
class _Fall:
    """The clear fall of a curve, as indices."""

    onset: int  # the loss has clearly begun to fall
    first: int  # the first point at the bottom
    lowest: int
    last: int  # the last point at the bottom

    def centre(self, lrs: Array) -> float:
        """The middle, on the logarithmic axis, of the bottom or of the first decade of it."""
        start, end = np.log10(lrs[self.first]), np.log10(lrs[self.last])
        return float(10 ** (start + min(end - start, 1.0) / 2))


def _fall(smoothed: Array, error: Array) -> _Fall | None:
    """Find the fall from the start to the bottom; None if noise could have made it."""
    if len(smoothed) < 2:
        return None
    lowest = int(np.argmin(smoothed + 2 * error))  # not a lucky point where the noise is high
    fall = smoothed[0] - smoothed[lowest]
    if not fall > CLEAR_FALL * np.hypot(error[0], error[lowest]):
        return None
    above = smoothed > smoothed[lowest] + max(2 * error[lowest], 0.05 * fall)
    first = lowest - int(np.argmax(above[lowest::-1])) + 1
    last = lowest + int(np.argmax(above[lowest:])) - 1 if above[lowest:].any() else len(above) - 1
    level = smoothed[0] - max(2 * error[0], 0.1 * fall)
    onset = lowest - int(np.argmax(smoothed[lowest::-1] > level)) + 1
    return _Fall(onset, first, lowest, last)


_REASONS = {
    "minimum": "The loss falls clearly from {onset:.1e} on and is lowest near {lowest:.1e}; the "
    "candidate is that divided by {divisor:.2g}, well before the loss turns.",
    "steepest": "The loss falls fastest, per decade of learning rate, near {lr:.1e}.",
    "valley": "{lr:.1e} is two thirds of the way through the longest run of falling losses.",
}
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
_STILL_FALLING = "The loss is still falling at the end of the range: raise end_lr."
_CUT_SHORT = "The loss was still falling when the LR range test ended: let it run on."
_NOT_BY_THIS_RULE = "The loss falls, but the rule {rule} finds no candidate: ask for another rule."
_BELOW_THE_RANGE = (
    "The loss turns so early that the candidate lies below the range: lower start_lr."
)
