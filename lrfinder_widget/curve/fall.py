"""Find where a curve falls, clearly or weakly: what every rule is based on. NumPy only.

Positions are indices: learning rates are evenly spaced on their own scale, logarithmic or linear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import NormalDist

import numpy as np

from .arrays import Array
from .control_variate import falls_enough
from .smoothing import autocorrelation, kernel_width

# In standard errors. Noise alone exceeds either in about one curve out of a hundred.
CLEAR_FALL = 4.0
WEAK_FALL = 2.3  # lower, since it averages over all places while the other picks the lowest


@dataclass(frozen=True)
class Part:
    """The part of a curve before it turns up: what every rule reads.

    Attributes
    ----------
    lrs, smoothed, error : ndarray of float64, shape (n,)
        The learning rates, the smoothed losses and their standard errors; all finite.
    turned : bool
        Whether the loss blew up, or rose back above its start, after this part.
    losses : ndarray of float64, shape (n,), optional
        The losses before smoothing, which may show a weak fall that the smoothed ones do not.
    baseline : ndarray of float64, shape (m,), optional
        The losses of the same batches at the starting weights, if their noise was subtracted; those
        of all repeats, if there are several.
    """

    lrs: Array
    smoothed: Array
    error: Array
    turned: bool = False
    losses: Array | None = None
    baseline: Array | None = None

    @cached_property
    def log10_lr(self) -> Array:
        """The axis on which distances between learning rates are measured."""
        return np.log10(self.lrs)

    @cached_property
    def fall(self) -> Fall | None:
        """The clear fall, or else a weak one; None if it could be noise."""
        fall = _fall(self) or _weak_fall(self)
        if fall is None or self.baseline is None or self.losses is None:
            return fall
        return replace(fall, weak=True) if falls_enough(self.losses, self.baseline) else None

    @cached_property
    def autocorrelation(self) -> float:
        """The correlation of the noise of neighbouring losses, from 0 to 0.6."""
        if self.losses is None:
            return 0.0
        return autocorrelation(self.losses, self.smoothed)


@dataclass(frozen=True)
class Fall:
    """The fall of a curve, as indices of its points."""

    onset: int  # the first point where the loss has clearly begun to fall
    first: int  # the first point at the bottom
    lowest: int
    last: int  # the last point at the bottom
    height: float
    weak: bool = False  # the fall is hardly larger than the noise

    def centre(self, log10_lr: Array) -> float:
        """Return the middle of the bottom, or of its first decade, on the logarithmic axis."""
        start, end = log10_lr[self.first], log10_lr[self.last]
        return float(10 ** (start + min(end - start, 1.0) / 2))


def _fall(part: Part) -> Fall | None:
    """Find the clear fall from the start to the bottom; None if it could be noise.

    The start is the mean of the first points, of as many as make the fall clearest: where batches
    differ a lot, a single point says little, even if smoothed.
    """
    smoothed, error = part.smoothed, part.error
    if len(smoothed) < 2:
        return None
    lowest = int(np.argmin(smoothed + 2 * error))  # not a lucky point where the noise is high
    width = kernel_width(len(smoothed))
    fewest = min(width, lowest + 1)
    count = np.arange(fewest, lowest + 2)
    start = np.cumsum(smoothed[: lowest + 1])[fewest - 1 :] / count
    start_error = np.cumsum(error[: lowest + 1])[fewest - 1 :] / count
    # Smoothed losses closer together than the kernel's width share their errors; others do not.
    start_error *= np.sqrt(np.minimum(1, width / count))
    spread = np.hypot(start_error, error[lowest])
    best = int(np.argmax(_ratio(start - smoothed[lowest], spread)))
    height = float(start[best] - smoothed[lowest])
    # Near a blow-up the noise grows, so a point on the way down may be clearer than the lowest.
    way = slice(min(best + fewest, lowest), lowest + 1)
    drop = start[best] - smoothed[way]
    # The errors assume independent noise, and are too small for correlated noise: a first-order
    # autoregression has second differences smaller by that root, and sums larger by `_sum_factor`.
    rho = part.autocorrelation
    clear = CLEAR_FALL * _sum_factor(rho) / ((1 - rho) * (1 - rho / 3)) ** 0.5
    if not np.any(drop > clear * np.hypot(start_error[best], error[way])):
        return None
    # A clear fall is higher than two standard errors of its start and of its lowest point.
    above = smoothed > smoothed[lowest] + max(2 * error[lowest], 0.05 * height)
    first = lowest - int(np.argmax(above[lowest::-1])) + 1
    last = lowest + int(np.argmax(above[lowest:])) - 1 if above[lowest:].any() else len(above) - 1
    level = start[best] - max(2 * start_error[best], 0.1 * height)
    onset = lowest - int(np.argmax(smoothed[lowest::-1] > level)) + 1
    return Fall(min(onset, first), first, lowest, last, height)


def _weak_fall(part: Part) -> Fall | None:
    """Find a fall that no single smoothed loss shows, but all losses together do.

    At each place, the losses of an eighth of the curve are compared with all losses before them (at
    least as many), by normal scores (van der Waerden, Indag. Math. 14, 1952), which outliers hardly
    affect. The place is unknown, so the likelihood ratio exp(z**2 / 2) is averaged over all places.
    Places near the turn get more weight: each doubling of the distance gets the same.
    """
    losses, n = part.losses, len(part.lrs)
    if losses is None or n < 10:
        return None
    scores = _normal_scores(losses)
    width = max(4, round(n / 8))
    first = np.arange(width, n - width + 1)
    sums = np.append(0.0, np.cumsum(scores))
    drop = sums[first] / first - (sums[first + width] - sums[first]) / width
    unit = scores.std(ddof=1) * np.sqrt(1 / first + 1 / width)
    z = np.maximum(_ratio(drop, unit * _sum_factor(part.autocorrelation)), 0.0)
    weight = 1 / (n - first - width / 2)
    evidence = np.logaddexp.reduce(z**2 / 2 + np.log(weight / weight.sum()))
    if not evidence > WEAK_FALL**2 / 2:
        return None
    start = int(first[(z**2 / 2 + np.log(weight)).argmax()])
    bottom = slice(start, start + width)
    level, height = (float(part.smoothed[part_].mean()) for part_ in (slice(start), bottom))
    height = level - height
    if height <= 0:
        return None
    lowest = start + int(np.argmin(part.smoothed[bottom]))
    onset = start - int(np.argmax(part.smoothed[start::-1] > level - height / 2)) + 1
    return Fall(min(onset, start), start, lowest, start + width - 1, height, weak=True)


def _sum_factor(rho: float) -> float:
    """Return how much noisier sums are for a first-order autoregression than without correlation.

    `rho` is the correlation of neighbours.
    """
    factor: float = ((1 + rho) / (1 - rho)) ** 0.5
    return factor


def _normal_scores(values: Array) -> Array:
    """Return the normal quantiles of the ranks; equal values get the mean of theirs."""
    inverse, count = np.unique(values, return_inverse=True, return_counts=True)[1:]
    sums = np.append(0.0, np.cumsum(_normal_quantiles(len(values))))
    end = np.cumsum(count)
    scores: Array = ((sums[end] - sums[end - count]) / count)[inverse]
    return scores


@lru_cache(maxsize=1)
def _normal_quantiles(n: int) -> Array:
    quantile = NormalDist().inv_cdf
    return np.array([quantile((i + 0.5) / n) for i in range(n)])


def _ratio(values: Array, units: Array) -> Array:
    """Divide `values` by `units`; where these are zero (no noise), infinite with their sign."""
    by_sign = np.where(values > 0, np.inf, -np.inf)
    ratio: Array = np.divide(values, units, out=by_sign, where=units > 0)
    return ratio
