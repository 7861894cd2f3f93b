"""Smoothing follows the curve, removes noise, and does not spread what is far off."""

import numpy as np
import pytest
from curves import blowing_up, falling, ladder
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.smoothing import (
    autocorrelation,
    count_before_turn,
    moving_average,
    noise,
    running_median,
    smooth_around_turn,
)


@pytest.mark.parametrize("n", [2, 3, 7, 40, 1_000])
def test_smoothing_leaves_a_straight_line_as_it_is_up_to_its_ends(n):
    line = 5.0 - 3.0 * np.arange(n) / n
    np.testing.assert_allclose(LossCurve(ladder(n), line).smooth(), line, rtol=1e-12)


@pytest.mark.parametrize("n", [50, 100, 1_000])
def test_smoothing_does_not_lag(n):
    lrs = ladder(n)
    smoothed = LossCurve(lrs, falling(lrs)).smooth()
    halfway = np.interp(-1.3, -smoothed, np.log10(lrs))  # the true fall is halfway at 10**-2.5
    assert abs(halfway - -2.5) < 0.02


@pytest.mark.parametrize("n", [100, 1_000, 10_000])
def test_smoothing_halves_the_noise_at_least(n):
    lrs = ladder(n)
    smoothed = LossCurve(lrs, falling(lrs, noise=0.05)).smooth()
    assert np.std(smoothed - falling(lrs)) < 0.5 * 0.05 * 2


def test_a_lone_outlier_is_not_smeared():
    lrs, losses = ladder(100), falling(ladder(100))
    spoilt = losses.copy()
    spoilt[30] += 100.0
    np.testing.assert_allclose(
        LossCurve(lrs, spoilt).smooth(), LossCurve(lrs, losses).smooth(), atol=1e-3
    )


@pytest.mark.parametrize("end", [0, -1])
def test_an_outlier_at_an_end_makes_no_spike(end):
    lrs = ladder(100)
    losses = falling(lrs, noise=0.01)
    spoilt = losses.copy()
    spoilt[end] += 1.0 if end else -1.0
    moved = LossCurve(lrs, spoilt).smooth() - LossCurve(lrs, losses).smooth()
    assert np.abs(moved).max() < 0.05


@pytest.mark.parametrize("tail", [[1e3, 1e6, 1e12, 1e300], [1e9, float("nan")], [float("inf")] * 7])
def test_a_blow_up_does_not_reach_back(tail):
    n = 80
    lrs = ladder(n + len(tail), 1e-7, 1e-2)
    losses = falling(lrs[:n], noise=0.03)
    alone = LossCurve(lrs[:n], losses)
    with_tail = LossCurve(lrs, [*losses, *tail], "diverged")
    np.testing.assert_array_equal(with_tail.smooth()[:n], alone.smooth())
    np.testing.assert_array_equal(np.isfinite(with_tail.smooth()[n:]), np.isfinite(tail))


def test_a_loss_that_is_not_finite_leaves_a_gap_and_nothing_else():
    losses = 5.0 - np.arange(30.0)
    losses[[0, 12]] = np.nan, np.inf
    smoothed = LossCurve(ladder(30), losses).smooth()
    assert np.flatnonzero(np.isnan(smoothed)).tolist() == [0, 12]
    np.testing.assert_allclose(smoothed[13:], losses[13:], atol=0.6)


# -- noise and turn -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 1_000])
def test_the_noise_is_estimated_in_spite_of_a_trend_and_of_outliers(n):
    scatter = np.random.default_rng(0).normal(size=n)
    trend = np.linspace(0, 300, n)
    outliers = 1e3 * (np.arange(n) % 25 == 7)
    assert np.median(noise(trend + 0.5 * scatter + outliers)) == pytest.approx(0.5, rel=0.35)


def test_the_noise_follows_where_it_grows():
    scatter = np.random.default_rng(0).normal(size=1_000) * np.repeat([1.0, 10.0], 500)
    estimate = noise(scatter)
    assert estimate[:400].mean() < 0.5 * estimate[600:].mean()


def test_without_noise_there_is_none():
    assert noise(np.full(50, 3.0)).tolist() == [0.0] * 50
    assert noise(np.array([1.0, 2.0])).tolist() == [0.0, 0.0]


def correlated(rho, n, seed):
    y = np.random.default_rng(seed).normal(size=n)
    for i in range(1, n):
        y[i] += rho * y[i - 1]
    return y


def test_the_correlation_of_neighbours_is_told_from_none():
    flat = np.zeros(1_000)
    independent, dependent = (
        [autocorrelation(correlated(rho, 1_000, seed), flat) for seed in range(20)]
        for rho in (0.0, 0.4)
    )
    assert max(independent) < 0.15 < 0.25 < min(dependent)
    assert max(dependent) < 0.6
    assert autocorrelation(flat, flat) == 0.0


def test_the_losses_before_a_blow_up_are_counted():
    lrs = ladder(100)
    assert count_before_turn(falling(lrs)) == 100
    turn = count_before_turn(blowing_up(lrs))
    assert 0.5 < lrs[turn] < 3  # the loss is back at its start near 1.1
    assert smooth_around_turn(blowing_up(lrs))[1] == turn
    for few in (0, 1, 2):
        assert count_before_turn(np.arange(float(few))) == few


def test_past_the_turn_the_line_goes_on_without_a_jump_from_one_level_to_the_next():
    lrs = np.geomspace(1e-4, 10, 60)
    y = blowing_up(lrs)
    (smoothed, _), turn = smooth_around_turn(y)
    medians = running_median(y, 5)
    assert 0 < turn < len(y) - 3
    assert medians[turn:].min() <= smoothed[turn + 2 :].min()
    assert smoothed[turn:].max() <= medians[turn:].max()
    kinks = [np.abs(np.diff(line[turn - 1 :], 2)).max() for line in (smoothed, medians)]
    assert kinks[0] < kinks[1]


def test_without_smoothing_the_losses_past_the_turn_stay_as_they_are():
    y = blowing_up(np.geomspace(1e-4, 10, 60))
    assert smooth_around_turn(y, 0)[0][0].tolist() == y.tolist()


# -- medians and means ----------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=20), st.sampled_from([3, 5]))
def test_a_running_median_repeats_the_ends(values, width):
    padded = np.pad(np.array(values, dtype=float), width // 2, mode="edge")
    expected = [np.median(padded[i : i + width]) for i in range(len(values))]
    assert running_median(np.array(values, dtype=float), width).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), max_size=40), st.integers(1, 50))
def test_a_moving_average_is_that_of_the_values_up_to_there(values, width):
    expected = [np.mean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]
    assert moving_average(np.array(values, dtype=float), width).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("huge", [1e300, float("inf"), float("nan")])
def test_a_huge_value_does_not_outlast_its_window(huge):
    losses = np.ones(100)
    losses[50] = huge
    average = moving_average(losses, 7)
    assert np.delete(average, range(50, 57)).tolist() == pytest.approx([1.0] * 93)
    assert not np.any(average[50:57] < 1e299)
