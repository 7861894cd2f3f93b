"""A fall is found where there is one, clear or weak, and noise is hardly ever taken for one."""

import numpy as np
import pytest
from curves import STEEPEST, decades, first_weak, known, lowest, weak
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.fall import Fall, Part
from lrfinder_widget.curve.rules import RULES
from lrfinder_widget.curve.suggest import suggest

# -- what must be found ---------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "noise"), [(50, 0.25), (100, 0.3), (300, 0.5)])
def test_a_fall_hardly_larger_than_the_noise_is_found(n, noise):
    found = [LossCurve(*known(n, noise, seed)).suggestion.lr for seed in range(200)]
    assert sum(lr is not None and STEEPEST / 10 < lr < lowest() for lr in found) >= 190
    assert found.count(None) <= 4


@settings(max_examples=200, deadline=None)
@given(
    st.integers(10, 150),
    st.floats(0, 3),
    st.floats(0, 4),
    st.floats(0, 4),
    st.integers(0, 2**32 - 1),
)
def test_the_parts_of_a_fall_follow_each_other(n, height, quiet, wild, seed):
    rng = np.random.default_rng(seed)
    turn = rng.integers(2, n)
    smoothed = np.interp(np.arange(n), [0, turn // 2, turn, n], [2.0, 2.0, 2.0 - height, 3.0])
    error = np.where(np.arange(n) < rng.integers(n), 10**-quiet, 10 ** (wild - 2))
    part = Part(np.geomspace(1e-7, 10, n), smoothed + error * rng.normal(size=n), error, True)
    fall = part.fall
    if fall is not None:
        assert 0 < fall.onset <= fall.first <= fall.lowest <= fall.last < n
        assert fall.height > 0
    for rule in RULES:
        assert suggest(part, rule=rule).reason


def test_a_weak_fall_is_found_and_said_to_be_weak():
    found = [weak(seed=seed).suggest("minimum") for seed in range(200)]
    named = [each for each in found if each.lr is not None]
    assert len(named) >= 180  # 150 by the smoothed losses alone
    assert all(10**-4.2 < each.lr < 10**-1.2 for each in named)
    hedged = [each for each in named if each.weak]
    assert len(hedged) > 20
    assert [each for each in found if "weak" in each.reason] == hedged
    for each in hedged:
        assert "repeats=3" in each.reason
        assert each.low <= each.lr <= each.high
        assert each.high / each.low > 2


def test_outliers_hide_no_weak_fall():
    curve = first_weak()
    losses = curve.losses.copy()
    losses[[20, 35]] += [30.0, -30.0]
    assert LossCurve(curve.lrs, losses, curve.reason).suggestion.lr is not None


@settings(max_examples=200, deadline=None)
@given(
    st.integers(10, 150), st.floats(-1, 3), st.integers(0, 2**32 - 1), st.sampled_from([0, 0.5, 1])
)
def test_the_parts_of_a_weak_fall_follow_each_other(n, height, seed, rounded):
    rng = np.random.default_rng(seed)
    losses = np.interp(np.arange(n), [0, n // 2, n], [0, -height, 0]) + rng.normal(size=n)
    losses = np.round(losses / rounded) * rounded if rounded else losses  # equal ones too
    part = Part(np.geomspace(1e-7, 10, n), losses, np.full(n, 10.0), True, losses)
    fall = part.fall
    if fall is not None:
        assert fall.weak
        assert 0 < fall.onset <= fall.first <= fall.lowest <= fall.last < n
        assert fall.height > 0
    for rule in RULES:
        assert suggest(part, rule=rule).reason


@pytest.mark.parametrize("seed", range(10))
def test_a_wild_end_hides_no_clear_fall_before_it(seed):
    lrs = np.geomspace(1e-7, 1, 90)
    rng = np.random.default_rng(seed)
    losses = np.interp(np.arange(90), [0, 60, 76, 90], [2.3, 2.3, 1.9, 1.9])
    losses += np.where(np.arange(90) < 74, 0.03, 0.5) * rng.normal(size=90)
    found = LossCurve([*lrs, 1.1, 1.2, 1.3], [*losses, 40.0, 900.0, 2e4], "diverged").suggestion
    assert 1e-3 < found.lr < 0.11


@pytest.mark.parametrize("factor", [1.5, 0.7])
def test_batches_at_the_start_that_are_unlike_the_others_hide_no_fall(factor):
    lrs, losses = known(100, noise=0.03)
    usual = LossCurve(lrs, losses)
    losses[:4] *= factor
    for rule in ("minimum", "steepest", "slide"):
        lr = LossCurve(lrs, losses).suggest(rule).lr
        assert decades(lr, usual.suggest(rule).lr) < 0.2, rule


# -- what is no fall ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 100, 1_000])
@pytest.mark.parametrize("noise", ["normal", "uniform", "laplace"])
def test_pure_noise_is_refused(noise, n):
    rng = np.random.default_rng(n)
    lrs = np.geomspace(1e-7, 10, n)
    found = [LossCurve(lrs, getattr(rng, noise)(size=n)).suggestion.lr for _ in range(200)]
    assert sum(lr is None for lr in found) >= 196


@pytest.mark.parametrize("n", [100, 1_000])
def test_noise_that_goes_on_is_hardly_ever_a_fall(n):
    lrs, rng = np.geomspace(1e-7, 10, n), np.random.default_rng(n)
    refused = 0
    for noise in rng.normal(size=(200, n)):
        for i in range(1, n):
            noise[i] += 0.3 * noise[i - 1]
        refused += LossCurve(lrs, noise).suggestion.lr is None
    assert refused >= 188  # with errors as of independent noise it would be 150


@pytest.mark.parametrize(("noise", "shape"), [("exponential", ()), ("standard_t", (3,))])
def test_neither_skewed_nor_heavy_tailed_noise_is_a_fall(noise, shape):
    lrs, rng = np.geomspace(1e-7, 10, 100), np.random.default_rng(1)
    draws = getattr(rng, noise)(*shape, size=(200, 100))
    found = [LossCurve(lrs, losses).suggestion.lr for losses in draws]
    assert found.count(None) >= 196


def test_the_centre_is_that_of_the_bottom_or_of_its_first_decade():
    log10_lr = np.array([-4.0, -3.0, -2.5, -2.0, 0.0])
    assert Fall(1, 1, 2, 3, 1.0).centre(log10_lr) == pytest.approx(10**-2.5)
    assert Fall(1, 1, 2, 4, 1.0).centre(log10_lr) == pytest.approx(10**-2.5)
    assert Fall(1, 2, 2, 2, 1.0).centre(log10_lr) == pytest.approx(10**-2.5)
