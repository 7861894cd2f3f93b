import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrfinder_widget.curve.fall import Part
from lrfinder_widget.curve.loss_curve import LossCurve
from lrfinder_widget.curve.rules import RULES, divergence, minimum, slide, steepest, valley
from lrfinder_widget.curve.suggest import FEWEST_POINTS, Suggestion, suggest

STEEPEST = 10**-2.5
WIDTH = 0.35


def known(n=100, noise=0.0, seed=0, start=1e-7, end=10.0, lrs=None):
    """A fall of 2, steepest at 10**-2.5, then a blow-up; noise as a part of the fall."""
    lrs = np.geomspace(start, end, n) if lrs is None else lrs
    scatter = np.random.default_rng(seed).normal(size=len(lrs))
    losses = true_loss(lrs) + 2 * noise * scatter
    return lrs, np.minimum(losses, 1e9)


def true_loss(lrs):
    fall = 2 / (1 + np.exp(-(np.log10(lrs) - np.log10(STEEPEST)) / WIDTH))
    return 2.3 - fall + 0.05 * np.expm1(np.minimum(lrs / 0.3, 300))


def lowest():
    lrs = np.geomspace(1e-4, 1, 10_001)
    return lrs[true_loss(lrs).argmin()]


def decades(lr, other):
    return abs(np.log10(lr / other))


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
    for rule in ("divergence", "minimum"):  # which is bounded by the former
        lr, other = candidates.pop(rule), others.pop(rule)
        assert (lr is None) == (other is None)
        assert lr is None or other / lr == two_points
    assert_same(candidates, others)


# -- what must be found ---------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_steepest_point_is_found_within_half_a_decade(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("steepest").lr for seed in range(200)]
    assert sum(lr is not None and decades(lr, STEEPEST) <= 0.5 for lr in found) >= 190


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_minimum_is_found_within_half_a_decade(noise):
    found = [LossCurve(*known(100, noise, seed)).suggestion.lr for seed in range(200)]
    near = [lr is not None and decades(2.6 * lr, lowest()) <= 0.5 for lr in found]
    assert sum(near) >= 190  # 9 / sqrt(12.4 points per decade) is 2.6


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


def weak(n=100, seed=0, height=2.2):
    """A fall whose height is about that of the noise, which is skewed; then a blow-up."""
    lrs = np.geomspace(1e-7, 10, n)
    x = np.log10(lrs)
    level = np.interp(x, [-7, -4, -3, -1.4, -0.9, 1], [2.0, 2.0, 2 - height, 2 - height, 5, 1e6])
    scatter = np.random.default_rng(seed).standard_t(3, size=n)
    return LossCurve(lrs, level + scatter, "diverged")


def test_a_weak_fall_is_found_and_said_to_be_weak():
    found = [weak(seed=seed).suggestion for seed in range(200)]
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


def first_weak():
    curves_ = (weak(seed=seed) for seed in range(50))
    return next(curve for curve in curves_ if curve.suggestion.weak)


def test_a_weak_fall_is_tried_at_three_places_half_a_decade_apart():
    curve = first_weak()
    trials = curve.trial_candidates()
    assert len(trials) == 3
    assert are_steps_of(0.5, trials)
    assert trials[1] == pytest.approx(curve.suggestion.lr)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4), st.floats(1e-9, 1e9), st.floats(1e-3, 1e3))
def test_offset_scale_and_shift_do_not_matter_to_a_weak_fall(seed, offset, scale, factor):
    curve = weak(seed=seed)
    moved = LossCurve(factor * curve.lrs, scale * (curve.losses + offset), curve.reason)
    assert_same(curve.candidates(), moved.candidates(), factor)


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


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_valley_lies_on_the_slope(noise):
    found = [LossCurve(*known(100, noise, seed)).suggest("valley").lr for seed in range(200)]
    on_the_slope = [lr is not None and STEEPEST / 10 < lr < lowest() for lr in found]
    assert sum(on_the_slope) >= 190


