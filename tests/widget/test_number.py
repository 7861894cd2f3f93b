"""Learning rates as numbers: checking, parsing, rounding and formatting."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrfinder_widget.widget.number import format_lr, is_number, parse_number, positive, round_lr


@pytest.mark.parametrize(("value", "number"), [(1, True), (0.5, True), (True, False), ("1", False)])
def test_is_number(value: Any, number: bool) -> None:
    assert is_number(value) is number


@pytest.mark.parametrize("value", [1, 0.5, 5e-324, np.float32(0.5), np.int8(3), Fraction(1, 8)])
def test_a_positive_number_is_a_float(value: Any) -> None:
    assert type(positive(value)) is float
    assert positive(value) == float(value)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**400, True, "1", None, 1j, [1.0]])
def test_anything_else_is_not_a_positive_number(value: Any) -> None:
    assert positive(value) is None


@pytest.mark.parametrize(
    ("lr", "text"), [(0.0031622776, "3.16e-03"), (1, "1.00e+00"), (0.03125, "3.12e-02")]
)
def test_a_learning_rate_has_three_significant_digits(lr: float, text: str) -> None:
    assert format_lr(lr) == text


@given(st.floats(1e-300, 1e300))
def test_a_rounded_learning_rate_is_exactly_what_is_written(lr: float) -> None:
    rounded = round_lr(lr)
    assert format_lr(rounded) == format_lr(lr)
    assert round_lr(rounded) == rounded
    assert rounded == pytest.approx(lr, rel=0.005)


def test_a_typed_number_is_read_and_a_wrong_one_named() -> None:
    assert parse_number("steps", " 20 ", int) == 20
    assert parse_number("from", "1e-3", float) == 1e-3
    with pytest.raises(ValueError, match=r"'steps' must be a whole number; got '2\.5'"):
        parse_number("steps", "2.5", int)
    with pytest.raises(ValueError, match="'from' must be a number; got 'low'"):
        parse_number("from", "low", float)
    with pytest.raises(ValueError, match="'steps' must be at most 1,000; got '2000'"):
        parse_number("steps", "2000", int, at_most=1000)
