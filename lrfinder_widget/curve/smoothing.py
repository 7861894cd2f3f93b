"""Smooth losses, estimate their noise, and find where the curve turns up. NumPy only."""

from __future__ import annotations

import numpy as np

from .arrays import Array

SMOOTHING = 0.1
"""The share of all points that each smoothed loss is fitted to."""


def smooth_around_turn(y: Array, share: float = SMOOTHING) -> tuple[Array, int]:
    """Smooth a curve so that its blow-up does not affect what precedes it.

    Parameters
    ----------
    y : ndarray of float64, shape (n,)
        Losses, all finite.
    share : float, default 0.1
        The share of the points that each smoothed loss is fitted to; 0 leaves the losses as they
        are.

    Returns
    -------
    ndarray of float64, shape (2, n)
        The smoothed losses and their standard errors.
    int
        The number of losses before the turn.
    """
    level, scatter = running_median(y, 5), noise(y)
    turn = _turn(y, level, scatter)
    before = smooth(y[:turn], share, scatter if turn == len(y) else None)
    after = np.stack([_past_turn(before[0], level[turn:]) if share else y[turn:], scatter[turn:]])
    return np.concatenate([before, after], axis=1), turn


def _past_turn(before: Array, level: Array) -> Array:
    """Smooth running medians, going on from what precedes them.

    Past the turn, losses jump from step to step: no line fits, and only medians give a level. These
    move in steps, which weights of 1, 2, 3, 2 and 1 round off.
    """
    if not len(level):
        return level
    first, last = level[:1], level[-1:]
    lead = np.concatenate([first, first, before])[-2:]
    joined = np.concatenate([lead, level, last, last])
    rounded: Array = np.convolve(joined, np.array([1, 2, 3, 2, 1]) / 9, "valid")
    return rounded


def count_before_turn(y: Array) -> int:
    """Count the losses before the curve blows up, or is back above its start past its lowest."""
    return _turn(y, running_median(y, 5), noise(y))


def _turn(y: Array, level: Array, noise_: Array) -> int:
    """The same, given the running medians of five and the noise."""
    if len(y) < 3:
        return len(y)
    scatter = _median(noise_)
    # The first loss precedes every update, so it bounds the start if the next ones blow up.
    start = min(_median(y[:5]), float(y[0]) + 5 * scatter)
    fall = start - float(level.min())
    blown_up = np.flatnonzero(level > start + max(fall, 10 * scatter))
    end = int(blown_up[0]) if len(blown_up) else len(y)
    if not end:
        return 0
    lowest = int(level[:end].argmin())
    back = np.flatnonzero(running_median(y[lowest:end], 3) > start + 3 * scatter)
    return lowest + int(back[0]) if len(back) else end


def smooth(y: Array, share: float = SMOOTHING, scatter: Array | None = None) -> Array:
    """Fit a line around each point; return the fitted values and their standard errors, (2, n).

    The weights are Epanechnikov's, over a share of the points but at least five, unless the share
    is zero. The points are equally spaced, so the weighted moments of their distances depend only
    on how close the ends are, and running sums of the kernel give them all.

    `scatter` is the `noise` of the losses, if it is known already.
    """
    n = len(y)
    scatter = noise(y) if scatter is None else scatter
    if n < 5 or not share:
        return np.stack([y, scatter])
    half = kernel_width(n, share) // 2
    t = np.arange(-half, half + 1.0)
    kernel = 1 - (t / (half + 1)) ** 2
    powers = np.stack([np.ones_like(t), t, t**2])
    index = np.arange(n)
    first = half - np.minimum(index, half)  # the part of the kernel that lies on the curve
    last = half + np.minimum(n - index, half + 1)

    def moments(weights: Array) -> Array:
        sums = np.zeros((3, 2 * half + 2))
        np.cumsum(weights * powers, axis=1, out=sums[:, 1:])
        return sums[:, last] - sums[:, first]

    s0, s1, s2 = moments(kernel)
    q0, q1, q2 = moments(kernel**2)
    middle = _median(y)
    clean = _without_outliers(y, scatter) - middle
    t0, t1 = _correlate(clean, kernel), _correlate(clean, kernel * t)
    size = s0 * s2 - s1**2
    a, b = s2 / size, s1 / size  # the value of the line at t = 0 is a t0 - b t1
    fitted = a * t0 - b * t1 + middle
    variance = q0 * a**2 - 2 * q1 * a * b + q2 * b**2
    return np.stack([fitted, np.sqrt(np.maximum(variance, 0.0)) * scatter])