@pytest.mark.parametrize("rule", ["steepest", "valley"])
@pytest.mark.parametrize("n", [20, 100, 1_000, 10_000])
def test_a_clean_curve_gives_the_same_candidate_at_any_number_of_points(rule, n):
    candidate = LossCurve(*known(n)).suggest(rule).lr
    tolerance = 0.4 if n == 20 else 0.2  # at 20 points, a step is 0.4 decades
    assert decades(candidate, LossCurve(*known(3_000)).suggest(rule).lr) < tolerance


@pytest.mark.parametrize(("n", "divisor"), [(20, 5.9), (100, 2.6), (300, 2), (10_000, 2)])
def test_the_fewer_steps_a_decade_the_further_below_the_minimum(n, divisor):
    assert decades(divisor * LossCurve(*known(n)).suggestion.lr, lowest()) < 0.3


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


def test_the_steepest_point_is_the_steepest_by_decades_on_any_ladder():
    lrs = np.linspace(1e-4, 0.03, 400)
    assert decades(steepest(Part(lrs, true_loss(lrs), np.full(400, 1e-3))), STEEPEST) < 0.15


@pytest.mark.parametrize("where", [10, 30])
@pytest.mark.parametrize("rule", RULES)
def test_one_lucky_batch_moves_no_candidate_far(rule, where):
    lrs, losses = known(100, noise=0.03)
    spoilt = losses.copy()
    spoilt[where] -= 10.0
    lr = LossCurve(lrs, spoilt).suggest(rule).lr
    assert decades(lr, LossCurve(lrs, losses).suggest(rule).lr) < 0.2


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
    assert curve.suggestion.lr == pytest.approx(diverged / 10)
    assert curve.suggestion.high < lowest_of(late, lrs)


def lowest_of(losses, lrs):
    return lrs[losses.argmin()]


def test_a_divisor_without_a_rule_is_that_of_the_default_rule():
    curve = LossCurve(*known(100))
    assert curve.suggest(divisor=10) == curve.suggest("minimum", divisor=10)


@pytest.mark.parametrize("rule", ["steepest", "valley", "slide"])
def test_a_divisor_is_refused_where_nothing_is_divided(rule):
    with pytest.raises(ValueError, match=rule):
        LossCurve(*known(100)).suggest(rule, divisor=10)


@pytest.mark.parametrize("divisor", [0.0, -3.0, float("nan"), float("inf")])
def test_a_divisor_that_is_no_positive_number_is_named(divisor):
    with pytest.raises(ValueError, match=f"positive number; got {divisor}"):
        LossCurve(*known(100)).suggest("minimum", divisor=divisor)


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


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(10))
def test_the_band_holds_the_candidate_and_ends_well_before_the_turn(rule, seed):
    found = LossCurve(*known(100, 0.03, seed)).suggest(rule)
    assert found.low <= found.lr <= found.high
    assert 1e-5 < found.low < STEEPEST
    assert found.high < max(0.6 * lowest(), found.lr * 1.001)


@pytest.mark.parametrize("rule", RULES)
def test_the_band_of_a_cliff_holds_the_candidate_too(rule):
    lrs = np.geomspace(1e-7, 10, 161)
    losses = np.interp(np.log10(lrs), [-7, -0.5, 0, 1], [2.0, 2.0, 0.0, 9.0])
    found = LossCurve(lrs, losses).suggest(rule)
    assert found.low <= found.lr <= found.high


def test_a_fall_without_a_clear_run_has_no_valley():
    lrs = np.geomspace(1e-6, 1, 100)
    saw = np.linspace(1.0, 0.0, 100) + 0.02 * (np.arange(100) % 2)
    error = np.full(100, 0.05)
    part = Part(lrs, saw, error, turned=True)
    assert valley(part) is None
    assert "another rule" in suggest(part, rule="valley").reason
    assert minimum(part) is not None


def test_the_band_ends_at_half_of_a_sharp_minimum():
    lrs = np.geomspace(1e-7, 10, 161)
    losses = np.interp(np.log10(lrs), [-7, -4, -2, 1], [2.0, 2.0, 0.0, 3.0])
    assert LossCurve(lrs, losses).suggestion.high == pytest.approx(0.5e-2, rel=0.2)


