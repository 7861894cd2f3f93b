"""What tells two trials apart by their losses on held-out batches, and what does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrfinder_widget.curve.trial import (
    Trial,
    _t_quantile,
    clearly_above,
    format_rate,
    held_out_margin,
)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 16, 64])
def test_noise_is_taken_for_a_difference_once_in_forty_times(n: int) -> None:
    dice = np.random.default_rng(n)
    shared, own = dice.normal(0, 5, (8000, n)), dice.normal(0, 1, (2, 8000, n))
    pairs = zip(shared + own[0], shared + own[1], strict=True)
    passed = np.mean([clearly_above(one, other) for one, other in pairs])
    assert 0.02 < passed < 0.03


def test_the_quantiles_are_students() -> None:
    expected = {1: 12.706, 3: 3.182, 5: 2.571, 6: 2.447, 9: 2.262, 30: 2.042, 1000: 1.962}
    for freedom, quantile in expected.items():
        assert _t_quantile(freedom) == pytest.approx(quantile, rel=2e-3)


def test_differences_count_batch_by_batch() -> None:
    hard, easy = np.array([9.0, 1.0, 5.0, 3.0]), np.array([0.1, 0.11, 0.09, 0.1])
    assert clearly_above(hard, hard + easy)
    assert not clearly_above(hard + easy, hard)
    assert not clearly_above(hard, hard[::-1] + easy)
    assert clearly_above(hard, hard + 1e-3)  # the same on each batch: no noise at all
    assert not clearly_above(hard, hard)


def test_a_single_number_must_differ_by_a_hundredth() -> None:
    one = np.array([1.0])
    assert not clearly_above(one, np.array([1.005]))
    assert clearly_above(one, np.array([1.02]))
    assert clearly_above(np.array([-1.02]), -one)
    assert math.isnan(held_out_margin(one, one))


def test_what_is_not_finite_is_above_all_else() -> None:
    good, bad = np.ones(3), np.array([1.0, math.nan, math.inf])
    assert clearly_above(good, bad)
    assert not clearly_above(bad, good)
    assert not clearly_above(bad, bad)


def test_only_a_trial_that_came_to_its_end_is_judged() -> None:
    held_out = {5: np.ones(2), 10: np.zeros(2)}
    assert Trial(0.1, np.ones(10), True, held_out).judged is held_out[10]
    assert Trial(0.1, np.ones(10), False, held_out).judged is None
    assert Trial(0.1, np.ones(10), True).judged is None


def test_rates_are_shown_with_three_digits() -> None:
    assert format_rate(1e-3) == "1.00e-03"
    assert format_rate((1e-5, 0.0316)) == "(1.00e-05, 3.16e-02)"
    assert Trial((1e-5, 1e-3, 1e-4), np.ones(10), True).largest == 1e-3
