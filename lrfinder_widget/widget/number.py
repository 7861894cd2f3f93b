"""A learning rate as a number: recognized, typed, rounded and written."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def is_number(value: Any) -> bool:
    """Say whether `value` is a real number; `True` and `False` are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(value: Any) -> float | None:
    """Return a positive, finite number as a `float`; `None` for anything else."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def format_lr(lr: float) -> str:
    """Write a learning rate with three significant digits, as in ``3.16e-03``."""
    return f"{lr:.2e}"


def round_lr(lr: float) -> float:
    """Round a learning rate to the digits that `format_lr` writes."""
    return float(format_lr(lr))


def parse_number(name: str, typed: str, kind: type, at_most: float = float("inf")) -> Any:
    """Read a number that was typed into the box `name`.

    Raises
    ------
    ValueError
        If it is not a number of that kind, or larger than `at_most`.
    """
    what = "whole number" if kind is int else "number"
    try:
        value = kind(typed)
    except ValueError:
        raise ValueError(f"{name!r} must be a {what}; got {typed!r}.") from None
    if value > at_most:
        raise ValueError(f"{name!r} must be at most {at_most:,.0f}; got {typed!r}.")
    return value