# -- what must be refused -------------------------------------------------------------------------


def refusal(lrs, losses, reason="completed"):
    curve = LossCurve(lrs, losses, reason)
    found = curve.suggestion
    assert (found.lr, found.low, found.high) == (None, None, None)
    assert set(curve.candidates().values()) == {None}
    return found.reason


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


def test_a_trained_model_whose_loss_only_blows_up_is_refused():
    lrs = np.geomspace(1e-7, 10, 100)
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(size=100)
        losses = 0.3 + 0.03 * noise + np.minimum(np.expm1(np.minimum(lrs / 0.1, 300)), 1e9)
        assert "trained model" in refusal(lrs, losses, "diverged")


def test_a_run_that_diverged_is_never_told_to_go_higher():
    noise = np.random.default_rng(0).normal(size=100)
    assert "raise end_lr" in refusal(np.geomspace(1e-7, 10, 100), noise, "completed")
    assert "lower start_lr" in refusal(np.geomspace(1e-7, 10, 100), noise, "diverged")


def test_a_curve_that_only_rises_is_told_to_start_lower():
    lrs = np.geomspace(1e-2, 10, 100)
    assert "smaller start_lr" in refusal(lrs, 2.3 + lrs)
    noise = 0.5 * np.random.default_rng(0).normal(size=100)
    assert "lower start_lr" in refusal(lrs, 2.3 + lrs + noise)


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_a_curve_that_blows_up_at_once_is_told_to_start_lower(kept):
    losses = [2.3] * kept + [2.3 * 10.0**k for k in range(12)] + [float("nan")]
    assert "start_lr" in refusal(np.geomspace(1, 100, len(losses)), losses, "non-finite")


def test_a_blow_up_at_once_that_ends_on_a_plateau_is_no_fall():
    plateau = 2.303 + 0.01 * np.random.default_rng(0).normal(size=95)
    losses = [2.31, 4e3, 1e5, 3e3, 7e2, *plateau]
    assert "smaller start_lr" in refusal(np.geomspace(1, 100, 100), losses)


@pytest.mark.parametrize("level", [2.3, 0.0, -7.0, 1e-30, 1e30])
def test_a_constant_loss_is_refused(level):
    assert "not fall" in refusal(np.geomspace(1e-7, 10, 100), np.full(100, level))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, FEWEST_POINTS - 1])
def test_too_few_points_are_refused(n):
    reason = refusal(np.geomspace(1e-7, 1e-3, n), np.linspace(2, 1, n))
    assert f"({n}," in reason
    assert "more points" in reason


@pytest.mark.parametrize("n", [0, 1, 20])
def test_a_curve_without_a_finite_loss_is_refused(n):
    assert "no finite loss" in refusal(np.geomspace(1e-7, 1e-3, n), np.full(n, np.nan))


def test_a_nan_after_the_fall_is_a_turn():
    lrs, losses = known(100, noise=0.01)
    fall = lrs < 0.8 * lowest()
    assert "end_lr" in refusal(lrs[fall], losses[fall])
    losses[fall.sum()] = np.nan
    end = fall.sum() + 1
    found = LossCurve(lrs[:end], losses[:end], "non-finite").suggestion
    assert lowest() / 30 < found.lr < lowest() / 4


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("completed", "raise end_lr"), ("stopped", "let it run"), ("exhausted", "let it run")],
)
def test_a_loss_still_falling_at_the_end_is_refused_with_what_to_do(reason, advice):
    lrs, losses = known(100, noise=0.01, end=10**-2.3)
    assert advice in refusal(lrs, losses, reason)


@pytest.mark.parametrize(
    ("reason", "advice"),
    [("completed", "raise end_lr"), ("stopped", "let it run"), ("exhausted", "let it run")],
)
def test_a_test_that_ended_before_any_fall_is_no_sign_of_a_trained_model(reason, advice):
    lrs, losses = known(100, noise=0.01)
    assert advice in refusal(lrs[:30], losses[:30], reason)
    assert ("trained model" in refusal(lrs[:30], losses[:30], reason)) == (reason == "completed")


