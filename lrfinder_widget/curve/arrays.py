"""The arrays that curves are made of: their type, and what they must be."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.float64]

LONGEST_NAME = 24
"""Characters of the name of a metric, which stands on the axis."""


def check_points(lrs: ArrayLike, losses: ArrayLike) -> tuple[Array, Array]:
    """Return copies of learning rates and losses as arrays.

    Raises
    ------
    ValueError
        If their shapes differ, or the learning rates do not increase.
    """
    x, y = np.array(lrs, dtype=np.float64), np.array(losses, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            "lrs and losses must be two sequences of the same length; "
            f"got shapes {x.shape} and {y.shape}."
        )
    # If each is larger than the one before, checking the ends is enough. No nan is larger.
    if x.size and not (x[0] > 0 and x[-1] < np.inf and (x[1:] > x[:-1]).all()):
        raise ValueError(
            "lrs must be positive and finite, each larger than the one before; got "
            f"{np.array2string(x, threshold=8)}."
        )
    return x, y


def check_baseline(baseline: ArrayLike | None, n: int) -> Array | None:
    """Return a copy of the losses at the starting weights as an array.

    Raises
    ------
    ValueError
        If they are not `n` finite numbers.
    """
    start = None if baseline is None else np.array(baseline, dtype=np.float64)
    if start is not None and not (start.shape == (n,) and np.isfinite(start).all()):
        raise ValueError(
            f"baseline must be {n} finite losses, one per point; got "
            f"{np.array2string(start, threshold=8)}."
        )
    return start


def check_metric(metric: ArrayLike | None, name: object, n: int) -> tuple[Array | None, str | None]:
    """Return a copy of the values of a metric as an array, and its name as it can be shown.

    Raises
    ------
    ValueError
        If there are not `n` of them, or there is only a name.
    """
    if metric is None:
        if name is not None:
            raise ValueError(f"metric_name needs a metric, one value per point; got {name!r} only.")
        return None, None
    values = np.array(metric, dtype=np.float64)
    if values.shape != (n,):
        raise ValueError(f"metric must have {n} values, one per point; got shape {values.shape}.")
    shown = "".join(c if c.isprintable() else " " for c in str(name or ""))
    return values, shown.strip()[:LONGEST_NAME] or "metric"


def equal(one: Array | None, other: Array | None) -> bool:
    """Return whether two arrays, of which there may be none, have the same values; nan is nan."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)


def to_plain(values: Array) -> list[float | str]:
    """Return numbers as JSON has them; nan and infinities become strings."""
    return [value if math.isfinite(value) else str(value) for value in values.tolist()]


def finite(value: float) -> float | None:
    """Return a number; None if it is nan or infinite."""
    return value if math.isfinite(value) else None
