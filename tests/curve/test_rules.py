"""Each rule finds the place it is named after, whatever the offset and the scale of the loss."""

import numpy as np
import pytest
from curves import STEEPEST, blowing_up, decades, known, lowest, weak
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget import LossCurve
from lrfinder_widget.curve.fall import Part
from lrfinder_widget.curve.rules import RULES, divergence, minimum, slide, steepest, valley
from lrfinder_widget.curve.suggest import suggest

# -- what must not matter -------------------------------------------------------------------------


curves = st.builds(
    known,
    n=st.sampled_from([20, 57, 100, 400]),
    noise=st.sampled_from([0.003, 0.03, 0.2]),
    seed=st.integers(0, 2**32 - 1),
)


def assert_same(candidates, others, factor=1.0):
    for rule, lr in candidates.items():
        assert others[rule] == (None if lr is None else pytest.approx(factor * lr, rel=1e-9)), rule


@settings(max_examples=40, deadline=None)
@given(curves, st.floats(-1e4, 1e4))
def test_adding_a_constant_changes_no_candidate(curve, offset):
    lrs, losses = curve
    assert_same(LossCurve(lrs, losses).candidates(), LossCurve(lrs, losses + offset).candidates())


@settings(max_examples=40, deadline=None)
@given(curves, st.floats(1e-12, 1e12))
def test_a_positive_factor_of_the_loss_changes_no_candidate(curve, factor):
    lrs, losses = curve
    assert_same(LossCurve(lrs, losses).candidates(), LossCurve(lrs, factor * losses).candidates())


@settings(max_examples=40, deadline=None)
@given(curves, st.floats(1e-6, 1e6))
def test_a_factor_of_the_learning_rates_is_a_factor_of_every_candidate(curve, factor):
    lrs, losses = curve
    shifted = LossCurve(factor * lrs, losses).candidates()
    assert_same(LossCurve(lrs, losses).candidates(), shifted, factor)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(known, st.sampled_from([100, 400]), st.just(0.03), st.integers(0, 2**32 - 1)),
    st.sampled_from([[1e5, 1e12], [float("nan")], [1e9, float("inf")]]),
)
def test_what_comes_after_the_blow_up_changes_no_candidate(curve, tail):
    lrs, losses = curve
    longer = np.append(lrs, lrs[-1] * 1.1 ** np.arange(1, len(tail) + 1))
    candidates = LossCurve(lrs, losses, "diverged").candidates()
    others = LossCurve(longer, [*losses, *tail], "diverged").candidates()
    # Where a loss blows up is told by the two after it, so at the very end it is known that well.
    two_points = pytest.approx(1.0, rel=(lrs[1] / lrs[0]) ** 2 - 1 + 1e-9)
    for rule in ("divergence", "minimum", "budget"):  # both are bounded by the first
        lr, other = candidates.pop(rule), others.pop(rule)
        assert (lr is None) == (other is None)
        assert lr is None or other / lr == two_points
    assert_same(candidates, others)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4), st.floats(1e-9, 1e9), st.floats(1e-3, 1e3))
def test_offset_scale_and_shift_do_not_matter_to_a_weak_fall(seed, offset, scale, factor):
    curve = weak(seed=seed)
    moved = LossCurve(factor * curve.lrs, scale * (curve.losses + offset), curve.reason)
    assert_same(curve.candidates(), moved.candidates(), factor)