def test_a_loss_that_rises_at_the_very_end_has_turned():
    losses = np.interp(np.arange(100), [0, 80, 96, 99], [2.3, 2.3, 1.0, 2.2])
    assert (
        0.1 < LossCurve(np.geomspace(1e-7, 10, 100), losses).suggestion.lr < 1.7
    )  # the lowest is 3.3


def test_a_lull_in_high_noise_is_not_the_lowest_place():
    lrs = np.geomspace(1e-6, 1, 61)
    smoothed = np.interp(np.log10(lrs), [-6, -4, -3, -2, -1, 0], [2.0, 2.0, 1.0, 1.0, 1.5, 0.9])
    error = np.interp(np.log10(lrs), [-6, -2, -1, 0], [0.01, 0.01, 0.2, 0.2])
    assert minimum(Part(lrs, smoothed, error), 1.0) == pytest.approx(10**-2.5, rel=0.25)


def test_a_candidate_below_the_range_is_refused():
    lrs = np.geomspace(10**-1.8, 10, 60)
    curve = LossCurve(*known(lrs=lrs, noise=0.003))
    assert "lower start_lr" in curve.suggest("minimum", divisor=10).reason
    assert curve.suggest("minimum", divisor=10).lr is None
    assert curve.suggest("minimum", divisor=5).lr > lrs[0]


def test_a_floor_that_never_turns_still_gives_a_candidate():
    lrs = np.geomspace(1e-7, 10, 100)
    losses = np.interp(np.log10(lrs), [-7, -3, -2, 1], [2.0, 2.0, 1.0, 1.0])
    losses += 0.02 * np.random.default_rng(0).normal(size=100)
    found = LossCurve(lrs, losses).suggestion
    assert 1e-3 < found.lr < 0.1
    assert found.high <= max(0.02, found.lr)  # the floor begins at 1e-2


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="'coin'"):
        LossCurve(*known()).suggest("coin")


# -- what is worth a trial ------------------------------------------------------------------------


def are_steps_of(decades_, lrs):
    return np.diff(np.log10(lrs)) == pytest.approx(np.full(len(lrs) - 1, decades_))


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("n", [30, 100, 1_000])
def test_five_quarter_decades_around_the_candidate_are_worth_a_trial(n, noise):
    curve = LossCurve(*known(n, noise))
    trials = curve.trial_candidates()
    assert len(trials) == 5
    assert are_steps_of(0.25, trials)
    assert min(decades(lr, curve.suggestion.lr) for lr in trials) < 1e-9
    assert trials[0] < curve.suggestion.lr
    assert trials[-1] < 0.95 * lowest()


def test_no_trial_is_worth_it_below_the_range():
    lrs = np.geomspace(10**-1.9, 10, 60)
    curve = LossCurve(*known(lrs=lrs, noise=0.003))
    found, trials = curve.suggestion.lr, curve.trial_candidates()
    assert lrs[0] <= trials[0] < lrs[0] * 10**0.25
    assert found in trials


def test_without_a_fall_the_learning_rates_before_the_turn_are_worth_a_trial():
    lrs = np.geomspace(1e-7, 10, 100)
    noise = np.random.default_rng(0).normal(size=100)
    losses = 0.3 + 0.03 * noise + np.minimum(np.expm1(np.minimum(lrs / 0.1, 300)), 1e9)
    curve = LossCurve(lrs, losses, "diverged")
    assert curve.suggestion.lr is None
    trials = curve.trial_candidates()
    assert len(trials) == 3
    assert are_steps_of(0.5, trials)
    assert 1e-4 < trials[-1] < 3e-3  # it has risen by its own noise near 3e-3


