"""From raw losses to smoothed ones with their errors, and to where the curve turns. NumPy only."""

from __future__ import annotations

import numpy as np

from .arrays import Array

SMOOTHING = 0.1  # of the points are seen by a smoothed one


def smooth(y: Array, share: float = SMOOTHING) -> Array:
    """Fit a line around each point; return the fitted values and their standard errors, (2, n).

    Weights are Epanechnikov's over a share of the points, five at least unless it is zero. As the
    points are equally spaced, the weighted moments of their distances depend on the nearness of the
    ends alone, and come from running sums of the kernel.
    """
    n = len(y)
    if n < 5 or not share:
        return np.stack([y, noise(y)])
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
    middle, scatter = _median(y), noise(y)
    clean = _without_outliers(y, scatter) - middle
    t0, t1 = _correlate(clean, kernel), _correlate(clean, kernel * t)
    size = s0 * s2 - s1**2
    a, b = s2 / size, s1 / size  # the value of the line at t = 0 is a t0 - b t1
    fitted = a * t0 - b * t1 + middle
    variance = q0 * a**2 - 2 * q1 * a * b + q2 * b**2
    return np.stack([fitted, np.sqrt(np.maximum(variance, 0.0)) * scatter])


def _without_outliers(y: Array, scatter: Array) -> Array:
    """Running medians of three; an end that is far off is replaced by Tukey's rule.

    That is the median of itself, its neighbour, and the line through its neighbours (Exploratory
    Data Analysis, 1977, chapter 7). An end within five times the scatter of it stays.
    """
    clean = running_median(y, 3)
    for end, next_, after in ((0, 1, 2), (-1, -2, -3)):
        line = 3 * clean[next_] - 2 * clean[after]
        middle = sorted((y[end], clean[next_], line))[1]
        if abs(y[end] - middle) > 5 * scatter[end]:
            clean[end] = middle
    return clean


def kernel_width(n: int, share: float = SMOOTHING) -> int:
    """Return how many of `n` losses a smoothed one is made of."""
    return 2 * max(2, round(share / 2 * n)) + 1


def count_before_turn(y: Array) -> int:
    """Count the losses before the curve blows up, or is back above its start after its lowest."""
    if len(y) < 3:
        return len(y)
    level, scatter = running_median(y, 5), _median(noise(y))
    # No update has touched the first loss, so it bounds the start if the next ones blow up.
    start = min(_median(y[:5]), float(y[0]) + 5 * scatter)
    fall = start - float(level.min())
    blown_up = np.flatnonzero(level > start + max(fall, 10 * scatter))
    end = int(blown_up[0]) if len(blown_up) else len(y)
    if not end:
        return 0
    lowest = int(level[:end].argmin())
    back = np.flatnonzero(running_median(y[lowest:end], 3) > start + 3 * scatter)
    return lowest + int(back[0]) if len(back) else end


def noise(y: Array) -> Array:
    """Estimate the standard deviation of each loss's own scatter, from second differences.

    A trend hardly shows in them, and medians do not see outliers. Ten stretches are taken apart, as
    the scatter often grows with the learning rate; none counts as quieter than the whole.
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

    Outliers are clipped. The smoothed losses have taken part of the correlation with them, which is
    given back; and as an estimate of nothing scatters too, one standard error is taken off.
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
    """Take the median of the `width` values around each; beyond the ends, these are repeated."""
    if not len(y):
        return y
    half = width // 2
    ends_repeated = np.concatenate((np.full(half, y[0]), y, np.full(half, y[-1])))
    windows = np.stack([ends_repeated[i : i + len(y)] for i in range(width)])
    windows.sort(axis=0)
    middle: Array = windows[half]
    return middle


def _median(y: Array) -> float:
    """The same as `numpy.median`, whose own overhead would be most of the work of a redraw."""
    ordered = np.sort(y)
    return float(ordered[(len(y) - 1) // 2] + ordered[len(y) // 2]) / 2


def _correlate(values: Array, weights: Array) -> Array:
    """Sum the values around each one, weighted; by Fourier transforms, so that length is cheap."""
    size = 1 << (len(values) + len(weights)).bit_length()
    spectrum = np.fft.rfft(values, size) * np.fft.rfft(weights[::-1], size)
    start = len(weights) // 2
    total: Array = np.fft.irfft(spectrum, size)
    return total[start : start + len(values)]