@pytest.mark.parametrize("rule", ["steepest", "valley"])
@pytest.mark.parametrize("n", [20, 100, 1_000, 10_000])
def test_a_clean_curve_gives_the_same_candidate_at_any_number_of_points(rule, n):
    candidate = LossCurve(*known(n)).suggest(rule).lr
    tolerance = 0.4 if n == 20 else 0.2  # at 20 points, a step is 0.4 decades
    assert decades(candidate, LossCurve(*known(3_000)).suggest(rule).lr) < tolerance


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("scale", [-1.0, 1e-9])
def test_losses_below_zero_and_near_it_are_losses_too(rule, scale):
    lrs, losses = known(100, noise=0.03)
    moved = abs(scale) * losses + min(scale, 0.0) * 50
    assert (scale < 0) == (moved[0] < 0)
    lr = LossCurve(lrs, moved).suggest(rule).lr
    assert lr == pytest.approx(LossCurve(lrs, losses).suggest(rule).lr)


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"divergence"}))
def test_a_linear_ladder_is_read_by_decades_too(rule):
    lrs = np.linspace(1e-5, 0.6, 400)
    lr = LossCurve(*known(lrs=lrs, noise=0.03)).suggest(rule).lr
    assert STEEPEST / 10 < lr < lowest()


@pytest.mark.parametrize("where", [10, 30])
@pytest.mark.parametrize("rule", RULES)
def test_one_lucky_batch_moves_no_candidate_far(rule, where):
    lrs, losses = known(100, noise=0.03)
    spoilt = losses.copy()
    spoilt[where] -= 10.0
    lr = LossCurve(lrs, spoilt).suggest(rule).lr
    assert decades(lr, LossCurve(lrs, losses).suggest(rule).lr) < 0.2


# -- minimum --------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_minimum_is_found_within_half_a_decade(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("minimum").lr for seed in range(200)]
    near = [lr is not None and decades(2.6 * lr, lowest()) <= 0.5 for lr in found]
    assert sum(near) >= 190  # 9 / sqrt(12.4 points per decade) is 2.6


@pytest.mark.parametrize(("n", "divisor"), [(20, 5.9), (100, 2.6), (300, 2), (10_000, 2)])
def test_the_fewer_steps_a_decade_the_further_below_the_minimum(n, divisor):
    assert decades(divisor * LossCurve(*known(n)).suggest("minimum").lr, lowest()) < 0.3


def test_the_lowest_place_is_the_middle_of_all_that_is_as_low():
    lrs = np.geomspace(1e-6, 1, 121)
    smoothed = np.interp(np.log10(lrs), [-6, -5, -4, -3.2, -1, 0], [2.0, 2.0, 1.0, 1.0, 3.2, 9.0])
    smoothed[54] -= 0.09  # the luckiest point, 5e-4, within two standard errors of the rest
    lowest_place = minimum(Part(lrs, smoothed, np.full(121, 0.05)), divisor=1.0)
    assert lowest_place == pytest.approx(10**-3.6, rel=0.15)


def test_a_wide_floor_counts_by_its_first_decade():
    lrs = np.geomspace(1e-6, 1, 121)
    smoothed = np.interp(np.log10(lrs), [-6, -5, -4, 0], [2.0, 2.0, 1.0, 1.0])
    lowest_place = minimum(Part(lrs, smoothed, np.full(121, 0.01)), divisor=1.0)
    assert lowest_place == pytest.approx(10**-3.5, rel=0.15)


def test_a_lull_in_high_noise_is_not_the_lowest_place():
    lrs = np.geomspace(1e-6, 1, 61)
    smoothed = np.interp(np.log10(lrs), [-6, -4, -3, -2, -1, 0], [2.0, 2.0, 1.0, 1.0, 1.5, 0.9])
    error = np.interp(np.log10(lrs), [-6, -2, -1, 0], [0.01, 0.01, 0.2, 0.2])
    assert minimum(Part(lrs, smoothed, error), 1.0) == pytest.approx(10**-2.5, rel=0.25)


@pytest.mark.parametrize("divisor", [4.0, 10.0])
@pytest.mark.parametrize("rule", ["minimum", "divergence"])
def test_the_minimum_and_the_divergence_can_be_divided_by_anything(rule, divisor):
    curve = LossCurve(*known(100))
    found = curve.suggest(rule, divisor=divisor)
    assert found.lr == pytest.approx(curve.suggest(rule, divisor=1).lr / divisor)
    assert f"divided by {divisor:.2g}" in found.reason