def test_where_nothing_turns_the_end_of_the_range_is_worth_a_trial():
    lrs = np.geomspace(1e-7, 1e-3, 100)
    flat = LossCurve(lrs, np.random.default_rng(0).normal(size=100))
    falling = LossCurve(*known(100, 0.01, end=10**-2.3))
    for curve in (flat, falling):
        assert curve.suggestion.lr is None
        assert curve.trial_candidates()[-1] == pytest.approx(curve.lrs[-1])
        assert len(curve.trial_candidates()) == 3


@pytest.mark.parametrize(
    "losses", [[], [2.3], [float("nan")] * 20, [2.3, 4e3, 1e5, 3e6] + [1e9] * 20]
)
def test_what_cannot_be_read_has_nothing_worth_a_trial(losses):
    assert LossCurve(np.geomspace(1, 100, len(losses)), losses).trial_candidates() == []


# -- what is said ---------------------------------------------------------------------------------


def every_reason():
    lrs, losses = known(100, noise=0.01)
    flat = np.full(100, 2.0)
    yield from (LossCurve(lrs, losses).suggest(rule) for rule in RULES)
    yield first_weak().suggestion
    yield LossCurve(lrs, flat).suggestion
    yield LossCurve(lrs, flat + lrs).suggestion
    yield LossCurve(lrs[:60], losses[:60]).suggestion
    yield LossCurve(lrs[:60], losses[:60], "stopped").suggestion
    yield LossCurve(lrs[:30], losses[:30], "stopped").suggestion
    yield LossCurve(lrs[65:], losses[65:]).suggestion
    yield LossCurve(lrs[86:], losses[86:]).suggestion
    yield LossCurve(lrs[:5], losses[:5]).suggestion
    yield LossCurve([], []).suggestion


def test_every_reason_is_one_modest_sentence():
    reasons = {found.reason for found in every_reason()}
    assert len(reasons) == 15
    for reason in reasons:
        assert re.fullmatch(r"[A-Z0-9].*[^.]\.", reason), reason
        assert not re.search(r"\. [A-Z]|[{}!]|\b(optimal|best)\b", reason), reason


def test_a_suggestion_is_a_frozen_value():
    found = LossCurve(*known()).suggestion
    assert found == Suggestion(found.lr, found.low, found.high, "minimum", found.reason)
    with pytest.raises(AttributeError):
        found.lr = 1.0
    assert LossCurve(*known()).candidates()["minimum"] == found.lr


# -- repeats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_candidate_of_repeats_is_the_mean_of_the_medians_and_theirs(rule):
    singles = [LossCurve(*known(noise=0.05, seed=seed)) for seed in range(3)]
    median = LossCurve.median(singles)
    alone = LossCurve(median.lrs, median.losses)
    lrs = [curve.suggest(rule).lr for curve in (alone, *singles)]
    assert None not in lrs
    found = median.suggest(rule)
    assert found.lr == pytest.approx(np.exp(np.mean(np.log(lrs))))
    assert found.low <= found.lr <= found.high
    assert found.spread == pytest.approx(np.ptp(np.log10(lrs[1:])))
    assert f"candidates of 3 repeats lie within {found.spread:.2f} decades" in found.reason
    if rule == "minimum":
        lowest, below = map(
            float, re.findall(r"lowest near (\S+);.*divided by (\S+),", found.reason)[0]
        )
        assert lowest / below == pytest.approx(found.lr, rel=0.1)


def test_a_repeat_without_a_candidate_is_left_out():
    singles = [LossCurve(*known(noise=0.05, seed=seed)) for seed in range(2)]
    flat = LossCurve(singles[0].lrs, 2 + 0.1 * np.random.default_rng(5).normal(size=100))
    assert flat.suggestion.lr is None
    found = LossCurve.median([*singles, flat]).suggestion
    assert found.lr is not None
    assert "Of 3 repeats, only 2 show a candidate" in found.reason


def test_repeats_that_are_alike_have_the_candidate_of_each():
    single = LossCurve(*known(noise=0.05))
    found = LossCurve.median([single, single]).suggestion
    assert found.lr == single.suggestion.lr
    assert found.spread is None
    assert "same data in the same order" in found.reason
