"""Learning rates as numbers: checking, parsing, rounding and formatting."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any


def is_number(value: Any) -> bool:
    """Return whether `value` is a real number; `True` and `False` do not count as numbers."""
    return isinstance(value, Real) and not isinstance(value, bool)


def positive(value: Any) -> float | None:
    """Return `value` as a `float` if it is a positive, finite number, else `None`."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def format_lr(lr: float) -> str:
    """Format a learning rate with three significant digits, as in ``3.16e-03``."""
    return f"{lr:.2e}"


def round_lr(lr: float) -> float:
    """Round a learning rate to the digits that `format_lr` shows."""
    return float(format_lr(lr))


def parse_number(name: str, typed: str, kind: type, at_most: float = float("inf")) -> Any:
    """Parse a number that was typed into the box `name`.

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
