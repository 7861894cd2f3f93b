"""Losses in pairs: of each batch in the test, and of the same batch at the starting weights.

Most of the scatter of the losses is that of the batches, and a batch has it at the starting weights
as well. Taken off there, it hides no fall. NumPy only.
"""

from __future__ import annotations

import numpy as np

from .arrays import Array

LEAST_FALL = 0.1
"""Of what lies between the lowest and the highest tenth of the baseline. A trained model's loss
falls a little, too, by what low learning rates give it. Of the tests with a baseline on the
development tasks, this refuses 3 of 4 on trained models, and 7 of 100 on others; trial runs can
tell the rest, see `Comparison.improves`."""


def without_batches(losses: Array, baseline: Array, last: int) -> Array:
    """Take off the scatter that the losses share with the baseline: a control variate.

    How much of it they share is read off the differences of neighbours, in which no trend shows,
    by a robust regression (Huber, Ann. Stat. 1, 1973).

    Parameters
    ----------
    losses, baseline : ndarray of float64, shape (n,)
        Finite.
    last : int
        So many losses precede the blow-up; the rest tells nothing of the scatter.
    """
    if not last:
        return losses
    with np.errstate(over="ignore", invalid="ignore"):
        share = _slope(np.diff(baseline[:last]), np.diff(losses[:last]))
        adjusted: Array = losses - share * (baseline - baseline[:last].mean())
    return adjusted if np.isfinite(adjusted).all() else losses


def _slope(x: Array, y: Array) -> float:
    """Fit y = slope x, from 0 to 1.2, with less weight on what is far off."""
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
    """Say whether the mean of a twelfth of the losses is far enough below that of the baseline."""
    width = min(len(adjusted), max(4, round(len(adjusted) / 12)))
    sums = np.append(0.0, np.cumsum(adjusted - baseline.mean()))
    lowest = float((sums[width:] - sums[:-width]).min()) / width
    return lowest < -LEAST_FALL * scatter(baseline)


def scatter(losses: Array) -> float:
    """Return what lies between the lowest and the highest tenth of some losses."""
    return float(np.ptp(np.quantile(losses, (0.1, 0.9))))