def kernel_width(n: int, share: float = SMOOTHING) -> int:
    """Return the number of losses, out of `n`, that each smoothed loss is fitted to."""
    return 2 * max(2, round(share / 2 * n)) + 1


def noise(y: Array) -> Array:
    """Estimate the standard deviation of each loss about its trend, from second differences.

    Second differences hardly contain the trend, and their medians ignore outliers. The curve is
    cut into up to ten stretches, since the noise often grows with the learning rate. No stretch
    counts as quieter than the whole.
    """
    scatter = np.abs(np.diff(y, 2)) / (0.6745 * 6**0.5)
    if not scatter.any():
        return np.zeros(len(y))
    parts = np.array_split(scatter, max(1, min(10, len(scatter) // 8)))
    ends = np.cumsum([len(part) for part in parts])
    middles = ends - [len(part) / 2 for part in parts]
    local = np.interp(np.arange(len(y)), middles, [_median(part) for part in parts])
    return np.maximum(local, _median(scatter[scatter > 0]))


def autocorrelation(y: Array, smoothed: Array) -> float:
    """Estimate the correlation of neighbouring losses about the smoothed ones, from 0 to 0.6.

    Outliers are clipped. Smoothing removes part of the correlation, which is added back. The
    estimate is noisy even without any correlation, so one standard error is subtracted.
    """
    n, width, scatter = len(y), kernel_width(len(y)), noise(y)
    if not scatter.all():
        return 0.0
    rest = np.clip((y - smoothed) / scatter, -2, 2)
    rest -= rest.mean()
    left = 1 - 3 / width
    size = rest @ rest
    rho = (rest[1:] @ rest[:-1] / size + 1.3 / width - n**-0.5) / left if size > 0 else 0.0
    return float(np.clip(rho, 0.0, 0.6))


def running_median(y: Array, width: int) -> Array:
    """Take the median of the `width` values around each; the end values are repeated outwards."""
    if not len(y):
        return y
    half = width // 2
    ends_repeated = np.concatenate((np.full(half, y[0]), y, np.full(half, y[-1])))
    windows = np.stack([ends_repeated[i : i + len(y)] for i in range(width)])
    windows.sort(axis=0)
    middle: Array = windows[half]
    return middle


def moving_average(y: Array, width: int) -> Array:
    """Average each value with the ``width - 1`` before it; near the start, with all before it.

    Sums never reach over more than `width` values, so that a huge or infinite one affects only the
    averages it is part of.
    """
    blocks = np.concatenate([y, np.zeros(-len(y) % width)]).reshape(-1, width)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = blocks.cumsum(axis=1)
        sums[1:, :-1] += blocks[:-1, :0:-1].cumsum(axis=1)[:, ::-1]  # the rest of the block before
    average: Array = sums.ravel()[: len(y)] / np.minimum(np.arange(len(y)) + 1, width)
    return average


def _without_outliers(y: Array, scatter: Array) -> Array:
    """Take running medians of three, and replace an outlying end by Tukey's rule.

    Tukey takes the median of the end, its neighbour, and the line through its two neighbours
    (Exploratory Data Analysis, 1977, chapter 7). An end within five times the noise of that stays.
    """
    clean = running_median(y, 3)
    for end, next_, after in ((0, 1, 2), (-1, -2, -3)):
        line = 3 * clean[next_] - 2 * clean[after]
        middle = sorted((y[end], clean[next_], line))[1]
        if abs(y[end] - middle) > 5 * scatter[end]:
            clean[end] = middle
    return clean


def _median(y: Array) -> float:
    """Return what `numpy.median` does, whose overhead would be most of the work of a redraw."""
    ordered = np.sort(y)
    return float(ordered[(len(y) - 1) // 2] + ordered[len(y) // 2]) / 2


def _correlate(values: Array, weights: Array) -> Array:
    """Sum the values around each one, weighted; by Fourier transforms, to be fast at any length."""
    size = 1 << (len(values) + len(weights)).bit_length()
    spectrum = np.fft.rfft(values, size) * np.fft.rfft(weights[::-1], size)
    start = len(weights) // 2
    total: Array = np.fft.irfft(spectrum, size)
    return total[start : start + len(values)]
