"""The rule that ends a test stops it when training diverges, and not for noise."""

import numpy as np
import pytest
from curves import blowing_up, falling, ladder
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget.curve.stop_rules import Divergence, OwnRule


def stops_at(losses):
    """The index of the loss at which the rule stops, or None."""
    diverged = Divergence()
    return next((i for i, loss in enumerate(np.asarray(losses).tolist()) if diverged(loss)), None)


def outliers(rng, n):
    return rng.normal(size=n) + 50 * (rng.random(n) < 0.01)


@pytest.mark.parametrize("n", [20, 100, 1_000])
@pytest.mark.parametrize(
    "noise",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.standard_t(3, size=n),
        lambda rng, n: rng.exponential(size=n),
        lambda rng, n: np.round(0.4 * rng.normal(size=n)),
        outliers,
    ],
    ids=["gaussian", "heavy-tailed", "skewed", "coarsely rounded", "outliers of 50 sigma"],
)
def test_noise_never_stops_a_test(noise, n):
    rng = np.random.default_rng(n)
    assert [stops_at(noise(rng, n)) for _ in range(30)] == [None] * 30


@pytest.mark.parametrize(
    "losses",
    [
        np.full(1_000, 0.3),
        np.full(1_000, -7.0),
        np.full(1_000, 0.0),
        np.append(np.full(500, 1.0), np.full(500, 1.1)),
        np.arange(1_000.0),
        -np.arange(1_000.0),
        np.sqrt(np.arange(1_000.0)),
        falling(ladder(1_000)),
    ],
    ids=[
        "constant",
        "negative",
        "zero",
        "one step",
        "rising evenly",
        "falling",
        "slowing",
        "a fall",
    ],
)
def test_what_is_calm_never_stops_a_test(losses):
    assert stops_at(losses) is None


def explosion(n, after, factor=2.0):
    return np.where(np.arange(n) < after, 0.0, 0.05 * factor ** (np.arange(n) - after + 0.0))


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.05])
@pytest.mark.parametrize("fall", [0.0, 2.0], ids=["trained", "from scratch"])
@pytest.mark.parametrize(("n", "after"), [(20, 9), (30, 20), (100, 60), (1_000, 600)])
def test_an_explosion_stops_a_test_within_eleven_doublings(n, after, fall, noise):
    rng = np.random.default_rng(n)
    losses = fall * np.clip(1 - 2 * np.arange(n) / n, 0, 1) + noise * rng.normal(size=n)
    stopped = stops_at(losses + explosion(n, after))
    assert after + 2 <= stopped <= after + 10


@pytest.mark.parametrize("factor", [1.3, 2.0, 10.0])
def test_a_test_that_explodes_at_once_is_stopped(factor):
    assert stops_at(2.3 * factor ** np.arange(60.0)) < 30


def test_a_network_that_dies_near_its_start_level_stops_the_test():
    rng = np.random.default_rng(0)
    fall = np.interp(np.arange(100), [0, 40, 70, 71, 99], [2.33, 2.33, 0.4, 2.303, 2.303])
    assert 71 < stops_at(fall + 0.01 * rng.normal(size=100)) <= 76


def test_giving_back_half_of_the_fall_is_borne():
    run = np.interp(np.arange(100), [0, 30, 60, 66, 99], [2.3, 2.3, 0.3, 1.4, 1.4])
    assert stops_at(run + 0.01 * np.random.default_rng(0).normal(size=100)) is None


def test_a_linear_ladder_is_stopped_where_it_explodes():
    lrs = np.linspace(1e-4, 1.0, 200)
    losses = 0.2 + 2 * np.exp(-lrs / 0.05) + 1e-3 * np.expm1(np.maximum(lrs - 0.5, 0) * 80)
    stopped = stops_at(losses + 0.03 * np.random.default_rng(0).normal(size=200))
    assert 0.5 < lrs[stopped] < 0.65


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.integers(-40, 40).map(lambda k: 2.0**k),
    offset=st.integers(-1000, 1000),
)
def test_offset_sign_and_scale_of_the_loss_do_not_matter(seed, scale, offset):
    rng = np.random.default_rng(seed)
    losses = blowing_up(ladder(150), noise=0.03, seed=seed) + rng.normal()
    stopped = stops_at(losses)
    assert stopped is not None
    assert stops_at(scale * losses) == stopped
    assert stops_at(losses + offset) == stopped


class Counted(float):
    """Counts how often numbers are compared, those made of it too."""

    comparisons = 0

    def __lt__(self, other):
        Counted.comparisons += 1
        return float(self) < float(other)

    def __gt__(self, other):
        Counted.comparisons += 1
        return float(self) > float(other)

    def __sub__(self, other):
        return Counted(float(self) - float(other))

    def __abs__(self):
        return Counted(abs(float(self)))


def comparisons_per_loss(losses):
    diverged = Divergence()
    before = Counted.comparisons
    for loss in losses.tolist():
        diverged(Counted(loss))
    return (Counted.comparisons - before) / len(losses)


@pytest.mark.parametrize("growth", [1.0, 1e3], ids=["steady noise", "growing noise"])
def test_a_long_run_takes_no_more_comparisons_per_loss_than_a_short_one(growth):
    short, long = (
        comparisons_per_loss(np.random.default_rng(0).normal(size=n) * np.geomspace(1, growth, n))
        for n in (1_000, 50_000)
    )
    assert long < 1.15 * short


# -- a rule of one's own --------------------------------------------------------------------------


def test_an_own_rule_sees_all_raw_losses_so_far_and_cannot_change_them():
    seen = []

    def stop(losses):
        with pytest.raises(ValueError, match="read-only"):
            losses[0] = 0.0
        seen.append(losses.tolist())
        return len(losses) == 3

    rule = OwnRule(stop, num_iter=5)
    assert [rule(loss) for loss in (2.0, float("nan"), 1.0)] == [False, False, True]
    assert np.array_equal(seen[2], [2.0, np.nan, 1.0], equal_nan=True)
    assert [len(losses) for losses in seen] == [1, 2, 3]


def test_an_error_of_an_own_rule_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        OwnRule(lambda losses: 1 / 0, num_iter=5)(1.0)
