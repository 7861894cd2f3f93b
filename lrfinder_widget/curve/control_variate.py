"""Subtract the batch-to-batch noise that a curve shares with its baseline. NumPy only.

Most of the noise of the losses comes from the batches, and the same batches show it at the starting
weights as well. Once it is subtracted, it cannot hide a fall.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array

LEAST_FALL = 0.1
"""The least fall that counts, as a share of the `spread` of the baseline. At low learning rates, a
trained model's loss falls a little, too. Of the tests with a baseline on the development tasks,
this refuses 3 of 4 on trained models and 7 of 100 on others; trial runs can tell the rest apart
(`Comparison.improves`)."""


def subtract_shared_noise(losses: Array, baseline: Array, last: int) -> Array:
    """Subtract the noise that the losses share with the baseline: a control variate.

    How much of it they share is estimated from the differences of neighbours, which hardly contain
    the trend, by a robust regression (Huber, Ann. Stat. 1, 1973).

    Parameters
    ----------
    losses, baseline : ndarray of float64, shape (n,)
        Finite.
    last : int
        The number of losses before the blow-up; the others say nothing about the noise.
    """
    if not last:
        return losses
    with np.errstate(over="ignore", invalid="ignore"):
        share = _slope(np.diff(baseline[:last]), np.diff(losses[:last]))
        adjusted: Array = losses - share * (baseline - baseline[:last].mean())
    return adjusted if np.isfinite(adjusted).all() else losses


def _slope(x: Array, y: Array) -> float:
    """Fit y = slope x, with a slope from 0 to 1.2, giving outliers less weight."""
    weight, slope = np.ones(len(x)), 0.0
    for _ in range(10):
        size = float(weight @ x**2)
        if not 0 < size < np.inf:
            break
        slope = float(weight @ (x * y)) / size
        rest = np.abs(y - slope * x)
        far = 1.5 / 0.6745 * float(np.median(rest))
        weight = np.divide(far, rest, out=np.ones(len(x)), where=rest > far)
    return float(np.clip(np.nan_to_num(slope), 0.0, 1.2))


def falls_enough(adjusted: Array, baseline: Array) -> bool:
    """Return whether the mean of some twelfth of the losses is far enough below the baseline's."""
    width = min(len(adjusted), max(4, round(len(adjusted) / 12)))
    sums = np.append(0.0, np.cumsum(adjusted - baseline.mean()))
    lowest = float((sums[width:] - sums[:-width]).min()) / width
    return lowest < -LEAST_FALL * spread(baseline)


def spread(losses: Array) -> float:
    """Return the 10th-to-90th percentile range."""
    return float(np.ptp(np.quantile(losses, (0.1, 0.9))))