def test_the_candidate_is_a_tenth_of_where_the_loss_diverges_at_most():
    lrs = np.geomspace(1e-7, 10, 161)
    late = np.interp(np.log10(lrs), [-7, -3, -1, -0.7, 1], [2.0, 2.0, 0.0, 9.0, 90.0])
    curve = LossCurve(lrs, late)
    diverged = curve.suggest("divergence", divisor=1).lr
    assert diverged < 0.15
    assert curve.suggest("minimum", divisor=9 / 20**0.5).lr > 0.2 * diverged
    assert curve.suggest("minimum").lr == pytest.approx(diverged / 10)
    assert curve.suggest("minimum").high < lowest_of(late, lrs)
    assert curve.suggestion.high < lowest_of(late, lrs)


def lowest_of(losses, lrs):
    return lrs[losses.argmin()]


# -- steepest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_steepest_point_is_found_within_half_a_decade(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("steepest").lr for seed in range(200)]
    assert sum(lr is not None and decades(lr, STEEPEST) <= 0.5 for lr in found) >= 190


def test_the_steepest_point_is_the_steepest_by_decades_on_any_ladder():
    lrs = np.linspace(1e-4, 0.03, 400)
    assert decades(steepest(Part(lrs, blowing_up(lrs), np.full(400, 1e-3))), STEEPEST) < 0.15


# -- valley ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_valley_lies_on_the_slope(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("valley").lr for seed in range(200)]
    on_the_slope = [lr is not None and STEEPEST / 10 < lr < lowest() for lr in found]
    assert sum(on_the_slope) >= 190


def test_a_fall_without_a_clear_run_has_no_valley():
    lrs = np.geomspace(1e-6, 1, 100)
    saw = np.linspace(1.0, 0.0, 100) + 0.02 * (np.arange(100) % 2)
    error = np.full(100, 0.05)
    part = Part(lrs, saw, error, turned=True)
    assert valley(part) is None
    assert "another rule" in suggest(part, rule="valley").reason
    assert minimum(part) is not None


# -- slide ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_slide_ends_on_the_slope(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("slide").lr for seed in range(200)]
    assert sum(lr is not None and STEEPEST / 30 < lr < STEEPEST * 2 for lr in found) >= 190


def test_the_slide_of_an_even_fall_begins_half_a_decade_below_the_steepest_point():
    lrs = np.geomspace(1e-7, 1, 2_000)
    losses = -np.tanh((np.log10(lrs) + 3) / 0.5)  # its slope is the same at equal distances
    losses += np.interp(np.log10(lrs), [-1.5, -1], [0.0, 1.0])
    found = slide(Part(lrs, losses, np.full(2_000, 1e-4)))
    assert decades(found, 10**-3.5) < 0.1


def test_a_fall_over_less_than_a_decade_of_range_has_no_slide():
    lrs = np.geomspace(1e-3, 5e-3, 100)
    part = Part(lrs, np.linspace(1.0, 0.0, 100), np.full(100, 1e-3), True)
    assert slide(part) is None
    assert steepest(part) is not None


# -- divergence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1])
def test_the_divergence_is_where_the_loss_leaves_its_start_behind(noise):
    lrs, losses = known(400, noise)
    lost = 10**0.2  # the known curve is back at its start near 10**0.06, twice it near 10**0.2
    assert lost / 3 < LossCurve(lrs, losses).suggest("divergence", divisor=1).lr < lost


def test_what_does_not_diverge_has_no_divergence():
    lrs = np.geomspace(1e-7, 10, 100)
    losses = np.interp(np.log10(lrs), [-7, -3, -2, 1], [2.0, 2.0, 1.0, 1.0])
    found = LossCurve(lrs, losses).candidates()
    assert found["divergence"] is None
    assert found["minimum"] is not None
    assert "another rule" in LossCurve(lrs, losses).suggest("divergence").reason
    assert divergence(Part(lrs, losses, np.full(100, 0.01), turned=True), 1.0) == lrs[-1]
