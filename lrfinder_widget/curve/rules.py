"""The rules that read a learning rate off the part of a curve before it turns up. NumPy only.

They use differences of losses, in units of their errors or of the fall, and ratios of learning
rates. So adding a constant to the loss or scaling it changes no candidate, and scaling the learning
rates scales the candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from .arrays import Array
from .fall import CLEAR_FALL, Part

Rule = Literal["budget", "minimum", "steepest", "valley", "slide", "divergence"]


def budget(part: Part) -> float | None:
    """Return the learning rate that `shift` counts from: what the rule "minimum" returns.

    `suggest` then moves it to where the best learning rate is for the planned training, or another
    place, if the curve shows little.
    """
    return minimum(part)


def minimum(part: Part, divisor: float | None = None) -> float | None:
    """Return a fraction of the learning rate where the loss is lowest.

    "Lowest" is the middle, on the logarithmic axis, of all points that can hardly be distinguished
    from the lowest one. Gugger's rule of thumb is ``divisor=10`` ("How do you find a good learning
    rate", 2018). By default, the divisor is 9 / sqrt(n), and at least 2, where n is the number of
    points in the decade below the lowest place: the fewer steps a test spends on a decade, the
    later it notices that a learning rate is too high. A weak fall is seen only where the loss is
    lowest, and hardly up to the end of that stretch, so its place is not divided. If the loss
    diverges, the candidate is at most a tenth of the learning rate where it does; a third, if the
    curve has a baseline.

    Measured by `tests/benchmarks/regret.py` on the development tasks: at 30, 100, 300 and 1,000
    points, no constant divisor does as well, and no divisor does as well without that bound.
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
    """Return where the loss falls fastest per decade of learning rate, between onset and bottom.

    The derivative is by log10(lr), since the one by lr favours the left end, and is taken over half
    the width of the fall, since the difference of two neighbours is mostly noise.
    """
    fall = part.fall
    if fall is None:
        return None
    before = fall.onset - 1
    half = (part.log10_lr[fall.first] - part.log10_lr[before]) / 4
    slope = _slope(part, fall.lowest, half)[before : fall.first + 1]
    return float(part.lrs[before + np.argmin(slope)])


def valley(part: Part) -> float | None:
    """Return the point two thirds along the longest uninterrupted fall, on the logarithmic axis.

    After fastai's rule of the same name (``fastai.callback.schedule.valley``). Here it looks for
    stretches of the smoothed curve without a rise, and only those that fall clearly count.
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
    """Return the lower end of a one-decade window that has about the same slope at both ends.

    After fastai's rule of the same name (``fastai.callback.schedule.slide``): start at the right,
    and move left while the slopes at the two ends of a window differ; its left end is the
    candidate. Here slopes are per decade, the window starts at the bottom of the fall, and slopes
    within a tenth of the fall per decade count as equal, so scale and blow-up do not matter.
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
    """Return a fraction of the last learning rate before the loss diverges; None if it does not.

    On the development tasks, a twentieth lost the least.
    """
    return float(part.lrs[-1]) / divisor if part.turned and part.fall is not None else None


RULES: dict[Rule, Callable[[Part], float | None]] = {
    "budget": budget,
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
    """Return the slope per decade at each point up to `last`, over `half` decades on each side."""
    log10_lr, losses = part.log10_lr[: last + 1], part.smoothed[: last + 1]
    rise = np.interp(log10_lr + half, log10_lr, losses)
    rise -= np.interp(log10_lr - half, log10_lr, losses)
    slope: Array = rise / (2 * half)
    return slope
